"""Supervisely projects: ``meta.json``, and for each dataset a folder with ``ann/`` and ``img/``.

As https://developer.supervisely.com/getting-started/supervisely-annotation-format describes them. Corners
of rectangles and points of polygons are taken as they stand: the labelling tool writes edges, the SDK whole
pixels, and a file does not say which.
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from masu.data.formats.form import BY_CONTENT, Candidate, Format, Place, as_pixels, as_size, load_json
from masu.data.formats.masks import box_of_points
from masu.data.formats.rows import BadEntryError, Box, Rows, as_text
from masu.data.formats.tree import Tree
from masu.data.pixels.pictures import DECODER_ERRORS

MOST_BYTES = 256_000_000
"""Size of a file; masks lie in it."""

_MOST_MASK_BYTES = 64_000_000
_MOST_MASK_PIXELS = 80_000_000
_FEWEST_POINTS = {"rectangle": 2, "polygon": 3, "line": 2}
_MASKS = ("bitmap", "alpha_mask")
_NO_BOX = ("point", "graph")
_LEFT_OUT = {"polygon": "polygons", "line": "lines", "bitmap": "masks", "alpha_mask": "masks"}
_PNG = b"\x89PNG\r\n\x1a\n"


def find(place: Place) -> Candidate | None:
    """The annotations below a folder, or one of them."""
    files = place.some(place.files(".json"), _is_supervisely)
    return Candidate(tuple(files), BY_CONTENT) if files else None


def _is_supervisely(head: bytes) -> bool:
    keys = b'"size"' in head and b'"objects"' in head and b'"tags"' in head
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and (keys or b'"classTitle"' in head)


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images with the box around each figure; a broken file is left out.

    An image is in ``img/`` beside ``ann/`` and has the name of its file without ``.json``. Points and graphs
    of keypoints have no box. Classes are in the order of ``meta.json``, where there is one. Dataset folders
    that are named as splits are splits.
    """
    rows = Rows(tree, _describe, lambda number, name: "the file")
    for file in candidate.files:
        word = tree.split_of(file)
        splits = [] if word is None else [word]
        for one in splits:
            rows.split(one)
        number = rows.file(file)
        try:
            content = load_json(file, MOST_BYTES)
            if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
                raise BadEntryError("no list 'objects'", "a file of Supervisely")
        except BadEntryError as error:
            rows.bad(error, file, "the file", splits=splits)
            continue
        above = file.parent.parent
        look = rows.look([above / "img", above / "images", file.parent], stem=True)
        said = content.get("size")
        size = as_size(said.get("height"), said.get("width")) if isinstance(said, dict) else None
        row = rows.image(file.stem, number, look, size=size, splits=splits)
        rows.left_out["tags of images"] += bool(content.get("tags"))
        for at, figure in enumerate(content["objects"], start=1):
            _read_figure(figure, at, row, file, number, rows)
    if names := _meta(candidate, tree, rows):
        every = dict.fromkeys([*names, *sorted(rows.classes)])
        rows.ids = {name: number for number, name in enumerate(every, start=1)}
    return rows


def _describe(number: int, name: str) -> str:
    return f"object {number} ({name})"


def _read_figure(figure: Any, at: int, row: int, file: Path, number: int, rows: Rows) -> None:
    where = f"object {at}"
    try:
        name = figure.get("classTitle") if isinstance(figure, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise BadEntryError("no 'classTitle'", "the name of a class")
        where = _describe(at, name.strip())
        kind = figure.get("geometryType")
        if not isinstance(kind, str):
            raise BadEntryError("no 'geometryType'", "the kind of a figure")
        if kind in _NO_BOX:
            rows.left_out["keypoints"] += 1
            return
        box = _box(figure, kind)
    except BadEntryError as error:
        rows.bad(error, file, where, image=row)
        return
    if kind in _LEFT_OUT:
        rows.left_out[_LEFT_OUT[kind]] += 1
    rows.left_out["tags"] += bool(figure.get("tags"))
    rows.object(row, box, name.strip(), at, number)


def _box(figure: dict[str, Any], kind: str) -> Box:
    if kind in _MASKS:
        return _box_of_mask(figure.get(kind, figure.get("bitmap")))
    if kind not in _FEWEST_POINTS:
        known = ", ".join((*_FEWEST_POINTS, *_MASKS))
        raise BadEntryError(f"a figure of type {kind!r}"[:80], f"one of {known}")
    points = figure.get("points")
    points = points.get("exterior") if isinstance(points, dict) else None
    if not isinstance(points, list) or len(points) < _FEWEST_POINTS[kind]:
        count = len(points) if isinstance(points, list) else 0
        raise BadEntryError(f"{count} points", f"at least {_FEWEST_POINTS[kind]}")
    return box_of_points([_pair(point, "a point") for point in points])


def _pair(point: object, what: str) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) != 2:
        raise BadEntryError(f"{what} that is no pair", "x and y")
    return as_pixels(point[0], "x"), as_pixels(point[1], "y")


def _box_of_mask(mask: object) -> Box:
    """The box around what is set in a mask: a PNG as text, mostly compressed once more, and its corner."""
    if not isinstance(mask, dict) or not isinstance(mask.get("data"), str):
        raise BadEntryError("a mask without 'data'", "data and origin")
    x, y = _pair(mask.get("origin"), "an origin")
    try:
        data = base64.b64decode(mask["data"])
    except ValueError:
        raise BadEntryError("a mask that is no base64", "a PNG in base64") from None
    extent = _extent(data if data.startswith(_PNG) else _unpacked(data))
    if extent is None:
        raise BadEntryError("an empty mask", "one with a pixel")
    left, top, right, bottom = extent
    return x + left, y + top, x + right, y + bottom


def _unpacked(data: bytes) -> bytes:
    try:
        made = zlib.decompressobj()
        text = made.decompress(data, _MOST_MASK_BYTES)
    except zlib.error:
        raise BadEntryError("a mask that cannot be unpacked", "a PNG in base64") from None
    if made.unconsumed_tail:
        raise BadEntryError("a mask of too many bytes", f"at most {_MOST_MASK_BYTES / 1e6:.0f} MB")
    return text


def _extent(data: bytes) -> tuple[int, int, int, int] | None:
    """The pixels of a PNG that are set: not transparent, or without transparency not black."""
    if not data.startswith(_PNG) or len(data) < 24:
        raise BadEntryError("a mask that is no PNG", "a PNG in base64")
    width, height = struct.unpack(">II", data[16:24])
    if width * height > _MOST_MASK_PIXELS:  # before Pillow makes room for it
        raise BadEntryError(f"a mask of {width}×{height} pixels", "one of an image's size")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.has_transparency_data:
                return picture.convert("RGBA").getchannel("A").getbbox()
            return picture.convert("L").getbbox()
    except DECODER_ERRORS as error:
        raise BadEntryError(f"a damaged mask ({type(error).__name__}: {error})", "a PNG") from None


def _meta(candidate: Candidate, tree: Tree, rows: Rows) -> list[str]:
    """The classes of the projects' ``meta.json`` that have a box."""
    folders = {
        above: None for file in candidate.files for above in list(file.parents)[:4] if tree.holds(above)
    }
    files = [folder / "meta.json" for folder in folders if "meta.json" in tree.folder(folder).names]
    names: list[str] = []
    for file in files:
        try:
            content = load_json(file, MOST_BYTES)
            classes = content.get("classes") if isinstance(content, dict) else None
            if not isinstance(classes, list):
                raise BadEntryError("no list 'classes'", "the classes of the project")
        except BadEntryError as error:
            rows.bad(error, file, "the file")
            continue
        for one in classes:
            title = one.get("title") if isinstance(one, dict) else None
            if isinstance(title, str) and title.strip() and one.get("shape") not in _NO_BOX:
                names.append(as_text(title.strip()))
    return names


FORMAT = Format("supervisely", "Supervisely (a project with ann/ and img/ folders)", find, read)
