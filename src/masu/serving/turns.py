"""Who is served when: few wait, fewer run, nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Lock
from typing import TypeVar

from masu.service.limits import RefusedError
from masu.serving.limits import ServingLimits

Answer = TypeVar("Answer")

_COME_BACK = 1  # seconds


class Place:
    """Of one request; what it computes runs in a thread.

    Attributes:
        late: whether its time is over, so that long work ends early.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.future: Future[object] | None = None
        self.late = False

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """What the work gives, once a thread was free for it."""
        future: Future[Answer] = self._pool.submit(work)
        self.future = future  # type: ignore[assignment]
        return await asyncio.wrap_future(future)


class Turns:
    """Places for requests.

    Args:
        limits: how many run, how many wait, and how long.
    """

    def __init__(self, limits: ServingLimits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.workers, "masu-predict")
        self._door = Lock()
        self._inside = 0

    @property
    def inside(self) -> int:
        """Requests that run or wait."""
        return self._inside

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """A place, as long as the request is answered; what still computes then keeps it.

        Raises:
            RefusedError: no place is free, or the time of the request is over.
        """
        with self._door:
            if self._inside >= self._limits.waiting:
                message = f"busy: {self._inside} requests run or wait; try again"
                raise RefusedError(429, message, "QUEUE_FULL", after=_COME_BACK)
            self._inside += 1
        place = Place(self._pool)
        try:
            async with asyncio.timeout(self._limits.seconds):
                yield place
        except TimeoutError:
            place.late = True
            if place.future is None:
                message = f"body: found none whole after {self._limits.seconds:g} s"
                raise RefusedError(408, message, "TIMEOUT") from None
            message = f"no answer after {self._limits.seconds:g} s; try again, or send fewer pictures"
            raise RefusedError(503, message, "TIMEOUT", after=_COME_BACK) from None
        finally:
            if place.future is None or place.future.done():
                self._leave(None)
            else:
                place.future.add_done_callback(self._leave)

    def _leave(self, _future: object) -> None:
        with self._door:
            self._inside -= 1
