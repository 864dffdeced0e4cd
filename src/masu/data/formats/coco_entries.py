"""What the entries of a COCO file say, one by one, and where its images are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from masu.data.dataset import CROWD
from masu.data.formats.form import as_flag, as_pixels
from masu.data.formats.masks import box_of_keypoints, box_of_mask
from masu.data.formats.rows import BadEntryError, Box, Rows, class_name
from masu.data.formats.tree import Tree
from masu.data.splits import role

FIX = "correct the file or export it again"
"""What to do about a file that cannot be read."""

LARGEST_ID = 2**61
"""From it on an id is none that can be counted with."""

OWN_NAME = "_annotations.coco.json"
"""Roboflow's file of a split, in the folder of its images."""

_WHOLE = re.compile("0|[1-9][0-9]{0,17}")


class Ids:
    """The ids of a file as whole numbers; texts and giants get one that no file has."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._keys: list[object] = []

    def number(self, key: int | str) -> int:
        """The number of an id."""
        if isinstance(key, int) and abs(key) < LARGEST_ID:
            return key
        if key not in self._numbers:
            self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return -LARGEST_ID * 2 + self._numbers[key]

    def shown(self, number: int) -> object:
        """The id of a number."""
        return number if number > -LARGEST_ID else self._keys[number + LARGEST_ID * 2]


def object_in(entry: dict[str, Any]) -> tuple[int, Box, int]:
    """Category, box and flag of an annotation.

    Raises:
        BadEntryError: for one that cannot be understood.
    """
    category = id_in(entry, "category_id", (int,))
    return category, box_in(entry), CROWD * as_flag(entry.get("iscrowd"), "iscrowd")


def category_name(entry: dict[str, Any]) -> str:
    """The name of a category.

    Raises:
        BadEntryError: where it has none.
    """
    name = class_name(str(required(entry, "name", (str, int)))).strip()
    if not name:
        raise BadEntryError("'name' of blanks", "the name of a class")
    return name


def image_name(entry: dict[str, Any]) -> str:
    """The file of an image, as it is named.

    Raises:
        BadEntryError: where it is not.
    """
    url = None if entry.get("file_name") else entry.get("coco_url")
    return (isinstance(url, str) and name_at(url)) or str(required(entry, "file_name", (str,)))


def word_of(file: Path, tree: Tree) -> str:
    """What a file says of its split: its own name, or its folder's."""
    stem = file.parent.name if file.name == OWN_NAME else file.stem
    return stem if role(stem) is not None else tree.split_of(file) or stem


def required(entry: dict[str, Any], key: str, kinds: tuple[type, ...]) -> Any:
    """A value of one of the kinds.

    Raises:
        BadEntryError: where there is none.
    """
    value = entry.get(key)
    if key not in entry or not isinstance(value, kinds) or isinstance(value, bool) or value == "":
        wanted = " or ".join({int: "a whole number", str: "a text", list: "a list"}[kind] for kind in kinds)
        found = f"no {key!r}" if key not in entry else f"{key!r} {json.dumps(value)}"
        raise BadEntryError(found, wanted)
    return value


def id_in(entry: dict[str, Any], key: str, kinds: tuple[type, ...]) -> Any:
    """An id; ``"7"`` and ``7.0`` are 7, as tables and other languages write it."""
    value = entry.get(key)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return required(entry, key, kinds)


def ids_in(entry: dict[str, Any], key: str) -> list[int] | None:
    """A list of ids, if there is one."""
    if entry.get(key) is None:
        return None
    return [id_in({key: one}, key, (int,)) for one in required(entry, key, (list,))]


def name_at(url: str | None) -> str:
    """The file at an address of COCO, which LVIS gives in place of names: ``train2017/000000391895.jpg``."""
    return "" if url is None else "/".join(url.split("/")[-2:])


def box_in(entry: dict[str, Any]) -> Box:
    """The box of an annotation; without one that around its mask, or its keypoints."""
    if not entry.get("bbox") and entry.get("segmentation"):
        return box_of_mask(entry["segmentation"])
    if not entry.get("bbox") and entry.get("keypoints"):
        return box_of_keypoints(entry["keypoints"])
    values = required(entry, "bbox", (list,))
    if len(values) != 4:
        raise BadEntryError(f"a bbox of {len(values)} values", "4: x y width height")
    x, y, width, height = (as_pixels(value, "the bbox value") for value in values)
    return x, y, x + width, y + height


def number_classes(pages: list[dict[int, str]], used: set[int], rows: Rows) -> None:
    """An id for each class name, one that objects use before one that none does."""
    known = {pair: None for page in pages for pair in page.items()}
    given: set[int] = set()
    later: list[str] = []
    for key, name in sorted(known, key=lambda pair: (pair[0] not in used, pair[0])):
        if name not in rows.ids and key not in given:
            rows.number_class(name, key)
            given.add(key)
        else:
            later.append(name)
    for name in later:
        rows.number_class(name)


def folders_of(file: Path, root: Path, word: str | None) -> list[Path]:
    """The folders that may hold the images, the split's own before the common ones."""
    stem = file.stem.removeprefix("instances_")
    names = dict.fromkeys(filter(None, (word, stem, re.sub(r"[-_]?\d{4}$", "", stem), role(word or stem))))
    folders: dict[Path, None] = {}
    for base in (file.parent, root):
        for name in names:
            folders[base / name] = folders[base / "images" / name] = None
        folders[base / "images"] = folders[base] = None
    return list(folders)
