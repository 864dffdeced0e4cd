"""What a request for boxes may cost."""

from __future__ import annotations

from dataclasses import dataclass

from masu.service.limits import Limits


@dataclass(frozen=True)
class ServingLimits(Limits):
    """The most of everything.

    Attributes:
        body: bytes of a request.
        image: bytes of an encoded image.
        pixels: of an image, so that a small file cannot become a large picture.
        tasks: images of one request.
        waiting: requests that run or wait; the next one is told to come back.
        seconds: of a request, from its first byte to its answer.
        workers: predictions that run at the same time.
    """

    body: int = 32_000_000
    image: int = 32_000_000
    pixels: int = 50_000_000
    tasks: int = 16
    waiting: int = 16
    seconds: float = 30.0
    workers: int = 1
