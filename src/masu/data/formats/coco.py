"""COCO object annotations: one JSON file, or a folder with one for each split."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from masu.data.dataset import Fault
from masu.data.formats.coco_files import MOST_BYTES, files_of, find, image_folders
from masu.data.formats.reading import (
    BadEntryError,
    Box,
    Contents,
    Marked,
    Picture,
    Reader,
    Source,
    as_pixels,
    as_text,
    find_image,
    joined,
    load_json,
    refuse_leaving,
)
from masu.errors import InputError, bad_input, listed

_WHOLE = re.compile("0|[1-9][0-9]{0,17}")
_FIX = "correct the file or export it again"
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


def read(source: Source, split: str | None) -> Contents:
    """The images, objects and categories of one split's file, or of all files together.

    An image that several files annotate has the objects of them all. ``iscrowd`` objects are ignored ones.
    Classes are in the order of their category ids; two categories of the same name are one class, and where
    two files use one id for two names, the later one gets a new id. An image is looked for in the split's
    folder, in ``images/<split>/``, in ``images/`` and beside the JSON file.

    Raises:
        InputError: a file that cannot be parsed or lacks a required key, or a file name that leaves the data
            set's folder.
    """
    pages = [_Page(file, source.root) for file in files_of(source, split)]
    pictures: list[Picture] = []
    faults: list[Fault] = []
    left_out: Counter[str] = Counter()
    used: set[int] = set()
    for page in pages:
        pictures += page.pictures(faults, used)
        left_out += page.left_out
    ids = _ids(pages, used)
    names = tuple(sorted(ids, key=lambda name: ids[name]))
    ordered = tuple(ids[name] for name in names)
    return Contents(joined(pictures, faults), names, ordered, faults, left_out)


READER = Reader("coco", "COCO (a JSON file, or a folder with annotations/instances_<split>.json)", find, read)


class _Page:
    """One JSON file, its structure checked."""

    def __init__(self, file: Path, root: Path) -> None:
        self.file, self.root = file, root
        content = _load(file)
        self.images = self._entries(content, "images")
        self.annotations = self._entries(content, "annotations")
        self.categories = self._categories(self._entries(content, "categories"))
        self.left_out = Counter(
            key
            for entry in self.annotations
            for key in ("segmentation", "keypoints", "attributes")
            if entry.get(key)
        )

    def _entries(self, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
        if key not in content:
            keys = listed(map(str, content), most=8)
            raise bad_input(self.file, f"no key {key!r} (its keys: {keys})", f"a list {key!r}", _FIX)
        value = content[key]
        if not isinstance(value, list):
            raise bad_input(f"{self.file}, {key!r}", _kind(value), "a list", _FIX)
        for number, entry in enumerate(value, start=1):
            if not isinstance(entry, dict):
                raise bad_input(f"{self.file}, {key!r}, entry {number}", _kind(entry), "an object", _FIX)
        return value

    def _required(self, entry: dict[str, Any], key: str, kinds: tuple[type, ...]) -> Any:
        value = entry.get(key)
        if key not in entry or not isinstance(value, kinds) or isinstance(value, bool) or value == "":
            wanted = " or ".join(
                {int: "a whole number", str: "a text", list: "a list"}[kind] for kind in kinds
            )
            found = f"no {key!r}" if key not in entry else f"{key!r} {_shown(value)}"
            raise BadEntryError(found, wanted)
        return value

    def _id(self, entry: dict[str, Any], key: str, kinds: tuple[type, ...]) -> Any:
        """An id; ``"7"`` and ``7.0`` are 7, as tables and other languages write it."""
        value = entry.get(key)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            return int(value)
        return self._required(entry, key, kinds)

    def _categories(self, entries: list[dict[str, Any]]) -> dict[int, str]:
        categories: dict[int, str] = {}
        for number, entry in enumerate(entries, start=1):
            where = f"category {number} of the list"
            try:
                key = self._id(entry, "id", (int,))
                where = f"category id {key}"
                name = as_text(str(self._required(entry, "name", (str, int))))
            except BadEntryError as error:
                raise InputError(f"{self.file}, {where}: found {error}; {_FIX}") from None
            if key in categories:
                raise bad_input(f"{self.file}, category id {key}", "it twice", "one entry for each id", _FIX)
            categories[key] = name
        return categories

    def pictures(self, faults: list[Fault], used: set[int]) -> Iterator[Picture]:
        """The images that exist, with their objects; adds to the faults and to the category ids in use."""
        entries: dict[int | str, dict[str, Any]] = {}
        for number, entry in enumerate(self.images, start=1):
            where = f"image {number} of the list"
            try:
                key = self._id(entry, "id", (int, str))
                where = f"image id {key}"
                self._required(entry, "file_name", (str,))
                if key in entries:
                    raise BadEntryError("it twice", "one entry for each id")
            except BadEntryError as error:
                faults.append(error.fault(self.file, where))
            else:
                entries[key] = entry
        objects: dict[int | str, list[Marked]] = {key: [] for key in entries}
        for number, entry in enumerate(self.annotations, start=1):
            where = f"annotation id {entry['id']}" if "id" in entry else f"annotation {number} of the list"
            try:
                image = self._id(entry, "image_id", (int, str))
                category = self._id(entry, "category_id", (int,))
                box = self._box(entry)
            except BadEntryError as error:
                faults.append(error.fault(self.file, where))
                continue
            if image not in objects:
                faults.append(
                    Fault("unknown-image", self.file, where, f"unknown image id {image}", "skipped")
                )
            elif category not in self.categories:
                found = f"unknown category id {category}"
                faults.append(Fault("unknown-class", self.file, where, found, "skipped"))
            else:
                used.add(category)
                crowd = bool(entry.get("iscrowd", 0))
                objects[image].append(Marked(where, box, self.categories[category], crowd))
        folders = image_folders(self.file, self.root)
        seen: set[Path] = set()
        for key, entry in entries.items():
            name = entry["file_name"]
            refuse_leaving(name, self.file, f"image id {key}", self.root)
            path = find_image(name, folders)
            if path is None:
                looked = listed(str(folder) for folder in folders)
                found = f"no such file, looked in {looked}"
                faults.append(Fault("missing-image", self.file, f"image {name}", found, "skipped"))
            elif path in seen:
                found = f"{name} for a second time"
                faults.append(
                    Fault("double-image", self.file, f"image id {key}", found, "joined with the first")
                )
            if path is not None:
                seen.add(path)
                yield Picture(path, self.file, _size(entry), objects[key])

    def _box(self, entry: dict[str, Any]) -> Box:
        values = self._required(entry, "bbox", (list,))
        if len(values) != 4:
            raise BadEntryError(f"a bbox of {len(values)} values", "4: x y width height")
        numbers = [as_pixels(value, "the bbox value") for value in values]
        x, y, width, height = numbers
        return x, y, x + width, y + height


def _ids(pages: Sequence[_Page], used: set[int]) -> dict[str, int]:
    """An id for each class name, one that objects use before one that none does."""
    known = {pair: None for page in pages for pair in page.categories.items()}
    ids: dict[str, int] = {}
    later: list[str] = []
    for key, name in sorted(known, key=lambda pair: (pair[0] not in used, pair[0])):
        if name not in ids and key not in ids.values():
            ids[name] = key
        elif name not in ids:
            later.append(name)
    for name in later:
        ids.setdefault(name, max(ids.values()) + 1)
    return ids


def _load(file: Path) -> dict[str, Any]:
    try:
        content = load_json(file, MOST_BYTES)
    except BadEntryError as error:
        raise InputError(f"{file}: found {error}; {_FIX}") from None
    if not isinstance(content, dict):
        wanted = "a JSON object with images, annotations and categories"
        raise bad_input(file, _kind(content), wanted, _FIX)
    return content


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number")


def _shown(value: object) -> str:
    return json.dumps(value)


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    if not isinstance(height, int | float) or not isinstance(width, int | float):
        return None
    return (int(height), int(width)) if 1 <= height <= 1e7 and 1 <= width <= 1e7 else None
