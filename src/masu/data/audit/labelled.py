"""Which photographs have labels already, in whatever format, where people put them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from masu.data.dataset import Dataset
from masu.data.formats import formats
from masu.data.formats.form import Place
from masu.data.formats.resolving import resolved
from masu.data.formats.tree import Tree
from masu.errors import InputError

_BESIDE = frozenset(("annotations", "annotation", "labels"))
"""Folders that say that the labels of a folder of images stand beside it."""


def labelled(
    sources: Sequence[str | os.PathLike[str]], photographs: Iterable[Path], *, drafts_too: bool = False
) -> tuple[frozenset[Path], tuple[str, ...]]:
    """The photographs that a data set in or beside the sources names.

    Looked at are the folders that are sources, those of files that are, and the one or two above them where
    ``annotations`` or ``labels`` stand, as above ``images/train``. A data set whose boxes all have scores is
    the answer of a detector and no labels.

    Args:
        sources: files, folders and patterns, as of :func:`masu.data.pixels.pictures.find_images`.
        photographs: what was found there.
        drafts_too: those with drafts that nobody has confirmed count as well.

    Returns:
        Those of the photographs, and one line for each annotation that cannot be read.
    """
    photographs = list(photographs)
    by_place = {os.path.realpath(path): path for path in photographs}
    found: set[Path] = set()
    faults: list[str] = []
    for folder in _folders(sources, photographs):
        for data in _datasets(folder, faults):
            named = (*_with_annotation(data), *(data.drafts if drafts_too else ()))
            places = {os.path.realpath(path) for path in named}
            found |= {by_place[place] for place in places if place in by_place}
    return frozenset(found), tuple(dict.fromkeys(faults))


def _folders(sources: Sequence[str | os.PathLike[str]], photographs: Sequence[Path]) -> list[Path]:
    """The folders to look at, as they were named: links are not followed to where photographs come from."""
    named = [Path(os.path.abspath(source)) for source in sources if os.path.isdir(source)]
    parents = sorted({Path(os.path.abspath(path)).parent for path in photographs})
    loose = [folder for folder in parents if not any(top in (folder, *folder.parents) for top in named)]
    folders = [*named, *loose]
    levels = (level for folder in folders for level in (folder, folder.parent))
    above = [level.parent for level in levels if _has_labels_beside(level)]
    return list(dict.fromkeys([*above, *folders]))


def _has_labels_beside(folder: Path) -> bool:
    try:
        return any(child.name.lower() in _BESIDE and child.is_dir() for child in folder.parent.iterdir())
    except OSError:
        return False


def _datasets(folder: Path, faults: list[str]) -> Iterable[Dataset]:
    """Every data set of the folder, whatever its format."""
    tree = Tree(folder)
    place = Place(folder, tree)
    for form in formats().values():
        try:
            candidate = form.find(place)
            if candidate is None:
                continue
            data = resolved(form.read(candidate, tree), form.name)
        except InputError as error:
            faults.append(str(error))
            continue
        if not _is_answer(data):
            yield data


def _with_annotation(data: Dataset) -> Iterator[Path]:
    """The images that an annotation file says something of; in YOLO's folders all others are background."""
    for path, number in zip(data.paths, data.image_files.tolist(), strict=True):
        if data.files[number] != path:
            yield path


def _is_answer(data: Dataset) -> bool:
    return not data.drafts and 0 < len(data.boxes) <= data.left_out.get("score", 0)
