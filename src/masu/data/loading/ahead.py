"""Anything that is read from a disk, read by a thread while its reader is busy with what came before."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TypeVar

from masu.threads import compute_alone

Item = TypeVar("Item")


def ahead(items: Iterator[Item], count: int) -> Generator[Item]:
    """The same items in the same order; a thread takes up to ``count`` of them before they are asked for.

    What taking one raises is raised where that one is asked for, and ends the items.
    """
    space, closed = Semaphore(count + 1), Event()
    taken: SimpleQueue[tuple[Item] | BaseException] = SimpleQueue()

    def work() -> None:
        try:
            compute_alone()
            while True:
                space.acquire()
                if closed.is_set():
                    return
                taken.put((next(items),))
        except BaseException as error:  # noqa: BLE001 raised where the item is wanted
            taken.put(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item = taken.get()
            if isinstance(item, StopIteration):
                return
            if isinstance(item, BaseException):
                raise item
            yield item[0]
            space.release()
    finally:
        closed.set()
        space.release()
        thread.join()  # it may be decoding: what it does to the process's warnings ends with it
