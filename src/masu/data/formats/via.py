"""VGG Image Annotator, version 2 (and 1): its project, or its annotations as JSON or CSV.

The fields are those that VIA's own exports have: an entry for each image with its regions, each a shape and
the attributes that the person who labelled has thought up.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from masu.data.formats.addresses import path_of
from masu.data.formats.form import BY_CONTENT, Candidate, Format, Place, as_pixels, load_json
from masu.data.formats.masks import box_of_points
from masu.data.formats.rows import BadEntryError, Box, Rows, entry_of, place_of
from masu.data.formats.tree import Tree
from masu.data.formats.turned import box_of_ellipse
from masu.data.splits import role
from masu.errors import bad_input, listed
from masu.regular import open_text, size_of

MOST_BYTES = 1_000_000_000
"""Size of a file."""

_FIX = "export it again"
_CLASS_KEYS = ("class", "label", "name", "type", "category")
_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")


def find(place: Place) -> Candidate | None:
    """The JSON and CSV files of VIA below a folder, or one of them."""
    files = place.some(place.files(".json"), _is_json) + place.some(place.files(".csv"), _is_table)
    return Candidate(tuple(files), BY_CONTENT, place.path.is_file()) if files else None


def _is_json(head: bytes) -> bool:
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    return b'"_via_img_metadata"' in head or (
        b'"regions"' in head and b'"filename"' in head and (b'"file_attributes"' in head or b'"size"' in head)
    )


def _is_table(head: bytes) -> bool:
    line = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode("utf-8", "replace")
    return set(_COLUMNS) <= set(_header(line.split(",")))


def _header(cells: list[str]) -> list[str]:
    return [cell.strip().strip('"').removeprefix("#") for cell in cells]


class _Image(NamedTuple):
    """An entry of a file: its position, and its content, if it is one."""

    file: Path
    word: str | None
    at: int
    entry: Any


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images of all files, with the box around each region; points have none.

    The class is the region attribute where there is one alone, else that named class, label, name, type or
    category. Of a checkbox each ticked option is an object. Splits are in the names of the files, else their
    folders. Classes are in alphabetical order. An image is looked for beside its file and in ``images/``.

    Raises:
        InputError: a file that cannot be read, or attributes of which none is known to be the class.
    """
    rows = Rows(tree, _describe, lambda number, name: f"image {number} of the file")
    images: list[_Image] = []
    for file in candidate.files:
        word = file.stem if role(file.stem) is not None else tree.split_of(file)
        if candidate.options:
            word = None
        try:
            entries = _of_table(file) if file.suffix.lower() == ".csv" else _of_json(file)
        except BadEntryError as error:
            raise bad_input(file, error.found, error.wanted, _FIX) from None
        if word is not None:
            rows.split(word)
        images += [_Image(file, word, at, entry) for at, entry in enumerate(entries, start=1)]
    key = _class_key(images, candidate.files[0])
    numbers = {file: rows.file(file) for file in candidate.files}
    for image in images:
        _read_image(image, key, numbers[image.file], rows)
    return rows


def _describe(number: int, name: str) -> str:
    image, at = entry_of(number)
    return f"image {image} of the file, region {at} ({name})"


def _of_json(file: Path) -> list[Any]:
    content = load_json(file, MOST_BYTES)
    entries = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise BadEntryError("no entries of images", "annotations of VIA")
    return list(entries.values())


def _of_table(file: Path) -> list[Any]:
    """The rows of a table, one for each region, as VIA's JSON has them."""
    entries: dict[str, dict[str, Any]] = {}
    try:
        if (size := size_of(file)) > MOST_BYTES:
            raise BadEntryError(f"a file of {size / 1e9:.1f} GB", f"at most {MOST_BYTES / 1e9:.0f} GB")
        with open_text(file, "utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = _header(next(reader, []))
            if missing := [key for key in _COLUMNS if key not in header]:
                raise BadEntryError(f"no column {missing[0]}", "annotations of VIA")
            for cells in reader:
                row = dict(zip(header, cells, strict=False))
                name = row.get("filename", "")
                entry = entries.setdefault(name, {"filename": name, "regions": []})
                shape = _cell(row.get("region_shape_attributes", ""))
                if shape not in ({}, ""):
                    attributes = _cell(row.get("region_attributes", ""))
                    entry["regions"].append({"shape_attributes": shape, "region_attributes": attributes})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadEntryError(f"a table that cannot be read ({error})", "CSV in UTF-8") from None
    return list(entries.values())


def _cell(text: str) -> Any:
    """The JSON of a cell; the text where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _regions(entry: Any) -> list[Any]:
    """The regions of an entry, a list in version 2, an object with numbers for keys in version 1."""
    regions = entry.get("regions") if isinstance(entry, dict) else None
    if isinstance(regions, dict):
        return list(regions.values())
    return regions if isinstance(regions, list) else []


def _attributes(region: Any) -> dict[str, Any]:
    found = region.get("region_attributes") if isinstance(region, dict) else None
    return found if isinstance(found, dict) else {}


def _class_key(images: Iterable[_Image], file: Path) -> str | None:
    """The attribute that is the class; None where no region has any.

    Raises:
        InputError: where several may be.
    """
    keys = {
        key: None
        for image in images
        for region in _regions(image.entry)
        for key, value in _attributes(region).items()
        if _values(value)
    }
    if len(keys) <= 1:
        return next(iter(keys), None)
    plain = {key.strip().casefold(): key for key in reversed(keys)}
    for name in _CLASS_KEYS:
        if name in plain:
            return plain[name]
    raise bad_input(
        file,
        f"regions with the attributes {listed(keys, 8)}",
        f"one alone, or one that is named {listed(_CLASS_KEYS)}",
        "rename the one that is the class to 'class' in VIA, and export again",
    )


def _values(value: Any) -> list[str]:
    """What an attribute says: a text, or the ticked options of a checkbox."""
    if isinstance(value, dict):
        return [name.strip() for name, ticked in value.items() if ticked is True and name.strip()]
    if isinstance(value, bool) or not isinstance(value, str | int):
        return []
    try:
        text = str(value).strip()
    except ValueError:  # a number of thousands of digits
        return []
    return [text] if text else []


def _read_image(image: _Image, key: str | None, number: int, rows: Rows) -> None:
    file, word, at, entry = image
    splits = [] if word is None else [word]
    name = entry.get("filename") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name.strip():
        error = BadEntryError("no 'filename'", "the name of an image")
        rows.bad(error, file, f"image {at} of the file", splits=splits)
        return
    bases = dict.fromkeys((file.parent, Path(rows.root)))
    folders = [base / folder for base in bases for folder in (*splits, "", "images")]
    row = rows.image(path_of(name), number, rows.look(folders, foreign=True), number=at, splits=splits)
    for position, region in enumerate(_regions(entry), start=1):
        place = place_of(at, position)
        names = _values(_attributes(region).get(key)) if key is not None else []
        try:
            box = _box(region, rows)
            if box is not None and not names:
                raise BadEntryError(f"no {key or 'attribute'}", "the name of a class")
        except BadEntryError as error:
            rows.bad(error, file, _describe(place, names[0] if names else "?"), image=row)
            continue
        if box is not None:
            rows.left_out["other attributes"] += sum(
                bool(_values(value)) for other, value in _attributes(region).items() if other != key
            )
            for label in names:
                rows.object(row, box, label, place, number)


def _box(region: Any, rows: Rows) -> Box | None:
    """The box around a region, None for a point."""
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    kind = shape.get("name") if isinstance(shape, dict) else None
    if kind == "point":
        rows.left_out["keypoints"] += 1
        return None
    if not isinstance(shape, dict) or not isinstance(kind, str) or kind not in _BOXES:
        raise BadEntryError(f"the shape {json.dumps(kind)[:40]}", f"one of {listed(_BOXES)}")
    box = _BOXES[kind](shape)
    rows.left_out["polygons"] += kind != "rect"
    return box


def _of_rect(shape: dict[str, Any]) -> Box:
    x, y, width, height = (as_pixels(shape.get(key), key) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def _of_circle(shape: dict[str, Any]) -> Box:
    x, y, radius = (as_pixels(shape.get(key), key) for key in ("cx", "cy", "r"))
    return x - radius, y - radius, x + radius, y + radius


def _of_ellipse(shape: dict[str, Any]) -> Box:
    x, y, radius_x, radius_y = (as_pixels(shape.get(key), key) for key in ("cx", "cy", "rx", "ry"))
    return box_of_ellipse(x, y, radius_x, radius_y, math.degrees(as_pixels(shape.get("theta", 0), "theta")))


def _of_points(shape: dict[str, Any]) -> Box:
    x, y = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y) or not x:
        raise BadEntryError("no points", "as many of all_points_x as of all_points_y")
    return box_of_points([(as_pixels(a, "x"), as_pixels(b, "y")) for a, b in zip(x, y, strict=True)])


_BOXES: dict[str, Callable[[dict[str, Any]], Box]] = {
    "rect": _of_rect,
    "circle": _of_circle,
    "ellipse": _of_ellipse,
    "polygon": _of_points,
    "polyline": _of_points,
}


FORMAT = Format("via", "VGG Image Annotator (its JSON or CSV)", find, read)
