"""Pictures of which parts are read: those in memory, and files that no memory holds as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

STRIP = 1_000_000
"""Values of a picture that are reduced together; their sums take four times as many bytes."""


class Whole(NamedTuple):
    """A picture at a smaller size.

    Attributes:
        pixels: ``(h, w, C)``.
        across: pixels of the picture that one of them has in width.
        down: in height.
    """

    pixels: Array
    across: float
    down: float


class Picture(ABC):
    """A picture, upright, of which parts are read.

    Attributes:
        shape: channels, height and width, as of a tensor.
        orientation: 1..8 as EXIF has it, how the file stores what is upright here.
    """

    shape: tuple[int, int, int]
    orientation: int = 1

    @property
    def ndim(self) -> int:
        """Three, as of a tensor."""
        return 3

    @property
    def height(self) -> int:
        """In pixels."""
        return self.shape[1]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.shape[2]

    @abstractmethod
    def read(self, left: int, top: int, right: int, bottom: int) -> Array:
        """A part.

        Args:
            left: first column.
            top: first row.
            right: the column after the last one.
            bottom: the row after the last one.

        Returns:
            ``(bottom - top, right - left, C)``: uint8, or with channels also float32.
        """

    def in_order(self, windows: Array) -> Array:
        """``(W, 4)`` windows in the order in which they are read soonest."""
        return windows

    def columns_together(self, rows: int) -> int:
        """Of how many columns parts of so many rows are read soonest one after the other."""
        return self.width

    def reduced(self, factor: int) -> Whole:
        """The whole at about a fraction of its size, each pixel the mean of those that it stands for.

        Args:
            factor: at least 1.

        Returns:
            The pixels, of the type of :meth:`read`; no fewer on a side than its length over ``factor``.
        """
        if factor == 1:
            return Whole(self.read(0, 0, self.width, self.height), 1, 1)
        columns = min(max(self.columns_together(factor) // factor, 1) * factor, self.width)
        rows = max(STRIP // (columns * self.shape[0] * factor), 1) * factor
        made: Array | None = None
        for left in range(0, self.width, columns):
            for top in range(0, self.height, rows):
                right, bottom = min(left + columns, self.width), min(top + rows, self.height)
                part = means(self.read(left, top, right, bottom), factor)
                if made is None:
                    shape = -(-self.height // factor), -(-self.width // factor), self.shape[0]
                    made = np.empty(shape, part.dtype)
                y, x = top // factor, left // factor
                made[y : y + part.shape[0], x : x + part.shape[1]] = part
        assert made is not None
        return Whole(made, factor, factor)


class Held(Picture):
    """A picture that is in memory.

    Args:
        pixels: ``(H, W, C)``.
    """

    def __init__(self, pixels: Array) -> None:
        self._pixels = pixels
        self.shape = (pixels.shape[2], pixels.shape[0], pixels.shape[1])

    def read(self, left: int, top: int, right: int, bottom: int) -> Array:
        """See :meth:`Picture.read`."""
        return self._pixels[top:bottom, left:right]


def means(pixels: Array, factor: int) -> Array:
    """Means of squares of ``factor`` pixels; at the right and below of what is left of them.

    Args:
        pixels: ``(h, w, C)`` uint8 or float32.
        factor: side of a square.

    Returns:
        ``(⌈h / factor⌉, ⌈w / factor⌉, C)`` of the same type; of bytes rounded.
    """
    kind = np.uint32 if pixels.dtype == np.uint8 else np.float64
    sums = pixels
    for axis in (0, 1):
        starts = np.arange(0, sums.shape[axis], factor)
        sums = np.add.reduceat(sums, starts, axis=axis, dtype=kind)
    counts = [np.diff([*range(0, length, factor), length]) for length in pixels.shape[:2]]
    count = (counts[0][:, None] * counts[1])[..., None]
    if pixels.dtype == np.uint8:
        return np.asarray((sums + count // 2) // count, np.uint8)
    return np.asarray(sums / count, pixels.dtype)
