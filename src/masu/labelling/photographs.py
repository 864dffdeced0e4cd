"""The photographs of a folder, each under a name that stays the same, and as a browser shows them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from masu.data.pixels.headers import read_header
from masu.data.pixels.pictures import find_images, read_reduced
from masu.errors import bad_input
from masu.misspelt import meant_by
from masu.regular import read_bytes

MOST_SHOWN = 4096
"""Pixels of the longer side that is sent to a browser."""

THUMBNAIL = 160
"""Pixels of the longer side of a thumbnail."""

_SENT_AS_STORED = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
"""What every browser opens, by suffix; the first picture of a film is what masu reads, too."""

_QUALITY, _SMALL_QUALITY = 92, 80


class Shown(NamedTuple):
    """An image file as a browser takes it.

    Attributes:
        content: its bytes.
        kind: its media type.
    """

    content: bytes
    kind: str


@dataclass(frozen=True)
class Photographs:
    """The photographs below a folder.

    Attributes:
        folder: where they are.
        paths: each file by its name: the path below the folder, with ``/``. In order.
        nameless: files whose names are no Unicode, which a page cannot ask for.
    """

    folder: Path
    paths: dict[str, Path]
    nameless: tuple[Path, ...]

    @cached_property
    def places(self) -> dict[str, int]:
        """Position of each name, from 0."""
        return {name: place for place, name in enumerate(self.paths)}

    def with_more(self, paths: Iterable[Path]) -> Photographs:
        """These and others, in order; files that are known already, and nameless ones, change nothing."""
        more = {name_of(path, self.folder): path for path in paths}
        fresh = {name: path for name, path in more.items() if name not in self.paths and _is_unicode(name)}
        if not fresh:
            return self
        return replace(self, paths=dict(sorted((self.paths | fresh).items(), key=lambda one: one[1])))

    @classmethod
    def below(cls, folder: Path) -> Photographs:
        """All photographs below a folder; hidden files are passed over.

        Raises:
            InputError: no such folder, or none without a photograph.
        """
        if not folder.is_dir():
            found = "a file" if folder.exists() else "no such file or folder"
            fix = "name its folder" if folder.exists() else meant_by(folder)
            raise bad_input(folder, found, "a folder of photographs", fix)
        paths: dict[str, Path] = {}
        nameless = []
        for path in find_images([folder]):
            name = name_of(path, folder)
            if _is_unicode(name):
                paths[name] = path
            else:
                nameless.append(path)
        if not paths:
            raise bad_input(folder, "no name that is Unicode", "photographs", "rename the files")
        return cls(folder, paths, tuple(nameless))


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def name_of(path: Path, folder: Path) -> str:
    """The name of a photograph: its path below the folder, with ``/``; the whole path of one elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def size_of(path: Path) -> tuple[int, int]:
    """Height and width in pixels, upright, from the first bytes of the file.

    Raises:
        UnreadableImageError: a file that is missing, damaged or no image.
    """
    header = read_header(path)
    return header.height, header.width


def shown(path: Path) -> Shown:
    """A photograph for a browser, upright; of at most ``MOST_SHOWN`` pixels a side.

    Raises:
        UnreadableImageError: as of :func:`masu.data.pixels.pictures.read_rgb`.
    """
    header = read_header(path)
    kind = _SENT_AS_STORED.get(os.path.splitext(path.name)[1].lower())
    if kind is not None and header.orientation == 1 and max(header.height, header.width) <= MOST_SHOWN:
        return Shown(read_bytes(path), kind)
    return Shown(_as_jpeg(_at_most(path, MOST_SHOWN), _QUALITY), "image/jpeg")


def thumbnail(path: Path) -> Shown:
    """A photograph as a JPEG of at most ``THUMBNAIL`` pixels a side.

    Raises:
        UnreadableImageError: as of :func:`masu.data.pixels.pictures.read_rgb`.
    """
    return Shown(_as_jpeg(_at_most(path, THUMBNAIL), _SMALL_QUALITY), "image/jpeg")


def _at_most(path: Path, longer: int) -> Image.Image:
    """A photograph with no side longer than that."""
    header = read_header(path)
    share = min(1.0, longer / max(header.height, header.width))
    size = (max(1, round(header.width * share)), max(1, round(header.height * share)))
    image = Image.fromarray(read_reduced(path, min(size)).array)
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _as_jpeg(image: Image.Image, quality: int) -> bytes:
    made = io.BytesIO()
    image.save(made, "JPEG", quality=quality)
    return made.getvalue()
