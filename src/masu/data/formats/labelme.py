"""LabelMe folders: one JSON file per picture with its shapes; also AnyLabeling's and X-AnyLabeling's."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from masu.data.dataset import CROWD, DIFFICULT, Dataset
from masu.data.formats.copying import Copy
from masu.data.formats.draft_mark import drafted_by, marked, unmarked
from masu.data.formats.editing import (
    Entry,
    Frame,
    Held,
    LabelFiles,
    Plan,
    Unconfirmed,
    held_in_order,
    moved,
    text_in,
)
from masu.data.formats.form import (
    BY_CONTENT,
    Candidate,
    Format,
    Place,
    as_flag,
    as_pixels,
    as_size,
    json_of,
    load_json,
)
from masu.data.formats.json_places import list_in, with_list, written
from masu.data.formats.masks import box_of_points
from masu.data.formats.one_file_each import FreeClasses, Named, OneFileEach, Photo
from masu.data.formats.rows import BadEntryError, Box, Rows, class_name
from masu.data.formats.tree import Look, Tree, folder_text
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
_OF_OTHER_SHAPES = ("mask", "direction")


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
    ``imagePath``, its last part beside the file, else the one with the file's stem. Of a file that a model
    drafted and nobody has saved since, only the picture is known, as one of ``drafts``.
    """
    rows = Rows(tree, _describe, lambda number, name: "imagePath")
    for file in candidate.files:
        word = tree.split_of(file)
        splits = [] if word is None else [word]
        number = rows.file(file)
        try:
            content = _with_shapes(load_json(file, MOST_BYTES))
        except BadEntryError as error:
            rows.bad(error, file, "the file", splits=splits)
            continue
        look = rows.look([file.parent], stem=True, foreign=True)
        name = _image_name(content, file, tree)
        if drafted_by(content) is not None:
            found = tree.find(name, rows.looks[look], word).path
            rows.drafts[file] = file if found is None else Path(found)
            continue
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


def _with_shapes(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise BadEntryError("no list 'shapes'", "a file of LabelMe")
    return content


class _Shape(NamedTuple):
    """What one shape says."""

    name: str
    box: Box
    flag: int
    kind: str
    group: int | None


def _read_shapes(shapes: list[Any], row: int, file: Path, number: int, rows: Rows) -> None:
    good: dict[int, _Shape] = {}
    for at, shape in enumerate(shapes, start=1):
        try:
            good[at] = one = _shape(shape)
        except BadEntryError as error:
            name = _label(shape)
            rows.bad(error, file, _describe(at, name) if name else f"shape {at}", image=row)
            continue
        if one.kind not in ("rectangle", "circle"):
            rows.left_out["rotated boxes" if one.kind in _TURNED else "polygons"] += 1
    for parts in _objects(good):
        box, flag = _joined([good[at] for at in parts])
        rows.object(row, box, good[parts[0]].name, parts[0], number, flag=flag)


def _label(shape: Any) -> str:
    name = shape.get("label") if isinstance(shape, dict) else None
    return name.strip() if isinstance(name, str) else ""


def _shape(shape: Any) -> _Shape:
    name = _label(shape)
    if not name:
        raise BadEntryError("no label", "the name of a class")
    kind = shape.get("shape_type", "polygon")
    box = _box(shape, kind)
    flags = shape.get("flags") if isinstance(shape.get("flags"), dict) else {}
    difficult = any(as_flag(of.get("difficult"), "difficult") for of in (shape, flags))
    crowd = as_flag(flags.get("iscrowd"), "iscrowd")
    group = shape.get("group_id")
    known = group if isinstance(group, int) and not isinstance(group, bool) else None
    return _Shape(name, box, DIFFICULT * difficult | CROWD * crowd, kind, known)


def _objects(shapes: Mapping[int, _Shape]) -> list[tuple[int, ...]]:
    """The shapes of each object by position, in the order of the first ones."""
    parts: dict[tuple[Any, ...], tuple[int, ...]] = {}
    for at, one in shapes.items():
        key = (one.name, None, at) if one.group is None else (one.name, one.group)
        parts[key] = (*parts.get(key, ()), at)
    return list(parts.values())


def _joined(parts: list[_Shape]) -> tuple[Box, int]:
    """The box around all parts of an object, and its flag."""
    corners = [corner for one in parts for corner in (one.box[:2], one.box[2:])]
    return box_of_points(corners), reduce(or_, (one.flag for one in parts))


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


def page(
    image: str,
    size: tuple[int, int],
    shapes: list[dict[str, Any]],
    dialect: Dialect,
    model: str | None = None,
) -> str:
    """The text of a file.

    Args:
        image: name of the picture beside it.
        size: its height and width, upright.
        shapes: of :func:`rectangle`.
        dialect: of the program that is to read it.
        model: version of the model whose drafts they are; None of labels.
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
    whole = content | dict(dialect.more)
    return to_json(whole if model is None else marked(whole, model), ensure_ascii=True)


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
            model = None if copy.drafts is None else copy.drafts.version
            copy.text(file, page(name, copy.said_size(index), shapes, dialect, model))
    copy.put_strays(UNLISTED if copy.data.splits else "")


def _refuse_several_splits(data: Dataset) -> None:
    for index in np.flatnonzero(data.members.sum(0) > 1).tolist():
        raise bad_input(
            data.paths[index],
            f"it in {' and '.join(data.splits_of(index))}",
            "one split, since those of LabelMe are folders",
            "choose another format, or share out anew with --split-by",
        )


class _Hand:
    """The files of the photographs below a folder: those that name one, else beside it under its stem."""

    most_bytes = MOST_BYTES

    def __init__(self, tree: Tree, candidate: Candidate | None) -> None:
        rows = None if candidate is None else read(candidate, tree)
        self.classes = FreeClasses(() if rows is None else rows.class_order()[0])
        self._named = Named(tree, rows)
        first = b"" if candidate is None else Place(tree.root, tree).head(candidate.files[0])
        self._dialect = X_ANYLABELING if b'"checked"' in first else LABELME

    def meet(self, photos: Sequence[Path]) -> None:
        self._named.meet(photos)

    def file_of(self, photo: Path) -> Path:
        if (known := self._named.file_of(photo)) is not None:
            return known
        alike = self._named.tree_with(photo).folder(photo.parent).stems.get(photo.stem, ())
        return photo.with_name(f"{photo.name}.json") if len(alike) > 1 else photo.with_suffix(".json")

    def list_line(self, photo: Path, file: Path) -> None:
        """None: splits are folders."""

    def page(self, file: Path, content: bytes | None, photo: Photo) -> _Page:
        if content is None:
            empty = page(photo.path.name, photo.size, [], self._dialect)
            return _Page(empty, "", json.loads(empty), photo, self._dialect)
        found = _with_shapes(json_of(content))
        text, mark = text_in(content)
        tree = self._named.tree_with(photo.path)
        look = Look((folder_text(file.parent),), stem=True, foreign=True)
        name = _image_name(found, file, tree)
        self._named.require_only(photo.path, file, name, look, tree.split_of(file))
        if (model := drafted_by(found)) is not None:
            found = unmarked(found)
            text = to_json(found, ensure_ascii=True)
            return _Page(text, mark, found, photo, X_ANYLABELING if "checked" in found else LABELME, model)
        return _Page(text, mark, found, photo, X_ANYLABELING if "checked" in found else LABELME)


class _Page:
    """A file taken apart; a draft is taken apart as the file that it becomes once somebody has answered."""

    def __init__(
        self,
        text: str,
        mark: str,
        content: dict[str, Any],
        photo: Photo,
        dialect: Dialect,
        model: str | None = None,
    ) -> None:
        self._text, self._mark, self._dialect = text, mark, dialect
        self._whole, self._spans = list_in(text, "shapes")
        said = as_size(content.get("imageHeight"), content.get("imageWidth"))
        self._frame = Frame.of(photo.size, photo.orientation, said)
        good: dict[int, _Shape] = {}
        for at, shape in enumerate(content["shapes"]):
            with suppress(BadEntryError):
                good[at] = _shape(shape)
        found = []
        for parts in _objects(good):
            box, flag = _joined([good[at] for at in parts])
            if (shown := self._frame.shown(box)) is not None:
                texts = tuple(text[self._spans[at].start : self._spans[at].end] for at in parts)
                found.append((shown, class_name(good[parts[0]].name), flag, parts, texts))
        self.held = held_in_order(found)
        self.unconfirmed: Unconfirmed | None = None
        if model is not None:
            scores = (_score(content["shapes"][one.rows[0]]) for one in self.held)
            self.unconfirmed = Unconfirmed(model, tuple(one.entry for one in self.held), tuple(scores))

    def change(self, held: Held, entry: Entry) -> tuple[str, ...]:
        shapes = [json.loads(text) for text in held.texts]
        if moved(held.entry, entry):
            shapes = [self._as_rectangle(shapes, entry)]
        for shape in shapes:
            shape["label"] = entry.name
            if held.entry.flag != entry.flag:
                _set_flag(shape, entry.flag)
        return tuple(written(shape, self._text, 2) for shape in shapes)

    def _as_rectangle(self, shapes: list[dict[str, Any]], entry: Entry) -> dict[str, Any]:
        shape = shapes[0]
        dialect = self._dialect
        if shape.get("shape_type") == "rectangle":
            dialect = X_ANYLABELING if len(shape["points"]) == 4 else LABELME
        made = rectangle(self._frame.written(entry.box), entry.name, dialect)
        shape |= {"points": made["points"], "shape_type": "rectangle"}
        if len(shapes) > 1:
            shape["group_id"] = None
        return {key: value for key, value in shape.items() if key not in _OF_OTHER_SHAPES}

    def new(self, entry: Entry) -> str:
        box = self._frame.written(entry.box)
        return written(rectangle(box, entry.name, self._dialect, flag=entry.flag), self._text, 2)

    def content(self, plan: Plan) -> bytes:
        text = with_list(self._text, self._whole, self._spans, plan.replaced, plan.added)
        return (self._mark + text).encode("utf-8", "surrogatepass")


def _score(shape: dict[str, Any]) -> float:
    """Of a drafted shape."""
    score = shape.get("score")
    return float(score) if isinstance(score, int | float) and 0 <= score <= 1 else 1.0


def _set_flag(shape: dict[str, Any], flag: int) -> None:
    flags = dict(shape["flags"]) if isinstance(shape.get("flags"), dict) else {}
    flags = {key: value for key, value in flags.items() if key not in ("iscrowd", "difficult")}
    shape["difficult"] = bool(flag & DIFFICULT)
    shape["flags"] = flags | ({"iscrowd": True} if flag & CROWD else {})


def edit(root: Path, candidate: Candidate | None) -> LabelFiles:
    """The files of the photographs below a folder, to be changed; they may be none yet."""
    tree = Tree(root)
    return OneFileEach(tree, _Hand(tree, candidate))


FORMAT = Format(
    "labelme",
    "LabelMe (a folder with a JSON file for each picture)",
    find,
    read,
    write,
    by_stem=True,
    drafts_are_labels=False,
    edit=edit,
    crowds=True,
)

FOR_X_ANYLABELING = FORMAT._replace(write=partial(write, dialect=X_ANYLABELING))
"""The same files as X-AnyLabeling writes them; masu and LabelMe read both."""
