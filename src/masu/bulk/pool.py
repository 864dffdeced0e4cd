"""A pool of Ray actors that take shard after shard; one that dies is replaced and its shard done again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from masu.errors import InputError, bad_input

STARTS = 3
"""So many actors in a row may die before they are ready."""

PATIENCE = 600.0
"""Seconds without an actor after which the job ends; a cluster that grows by itself takes minutes."""


def run_on_actors(
    ray: Any,
    start: Callable[[], Any],
    shards: Iterable[int],
    sizes: tuple[int, int],
    do: Callable[[Any, int, int], Any],
) -> Iterator[Any]:
    """Have every shard done by one of the actors, in any order; a shard is taken up when an actor is free.

    Actors that cannot be placed yet wait for a machine and take part when it comes; the others begin. One
    that nothing is left for is ended, so that a cluster can shrink.

    Args:
        ray: the package.
        start: makes an actor, which has a method ``ready``.
        shards: numbers, read as they are needed.
        sizes: how many actors must be ready before the first shard is begun, and how many there are at most.
        do: begins a shard: an actor, the number, and how many actors died of it before; gives a reference.

    Yields:
        What the references stand for.

    Raises:
        InputError: one that an actor returned; or actors that die at once or do not start.
    """
    deadly = ray.exceptions
    deaths = (
        deadly.RayActorError,
        deadly.NodeDiedError,
        deadly.OutOfMemoryError,
        deadly.WorkerCrashedError,
    )
    starting: dict[Any, Any] = {}
    running: dict[Any, tuple[Any, int]] = {}
    again: deque[int] = deque()
    died: Counter[int] = Counter()
    following = iter(shards)
    idle: list[Any] = []
    (least, size), failed = sizes, 0

    def begin() -> None:
        actor = start()
        starting[actor.ready.remote()] = actor

    for _ in range(size):
        begin()
    left = next(following, None)
    while running or again or left is not None:
        (done, _) = ray.wait([*running, *starting], num_returns=1, timeout=None if running else PATIENCE)
        if not done:
            raise _lost(f"{len(idle)} of {least} workers within {PATIENCE:.0f} seconds")
        (reference,) = done
        if reference in starting:
            actor = starting.pop(reference)
            try:
                ray.get(reference)
            except deaths:
                failed += 1
                if failed == STARTS:
                    raise _lost(f"{STARTS} workers in a row that died when they started") from None
                begin()
                continue
            failed = 0
        else:
            actor, number = running.pop(reference)
            try:
                outcome = ray.get(reference)
            except deaths:
                ray.kill(actor)  # one that only seemed to be gone
                died[number] += 1
                again.append(number)
                begin()
                continue
            if isinstance(outcome, InputError):
                raise outcome
            yield outcome
        idle.append(actor)
        if len(idle) < least:
            continue
        least = 1
        for actor in idle:
            if again:
                number = again.popleft()
            elif left is not None:
                number, left = left, next(following, None)
            else:
                ray.kill(actor)
                continue
            running[do(actor, number, died[number])] = actor, number
        idle.clear()


def _lost(found: str) -> InputError:
    fix = "see Ray's logs, and 'ray status' for what the cluster has"
    return bad_input("--engine ray", found, "workers that read images", fix, code="lost-process")
