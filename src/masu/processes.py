"""More processes: who this one is and what all of them bring together. A plain process is a world of one.

Launchers (``torchrun``, ``accelerate launch``) say who a process is in its environment: ``RANK``,
``WORLD_SIZE``, ``LOCAL_RANK``, ``MASTER_ADDR`` and ``MASTER_PORT``. Nothing that is sent is pickled.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from masu.errors import InputError, bad_input
from masu.ranges import PROCESSES, RANK, Range

T = TypeVar("T")

LONGEST_WAIT = 600.0
"""Seconds that one process waits for another.

A process that is killed is noticed at once; this is for a machine that falls silent, and more than the
longest time that one rightly works alone.
"""


class LostProcessError(InputError):
    """Another process of the group has ended or is silent."""

    default_code = "lost-process"


@dataclass(frozen=True)
class Processes:
    """The processes that train or evaluate together; all of them call the same methods in the same order.

    Attributes:
        rank: number of this process, from 0.
        world: how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def sum(self, *numbers: float) -> list[float]:
        """The sum over all processes of each number, in float64."""
        if self.world == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64)
        self._all_reduce(total)
        return total.tolist()

    @torch.no_grad()
    def sum_tensors(self, tensors: Sequence[Tensor]) -> None:
        """Replace float32 tensors by their sum over all processes, all at once."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._all_reduce(flat)
        for tensor, total in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(total.view(tensor.shape))

    @torch.no_grad()
    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by those of process 0."""
        if self.world == 1:
            return
        import torch.distributed as dist

        with self._together():
            for tensor in tensors:
                sent = tensor.detach().contiguous()
                dist.broadcast(sent, 0)
                tensor.copy_(sent)

    def of_first(self, value: T) -> T:
        """What process 0 has; anything that JSON keeps as it is."""
        if self.world == 1:
            return value
        first: T = json.loads(self.texts(json.dumps(value) if self.first else "")[0])
        return first

    def texts(self, text: str) -> list[str]:
        """The text of each process, in their order."""
        if self.world == 1:
            return [text]
        sent = torch.from_numpy(np.frombuffer(bytearray(text.encode()), dtype=np.uint8))
        return [part.numpy().tobytes().decode() for part in self._parts(sent)]

    def rows(self, table: Tensor) -> Tensor:
        """``(R, C)`` on the CPU, R as it is in each process → all rows, those of process 0 first."""
        return table if self.world == 1 else torch.cat(self._parts(table))

    @contextmanager
    def stopping_together(self) -> Iterator[None]:
        """Ctrl-C within this block in any process is Ctrl-C at its end in all.

        Raises:
            KeyboardInterrupt: where there was one.
        """
        stopped = False
        try:
            yield
        except KeyboardInterrupt:
            stopped = True
        if self.sum(stopped)[0]:
            raise KeyboardInterrupt

    def alike(self, thing: str, value: str) -> None:
        """Refuse where a process has something else than process 0.

        Raises:
            InputError: in all of them.
        """
        first, *others = self.texts(value)
        other = next((rank for rank, text in enumerate(others, 1) if text != first), None)
        if other is not None:
            raise bad_input(
                f"process {other} of {self.world}",
                f"other {thing} than in process 0",
                "the same",
                "start all with the same command on copies of the same files",
            )

    def _parts(self, own: Tensor) -> list[Tensor]:
        """The tensor of each process; they differ in length only, and are padded on their way."""
        import torch.distributed as dist

        lengths = [int(n) for n in self.sum(*(len(own) * (i == self.rank) for i in range(self.world)))]
        if not any(lengths):
            return [own] * self.world
        padded = own.new_zeros((max(lengths), *own.shape[1:]))
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in lengths]
        with self._together():
            dist.all_gather(parts, padded)
        return [part[:length] for part, length in zip(parts, lengths, strict=True)]

    def _all_reduce(self, tensor: Tensor) -> None:
        import torch.distributed as dist

        with self._together():
            dist.all_reduce(tensor)

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise _lost(self, error) from None


ALONE = Processes()
"""A plain process."""


def described() -> Processes:
    """The group that the environment describes, which need not be joined yet; a world of one is alone.

    Raises:
        InputError: for a variable that is no number.
    """
    world = _environment("WORLD_SIZE", "1", PROCESSES)
    if world == 1 or "RANK" not in os.environ:
        return ALONE
    return Processes(_environment("RANK", "0", RANK), world)


@contextmanager
def joined() -> Iterator[Processes]:
    """The group that the environment describes, left at the end; one that is there already is used and kept.

    gloo between processors, NCCL between CUDA devices; a process takes the device of its ``LOCAL_RANK``.

    Raises:
        InputError: where the others do not come.
    """
    processes = described()
    if processes.world == 1:
        yield ALONE
        return
    import torch.distributed as dist

    if dist.is_initialized():
        yield processes
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(_environment("LOCAL_RANK", "0", RANK))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=LONGEST_WAIT))
    except (RuntimeError, ValueError) as error:  # a variable is missing, an address nobody answers at
        raise _lost(processes, error) from None
    try:
        yield processes
    finally:
        dist.destroy_process_group()


def launched() -> bool:
    """A launcher has started this process, and may start it again when it fails."""
    return "TORCHELASTIC_RUN_ID" in os.environ or _environment("WORLD_SIZE", "1", PROCESSES) > 1


def _environment(variable: str, otherwise: str, span: Range) -> int:
    """A number that a launcher sets.

    Raises:
        InputError: for what is none.
    """
    text = os.environ.get(variable, otherwise)
    number = span.read(text)
    if number is None:
        found = f"{text!r:.60} in the environment"
        raise bad_input(variable, found, str(span), "unset it, or start masu by a launcher")
    return int(number)


def _lost(processes: Processes, error: Exception) -> LostProcessError:
    reason = re.sub(r"^\[\S*\] ", "", str(error).splitlines()[0])  # the line of gloo's source
    reason = reason.split(". ")[0].rstrip(".")
    return bad_input(
        f"process {processes.rank} of {processes.world}",
        f"no answer of another one ({reason})",
        "all of them to the end",
        "the one that ended first says why, or was killed",
        kind=LostProcessError,
    )
