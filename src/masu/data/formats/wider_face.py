"""WIDER FACE: ``wider_face_<split>_bbx_gt.txt`` with the faces of all images, as its ``readme.txt`` says.

For each image a line with its path, one with the number of faces, and one for each face: ``x y w h blur
expression illumination invalid occlusion pose``. An image without faces has a line of zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from masu.data.dataset import DIFFICULT
from masu.data.formats.form import BY_CONTENT, Candidate, Format, Place, load_text
from masu.data.formats.rows import BadEntryError, Box, Rows
from masu.data.formats.tree import Tree, is_image
from masu.errors import bad_input

MOST_BYTES = 1_000_000_000
"""Size of a file."""

_FACE = "face"
_FLAGS = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")
_OWN_NAME = re.compile(r"wider_face_(.+)_bbx_gt")


def find(place: Place) -> Candidate | None:
    """The lists of faces below a folder, or one of them."""
    files = place.files(".txt")
    named = [file for file in files if "bbx_gt" in file.name.lower()]
    found = [file for file in named if place.head(file)] or place.some(files, _is_wider_face)
    return Candidate(tuple(found), BY_CONTENT, place.path.is_file()) if found else None


def _is_wider_face(head: bytes) -> bool:
    lines = head.decode("utf-8", "replace").lstrip("\ufeff").splitlines()
    if len(lines) < 3 or not is_image(lines[0].strip().rpartition("/")[2]):
        return False
    return lines[1].strip().isdecimal() and len(lines[2].split()) == 10 and _are_numbers(lines[2])


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images of all lists with their faces, of the one class ``face``.

    Faces that are marked *invalid* are left out of training and scoring, as its own evaluation does.
    The names of the lists are those of the splits. Images are in ``WIDER_<split>/images/``.

    Raises:
        InputError: a list that cannot be read.
    """
    rows = Rows(tree, lambda number, name: f"line {number}", lambda number, name: f"line {number}")
    rows.code(_FACE)
    for file in candidate.files:
        name = _OWN_NAME.fullmatch(file.stem.lower())
        word = None if candidate.options else name[1] if name else tree.split_of(file)
        splits = [] if word is None else [word]
        for one in splits:
            rows.split(one)
        number, look = rows.file(file), rows.look(_folders(file, tree, name[1] if name else None))
        for block in _blocks(_lines(file)):
            if not block.name:
                rows.bad(BadEntryError("numbers before any image", "its path"), file, "line 1", splits=splits)
                continue
            row = rows.image(block.name, number, look, number=block.line, splits=splits)
            if block.problem is not None:
                rows.bad(block.problem, file, f"line {block.line}", image=row)
            for line, text in block.faces:
                try:
                    _read_face(line, text, row, number, rows)
                except BadEntryError as error:
                    rows.bad(error, file, f"line {line}", image=row)
    return rows


def _folders(file: Path, tree: Tree, word: str | None) -> list[Path]:
    near = dict.fromkeys((Path(tree.root), file.parent.parent, file.parent))
    bases = [base for base in near if tree.holds(base)]
    own = [base / f"WIDER_{word}" / "images" for base in bases if word is not None]
    return [*own, *(base / "images" for base in bases), *bases]


def _lines(file: Path) -> list[str]:
    try:
        return load_text(file, MOST_BYTES).split("\n")
    except BadEntryError as error:
        raise bad_input(file, error.found, error.wanted, "save it as UTF-8, or cut it into several") from None


class _Block(NamedTuple):
    """One image: its line and name, the lines of its faces, and what is wrong with their number."""

    line: int
    name: str
    faces: list[tuple[int, str]]
    problem: BadEntryError | None


def _blocks(lines: list[str]) -> Iterator[_Block]:
    """The images of a list; each begins with the one line that is no row of numbers."""
    name, start = "", 0
    rows: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        if _are_numbers(text):
            rows.append((number, text))
            continue
        if name or rows:
            yield _block(start, name, rows)
        name, start, rows = text, number, []
    if name or rows:
        yield _block(start, name, rows)


def _block(line: int, name: str, rows: list[tuple[int, str]]) -> _Block:
    if not rows or not rows[0][1].isdecimal():
        return _Block(line, name, rows, BadEntryError("no number of faces", "it in the line after the image"))
    count, faces = rows[0][1], rows[1:]
    if int(count[:12]) == 0:
        faces = [(number, text) for number, text in faces if any(float(word) for word in text.split())]
    if len(faces) == int(count[:12]):
        return _Block(line, name, faces, None)
    problem = BadEntryError(f"{len(faces)} faces", f"{count[:12]}, as the line after the image says")
    return _Block(line, name, faces, problem)


def _are_numbers(text: str) -> bool:
    try:
        return all(isinstance(float(word), float) for word in text.split())
    except ValueError:
        return False


def _read_face(line: int, text: str, row: int, file: int, rows: Rows) -> None:
    values = [float(word) for word in text.split()]
    if len(values) not in (4, 10):
        wanted = "10: x y w h blur expression illumination invalid occlusion pose"
        raise BadEntryError(f"{len(values)} values", wanted)
    x, y, width, height = values[:4]
    box: Box = (x, y, x + width, y + height)
    flags = dict(zip(_FLAGS, values[4:], strict=False))
    for flag, value in flags.items():
        rows.left_out[flag] += flag != "invalid" and value != 0
    rows.object(row, box, _FACE, line, file, flag=DIFFICULT * bool(flags.get("invalid")))


FORMAT = Format("widerface", "WIDER FACE (wider_face_<split>_bbx_gt.txt)", find, read)
