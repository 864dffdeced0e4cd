"""Which label file is an image's: YOLO's ``labels`` for ``images``, or the file beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from masu.data.formats.tree import Tree

_IMAGES = ("images", "image", "imgs", "img", "jpegimages")


def is_among_images(image: str, tree: Tree) -> bool:
    """Whether an image lies below a folder that is named for images."""
    return any(labels_beside(part) is not None for part in tree.below(image).split("/")[:-1])


def words_of(folder: str) -> list[str]:
    """The words of a folder's name, and what separates them."""
    return re.split(r"([-_. ]+)", folder.lower())


def labels_beside(folder: str) -> str | None:
    """The folder of the labels: ``labels`` of ``images``, ``train_labels`` of ``train_images``, or None."""
    words = words_of(folder)
    labels = ["labels" if word in _IMAGES else word for word in words]
    return "".join(labels) if labels != words else None


def labels_of(image: str, tree: Tree) -> str | None:
    """The label file of an image: with ``labels`` for the ``images`` or ``img`` of its path, the last first.

    Else the one beside it. ``a.jpg.txt`` comes before ``a.txt``; the suffix may be in capitals.
    """
    above, name = os.path.split(image)
    for folder in _label_folders(above, tree):
        if (found := _text_for(folder, name, tree)) is not None:
            return found
    found = _text_for(above, name, tree)
    if found is None and tree.images is not None and _below(image, tree.images):
        inner = os.path.relpath(above, tree.images)
        for folder in (os.path.join(tree.root, "labels"), os.fspath(tree.root)):
            found = found or _text_for(os.path.normpath(os.path.join(folder, inner)), name, tree)
    return found


def _label_folders(above: str, tree: Tree) -> Iterator[str]:
    """The folders of the labels of a folder's images that may be there, the likeliest first."""
    parts = above.split(os.sep)
    for at in range(len(parts) - 1, -1, -1):
        if (labels := labels_beside(parts[at])) is not None:
            top = os.sep.join(parts[:at]) or (os.sep if above.startswith(os.sep) else ".")
            for folder in tree.folder(top).folders:
                if folder.lower() == labels:
                    yield os.path.join(top, folder, *parts[at + 1 :])


def new_labels_of(photo: Path, tree: Tree) -> Path:
    """Where the label file of an image is to be that has none."""
    alike = tree.folder(photo.parent).stems.get(photo.stem, ())
    name = f"{photo.name if len(alike) > 1 else photo.stem}.txt"
    above = os.fspath(photo.parent)
    if folder := next(_label_folders(above, tree), None):
        return Path(folder, name)
    parts = photo.parent.parts
    for at in range(len(parts) - 1, len(tree.root.parts) - 1, -1):
        if (labels := labels_beside(parts[at])) is not None:
            return Path(*parts[:at], labels, *parts[at + 1 :], name)
    return photo.parent / name


def _below(path: str, folder: Path) -> bool:
    return Path(os.path.abspath(folder)) in Path(os.path.abspath(path)).parents


def _text_for(folder: str, name: str, tree: Tree) -> str | None:
    listing = tree.folder(folder)
    for wanted in (name, os.path.splitext(name)[0]):
        if f"{wanted}.txt" in listing.names:
            return os.path.join(folder, f"{wanted}.txt")
        for found in listing.alike.get(f"{wanted}.txt".casefold(), ()):
            if os.path.splitext(found)[0] == wanted:
                return os.path.join(folder, found)
    return None
