"""YOLO folders without ``data.yaml``: the files that say their class names and splits.

``classes.txt`` of labelImg and Label Studio; ``obj.names``, ``obj.data`` and lists of DarkNet and CVAT.
"""

from __future__ import annotations

import os
from pathlib import Path

from masu.data.formats.rows import class_name
from masu.data.formats.tree import Look, Tree, is_image
from masu.data.splits import role
from masu.errors import bad_input
from masu.regular import open_text, read_text

NAMES = ("classes.txt", "obj.names", "names.txt")


def class_names(tree: Tree) -> tuple[str, ...] | None:
    """The class names of the files that say them, or None where there is no such file.

    Raises:
        InputError: for a file that cannot be read, or two that say different things.
    """
    first: tuple[Path, tuple[str, ...]] | None = None
    for file in names_files(tree):
        names = tuple(class_name(line.strip()) for line in text_of(file).splitlines() if line.strip())
        if first is None:
            first = file, names
        elif names != first[1]:
            raise bad_input(
                file,
                "other class names, or another order, than "
                f"in {tree.below(first[0])}, so that a number means two classes",
                "one list of classes for all label files",
                "point at one of the folders, or make the lists equal and number the labels by them",
            )
    return None if first is None else first[1]


def names_files(tree: Tree) -> list[Path]:
    """The files that list the class names, one of each folder."""
    found = []
    for folder in tree.walk():
        known = tree.folder(folder).names
        found += [Path(folder, name) for name in NAMES if name in known][:1]
    return found


def lists(tree: Tree) -> dict[str, Path]:
    """The list of images of each split, by the word for it: what ``*.data`` says, and lists named as splits.

    Those of the first folder from the root down that has any count.
    """
    for folder in tree.walk():
        listing = tree.folder(folder)
        here = {
            os.path.splitext(name)[0]: Path(folder, name)
            for name in listing.by_suffix.get(".txt", ())
            if role(os.path.splitext(name)[0], strict=True) is not None and _names_images(Path(folder, name))
        }
        said: dict[str, Path] = {}
        for name in listing.by_suffix.get(".data", ()):
            for key, value in _settings(Path(folder, name)).items():
                file = Path(folder, os.path.basename(value))
                if role(key, strict=True) is not None and file.name in listing.names:
                    said[key] = file
        others = {word: file for word, file in here.items() if file not in said.values()}
        if found := said | others:
            return found
    return {}


def images(file: Path, word: str, tree: Tree) -> list[tuple[int, str, str | None]]:
    """Of each line of a list: its number, the name in it, and the image that it means, if there is one.

    DarkNet's lists have paths of the machine that trained: where a path is not here, its last parts count.
    """
    look = Look((os.fspath(file.parent), os.fspath(tree.root)), foreign=True)
    entries = ((number, line.strip()) for number, line in enumerate(text_of(file).splitlines(), start=1))
    return [(number, name, tree.find(name, look, word).path) for number, name in entries if name]


def text_of(file: Path) -> str:
    """The file's text.

    Raises:
        InputError: for a file that is not ours to read, or not UTF-8.
    """
    try:
        return read_text(file)
    except (OSError, UnicodeDecodeError) as error:
        found = f"a file that cannot be read ({error})"
        raise bad_input(file, found, "UTF-8 text", "save it as UTF-8") from None


def _head(file: Path) -> str:
    """The first lines; none of a file that cannot be read."""
    try:
        with open_text(file, "utf-8-sig", errors="replace") as lines:
            return lines.read(100_000)
    except OSError:
        return ""


def _names_images(file: Path) -> bool:
    first = next((line.strip() for line in _head(file).splitlines() if line.strip()), "")
    return is_image(os.path.basename(first.replace("\\", "/")))


def _settings(file: Path) -> dict[str, str]:
    """The lines ``key = value``."""
    pairs = [line.partition("=") for line in _head(file).splitlines()]
    return {key.strip(): value.strip().replace("\\", "/") for key, is_pair, value in pairs if is_pair}
