"""Files of a folder that are not read, or of which one picture is taken of several, in words."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from masu.data.pixels.pictures import DECODER_ERRORS, FILM_SUFFIXES, HEIC_SUFFIXES, IMAGE_SUFFIXES
from masu.errors import counted, listed

ANIMATED_SUFFIXES = frozenset((".gif", ".apng", ".webp"))
"""Suffixes, lower case, of images that may move."""

_NAMED = 3


def said_of_unread(files: Iterable[Path]) -> list[str]:
    """A sentence for each kind of file that is not read: how many, which, and what reads them.

    Args:
        files: of :data:`masu.data.pixels.pictures.UNREAD_SUFFIXES`, or HEIC without its package, or pictures
            that were left out.

    Returns:
        Sentences without a full stop, one for each kind.
    """
    of: dict[str, list[Path]] = {}
    for file in files:
        of.setdefault(_kind(file), []).append(file)
    return [_said(kind, group) for kind, group in sorted(of.items())]


def said_of_heic(files: Sequence[Path]) -> list[str]:
    """A sentence where there are HEIC files, whatever their names, without a full stop; else none."""
    return [_said("heic", files)] if files else []


def heic_needs_its_package() -> bool:
    """Whether the package that reads HEIC is missing."""
    try:
        return importlib.util.find_spec("pillow_heif") is None
    except ValueError:  # a name that was blocked
        return True


def is_heic(file: Path) -> bool:
    """Whether a file is named as HEIC."""
    return file.suffix.lower() in HEIC_SUFFIXES


def animated(files: Iterable[Path]) -> list[Path]:
    """Animated pictures among files, of which only the first frame is read.

    Args:
        files: images; those of other suffixes than :data:`ANIMATED_SUFFIXES` are not opened.
    """
    return [file for file in files if file.suffix.lower() in ANIMATED_SUFFIXES and _moves(file)]


def said_of_animated(moving: Sequence[Path]) -> list[str]:
    """A sentence where there are animated pictures, those of :func:`animated`, without a full stop."""
    if not moving:
        return []
    names = listed((file.name for file in moving), _NAMED)
    return [f"{counted(len(moving), 'animated picture')} ({names}): only the first frame is taken"]


def _moves(file: Path) -> bool:
    try:
        with Image.open(file) as image:
            return int(getattr(image, "n_frames", 1)) > 1
    except (*DECODER_ERRORS, Image.DecompressionBombError):
        return False  # told where it is read


def _kind(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix in HEIC_SUFFIXES:
        return "heic"
    if suffix in FILM_SUFFIXES:
        return "film"
    return "drawn" if suffix in IMAGE_SUFFIXES else "other"


def _said(kind: str, files: Sequence[Path]) -> str:
    names = listed((file.name for file in files), _NAMED)
    count = len(files)
    if kind == "heic":
        return f"{counted(count, 'HEIC photograph')} not read ({names}): pip install 'masu[heic]' reads them"
    if kind == "film":
        first = "" if importlib.util.find_spec("av") else "pip install 'masu[video]', then "
        command = f"masu detect MODEL {shlex.quote(str(files[0]))}"
        return f"{counted(count, 'film')} not read ({names}): {first}{command}"
    if kind == "drawn":
        return f"{counted(count, 'picture')} that masu drew before, left out ({names})"
    return f"{counted(count, 'file')} not read ({names}): convert to JPEG or PNG"
