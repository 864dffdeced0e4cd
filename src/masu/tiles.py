"""Tiles: how a large picture is cut into overlapping squares, of which each is an image to the network.

Without PyTorch, since an exported file is run in tiles as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from masu.settings import Share, Within, check_fields

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tiles:
    """How large pictures are cut.

    Attributes:
        side: pixels of the picture that a tile has on each side.
        overlap: share of its side that a tile has in common with the next one, at least.
        iou: above which two boxes of a class from two tiles are one object; None: the detector's own, above
            which it drops the weaker of two boxes.
    """

    side: Annotated[int, Within(32, 16_384)]
    overlap: Annotated[float, Within(0.0, 0.9)] = 0.2
    iou: Share | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def needed(self, height: int, width: int) -> bool:
        """Whether a picture is larger than one tile."""
        return max(height, width) > self.side

    def windows(self, height: int, width: int) -> Array:
        """The tiles of a picture, row by row, spread evenly.

        Args:
            height: of the picture in pixels.
            width: likewise.

        Returns:
            ``(T, 4)`` int64 x1 y1 x2 y2 in its pixels; a picture shorter than a tile has tiles of its own
            length on that side.
        """
        rows, columns = self._starts(height), self._starts(width)
        top, left = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
        right, bottom = np.minimum(left + self.side, width), np.minimum(top + self.side, height)
        return np.stack([left, top, right, bottom], axis=1)

    def filled(self, pixels: Array) -> Array:
        """A tile at its full size, so that every tile is resized alike.

        Args:
            pixels: ``(h, w, C)``, at most a tile.

        Returns:
            ``(side, side, C)``, zeros right and below; the same array where nothing is lacking.
        """
        lacking = [self.side - length for length in pixels.shape[:2]]
        return np.pad(pixels, [(0, lacking[0]), (0, lacking[1]), (0, 0)]) if any(lacking) else pixels

    def _starts(self, length: int) -> Array:
        if length <= self.side:
            return np.zeros(1, np.int64)
        step = max(int(self.side * (1 - self.overlap)), 1)
        count = -(-(length - self.side) // step) + 1
        return np.linspace(0, length - self.side, count).round().astype(np.int64)
