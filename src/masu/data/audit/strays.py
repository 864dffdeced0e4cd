"""Files among the images of a data set that no annotation names: forgotten, not yet labelled, or not read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from masu.data.dataset import Dataset
from masu.data.formats import find_format
from masu.data.formats.tree import Tree, is_image
from masu.data.pixels.pictures import is_unread_name
from masu.data.pixels.unread import heic_needs_its_package, is_heic
from masu.data.splits import UNLISTED
from masu.errors import InputError


def find_strays(path: Path, data: Dataset) -> tuple[Path, ...]:
    """The images without annotation, sorted.

    Looked for in every folder that holds an image of the data set, and anywhere in ``images``, ``JPEGImages``
    and the folder that masu makes for images of no split. Where ``path`` is one annotation file of several
    there are none: the others may name them.

    Args:
        path: the folder or file that was asked for.
        data: everything that was read of it.
    """
    if path.is_file():
        try:
            whole = find_format(data.root, None, None)[1].files
        except InputError:  # of another file beside it
            return ()
        if _real(whole) != _real([path]):
            return ()
    return _unnamed(data, is_image)


def find_unread(data: Dataset) -> tuple[Path, ...]:
    """What lies among the images and is not read, sorted: films, raw files, HEIC without its package.

    Args:
        data: everything that was read of it.
    """
    heic = heic_needs_its_package()
    return _unnamed(data, lambda name: is_unread_name(name) or (heic and is_heic(Path(name))))


def _unnamed(data: Dataset, wanted: Callable[[str], bool]) -> tuple[Path, ...]:
    """The files with a wanted name that no annotation names."""
    known = [*data.paths.texts()]
    known += [os.fspath(fault.file) for fault in data.faults]
    known += [os.fspath(fault.image) for fault in data.faults if fault.image is not None]
    names = {_plain(file) for file in known}
    found = [file for file in _files(data.root, known) if wanted(os.path.basename(file))]
    found = [file for file in found if _plain(file) not in names]
    real = _real(known) if found else set()
    return tuple(sorted(Path(file) for file in found if os.path.realpath(file) not in real))


def _files(root: Path, known: Iterable[str]) -> Iterator[str]:
    tree = Tree(root)
    folders = dict.fromkeys(os.path.dirname(image) for image in known if is_image(os.path.basename(image)))
    for top in (root / "images", root / "JPEGImages", root / UNLISTED):
        folders |= dict.fromkeys(Tree(top).walk()) if top.is_dir() else {}
    for folder in {_plain(folder): folder for folder in folders}.values():
        yield from (os.path.join(folder, name) for name in tree.folder(folder).names)


def _plain(path: str | os.PathLike[str]) -> str:
    return os.path.normpath(os.path.abspath(path))


def _real(paths: Iterable[str | os.PathLike[str]]) -> set[str]:
    return {os.path.realpath(path) for path in paths}
