"""A TIFF of which only the tiles or strips are decoded that a window needs; its pyramid gives the whole.

Classic and BigTIFF. Without PyTorch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from masu.data.pixels.pictures import check_size, damage, planes, to_bytes, upright
from masu.data.pixels.windows import Array, Picture, Whole
from masu.errors import InputError
from masu.regular import open_regular

KEPT = 32_000_000
"""Bytes of decoded tiles that are kept: neighbouring windows need the same ones."""

_WHITE_IS_ZERO, _GREY, _RGB = 0, 1, 2
_TURNED = range(5, 9)


def tiff_windows(path: Path, channels: int | None) -> Picture | None:
    """A TIFF that is read by windows.

    Args:
        path: the file.
        channels: None for RGB photographs, of which 8 bits and grey of 16 are read here; else its channels.

    Returns:
        None for one that is to be read as a whole: of several pages, of colours that Pillow converts, or
        compressed so that tifffile alone does not read it.

    Raises:
        Exception: what tifffile raises for a file that is damaged or none.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        if len(file.series) == 0 or len(file.series[0].pages) != 1:
            return None
        levels = [level.keyframe for level in file.series[0].levels if len(level.pages) == 1]
        first = levels[0]
        if not _is_plain(first, channels) or first.imagedepth != 1:
            return None
        tag = first.tags.get("Orientation")
        turned = tag.value if tag is not None and tag.value in range(2, 9) else 1
        stored = [_Stored(path, page) for page in levels if _is_plain(page, channels)]
    if any(not one.decodes() for one in stored):
        return None
    return TiffWindows(path, stored, channels, turned)


def reads_alike(path: Path, channels: int | None) -> bool:
    """Whether libvips gives a TIFF the values that it has when it is read as a whole.

    Grey of which zero is white, and bits that fill no byte, are turned and stretched by some decoders only.

    Args:
        path: the file.
        channels: None for RGB photographs; else its channels.

    Raises:
        Exception: what tifffile raises for a file that is damaged or none.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        white = page.photometric == _WHITE_IS_ZERO
        if channels is None:
            return not (white and page.bitspersample > 8)
        return not white and _fills_bytes(page)


def _fills_bytes(page: Any) -> bool:
    """Whether the values are numbers of whole bytes, or yes and no."""
    return bool(page.dtype == np.bool_ or page.bitspersample == 8 * page.dtype.itemsize)


def _is_plain(page: Any, channels: int | None) -> bool:
    if page.dtype is None or not _fills_bytes(page):
        return False
    if channels is not None:
        return bool(page.samplesperpixel == channels)
    if page.photometric == _RGB:
        return page.dtype == np.uint8 and page.samplesperpixel in (3, 4)
    return page.photometric == _GREY and page.samplesperpixel == 1 and page.dtype in (np.uint8, np.uint16)


class _Stored:
    """One picture of the file, as it is stored."""

    def __init__(self, path: Path, page: Any) -> None:
        self._path, self._decode = path, page.decode
        self._offsets, self._sizes = page.dataoffsets, page.databytecounts
        self._tables = page.jpegtables
        self.height, self.width, self.samples = page.imagelength, page.imagewidth, page.samplesperpixel
        self.kind = page.dtype
        self._down = page.tilelength if page.is_tiled else min(page.rowsperstrip, self.height)
        self._across = page.tilewidth if page.is_tiled else self.width
        self._apart = self.samples if page.planarconfig == 2 else 1
        check_size(path, (self._down, self._across, self.samples // self._apart))
        self._kept: OrderedDict[int, Array] = OrderedDict()
        self._bytes, self._most, self._lock = 0, KEPT, Lock()

    def decodes(self) -> bool:
        """Whether the packages that are installed know the compression."""
        try:
            self._piece(0)
        except (ValueError, ImportError, NotImplementedError):
            return False
        return True

    def band(self, rows: int) -> int:
        """Columns of which the tiles under windows of so many rows are kept together; all of strips."""
        if self._across >= self.width:
            return int(self.width)
        return int(max(KEPT // ((rows + 2 * self._down) * self.samples * self.kind.itemsize), 1))

    def read(self, left: int, top: int, right: int, bottom: int) -> Array:
        """``(h, w, samples)`` of the type that is stored."""
        if self._across >= self.width:  # strips: the next window beside this one needs the same
            rows = bottom - top + 2 * self._down
            self._most = max(self._most, rows * self.width * self.samples * self.kind.itemsize)
        made = np.zeros((bottom - top, right - left, self.samples), self.kind)
        each = self.samples // self._apart
        columns, rows = -(-self.width // self._across), -(-self.height // self._down)
        for apart in range(self._apart):
            for row in range(top // self._down, -(-bottom // self._down)):
                for column in range(left // self._across, -(-right // self._across)):
                    piece = self._piece((apart * rows + row) * columns + column)
                    y, x = row * self._down, column * self._across
                    y1, x1 = max(top, y), max(left, x)
                    y2, x2 = min(bottom, y + piece.shape[0]), min(right, x + piece.shape[1])
                    place = made[y1 - top : y2 - top, x1 - left : x2 - left, apart * each :][..., :each]
                    place[...] = piece[y1 - y : y2 - y, x1 - x : x2 - x]
        return made

    def forget(self) -> None:
        """Keep no tiles."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _piece(self, index: int) -> Array:
        """``(h, w, samples)`` a tile or strip; zeros where the file has none there."""
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
        with open_regular(self._path) as file:
            file.seek(self._offsets[index])
            data = file.read(self._sizes[index])
        tables = {} if self._tables is None else {"jpegtables": self._tables}
        decoded, _, shape = self._decode(data or None, index, **tables)
        if decoded is None:
            return np.zeros((self._down, self._across, self.samples // self._apart), self.kind)
        piece: Array = decoded.reshape(decoded.shape[-3:])[: shape[1], : shape[2]]
        with self._lock:
            self._bytes += 0 if index in self._kept else piece.nbytes
            self._kept[index] = piece
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return piece


class TiffWindows(Picture):
    """See :func:`tiff_windows`.

    Args:
        path: the file.
        levels: the picture and its smaller copies, as they are stored.
        channels: None for RGB photographs.
        orientation: 1..8, of the tag.
    """

    def __init__(self, path: Path, levels: list[_Stored], channels: int | None, orientation: int) -> None:
        self._path, self._levels, self._channels = path, levels, channels
        self.orientation = orientation
        height, width = levels[0].height, levels[0].width
        size = (width, height) if orientation in _TURNED else (height, width)
        self.shape = (channels or 3, *size)

    def read(self, left: int, top: int, right: int, bottom: int) -> Array:
        """See :meth:`Picture.read`."""
        return self._read(self._levels[0], left, top, right, bottom)

    def in_order(self, windows: Array) -> Array:
        """See :meth:`Picture.in_order`; in bands whose tiles are kept, so that few are decoded twice."""
        rows = int((windows[:, 3] - windows[:, 1]).max())
        order = np.lexsort((windows[:, 0], windows[:, 1], windows[:, 0] // self._levels[0].band(rows)))
        return windows[order]

    def columns_together(self, rows: int) -> int:
        """See :meth:`Picture.columns_together`; as many as have their tiles kept."""
        return self.width if self.orientation in _TURNED else self._levels[0].band(rows)

    def _read(self, level: _Stored, left: int, top: int, right: int, bottom: int) -> Array:
        window = _as_stored((left, top, right, bottom), (level.height, level.width), self.orientation)
        try:
            pixels = self._converted(level.read(*window))
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 whatever the decoder raises
            raise damage(self._path, error) from None
        return upright(pixels, self.orientation)

    def _converted(self, pixels: Array) -> Array:
        if self._channels is not None:
            return planes(pixels, self._channels, str(self._path)).transpose(1, 2, 0)
        pixels = to_bytes(pixels) if pixels.dtype == np.uint16 else pixels
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]

    def reduced(self, factor: int) -> Whole:
        """See :meth:`Picture.reduced`; from the smallest copy in the file that is large enough.

        No decoded tiles are kept after it: what is reduced has mostly been looked at.
        """
        whole = self._reduced(factor)
        for level in self._levels:
            level.forget()
        return whole

    def _reduced(self, factor: int) -> Whole:
        first = self._levels[0]
        fit = [
            one
            for one in self._levels
            if one.height * factor >= first.height and one.width * factor >= first.width
        ]
        level = min(fit, key=lambda one: one.width)
        if level is first:
            return super().reduced(factor)
        smaller = _Level(self, level, self._read)
        times = max(int(min(factor * smaller.height / self.height, factor * smaller.width / self.width)), 1)
        whole = smaller.reduced(times)
        across, down = self.width / smaller.width, self.height / smaller.height
        return Whole(whole.pixels, whole.across * across, whole.down * down)


class _Level(Picture):
    """A smaller copy in the file."""

    def __init__(self, whole: TiffWindows, level: _Stored, read: Callable[..., Array]) -> None:
        self._turned = whole.orientation in _TURNED
        size = (level.width, level.height) if self._turned else (level.height, level.width)
        self.shape = (whole.shape[0], *size)
        self._level, self._read = level, read

    def read(self, left: int, top: int, right: int, bottom: int) -> Array:
        """See :meth:`Picture.read`."""
        return self._read(self._level, left, top, right, bottom)

    def columns_together(self, rows: int) -> int:
        """See :meth:`TiffWindows.columns_together`."""
        return self.width if self._turned else self._level.band(rows)


def _as_stored(
    window: tuple[int, int, int, int], size: tuple[int, int], orientation: int
) -> tuple[int, int, int, int]:
    """The window of the picture as it is stored that becomes ``window`` once it is upright.

    Args:
        window: left, top, right and bottom in the upright picture.
        size: height and width as stored.
        orientation: 1..8.
    """
    height, width = size
    left, top, right, bottom = window
    if orientation in _TURNED:
        left, top, right, bottom = top, left, bottom, right
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom
