"""Hugging Face image folders: ``metadata.jsonl`` with a line for each picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from masu.data.dataset import Fault
from masu.data.formats.reading import (
    BadEntryError,
    Contents,
    Marked,
    Picture,
    Reader,
    Source,
    as_pixels,
    as_text,
    joined,
    refuse_leaving,
    split_order,
)
from masu.errors import bad_input

MOST_BYTES = 2_000_000_000
"""Size of a file."""

_FILE = "metadata.jsonl"
_CLASSES = ("categories", "category", "labels", "label", "classes", "category_id")


def find(path: Path) -> Source | None:
    """The file itself, a folder with it, or a folder whose folders have one each."""
    if path.is_file():
        return Source(path.absolute().parent, {}, (path,)) if path.name == _FILE else None
    if (path / _FILE).is_file():
        return Source(path, {}, (path / _FILE,))
    files = {file.parent.name: file for file in sorted(path.glob(f"*/{_FILE}"))}
    splits = {name: files[name] for name in split_order(files)}
    return Source(path, splits, tuple(splits.values())) if splits else None


def read(source: Source, split: str | None) -> Contents:
    """The pictures of a split, or of all; ``objects.bbox`` is x y width height in pixels.

    Classes are in alphabetical order, numbers in theirs; those of all splits.

    Raises:
        InputError: a file that cannot be read, or a picture outside of the data set.
    """
    if not source.parsed:
        source.parsed.update({str(file): _Page(file) for file in source.files})
    pages: list[_Page] = list(source.parsed.values())
    every = {item.name for page in pages for _, _, objects in page.pictures for item in objects}
    numbers = all(name.isdecimal() and len(name) < 10 for name in every)
    numbers = numbers and len(set(map(int, every))) == len(every)  # "1" and "01" are two classes
    names = tuple(sorted(every, key=int if numbers else str))
    ids = tuple(map(int, names)) if numbers else tuple(range(1, len(names) + 1))
    faults: list[Fault] = []
    pictures = []
    for page in pages:
        if split is not None and page.file != source.splits[split]:
            continue
        faults += page.faults
        seen: set[Path] = set()
        for where, name, objects in page.pictures:
            refuse_leaving(name, page.file, where, source.root)
            image = page.file.parent / name.replace("\\", "/")
            if not image.is_file():
                faults.append(Fault("missing-image", page.file, where, f"no such file {name}", "skipped"))
                continue
            if image in seen:
                found = f"{name} for a second time"
                faults.append(Fault("double-image", page.file, where, found, "joined with the first"))
            seen.add(image)
            pictures.append(Picture(image, page.file, None, objects))
    return Contents(joined(pictures, faults), names, ids, faults)


READER = Reader("metadata", "a Hugging Face image folder (metadata.jsonl)", find, read)


class _Page:
    """One file, its lines understood or told as faults."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.pictures: list[tuple[str, str, list[Marked]]] = []
        if (size := file.stat().st_size) > MOST_BYTES:
            raise bad_input(
                file, f"a file of {size / 1e9:.1f} GB", "at most 2 GB", "cut it into several folders"
            )
        try:
            lines = file.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise bad_input(
                file, f"a file that cannot be read ({error})", "UTF-8 text", "save it as UTF-8"
            ) from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                self._add(f"line {number}", line)

    def _add(self, where: str, line: str) -> None:
        try:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadEntryError(f"broken JSON ({type(error).__name__}: {error})", "an object") from None
            name = entry.get("file_name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not name:
                raise BadEntryError("no 'file_name'", "the name of a picture")
            boxes, classes = _boxes_and_classes(entry.get("objects") or {})
        except BadEntryError as error:
            self.faults.append(error.fault(self.file, where))
            return
        objects = []
        for number, (box, label) in enumerate(zip(boxes, classes, strict=True), start=1):
            place = f"{where}, object {number}"
            try:
                objects.append(_marked(place, box, label))
            except BadEntryError as error:
                self.faults.append(error.fault(self.file, place))
        self.pictures.append((where, name, objects))


def _boxes_and_classes(objects: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(objects, list):  # one dict per object
        if not all(isinstance(item, dict) for item in objects):
            raise BadEntryError("'objects' with an entry that is no object", "objects with bbox and category")
        keys = [next((key for key in _CLASSES if key in item), "category") for item in objects]
        return [item.get("bbox") for item in objects], [
            item.get(key) for item, key in zip(objects, keys, strict=True)
        ]
    if not isinstance(objects, dict):
        raise BadEntryError(f"'objects' {json.dumps(objects)[:40]}", "an object with bbox and categories")
    boxes = objects.get("bbox", [])
    classes: Any = next((objects[key] for key in _CLASSES if key in objects), [])
    if not isinstance(boxes, list) or not isinstance(classes, list):
        raise BadEntryError("'bbox' or 'categories' that is no list", "a list of each")
    if len(boxes) != len(classes):
        raise BadEntryError(f"{len(boxes)} boxes and {len(classes)} categories", "as many of each")
    return boxes, classes


def _marked(where: str, box: Any, label: Any) -> Marked:
    if not isinstance(box, list) or len(box) != 4:
        raise BadEntryError(f"bbox {json.dumps(box)[:40]}", "4 numbers: x y width height")
    if isinstance(label, bool) or not isinstance(label, str | int) or label == "":
        raise BadEntryError(f"category {json.dumps(label)[:40]}", "a text or a whole number")
    x, y, width, height = (as_pixels(value, "the bbox value") for value in box)
    return Marked(where, (x, y, x + width, y + height), as_text(str(label)), False)
