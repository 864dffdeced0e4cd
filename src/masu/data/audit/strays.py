"""Image files among those of a data set that no annotation names: forgotten ones, or not yet labelled."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from masu.data.formats.reading import Contents, Reader, Source
from masu.data.pixels.pictures import IMAGE_SUFFIXES
from masu.errors import InputError


def find_strays(
    path: Path, reader: Reader, source: Source, parts: Mapping[str | None, Contents]
) -> tuple[Path, ...]:
    """The images without annotation, sorted.

    Looked for in every folder that holds an image of the data set, and anywhere in ``images`` and
    ``JPEGImages``. Where ``path`` is one annotation file of several there are none: the others may name them.

    Args:
        path: the folder or file that was asked for.
        reader: of its format.
        source: what was found there.
        parts: what was read, by split.
    """
    if path.is_file():
        try:
            whole = reader.find(source.root)
        except InputError:  # of another file beside it
            return ()
        if whole is None or _real(whole.files) != _real(source.files):
            return ()
    known = [picture.image for contents in parts.values() for picture in contents.pictures]
    known += [fault.file for contents in parts.values() for fault in contents.faults]
    names = {_plain(file) for file in known}
    found = [image for image in _images(source.root, known) if _plain(image) not in names]
    real = _real(known) if found else set()
    return tuple(sorted(image for image in found if os.path.realpath(image) not in real))


def _images(root: Path, known: Iterable[Path]) -> Iterator[Path]:
    inside = [root / name for name in ("images", "JPEGImages")]
    folders = dict.fromkeys(image.parent for image in known if image.suffix.lower() in IMAGE_SUFFIXES)
    folders |= {Path(parent): None for top in inside for parent, _, _ in os.walk(top)}
    for folder in {_plain(folder): folder for folder in folders}.values():
        with os.scandir(folder) as entries:
            for entry in entries:
                suffix = os.path.splitext(entry.name)[1].lower()
                if suffix in IMAGE_SUFFIXES and not entry.name.startswith(".") and entry.is_file():
                    yield folder / entry.name


def _plain(path: Path) -> str:
    return os.path.normpath(os.path.abspath(path))


def _real(paths: Iterable[Path]) -> set[str]:
    return {os.path.realpath(path) for path in paths}
