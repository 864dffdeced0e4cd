"""Work on very many files in bare threads: blocks of positions, progress, and Ctrl-C that ends at once."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from masu.cores import usable_cores

Work = Callable[[range], None]


def in_threads(
    work: Work,
    total: int,
    block: int,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Call ``work`` with every block of the positions 0 to ``total`` − 1, many at a time.

    Warnings are silent meanwhile: what a decoder warns of is no fault.

    Args:
        work: gets the positions of one block, and keeps what it finds where no other block writes. What it
            raises is raised here.
        total: number of positions.
        block: positions in a block.
        workers: threads; default: one per processor.
        progress: called with (positions done, positions in total).
    """
    # Threads, since decoders and files let go of the interpreter; bare ones, since Ctrl-C in the middle of
    # what concurrent.futures does in this thread leaves its locks closed for ever.
    todo = deque(range(start, min(start + block, total)) for start in range(0, total, block))
    done: SimpleQueue[int | BaseException] = SimpleQueue()
    count = 0
    with warnings.catch_warnings():  # here: in threads it would forget what was before
        warnings.simplefilter("ignore")
        try:
            for _ in range(min(workers or usable_cores(), len(todo))):
                Thread(target=_take, args=(work, todo, done), daemon=True).start()
            while count < total:
                one = done.get()
                if isinstance(one, BaseException):
                    raise one
                count += one
                if progress is not None:
                    progress(count, total)
        finally:
            todo.clear()


def _take(work: Work, todo: deque[range], done: SimpleQueue[int | BaseException]) -> None:
    with suppress(IndexError):
        while True:
            block = todo.popleft()
            try:
                work(block)
            except BaseException as error:  # noqa: BLE001 raised where somebody waits
                done.put(error)
            else:
                done.put(len(block))
