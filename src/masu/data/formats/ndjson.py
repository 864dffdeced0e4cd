"""NDJSON of Ultralytics: a line about the data set, then one for each image.

As ``convert_ndjson_to_yolo`` of the package ``ultralytics`` reads it: ``{"type": "dataset", "task": "detect",
"class_names": {"0": "person"}}``, then ``{"type": "image", "file": "a.jpg", "url": …, "width": 640, "height":
480, "split": "train", "annotations": {"boxes": [[0, x, y, width, height], …]}}``, all numbers shares of the
image. Instead of boxes there may be ``segments`` or ``obb`` (a class and points) or ``pose`` (a box and
keypoints).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from masu.data.formats.form import SAYS_SO, Candidate, Format, Place, as_size
from masu.data.formats.masks import box_of_points
from masu.data.formats.rows import BadEntryError, Box, Rows, as_text, entry_of, place_of
from masu.data.formats.tree import Tree
from masu.errors import bad_input
from masu.regular import open_regular, size_of

MOST_BYTES = 4_000_000_000
"""Size of a file."""

_LONGEST_LINE = 64_000_000
_LARGEST_SHARE = 2.0
_HEADER = re.compile(rb'\s*\{[^\r\n]*"type"\s*:\s*"dataset"')
_KINDS = ("boxes", "segments", "obb", "pose")
_LEFT_OUT = {"segments": "polygons", "obb": "rotated boxes", "pose": "keypoints"}
_FIX = "correct the file or export it again"


def find(place: Place) -> Candidate | None:
    """The file itself, or such files below a folder."""
    files = [file for file in place.files(".ndjson", ".jsonl") if _is_ndjson(place.head(file))]
    return Candidate(tuple(files), SAYS_SO, place.path.is_file()) if files else None


def _is_ndjson(head: bytes) -> bool:
    return _HEADER.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images of all files with their objects; nothing is fetched, the images must be there.

    Where an image has boxes and segments, the kind that comes first counts, as for Ultralytics. An image
    without ``split`` is in none. Images are looked for in ``images/<split>/`` and ``images/``, beside the
    file and in a folder of its name.

    Raises:
        InputError: a file that cannot be read, or whose first line is not that of a data set.
    """
    rows = Rows(tree, _describe, lambda number, name: f"line {number}")
    for file in candidate.files:
        names: dict[int, str] | None = None
        number = rows.file(file)
        for line, text in _lines(file):
            if names is None:
                names = _names(file, line, text, rows)
            else:
                _read_line(line, text, number, names, rows)
    return rows


def _describe(number: int, name: str) -> str:
    line, at = entry_of(number)
    return f"line {line}, object {at}"


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that hold something, each with its number."""
    try:
        if (size := size_of(file)) > MOST_BYTES:
            raise bad_input(
                file, f"a file of {size / 1e9:.1f} GB", "at most 4 GB", "cut it into several files"
            )
        with open_regular(file) as stream:
            if stream.read(3) != b"\xef\xbb\xbf":
                stream.seek(0)
            number = 0
            while text := stream.readline(_LONGEST_LINE):
                number += 1
                if len(text) == _LONGEST_LINE:
                    raise bad_input(
                        f"{file}, line {number}", "a line of over 64 MB", "one image in a line", _FIX
                    )
                if text.strip():
                    yield number, text
    except OSError as error:
        raise bad_input(file, f"a file that cannot be read ({error})", "a file", _FIX) from None


def _entry(text: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadEntryError(f"broken JSON ({type(error).__name__}: {error})", "an object") from None
    if not isinstance(entry, dict):
        raise BadEntryError(f"{json.dumps(entry)[:40]}", "an object")
    return entry


def _names(file: Path, line: int, text: bytes, rows: Rows) -> dict[int, str]:
    """The class names by number, each with an id of its own."""
    try:
        entry = _entry(text)
        found = entry.get("class_names", entry.get("names", {}))
        if isinstance(found, list):
            found = {str(number): name for number, name in enumerate(found)}
        if entry.get("type") != "dataset" or not isinstance(found, dict):
            raise BadEntryError("no 'class_names'", "a data set's first line")
        names: dict[int, str] = {}
        for key, name in found.items():
            if not key.isdecimal() or len(key) > 6 or not isinstance(name, str) or not name.strip():
                raise BadEntryError(f"class {key[:20]!r}: {json.dumps(name)[:40]}", "a number and its name")
            names[int(key)] = as_text(name.strip())
    except BadEntryError as error:
        raise bad_input(f"{file}, line {line}", error.found, error.wanted, _FIX) from None
    for number, name in sorted(names.items()):
        rows.number_class(name, number)
    return names


def _read_line(line: int, text: bytes, number: int, names: dict[int, str], rows: Rows) -> None:
    file = rows.files[number]
    splits: list[str] = []
    try:
        entry = _entry(text)
        word = entry.get("split")
        if isinstance(word, str) and word.strip():
            splits = [as_text(word.strip())]
        name = entry.get("file")
        if not isinstance(name, str) or not name.strip():
            raise BadEntryError("no 'file'", "the name of an image")
        kind, objects = _objects(entry.get("annotations"), rows)
    except BadEntryError as error:
        rows.bad(error, file, f"line {line}", splits=splits)
        return
    look = rows.look(_folders(file, rows.tree, splits), foreign=True)
    size = as_size(entry.get("height"), entry.get("width"))
    row = rows.image(name, number, look, number=line, size=size, splits=splits, relative=True)
    for at, values in enumerate(objects, start=1):
        place = place_of(line, at)
        try:
            label, box = _object(values, kind)
        except BadEntryError as error:
            rows.bad(error, file, _describe(place, ""), image=row)
            continue
        if label not in names:
            rows.fault("unknown-class", file, _describe(place, ""), f"class {label}", image=row)
            continue
        if kind in _LEFT_OUT:
            rows.left_out[_LEFT_OUT[kind]] += 1
        rows.object(row, box, names[label], place, number)


def _folders(file: Path, tree: Tree, splits: list[str]) -> list[Path]:
    bases = [file.parent, file.parent / file.stem, Path(tree.root)]
    within = [base / "images" for base in bases]
    own = [folder / word for folder in (*within, *bases) for word in splits if word not in (".", "..")]
    return [*own, *within, *bases]


def _objects(annotations: Any, rows: Rows) -> tuple[str, list[Any]]:
    """The kind of the objects, the first that there are, and the objects."""
    if annotations is None:
        return "boxes", []
    if not isinstance(annotations, dict):
        raise BadEntryError(f"annotations {json.dumps(annotations)[:40]}", "an object with boxes")
    found = [(key, annotations[key]) for key in annotations if key in _KINDS and annotations[key]]
    for key, objects in found:
        if not isinstance(objects, list):
            raise BadEntryError(f"{key} {json.dumps(objects)[:40]}", "a list")
    for key, objects in found[1:]:
        rows.left_out[key] += len(objects)
    return found[0] if found else ("boxes", [])


def _object(values: Any, kind: str) -> tuple[int, Box]:
    if not isinstance(values, list) or not values:
        raise BadEntryError(f"{json.dumps(values)[:40]}", "a class and numbers")
    label, *shares = (_number(value) for value in values)
    if not label.is_integer():
        raise BadEntryError(f"class {label:g}", "a whole number")
    if any(abs(value) > _LARGEST_SHARE and not math.isinf(value) for value in shares):
        raise BadEntryError(f"{max(shares, key=abs):g}", "shares of the image, 0 to 1, not pixels")
    if kind in ("segments", "obb"):
        if len(shares) < 6 or len(shares) % 2:
            raise BadEntryError(f"{len(values)} values", "a class and at least 3 points")
        return int(label), box_of_points(list(zip(shares[0::2], shares[1::2], strict=True)))
    if len(shares) < 4 or (kind == "boxes" and len(shares) > 4):
        raise BadEntryError(f"{len(values)} values", "5: class x y width height")
    x, y, width, height = shares[:4]
    return int(label), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadEntryError(f"{json.dumps(value)[:40]}", "a share of the image, 0 to 1")
    try:
        return float(value)
    except OverflowError:
        return math.inf


FORMAT = Format("ndjson", "NDJSON of Ultralytics (a line for each image)", find, read)
