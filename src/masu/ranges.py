"""The numbers that settings and options may be: every range is written here, once.

The upper ends are far above what is useful and far below what a computer cannot hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from masu.errors import bad_input

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,4})?")


@dataclass(frozen=True)
class Range:
    """Numbers from ``least`` to ``most``, neither infinite nor NaN.

    Attributes:
        least: the smallest.
        most: the largest.
        whole: whole numbers only.
        above: ``least`` itself is left out.
    """

    least: float
    most: float
    whole: bool = True
    above: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        number: Any = value
        return bool(self.least < number <= self.most or (number == self.least and not self.above))

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return (
            f"{kind} {f'above {self.least}, at most' if self.above else f'from {self.least} to'} {self.most}"
        )

    @property
    def short(self) -> str:
        """As help shows it: ``1..512``."""
        return f"{'>' if self.above else ''}{self.least}..{self.most}"

    def read(self, text: str) -> int | float | None:
        """The number that a text says in plain digits; None for a text that says none of this range."""
        text = text.strip()
        if not (_WHOLE if self.whole else _NUMBER).fullmatch(text):
            return None
        number = int(text) if self.whole else float(text)
        return number if number in self else None

    def check(self, thing: str, value: object) -> None:
        """Refuse a value that is no number of this range.

        Raises:
            InputError: naming the ``thing``.
        """
        if value not in self:
            raise bad_input(thing, f"{value!r:.60}", str(self), "choose one of these", code="out-of-range")


SEED = Range(0, 2**63 - 1)
EPOCHS = Range(1, 1_000_000)
BATCH_SIZE = Range(1, 65_536)
IMAGE_SIZE = Range(32, 16_384)
"""Shorter side of the network's input, in pixels."""
CHANNELS = Range(1, 1024)
TILE_SIDE = Range(32, 16_384)
"""In pixels of the picture."""
OVERLAP = Range(0, 0.9, whole=False)
"""Of a tile with the next one, as a share of its side."""
FROZEN_STRIDE = Range(0, 1024)
READERS = Range(0, 256)
"""Processes that read images ahead."""
WORKERS = Range(1, 65_536)
"""Processes of a bulk job, on all its machines."""
PROCESSES = Range(1, 1_000_000)
"""That train or evaluate together."""
RANK = Range(0, 999_999)
"""The number of one of them."""
PART_IMAGES = Range(1, 1_000_000)
"""Images of a part of a bulk job."""
PHOTOGRAPHS = Range(1, 1000)
"""Images on one page."""
MAX_DETECTIONS = Range(1, 1_000_000)
"""Boxes of one image."""
MOST_JUDGED = Range(11, 1_000_000)
"""Boxes of a class in an image that figures count: more than the ten of ``ar10``."""
LEARNING_RATE = Range(0, 1000, whole=False, above=True)
WEIGHT_DECAY = Range(0, 1000, whole=False)
STEPS = Range(0, 1_000_000_000)
CLIP_NORM = Range(0, 1_000_000_000, whole=False, above=True)
SECONDS = Range(0, 366 * 86_400, whole=False, above=True)
"""Of training: up to a year."""
GROWN = Range(0, 1, whole=False, above=True)
FACTOR = Range(0, 1000, whole=False, above=True)
SHARE = Range(0, 1, whole=False)
MARGIN = Range(0, 1000, whole=False)
"""Of a box, as a share of its size."""
EVERY = Range(1, 1_000_000)
"""Of a film's frames, every so many-th."""
PORT = Range(0, 65_535)
WAITING = Range(1, 10_000)
"""Requests of a server."""
THREADS = Range(1, 1024)
"""That predict at the same time."""
LULL = Range(0, 3600, whole=False)
"""Seconds before a server ends."""
CANVAS = Range(1, 4096)
"""Pixels of a side of the one size that a graph takes."""
AP_LOSS = Range(-1, 1, whole=False)
"""A difference of two shares."""
PARTS = Range(0, 1_000_000_000, whole=False, above=True)
"""The numbers of ``80/10/10``."""
