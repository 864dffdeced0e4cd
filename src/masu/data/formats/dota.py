"""DOTA: a text in ``labelTxt/`` for each image of ``images/``, with the four corners of every object.

As https://captain-whu.github.io/DOTA/dataset.html describes it: lines ``imagesource:`` and ``gsd:``, which
may be missing, then ``x1 y1 x2 y2 x3 y3 x4 y4 class difficult`` in pixels.
"""

from __future__ import annotations

from pathlib import Path

from masu.data.dataset import DIFFICULT
from masu.data.formats.form import BY_CONTENT, Candidate, Format, Place, load_text
from masu.data.formats.masks import box_of_points
from masu.data.formats.rows import BadEntryError, Rows
from masu.data.formats.tree import Tree

MOST_BYTES = 64_000_000
"""Size of a file; no picture needs as much."""

_NOTES = ("imagesource:", "gsd:")
_LOOKED_AT = 16
_IMAGES = ("images", "JPEGImages")


def find(place: Place) -> Candidate | None:
    """The texts of every folder of which one of the first is DOTA's; of bare images there are empty ones."""
    folders: dict[Path, list[Path]] = {}
    for file in place.files(".txt"):
        folders.setdefault(file.parent, []).append(file)
    found: list[Path] = []
    for folder, files in folders.items():
        if not any(_is_dota(place.head(file)) for file in files[:_LOOKED_AT]):
            continue
        if folder.name.lower().startswith("labeltxt") or len(files) > _LOOKED_AT:
            found += files
        else:
            found += [file for file in files if _is_dota(head := place.head(file)) or not head.strip()]
    return Candidate(tuple(found), BY_CONTENT) if found else None


def _is_dota(head: bytes) -> bool:
    for line in head.decode("utf-8", "replace").lstrip("\ufeff").splitlines()[:3]:
        if line.startswith(_NOTES[0]):
            return True
        if not line.startswith(_NOTES):
            words = _words(line)
            return len(words) in (9, 10) and _numbers(words[:8]) is not None and _numbers(words[8:9]) is None
    return False


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images with the upright box around each object; a broken file is left out.

    Objects whose last number is not 0 are difficult: left out of training and scoring. An image has the name
    of its text, in ``images/`` beside ``labelTxt/``. Folders that are named as splits are splits.
    """
    rows = Rows(tree, lambda number, name: f"line {number}", lambda number, name: "the file")
    for file in candidate.files:
        word = tree.split_of(file)
        splits = [] if word is None else [word]
        for one in splits:
            rows.split(one)
        number = rows.file(file)
        try:
            lines = load_text(file, MOST_BYTES).split("\n")
        except BadEntryError as error:
            rows.bad(error, file, "the file", splits=splits)
            continue
        row = rows.image(file.stem, number, rows.look(_folders(file, tree, word), stem=True), splits=splits)
        for at, line in enumerate(lines, start=1):
            if not line.strip() or line.lstrip("\ufeff").startswith(_NOTES):
                continue
            try:
                _read_line(line, at, row, number, rows)
            except BadEntryError as error:
                rows.bad(error, file, f"line {at}", image=row)
    return rows


def _folders(file: Path, tree: Tree, word: str | None) -> list[Path]:
    bases = [base for base in (*list(file.parents)[1:3], Path(tree.root)) if tree.holds(base)]
    beside = [base / name for base in bases for name in _IMAGES]
    own = [base / word for base in beside if word is not None]
    return [*own, *beside, *bases, file.parent]


def _read_line(line: str, at: int, row: int, file: int, rows: Rows) -> None:
    words = _words(line)
    values = _numbers(words[:8])
    if len(words) < 9 or values is None:
        raise BadEntryError(f"{line.strip()[:60]!r}", "x1 y1 x2 y2 x3 y3 x4 y4 class difficult")
    difficult = len(words) > 9 and words[-1].isdecimal()
    name = " ".join(words[8:-1] if difficult else words[8:])
    flag = DIFFICULT * (difficult and words[-1].strip("0") != "")
    box = box_of_points(list(zip(values[0::2], values[1::2], strict=True)))
    rows.left_out["rotated boxes"] += 1
    rows.object(row, box, name, at, file, flag=flag)


def _words(line: str) -> list[str]:
    return line.replace(",", " ").split()


def _numbers(words: list[str]) -> list[float] | None:
    try:
        return [float(word) for word in words]
    except ValueError:
        return None


FORMAT = Format("dota", "DOTA (labelTxt/*.txt and images/)", find, read)
