"""Names for the copies of pictures: distinct on any file system, and such as a list of names can hold."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from masu.data.dataset import Dataset
from masu.data.splits import UNLISTED


def file_names(
    data: Dataset, strays: Sequence[Path], *, by_stem: bool, said: list[str]
) -> tuple[list[str], dict[Path, str]]:
    """A name for the copy of each picture.

    A picture that splits label in different ways is several images of the data set. It has one name, or,
    where the format has one file of labels for each picture, one name for each way.

    Args:
        data: the data set.
        strays: images without annotation; they are in no split.
        by_stem: names that differ in their suffix alone count as the same, since labels go by the stem.
        said: told of each renamed file.

    Returns:
        The names of the images, and those of the strays.
    """
    given: dict[tuple[str, int], str] = {}
    taken: set[str] = set()
    last: dict[tuple[str, str], int] = {}
    ways: Counter[str] = Counter()

    def name_of(path: str, split: str | None, way: int) -> str:
        if (path, way) in given:
            return given[path, way]
        image = Path(path)
        before = (split or UNLISTED) if way else image.parent.name
        plain = name = listable(f"{before}_{image.name}" if way else image.name)
        number = last.get((before, image.name), 1)
        while _key(name, by_stem) in taken:
            name = listable(f"{before}_{f'{number}_' if number > 1 else ''}{image.name}")
            number += 1
            last[before, image.name] = number
        if way:
            said.append("{} images are labelled in different ways by two splits: written once for each")
        elif name != plain:
            said.append("{} files renamed, since another has the same name")
        elif name != image.name:
            said.append("{} files renamed, since a list cannot hold their names")
        taken.add(_key(name, by_stem))
        given[path, way] = name
        return name

    names = []
    for index, path in enumerate(data.paths.texts()):
        way = ways[path] if by_stem else 0
        ways[path] += 1
        names.append(name_of(path, next(iter(data.splits_of(index)), None), way))
    return names, {stray: name_of(os.fspath(stray), None, 0) for stray in strays}


_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def listable(name: str) -> str:
    """The name with ``%E9`` for each byte that is not UTF-8, ends a line or a name, or separates folders."""
    stem, suffix = os.path.splitext("".join(_coded(letter) if _breaks(letter) else letter for letter in name))
    if stem[0].isspace() or stem[0] == ".":
        stem = _coded(stem[0]) + stem[1:]
    if stem[-1].isspace():
        stem = stem[:-1] + _coded(stem[-1])
    if suffix and suffix[-1].isspace():
        suffix = suffix[:-1] + _coded(suffix[-1])
    made = stem + suffix
    return made.replace(":", "%3A", 1) if PureWindowsPath(made).drive else made


def nameable(name: str) -> bool:
    """Whether a file or folder can have the name on any system, also where ``CON`` is a device."""
    device = name.split(".")[0].rstrip().casefold()
    return "/" not in name and listable(name) == name and not name.endswith(".") and device not in _DEVICES


def _breaks(letter: str) -> bool:
    """Controls, surrogates, ends of lines and paragraphs, the separator of Windows, what XML cannot hold."""
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in "\\\ufffe\uffff"


def _coded(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(letter))


def _key(name: str, by_stem: bool) -> str:
    return unicodedata.normalize("NFC", Path(name).stem if by_stem else name).casefold()
