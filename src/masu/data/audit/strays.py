"""Image files among those of a data set that no annotation names: forgotten ones, or not yet labelled."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from masu.data.dataset import Dataset
from masu.data.formats import find_format
from masu.data.formats.tree import Tree, is_image
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
    known = [*data.paths.texts()]
    known += [os.fspath(fault.file) for fault in data.faults]
    known += [os.fspath(fault.image) for fault in data.faults if fault.image is not None]
    names = {_plain(file) for file in known}
    found = [image for image in _images(data.root, known) if _plain(image) not in names]
    real = _real(known) if found else set()
    return tuple(sorted(Path(image) for image in found if os.path.realpath(image) not in real))


def _images(root: Path, known: Iterable[str]) -> Iterator[str]:
    tree = Tree(root)
    folders = dict.fromkeys(os.path.dirname(image) for image in known if is_image(os.path.basename(image)))
    for top in (root / "images", root / "JPEGImages", root / UNLISTED):
        folders |= dict.fromkeys(Tree(top).walk()) if top.is_dir() else {}
    for folder in {_plain(folder): folder for folder in folders}.values():
        yield from (os.path.join(folder, name) for name in tree.folder(folder).names if is_image(name))


def _plain(path: str | os.PathLike[str]) -> str:
    return os.path.normpath(os.path.abspath(path))


def _real(paths: Iterable[str | os.PathLike[str]]) -> set[str]:
    return {os.path.realpath(path) for path in paths}
