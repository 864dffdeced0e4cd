"""Processes that read ahead: the parts in their order, also where a process is lost on the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from masu.errors import InputError, bad_input

T = TypeVar("T")

MOST_LOST = 3
"""Losses in one epoch after which reading goes on; at the next one something is wrong with the machine."""

LONGEST_WAIT = 300.0
"""Seconds after which a part that has not come is taken for lost: a disk that hangs, a stopped process."""


class LostWorkerError(InputError):
    """A process that reads ahead and gives nothing any more."""

    default_code = "lost-process"


def read_ahead(
    plan: Dataset[T], numbers: range, workers: int, on_lost: Callable[[str], None] | None = None
) -> Generator[T]:
    """``plan[number]`` for each number in order, read by several processes.

    Args:
        plan: what to read; the same part whenever it is read.
        numbers: which parts.
        workers: processes.
        on_lost: told of a process that was killed or hangs; the processes are then started anew and what
            was not yet given is read again. Default: it raises.

    Raises:
        LostWorkerError: where processes are lost more than ``MOST_LOST`` times.
    """
    lost = 0
    while len(numbers) > 0:
        try:
            with closing(_started(plan, numbers, workers)) as parts:  # now, and in this thread
                for part in parts:
                    yield part
                    numbers = numbers[1:]
        except LostWorkerError as error:
            lost += 1
            if on_lost is None or lost > MOST_LOST:
                raise
            on_lost(f"{error}; started anew, nothing is left out")


def _started(plan: Dataset[T], numbers: range, workers: int) -> Generator[T]:
    loader: DataLoader[T] = DataLoader(
        plan,
        batch_size=None,
        sampler=numbers,
        num_workers=min(workers, len(numbers)),
        collate_fn=_as_it_is,
        generator=torch.Generator(),
        worker_init_fn=_live_and_die_with_the_training,
    )
    others = set(multiprocessing.active_children())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later: fork beside threads
        parts = iter(loader)
    parts._workers_done_event = _End(parts._workers_done_event)  # type: ignore[attr-defined]
    watch = _Watch([child for child in multiprocessing.active_children() if child not in others])
    try:
        for _ in numbers:
            yield watch.next(parts)
        next(parts, None)  # its processes end in order
    finally:
        watch.end()
        parts._shutdown_workers()  # type: ignore[attr-defined]  # not whenever it is collected
        watch.leave()


class _End(threading.Event):
    """DataLoader's event for the end of its processes, of which one may be killed with its lock in the hands.

    Here nobody waits for that lock longer than a second: the processes are killed at last in any case.

    Args:
        theirs: what the processes look at.
    """

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.theirs = theirs

    def set(self) -> None:
        """Tell everyone, as ``multiprocessing.Event.set`` does, but for those who wait: none does."""
        super().set()
        if self.theirs._cond.acquire(True, 1.0):
            try:
                self.theirs._flag.acquire(False)
                self.theirs._flag.release()
            finally:
                self.theirs._cond.release()


class _Watch:
    """Waits for parts: the end of a process is an error at once, also where reading from it blocks."""

    def __init__(self, processes: list[BaseProcess]) -> None:
        self.processes = sorted(processes, key=lambda process: process.pid or 0)
        self.waiting = self.hung = False
        self.earlier: Any = None
        self.listens = hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread()
        if self.listens:
            # in place of PyTorch's own, which raises in the middle of whatever is computed just then
            self.earlier = signal.signal(signal.SIGCHLD, self._child_ended)

    def next(self, parts: Iterator[T]) -> T:
        """The next part."""
        # DataLoader's own timeout does not see a process that hangs in the middle of sending
        clock = threading.Timer(LONGEST_WAIT, self._hangs)
        clock.daemon = True
        clock.start()
        self.waiting = True
        try:
            self.check()
            return next(parts)
        except RuntimeError as error:
            if str(error).startswith("DataLoader worker"):
                self.check()  # what the signal's handler raises is caught there, and said less clearly
            raise
        finally:
            self.waiting = False
            clock.cancel()

    def check(self) -> None:
        """Raise where a process has ended before its time."""
        if self.hung:
            pids = ", ".join(str(process.pid) for process in self.processes)
            raise _lost(f"workers that read images (processes {pids})", f"no answer for {LONGEST_WAIT:g} s")
        for number, process in enumerate(self.processes, 1):
            code = process.exitcode
            if code:
                how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
                name = f"worker {number} of {len(self.processes)} that reads images (process {process.pid})"
                raise _lost(name, how)

    def end(self) -> None:
        """End all processes; they only read, so nothing is lost."""
        for process in self.processes:
            process.kill()

    def leave(self) -> None:
        """Give the signal back."""
        if self.listens:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL if self.earlier is None else self.earlier)

    def _hangs(self) -> None:
        self.hung = True
        self.end()

    def _child_ended(self, number: int, frame: FrameType | None) -> None:
        if self.waiting:
            self.check()


def _lost(thing: str, found: str) -> LostWorkerError:
    fix = "look whether memory or the disk of the images fails, or read without them (--workers 0)"
    if multiprocessing.get_start_method() != "fork":
        fix += "; a script must start the training below: if __name__ == '__main__'"
    return bad_input(thing, found, "the next images", fix, kind=LostWorkerError)


def _live_and_die_with_the_training(number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the training decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the training's handler is inherited
    threading.Thread(target=_end_after, args=(os.getppid(),), daemon=True).start()


def _end_after(parent: int) -> None:
    """DataLoader's own look at the parent does not come to pass while a part waits to be sent to nobody."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _as_it_is(part: Any) -> Any:
    return part
