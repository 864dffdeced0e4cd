"""Of what happens now, the newest: what nobody has taken is dropped, so that nobody falls behind."""

from __future__ import annotations

from collections.abc import Generator
from threading import Condition, Thread
from typing import TypeVar

from masu.threads import compute_alone

Item = TypeVar("Item")


def newest(items: Generator[Item]) -> Generator[Item]:
    """The items in their order, without those that came while the reader was busy with another one.

    A thread takes them as they come. What taking one raises is raised when the last one before it was taken.
    """
    changed = Condition()
    waiting: list[Item] = []
    ended: list[BaseException | None] = []
    closed: list[bool] = []

    def work() -> None:
        why: BaseException | None = None
        try:
            compute_alone()
            for item in items:
                with changed:
                    waiting[:] = [item]
                    changed.notify()
                if closed:
                    break
        except BaseException as error:  # noqa: BLE001 raised where the next item is wanted
            why = error
        finally:
            items.close()
            with changed:
                ended.append(why)
                changed.notify()

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: waiting or ended)
                if not waiting:
                    if ended[0] is not None:
                        raise ended[0]
                    return
                item = waiting.pop()
            yield item
    finally:
        closed.append(True)
        thread.join()
