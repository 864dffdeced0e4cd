"""Seeds made of several numbers, and the global random states, seeded for one call and given back."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within this block ``torch``, ``numpy.random`` and ``random`` draw the numbers of a seed.

    PyTorch computes in one thread meanwhile: the last bits of a mean depend on how many there are, and a
    worker process has one.

    Args:
        seed: any integer from 0 below 2**64.
    """
    # Not torch.manual_seed, which seeds the accelerators too.
    torchs, threads = torch.default_generator.get_state(), torch.get_num_threads()
    numpys, pythons = np.random.get_state(), random.getstate()
    try:
        torch.default_generator.manual_seed(seed)
        np.random.seed([seed >> 32, seed & 0xFFFFFFFF])
        random.seed(seed)
        if threads > 1:
            torch.set_num_threads(1)
        yield
    finally:
        torch.default_generator.set_state(torchs)
        np.random.set_state(numpys)
        random.setstate(pythons)
        if threads > 1:
            torch.set_num_threads(threads)


def mixed(*numbers: int) -> int:
    """One seed from several numbers, such that neighbouring ones have nothing in common.

    Args:
        numbers: any integers.

    Returns:
        An integer from 0 below 2**63.
    """
    digest = hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
