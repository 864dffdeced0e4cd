"""Apple Create ML's JSON for object detectors: a list of images with their annotations.

Boxes are as Create ML takes them by default: the centre, width and height in pixels from the top left corner.
Roboflow writes such files as ``_annotations.createml.json``, one in the folder of each split.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from masu.data.formats.form import BY_CONTENT, SAYS_SO, Candidate, Format, Place, as_pixels, load_json
from masu.data.formats.rows import BadEntryError, Box, Rows, entry_of, place_of
from masu.data.formats.tree import Tree
from masu.data.splits import role
from masu.errors import bad_input

MOST_BYTES = 1_000_000_000
"""Size of a file."""

_FIX = "correct the file or export it again"
_OWN_NAME = "_annotations.createml.json"
_IMAGE = re.compile(rb'"(image|imagefilename)"\s*:\s*"')
_OBJECTS = re.compile(rb'"annotations?"\s*:\s*\[')
_NO_OBJECTS = re.compile(rb'"annotations?"\s*:\s*\[\s*\]')
_OF_LABEL_STUDIO = re.compile(rb'"data"\s*:\s*\{')


def find(place: Place) -> Candidate | None:
    """The JSON files of Create ML below a folder, or one of them."""
    files = place.some(place.files(".json"), _is_create_ml)
    if not files:
        return None
    says_so = any(file.name == _OWN_NAME for file in files)
    return Candidate(tuple(files), SAYS_SO if says_so else BY_CONTENT, place.path.is_file())


def _is_create_ml(head: bytes) -> bool:
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        return False
    if not _IMAGE.search(head) or _OF_LABEL_STUDIO.search(head):
        return False
    return bool(_OBJECTS.search(head)) and (b'"coordinates"' in head or bool(_NO_OBJECTS.search(head)))


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images of all files, with their boxes; one without annotations has no objects.

    Splits are in the names of the files, else their folders. Classes are in alphabetical order. An image is
    looked for beside its file, in ``images/`` and in folders of the split's name.

    Raises:
        InputError: a file that cannot be read or is no list.
    """
    rows = Rows(tree, _describe, lambda number, name: f"image {number} of the list")
    for file in candidate.files:
        word = file.stem if role(file.stem) is not None else tree.split_of(file)
        if candidate.options:
            word = None
        splits = [] if word is None else [word]
        number = rows.file(file)
        look = rows.look(_folders(file, Path(tree.root), word), foreign=True)
        try:
            content = load_json(file, MOST_BYTES)
            if not isinstance(content, list):
                raise BadEntryError("no list", "a list of images")
        except BadEntryError as error:
            raise bad_input(file, error.found, error.wanted, _FIX) from None
        for one in splits:
            rows.split(one)
        for at, entry in enumerate(content, start=1):
            try:
                name, annotations = _image(entry)
            except BadEntryError as error:
                rows.bad(error, file, f"image {at} of the list", splits=splits)
                continue
            row = rows.image(name, number, look, number=at, splits=splits)
            _read_annotations(annotations, row, at, number, rows)
    return rows


def _describe(number: int, name: str) -> str:
    image, at = entry_of(number)
    return f"image {image} of the list, annotation {at} ({name})"


def _folders(file: Path, root: Path, word: str | None) -> list[Path]:
    names = list(dict.fromkeys(filter(None, (word, role(word) if word else None))))
    bases = dict.fromkeys((file.parent, root))
    return [
        base / folder for base in bases for folder in (*names, *(f"images/{n}" for n in names), "", "images")
    ]


def _image(entry: Any) -> tuple[str, list[Any]]:
    if not isinstance(entry, dict):
        raise BadEntryError(f"{json.dumps(entry)[:40]}", "an object with 'image' and 'annotations'")
    name = next((entry[key] for key in ("image", "imagefilename") if key in entry), None)
    if not isinstance(name, str) or not name.strip():
        raise BadEntryError("no 'image'", "the name of an image")
    annotations = next((entry[key] for key in ("annotations", "annotation") if key in entry), None)
    if not isinstance(annotations, list):
        raise BadEntryError(f"'annotations' {json.dumps(annotations)[:40]}", "a list")
    return name, annotations


def _read_annotations(annotations: list[Any], row: int, at: int, number: int, rows: Rows) -> None:
    for position, annotation in enumerate(annotations, start=1):
        label = annotation.get("label") if isinstance(annotation, dict) else None
        name = label.strip() if isinstance(label, str) else ""
        place = place_of(at, position)
        try:
            if not name:
                raise BadEntryError("no label", "the name of a class")
            rows.object(row, _box(annotation.get("coordinates")), name, place, number)
        except BadEntryError as error:
            rows.bad(error, rows.files[number], _describe(place, name or "?"), image=row)


def _box(coordinates: Any) -> Box:
    if not isinstance(coordinates, dict):
        raise BadEntryError(f"coordinates {json.dumps(coordinates)[:40]}", "x, y, width and height")
    x, y, width, height = (as_pixels(coordinates.get(key), key) for key in ("x", "y", "width", "height"))
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


FORMAT = Format("createml", "Create ML (a JSON list of images with their annotations)", find, read)
