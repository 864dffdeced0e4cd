"""Hugging Face data sets as Parquet: ``data/train-00000-of-00001.parquet``, images and objects in columns.

The images lie in the files themselves. They are unpacked once, into ``.masu-images`` beside the Parquet file
or, where that cannot be written, below the user's cache folder; from then on they are files like any others.
A file's images are unpacked anew when its size, its time of change or its own table of contents is another.

The names of classes are those of the features that the library ``datasets`` writes into the schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.form import BY_CONTENT, POSSIBLE, Candidate, Format, Place, as_flag, as_size
from masu.data.formats.parquet_columns import BOXES, FIX, Columns, columns_of, values_of
from masu.data.formats.parquet_images import names_of, unpacked
from masu.data.formats.rows import BadEntryError, Box, Rows, entry_of, place_of
from masu.data.formats.tree import Tree
from masu.data.pixels.headers import read_headers
from masu.data.splits import role
from masu.errors import InputError, bad_input, listed

_MAGIC = b"PAR1"
_NOT_CARRIED = ("segmentation", "mask", "keypoints")
_SHARD = re.compile(r"[-_.]\d+-of-\d+$")
_LARGEST_SHARE = 1.01
_NO_NUMBER = "4 numbers: x y width height"


def find(place: Place) -> Candidate | None:
    """The Parquet files with a column of images and one of boxes."""
    files = [file for file in place.files(".parquet") if place.head(file).startswith(_MAGIC)]
    sure = {file: _confidence(file, place.head(file)) for file in files}
    best = max(sure.values(), default=0)
    good = tuple(file for file in files if sure[file])
    return Candidate(good, best, place.path.is_file()) if good else None


def _confidence(file: Path, head: bytes) -> float:
    try:
        return BY_CONTENT if columns_of(file) is not None else 0
    except InputError:  # no pyarrow, or a broken file: reading says which
        return POSSIBLE if b"image" in head and any(key.encode() in head for key in BOXES) else 0


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images of all files with their objects; ``bbox`` is x y width height in pixels.

    The name of a file, else its folder, is the split. Objects may be a struct of lists, a list of structs or
    columns of their own. ``iscrowd`` objects are regions to leave out, ``difficult`` ones difficult. Classes
    are in the order of the features; without features numbers are in theirs and texts in alphabetical order.

    Raises:
        InputError: no pyarrow, a file that cannot be read, images that can be unpacked nowhere, or boxes that
            are not x y width height in pixels.
    """
    rows = Rows(tree, _describe, lambda number, name: f"row {number}")
    kind = _Kind(rows)
    for file in candidate.files:
        columns = columns_of(file)
        if columns is None:
            raise bad_input(file, "no columns of images and boxes", "image, and objects with bbox", FIX)
        word = None if candidate.options else _word(file, tree)
        splits = [] if word is None else [word]
        for one in splits:
            rows.split(one)
        _number_classes(columns.names, rows)
        number, folder = rows.file(file), unpacked(file, columns)
        look = rows.look([folder, file.parent, Path(tree.root)], stem=True)
        for entry in _entries(file, columns):
            _read_entry(entry, columns, number, look, splits, kind, rows)
    kind.refuse_corners(candidate.files[0])
    if not rows.ids:
        rows.take_numbers_for_ids()
    else:
        for name in sorted(rows.classes.keys() - rows.ids.keys()):
            rows.number_class(name)
    return rows


def _describe(number: int, name: str) -> str:
    row, at = entry_of(number)
    return f"row {row}, object {at}"


def _word(file: Path, tree: Tree) -> str | None:
    """What the file says of its split: its own name without the number of the shard, or its folder's."""
    stem = _SHARD.sub("", file.stem)
    if role(stem) is None and (folder := tree.split_of(file)) is not None:
        return folder
    return stem if role(stem) is not None or stem != file.stem else None


def _number_classes(names: tuple[str, ...] | None, rows: Rows) -> None:
    for number, name in enumerate(names or ()):
        rows.number_class(name, number)


class _Entry(NamedTuple):
    """One row: its number from 1, the name of its image's file, and its columns."""

    number: int
    name: str
    values: dict[str, Any]


def _entries(file: Path, columns: Columns) -> Iterator[_Entry]:
    """The rows of a file, without the images."""
    wanted = [columns.objects] if columns.objects else [columns.box, columns.label]
    wanted += columns.sizes
    names = names_of(file, columns)
    for number, values in enumerate(values_of(file, wanted, 1024)):
        yield _Entry(number + 1, names[number], values)


class _Kind:
    """What the four numbers of the boxes are: seen over all of them, they may be no x y width height."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._boxes: list[tuple[int, int, tuple[int, int] | None, Box]] | None = []
        self._shares = True

    def look(self, row: int, look: int, size: tuple[int, int] | None, values: Box) -> None:
        """Take a box into account, as its file has it."""
        if not all(map(math.isfinite, values)):
            return
        self._shares &= all(0 <= value <= _LARGEST_SHARE for value in values)
        if self._boxes is not None:
            self._boxes.append((row, look, size, values))
            if not self._shares and not (values[2] > values[0] and values[3] > values[1]):
                self._boxes = None  # no two corners

    def refuse_corners(self, file: Path) -> None:
        """Refuse boxes that are all good as two corners, and not all good as x y width height; and shares.

        Raises:
            InputError: for these.
        """
        if not self._boxes:
            return
        wanted = "x y width height in pixels"
        if self._shares:
            raise bad_input(
                file,
                "bbox values all from 0 to 1: shares of the image, x and y of a corner or of the middle",
                wanted,
                "write bbox in pixels",
            )
        looks = {row: look for row, look, size, _ in self._boxes if size is None}
        found = [self._rows.tree.find(self._rows.names[row], self._rows.looks[looks[row]]) for row in looks]
        headers = read_headers([Path(one.path or "") for one in found])
        known = dict(zip(looks, headers.sizes.tolist(), strict=True))
        over = 0
        for row, _, size, (a, b, c, d) in self._boxes:
            height, width = size or known[row]
            if not (height and width and c > a and d > b and c <= width + 1 and d <= height + 1):
                return
            over += a + c > width + 1 or b + d > height + 1
        if over:
            said = f"{over} of {len(self._boxes)} as x y width height reach outside their image"
            raise bad_input(
                file,
                f"bbox values that look like x1 y1 x2 y2: {said}",
                wanted,
                "save the data set with bbox as x y width height",
            )


def _read_entry(
    entry: _Entry,
    columns: Columns,
    file: int,
    look: int,
    splits: list[str],
    kind: _Kind,
    rows: Rows,
) -> None:
    size = as_size(*(entry.values.get(side) for side in columns.sizes)) if columns.sizes else None
    row = rows.image(entry.name, file, look, number=entry.number, size=size, splits=splits)
    path = rows.files[file]
    try:
        objects = _objects(entry.values, columns)
    except BadEntryError as error:
        rows.bad(error, path, f"row {entry.number}", image=row)
        return
    for at, one in enumerate(objects, start=1):
        place = place_of(entry.number, at)
        try:
            values = _four(one.get(columns.box))
            name = _class(one.get(columns.label), columns.names)
            flag = CROWD * as_flag(one.get("iscrowd", one.get("is_crowd")), "iscrowd")
            flag |= DIFFICULT * as_flag(one.get("difficult"), "difficult")
            area = one.get("area")
            area = float(area) if isinstance(area, int | float) else math.nan
        except BadEntryError as error:
            rows.bad(error, path, _describe(place, ""), image=row)
            continue
        if name is None:
            found = f"class {one.get(columns.label)}, known are 0 to {len(columns.names or ()) - 1}"
            rows.fault("unknown-class", path, _describe(place, ""), found, image=row)
            continue
        kind.look(row, look, size, values)
        for key in _NOT_CARRIED:
            rows.left_out[key] += bool(one.get(key))
        x, y, width, height = values
        rows.object(row, (x, y, x + width, y + height), name, place, file, flag=flag, area=area)


def _objects(values: dict[str, Any], columns: Columns) -> list[dict[str, Any]]:
    """The objects of a row, each with its own values by their keys."""
    content = values.get(columns.objects) if columns.objects else values
    if content is None:
        return []
    if isinstance(content, list):
        return [one if isinstance(one, dict) else {} for one in content]
    boxes, labels = ([] if content.get(key) is None else content[key] for key in (columns.box, columns.label))
    if not isinstance(boxes, list) or not isinstance(labels, list):
        raise BadEntryError(f"{columns.box!r} or {columns.label!r} that is no list", "a list of each")
    if len(boxes) != len(labels):
        raise BadEntryError(f"{len(boxes)} boxes and {len(labels)} classes", "as many of each")
    lists = {key: one for key, one in content.items() if isinstance(one, list) and len(one) == len(boxes)}
    return [{key: one[at] for key, one in lists.items()} for at in range(len(boxes))]


def _four(box: Any) -> Box:
    if not isinstance(box, list) or len(box) != 4:
        raise BadEntryError(f"bbox {box!r}"[:60], _NO_NUMBER)
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in box):
        raise BadEntryError(f"bbox {box!r}"[:60], _NO_NUMBER)
    x, y, width, height = map(float, box)
    return x, y, width, height


def _class(label: Any, names: tuple[str, ...] | None) -> str | None:
    """The name of a class; None for a number that has none."""
    if names is not None and isinstance(label, int) and not isinstance(label, bool):
        return names[label] if 0 <= label < len(names) else None
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
        raise BadEntryError(f"class {label!r}"[:60], "a text or a whole number")
    return str(label).strip()


FORMAT = Format(
    "parquet", f"Parquet of Hugging Face (columns {listed(('image', 'objects'))} with bbox)", find, read
)
