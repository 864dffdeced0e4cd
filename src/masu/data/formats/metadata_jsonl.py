"""Hugging Face image folders: ``metadata.jsonl`` with a line for each picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from masu.data.formats.form import SAYS_SO, Candidate, Format, Place, as_pixels, load_text
from masu.data.formats.rows import BadEntryError, Box, Rows, entry_of, place_of
from masu.data.formats.tree import Tree
from masu.errors import bad_input

MOST_BYTES = 2_000_000_000
"""Size of a file."""

_FILE = "metadata.jsonl"
_CLASSES = ("categories", "category", "labels", "label", "classes", "category_id")


def find(place: Place) -> Candidate | None:
    """The file itself, or such files below a folder."""
    files = [file for file in place.files(".jsonl") if file.name == _FILE]
    return Candidate(tuple(files), SAYS_SO, place.path.is_file()) if files else None


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The pictures of all files; ``objects.bbox`` is x y width height in pixels.

    Each file's folder is a split where there are several, or it is named as one. Classes are in alphabetical
    order, numbers in theirs.

    Raises:
        InputError: a file that cannot be read.
    """
    rows = Rows(tree, _describe, lambda number, name: f"line {number}")
    several = len(candidate.files) > 1
    for file in candidate.files:
        word = tree.split_of(file)
        if word is None and several and file.parent != Path(tree.root):
            word = file.parent.name
        if candidate.options:
            word = None
        splits = [] if word is None else [word]
        for one in splits:
            rows.split(one)
        number, look = rows.file(file), rows.look([file.parent])
        for line, text in enumerate(_lines(file), start=1):
            if text.strip():
                _read_line(line, text, file, number, look, splits, rows)
    rows.take_numbers_for_ids()
    return rows


def _describe(number: int, name: str) -> str:
    line, at = entry_of(number)
    return f"line {line}, object {at}"


def _lines(file: Path) -> list[str]:
    try:
        return load_text(file, MOST_BYTES).split("\n")
    except BadEntryError as error:
        raise bad_input(file, error.found, error.wanted, "save it as UTF-8, or cut it into several") from None


def _read_line(
    line: int, text: str, file: Path, number: int, look: int, splits: list[str], rows: Rows
) -> None:
    where = f"line {line}"
    try:
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadEntryError(f"broken JSON ({type(error).__name__}: {error})", "an object") from None
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise BadEntryError("no 'file_name'", "the name of a picture")
        boxes, classes = _boxes_and_classes(entry.get("objects") or {})
    except BadEntryError as error:
        rows.bad(error, file, where, splits=splits)
        return
    row = rows.image(name, number, look, number=line, splits=splits)
    for at, (box, label) in enumerate(zip(boxes, classes, strict=True), start=1):
        place = place_of(line, at)
        try:
            rows.object(row, _box(box), _class(label), place, number)
        except BadEntryError as error:
            rows.bad(error, file, _describe(place, ""), image=row)


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


def _box(box: Any) -> Box:
    if not isinstance(box, list) or len(box) != 4:
        raise BadEntryError(f"bbox {json.dumps(box)[:40]}", "4 numbers: x y width height")
    x, y, width, height = (as_pixels(value, "the bbox value") for value in box)
    return x, y, x + width, y + height


def _class(label: Any) -> str:
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
        raise BadEntryError(f"category {json.dumps(label)[:40]}", "a text or a whole number")
    return str(label).strip()


FORMAT = Format("metadata", "a Hugging Face image folder (metadata.jsonl)", find, read)
