"""Which files are read by windows: those that are too large to be decoded at once, where they are cut."""

from __future__ import annotations

import os
from pathlib import Path

from masu.data.pixels.pictures import NPY, TIFF_SUFFIXES, decoders_silent
from masu.data.pixels.tiff_windows import reads_alike, tiff_windows
from masu.data.pixels.vips_windows import vips_windows
from masu.data.pixels.windows import Picture
from masu.errors import InputError
from masu.tiles import Tiles

GLADLY = 40_000_000
"""Pixels up to which Pillow decodes a file as a whole, in some 120 MB."""


def as_picture(image: object, channels: int | None, tiles: Tiles | None) -> Picture | None:
    """What was given, where it is a picture of which parts are read.

    Args:
        image: a picture, a file, or pixels.
        channels: None for RGB photographs; else its channels.
        tiles: how large pictures are cut; None: never.

    Returns:
        None for what is read as a whole; see :func:`large_picture`.
    """
    if isinstance(image, Picture):
        return image
    return large_picture(Path(image), channels, tiles) if isinstance(image, str | os.PathLike) else None


def large_picture(path: Path, channels: int | None, tiles: Tiles | None) -> Picture | None:
    """A file as a picture of which parts are read.

    Args:
        path: the file.
        channels: None for RGB photographs; else its channels.
        tiles: how large pictures are cut; None: never.

    Returns:
        None for a file that is decoded as a whole, and for one that cannot be opened: decoding it says why.
    """
    picture = None if tiles is None else windowed(path, channels)
    if picture is None or tiles is None or not tiles.needed(picture.height, picture.width):
        return None
    return picture


def windowed(path: Path, channels: int | None) -> Picture | None:
    """A file too large to be decoded at once, as a picture of which parts are read.

    Args:
        path: the file.
        channels: None for RGB photographs; else its channels.

    Returns:
        None for a smaller one, and for one that is not read by windows or cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix == NPY:
        return None
    ways = (tiff_windows, _tiff_by_vips) if suffix in TIFF_SUFFIXES else (vips_windows,)
    with decoders_silent():
        for way in ways:
            try:
                picture = way(path, channels)
            except InputError:
                raise
            except Exception:  # noqa: BLE001 what decoders raise for a damaged file, which Pillow names
                continue
            if picture is not None:
                return picture if picture.height * picture.width > GLADLY else None
    return None


def _tiff_by_vips(path: Path, channels: int | None) -> Picture | None:
    return vips_windows(path, channels) if reads_alike(path, channels) else None
