"""Names for the copies of pictures: distinct on any file system, and such as a list of names can hold."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath

from masu.data.formats.reading import Contents, other_labels


def file_names(
    parts: Mapping[str | None, Contents], strays: Sequence[Path], *, by_stem: bool, said: list[str]
) -> dict[tuple[str | None, Path], str]:
    """A name for each picture of each split.

    A picture of several splits has one name; where they label it in different ways and the format has one
    file of labels for each picture, it has one name for each way.

    Args:
        parts: the data set.
        strays: images without annotation; they are in no split.
        by_stem: names that differ in their suffix alone count as the same, since labels go by the stem.
        said: told of each renamed file.
    """
    names: dict[tuple[str | None, Path], str] = {}
    given: dict[tuple[Path, int], str] = {}
    taken: set[str] = set()
    last: dict[tuple[str, str], int] = {}
    ways = other_labels(parts) if by_stem else {}
    pictures = [(split, p.image) for split, contents in parts.items() for p in contents.pictures]
    for split, image in (*pictures, *((None, stray) for stray in strays)):
        way = ways.get((split, image), 0)
        if (image, way) not in given:
            before = (split or "unlisted") if way else image.parent.name
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
            given[image, way] = name
        names[split, image] = given[image, way]
    return names


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


def _breaks(letter: str) -> bool:
    """Controls, surrogates, ends of lines and paragraphs, the separator of Windows, what XML cannot hold."""
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in "\\\ufffe\uffff"


def _coded(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(letter))


def _key(name: str, by_stem: bool) -> str:
    return unicodedata.normalize("NFC", Path(name).stem if by_stem else name).casefold()
