"""One frame, and what every source of frames says of itself."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a film, upright.

    Attributes:
        number: its place in the film, from 0; frames that were not wanted count too.
        seconds: when it is shown, from the film's first frame on; of a camera since its first frame. None
            where the source knows no time (an image sequence).
        image: ``(H, W, 3)`` uint8 RGB.
    """

    number: int
    seconds: float | None
    image: Array


class Source(Protocol):
    """Where frames come from."""

    @property
    def name(self) -> str:
        """As it is shown; without the password of an address."""

    @property
    def stem(self) -> str:
        """What files about it are called, without a suffix."""

    @property
    def live(self) -> bool:
        """Whether frames come when they happen and are lost when nobody takes them."""

    def frames(self, every: int, faults: list[str]) -> Generator[Frame]:
        """Every n-th frame, the first one first, one in memory at a time.

        Args:
            every: n.
            faults: receives one line for what could not be read; what can be goes on.

        Raises:
            InputError: where there is no frame at all.
        """

    def about(self) -> About:
        """What is known before a frame is read.

        Raises:
            InputError: where it cannot be opened.
        """


@dataclass(frozen=True)
class About:
    """What a source says of itself before it is read.

    Attributes:
        frames: how many there are; None where it does not say.
        rate: frames of a second, on average; None where it does not say.
    """

    frames: int | None = None
    rate: float | None = None
