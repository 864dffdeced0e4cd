"""Forked processes: PyTorch's threads do not go with a fork, and whoever waits for them waits for ever.

A process that is forked after these threads have begun computes with one thread, as the workers of PyTorch's
own ``DataLoader`` do. One that is forked before, or spawned, has all its threads.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import torch

_THREADS = Path("/proc/self/task")


def _native_threads() -> int | None:
    """Threads of this process that are not Python's; None where the system does not tell."""
    return len(os.listdir(_THREADS)) - threading.active_count() if _THREADS.is_dir() else None


class _Fork:
    """What is known of the threads of a process when it is forked."""

    def __init__(self) -> None:
        self._before_any_work = _native_threads()
        self._threads_are_lost = False

    def before(self) -> None:
        now = _native_threads()
        self._threads_are_lost = now is None or self._before_any_work is None or now > self._before_any_work

    def in_child(self) -> None:
        if self._threads_are_lost:
            torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    _fork = _Fork()
    os.register_at_fork(before=_fork.before, after_in_child=_fork.in_child)
