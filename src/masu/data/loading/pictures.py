"""The pictures of a training: no larger than they are needed, decoded once up to a limit of memory."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from masu.data.loading.crops import Window
from masu.data.pixels.images import read_pixels
from masu.data.pixels.large import large_picture
from masu.data.pixels.pictures import Reduced, UnreadableImageError, read_reduced
from masu.data.pixels.windows import Picture, means
from masu.tiles import Tiles

MOST_BYTES = 600_000_000
"""Memory for pictures that a training keeps, all its processes together: about 600 of 640×480 pixels."""

LAST_BYTES = 400_000_000
"""Memory for the whole pictures that windows were cut from last, in the same way: eleven of 12 megapixels."""


class Pictures:
    """Reads the image files of a data set, again and again.

    Args:
        channels: None for RGB photographs; see :func:`masu.data.pixels.images.read_pixels`.
        shorter: pixels that the shorter side of a photograph has to have; a larger one is read at a half, a
            quarter or an eighth of its size. None reads all as they are.
        most_bytes: memory for pictures that are kept, so that they need not be decoded again; worker
            processes keep none from epoch to epoch.
        last_bytes: memory for the pictures that windows were cut from last.
        tiles: how pictures are cut: of a very large file windows are read, where it allows that.
    """

    def __init__(
        self,
        channels: int | None = None,
        shorter: int | None = None,
        most_bytes: int = 0,
        last_bytes: int = 0,
        tiles: Tiles | None = None,
    ) -> None:
        self.tiles, self.at_once = tiles, set[Path]()
        self.channels, self.shorter, self.left, self.last_bytes = channels, shorter, most_bytes, last_bytes
        self.kept: dict[tuple[Path, int | None], Reduced] = {}
        self.last: OrderedDict[Path, Reduced] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        # to another process go the settings, not the pixels
        return self.__dict__ | {"kept": {}, "last": OrderedDict()}

    def read(
        self, path: Path, window: Window | None = None, shorter: int | None = None
    ) -> tuple[torch.Tensor, Reduced]:
        """An image ``(C, H, W)``, of memory of its own, and what it was made from.

        Args:
            path: its file.
            window: x1 y1 x2 y2, a part of it at its full size; None: all of it, as small as it may be.
            shorter: pixels that its shorter side has to have; None: as of all others.

        Raises:
            InputError: a file that cannot be read, or that has become smaller than the window.
        """
        if (large := self._large(path)) is not None and (window or shorter) is not None:
            found = _part(large, window, shorter or 1)
            return torch.from_numpy(found.array), found
        full = window is not None or self.channels is not None
        found = self._kept(path, None if full else shorter or self.shorter)
        array = found.array
        if window is not None:
            left, top, right, bottom = window
            height, width = found.size
            if bottom > height or right > width:
                now = f"{width}×{height} pixels, fewer than when it was measured"
                raise UnreadableImageError(path, now, "leave it as it is")
            array = array[:, top:bottom, left:right]
        elif shorter is not None and self.channels is not None:
            factor = max(min(found.size) // shorter, 1)
            array = means(array.transpose(1, 2, 0), factor).transpose(2, 0, 1)
            found = found._replace(factor=factor)
        return torch.from_numpy(array.copy()), found

    def _large(self, path: Path) -> Picture | None:
        """A file that is read by windows; None for one that is decoded at once."""
        if self.tiles is None or path in self.at_once:
            return None
        large = large_picture(path, self.channels, self.tiles)
        if large is None:
            self.at_once.add(path)
        return large

    def _kept(self, path: Path, shorter: int | None) -> Reduced:
        found = self.kept.get((path, shorter))
        if found is None and shorter is None and path in self.last:
            self.last.move_to_end(path)
            return self.last[path]
        if found is None:
            found = self._read(path, shorter)
            if found.array.nbytes <= self.left:
                self.left -= found.array.nbytes
                self.kept[path, shorter] = found
            elif shorter is None:
                self._remember(path, found)
        return found

    def _remember(self, path: Path, found: Reduced) -> None:
        """Keep a picture until others were read; one is kept in any case, for its other windows."""
        self.last[path] = found
        while len(self.last) > 1 and sum(one.array.nbytes for one in self.last.values()) > self.last_bytes:
            self.last.popitem(last=False)

    def _read(self, path: Path, shorter: int | None) -> Reduced:
        if shorter is None:
            image = read_pixels(path, self.channels)
            return Reduced(image.numpy(), 1, (image.shape[1], image.shape[2]))
        reduced = read_reduced(path, shorter)
        return reduced._replace(array=reduced.array.transpose(2, 0, 1).copy())


def _part(picture: Picture, window: Window | None, shorter: int) -> Reduced:
    """A window of a picture at its full size, or the whole with a shorter side of at least ``shorter``."""
    size = (picture.height, picture.width)
    if window is not None:
        return Reduced(np.ascontiguousarray(picture.read(*window).transpose(2, 0, 1)), 1, size)
    whole = picture.reduced(max(min(size) // shorter, 1))
    return Reduced(np.ascontiguousarray(whole.pixels.transpose(2, 0, 1)), whole.across, size)
