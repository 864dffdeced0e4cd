"""A JPEG, PNG or other file that is decoded from top to bottom, a strip of it in memory, with libvips.

Without PyTorch; the package pyvips is optional.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from masu.data.pixels.pictures import damage, planes, to_bytes
from masu.data.pixels.windows import Array, Picture, Whole
from masu.errors import InputError
from masu.regular import require_regular

ROWS = 128
"""That are decoded together."""

_KINDS = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
_JPEG_FACTORS = (8, 4, 2)
"""By which libjpeg reduces while it decodes (ITU-T T.81 knows blocks of 8×8, of which it computes a part)."""


def vips_windows(path: Path, channels: int | None) -> Picture | None:
    """A file that libvips reads by windows.

    Args:
        path: the file.
        channels: None for RGB photographs; else its channels.

    Returns:
        None without pyvips, for what libvips does not know and for colours that Pillow converts.
    """
    vips = _vips()
    if vips is None:
        return None
    require_regular(path)
    try:
        image = vips.Image.new_from_file(str(path), access="sequential")
    except vips.Error:
        return None
    kinds = ("uchar",) if image.bands > 1 and channels is None else tuple(_KINDS)
    colours = ("srgb", "rgb", "b-w", "grey16", "rgb16", "multiband")
    bands = (1, 3, 4) if channels is None else (channels,)
    if image.format not in kinds or image.bands not in bands or image.interpretation not in colours:
        return None
    if channels is None and image.format == "float":
        return None
    return VipsWindows(path, channels)


def _vips() -> Any:
    try:
        return importlib.import_module("pyvips")
    except (ImportError, OSError):  # the package, or the library that it calls
        return None


class VipsWindows(Picture):
    """See :func:`vips_windows`.

    One strip is kept, so that windows are best read from top to bottom: above it decoding starts again.
    A picture that is stored turned is decoded as a whole, into a file of the system where it is large.

    Args:
        path: the file.
        channels: None for RGB photographs.
        shrink: 2, 4 or 8: a JPEG at that fraction of its size.
    """

    def __init__(self, path: Path, channels: int | None, shrink: int = 1) -> None:
        self._path, self._channels, self._lock = path, channels, Lock()
        self._given = {"fail_on": "error"} | ({"shrink": shrink} if shrink > 1 else {})
        self._open()
        self.shape = (channels or 3, self._image.height, self._image.width)

    def _open(self) -> None:
        vips = _vips()
        image = vips.Image.new_from_file(str(self._path), access="sequential", **self._given)
        if image.get_typeof("orientation") and image.get("orientation") in range(2, 9):
            self.orientation = image.get("orientation")
            image = vips.Image.new_from_file(str(self._path), **self._given).autorot()
        self._image, self._region = image, vips.Region.new(image)
        self._kind = _KINDS[image.format]
        self._strip, self._top = np.zeros((0, image.width, image.bands), self._kind), 0

    def read(self, left: int, top: int, right: int, bottom: int) -> Array:
        """See :meth:`Picture.read`."""
        try:
            with self._lock:
                pixels = self._rows(top, bottom)[:, left:right]
                return self._converted(pixels)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 whatever the decoder raises
            raise damage(self._path, error) from None

    def _rows(self, top: int, bottom: int) -> Array:
        """``(bottom - top, W, bands)``, a part of the strip; ``top`` becomes its first row, or is near it."""
        if top < self._top:
            self._open()
        end = self._top + len(self._strip)
        if bottom > end:
            kept = [self._strip[max(top - self._top, 0) :]]
            while end < bottom:
                rows = min(ROWS, self._image.height - end)
                piece = self._fetched(end, rows)
                end += rows
                if end > top:
                    kept.append(piece)
            self._strip = np.concatenate(kept)
            self._top = end - len(self._strip)
        return self._strip[top - self._top : bottom - self._top]

    def _fetched(self, top: int, rows: int) -> Array:
        width, bands = self._image.width, self._image.bands
        return np.frombuffer(self._region.fetch(0, top, width, rows), self._kind).reshape(rows, width, bands)

    def _converted(self, pixels: Array) -> Array:
        if self._channels is not None:
            return planes(pixels, self._channels, str(self._path)).transpose(1, 2, 0)
        pixels = to_bytes(pixels) if pixels.dtype == np.uint16 else pixels
        made = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
        return np.ascontiguousarray(made)

    def reduced(self, factor: int) -> Whole:
        """See :meth:`Picture.reduced`; a JPEG is decoded at a fraction of its size."""
        shrink = next((by for by in _JPEG_FACTORS if by <= factor), 1)
        if shrink == 1 or self._image.get("vips-loader") != "jpegload":
            return super().reduced(factor)
        whole = VipsWindows(self._path, self._channels, shrink).reduced(factor // shrink)
        return Whole(whole.pixels, whole.across * shrink, whole.down * shrink)
