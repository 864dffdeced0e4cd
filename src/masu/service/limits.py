"""What one request may cost, and how a request is refused: with a status and one plain line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The most of everything.

    Attributes:
        body: bytes of a request.
        image: bytes of an encoded image.
        pixels: of an image.
        tasks: images that one request may name.
        waiting: requests that run or wait; more are told to come back.
        seconds: that fetching an image may take.
    """

    body: int = 64_000_000
    image: int = 64_000_000
    pixels: int = 100_000_000
    tasks: int = 1000
    waiting: int = 16
    seconds: float = 20.0


class RefusedError(Exception):
    """A request that is not answered.

    Attributes:
        status: of HTTP.
        code: a short word in capitals, as X-AnyLabeling's servers say it.
        after: seconds after which it may be sent again; None: nothing is known of that.
    """

    def __init__(
        self, status: int, message: str, code: str = "BAD_REQUEST", *, after: int | None = None
    ) -> None:
        super().__init__(" ".join(message.split())[:400])
        self.status, self.code, self.after = status, code, after
