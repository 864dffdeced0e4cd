"""LabelMe folders: one JSON file per picture with its shapes; also AnyLabeling's and X-AnyLabeling's."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from masu.data.dataset import CROWD, DIFFICULT, Dataset
from masu.data.formats.copying import Copy
from masu.data.formats.form import (
    BY_CONTENT,
    Candidate,
    Format,
    Place,
    as_flag,
    as_pixels,
    as_size,
    load_json,
)
from masu.data.formats.masks import box_of_points
from masu.data.formats.rows import BadEntryError, Box, Rows
from masu.data.formats.tree import Tree
from masu.data.splits import UNLISTED
from masu.errors import bad_input
from masu.json_text import to_json

MOST_BYTES = 64_000_000
"""Size of a file; LabelMe may write the picture into it."""

_FEWEST_POINTS = {
    "rectangle": 2,
    "circle": 2,
    "polygon": 3,
    "mask": 2,
    "rotation": 4,
    "oriented_rectangle": 4,
}
_TURNED = ("rotation", "oriented_rectangle")


def find(place: Place) -> Candidate | None:
    """The LabelMe files below a folder, or one of them."""
    files = place.some(place.files(".json"), _is_labelme)
    return Candidate(tuple(files), BY_CONTENT) if files else None


def _is_labelme(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"{") and (b'"shapes"' in head or b'"imagePath"' in head)


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The pictures with the box around each shape; a broken file is left out.

    Shapes with one ``group_id`` and label are parts of one object: the box around them all. ``difficult``
    shapes are left out of training and scoring. Folders that are named as splits are splits. A picture is
    ``imagePath``, its last part beside the file, else the one with the file's stem.
    """
    rows = Rows(tree, _describe, lambda number, name: "imagePath")
    for file in candidate.files:
        word = tree.split_of(file)
        splits = [] if word is None else [word]
        number = rows.file(file)
        try:
            content = load_json(file, MOST_BYTES)
            if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
                raise BadEntryError("no list 'shapes'", "a file of LabelMe")
        except BadEntryError as error:
            rows.bad(error, file, "the file", splits=splits)
            continue
        look = rows.look([file.parent], stem=True, foreign=True)
        name = _image_name(content, file, tree)
        size = as_size(content.get("imageHeight"), content.get("imageWidth"))
        row = rows.image(name, number, look, size=size, splits=splits)
        _read_shapes(content["shapes"], row, file, number, rows)
    return rows


def _describe(number: int, name: str) -> str:
    return f"shape {number} ({name})"


def _image_name(content: dict[str, Any], file: Path, tree: Tree) -> str:
    path = content.get("imagePath")
    if not isinstance(path, str) or not path:
        return file.stem
    last = path.replace("\\", "/").rpartition("/")[2]
    beside = tree.folder(file.parent)
    if last in beside.names or file.stem not in beside.stems:
        return last if last in beside.names else path
    return file.stem


def _read_shapes(shapes: list[Any], row: int, file: Path, number: int, rows: Rows) -> None:
    objects: dict[tuple[Any, ...], tuple[int, Box, int]] = {}
    for at, shape in enumerate(shapes, start=1):
        where = f"shape {at}"
        try:
            name = shape.get("label") if isinstance(shape, dict) else None
            if not isinstance(name, str) or not name.strip():
                raise BadEntryError("no label", "the name of a class")
            name = name.strip()
            where = _describe(at, name)
            kind = shape.get("shape_type", "polygon")
            box = _box(shape, kind)
            flags = shape.get("flags") if isinstance(shape.get("flags"), dict) else {}
            difficult = any(as_flag(of.get("difficult"), "difficult") for of in (shape, flags))
            crowd = as_flag(flags.get("iscrowd"), "iscrowd")
        except BadEntryError as error:
            rows.bad(error, file, where, image=row)
            continue
        if kind not in ("rectangle", "circle"):
            rows.left_out["rotated boxes" if kind in _TURNED else "polygons"] += 1
        group = shape.get("group_id")
        key = (name, group) if isinstance(group, int) and not isinstance(group, bool) else (name, None, at)
        flag = DIFFICULT * difficult | CROWD * crowd
        if key in objects:
            first, known, before = objects[key]
            objects[key] = (first, box_of_points([known[:2], known[2:], box[:2], box[2:]]), before | flag)
        else:
            objects[key] = (at, box, flag)
    for key, (at, box, flag) in objects.items():
        rows.object(row, box, key[0], at, number, flag=flag)


def _box(shape: dict[str, Any], kind: object) -> Box:
    if not isinstance(kind, str) or kind not in _FEWEST_POINTS:
        raise BadEntryError(f"a shape of type {kind!r}"[:80], f"one of {', '.join(_FEWEST_POINTS)}")
    points = shape.get("points")
    if not isinstance(points, list) or len(points) < _FEWEST_POINTS[kind]:
        count = len(points) if isinstance(points, list) else 0
        raise BadEntryError(f"{count} points", f"at least {_FEWEST_POINTS[kind]}")
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise BadEntryError("a point that is no pair", "x and y")
    pairs = [(as_pixels(point[0], "x"), as_pixels(point[1], "y")) for point in points]
    if kind == "circle":
        (x, y), (edge_x, edge_y) = pairs[:2]
        radius = math.hypot(edge_x - x, edge_y - y)
        return x - radius, y - radius, x + radius, y + radius
    return box_of_points(pairs)


@dataclass(frozen=True)
class Dialect:
    """How a program writes the files.

    Attributes:
        version: the program's, which it looks at for what may be in a file.
        corners: points of a rectangle: 2 (opposite ones) or 4 (clockwise from the first).
        more: further keys of a file, and what is in them.
    """

    version: str
    corners: int
    more: Mapping[str, Any]


LABELME = Dialect("5.5.0", 2, MappingProxyType({}))
X_ANYLABELING = Dialect("3.2.0", 4, MappingProxyType({"checked": False, "description": ""}))


def rectangle(
    box: Box, name: str, dialect: Dialect, *, flag: int = 0, score: float | None = None
) -> dict[str, Any]:
    """A shape of a file.

    Args:
        box: xyxy in pixels of the upright image.
        name: its class.
        dialect: of the program that is to read it.
        flag: see :attr:`masu.data.dataset.Dataset.flags`.
        score: of a draft, 0 to 1.
    """
    x1, y1, x2, y2 = box
    ring = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    made: dict[str, Any] = {
        "label": name,
        "points": ring if dialect.corners == 4 else ring[::2],
        "group_id": None,
        "difficult": bool(flag & DIFFICULT),
        "shape_type": "rectangle",
        "flags": {"iscrowd": True} if flag & CROWD else {},
    }
    return made if score is None else made | {"score": score}


def page(image: str, size: tuple[int, int], shapes: list[dict[str, Any]], dialect: Dialect) -> str:
    """The text of a file.

    Args:
        image: name of the picture beside it.
        size: its height and width, upright.
        shapes: of :func:`rectangle`.
        dialect: of the program that is to read it.
    """
    content: dict[str, Any] = {
        "version": dialect.version,
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }
    return to_json(content | dict(dialect.more), ensure_ascii=True)


def write(copy: Copy, dialect: Dialect = LABELME) -> None:
    """A JSON file with rectangles beside each picture, in a folder for each split.

    Raises:
        InputError: an image in several splits.
    """
    _refuse_several_splits(copy.data)
    copy.say_unordered()
    copy.say_not_coco()
    for split, indices in copy.parts():
        folder = split or (UNLISTED if copy.data.splits else "")
        for index in indices:
            name = copy.image(index, folder)
            shapes = []
            for row in copy.objects(index):
                x1, y1, x2, y2 = copy.data.boxes[row].tolist()
                copy.count_crowd(row, "LabelMe has no crowd regions: {} are flagged iscrowd")
                flag = int(copy.data.flags[row])
                shapes.append(
                    rectangle((x1, y1, x2, y2), copy.name_of(row), dialect, flag=flag, score=copy.score(row))
                )
            file = os.path.join(folder, f"{os.path.splitext(name)[0]}.json")
            copy.text(file, page(name, copy.said_size(index), shapes, dialect))
    copy.put_strays(UNLISTED if copy.data.splits else "")


def _refuse_several_splits(data: Dataset) -> None:
    for index in np.flatnonzero(data.members.sum(0) > 1).tolist():
        raise bad_input(
            data.paths[index],
            f"it in {' and '.join(data.splits_of(index))}",
            "one split, since those of LabelMe are folders",
            "choose another format, or share out anew with --split-by",
        )


FORMAT = Format(
    "labelme", "LabelMe (a folder with a JSON file for each picture)", find, read, write, by_stem=True
)

FOR_X_ANYLABELING = FORMAT._replace(write=partial(write, dialect=X_ANYLABELING))
"""The same files as X-AnyLabeling writes them; masu and LabelMe read both."""
