"""Open Images, versions 4 to 7: tables of boxes such as ``train-annotations-bbox.csv``.

The columns are those of its "Data formats" page. Tables are read in blocks: that of training has 14.6 million
rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from masu.data.dataset import CROWD
from masu.data.formats.form import BY_CONTENT, Candidate, Format, Place, as_flag
from masu.data.formats.rows import BadEntryError, Objects, Rows
from masu.data.formats.tree import Tree
from masu.data.splits import role
from masu.errors import bad_input
from masu.regular import open_text, size_of

Array = np.ndarray[Any, Any]

MOST_BYTES = 8_000_000_000
"""Size of a file."""

_FIX = "download it again"
_BLOCK = 10_000
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_NEEDED = ("imageid", "labelname", *_CORNERS)
_LEFT_OUT = {
    "isoccluded": "occluded",
    "istruncated": "truncated",
    "isdepiction": "depiction",
    "isinside": "seen from inside",
}


def find(place: Place) -> Candidate | None:
    """The tables of boxes below a folder, or one of them."""
    files = place.some(place.files(".csv"), _is_boxes)
    return Candidate(tuple(files), BY_CONTENT, place.path.is_file()) if files else None


def _is_boxes(head: bytes) -> bool:
    line = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode("utf-8", "replace")
    return set(_NEEDED) <= _columns(line.split(",")).keys()


def _columns(header: list[str]) -> dict[str, int]:
    return {cell.strip().lower(): at for at, cell in enumerate(header)}


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images that have rows, with their boxes, shares of the image.

    ``IsGroupOf`` boxes are crowds. Classes are the codes, ``/m/…``, or the names that a table
    ``class-descriptions….csv`` (FiftyOne's ``classes.csv``) has for them. Splits are in the files' names, or
    those of their folders. Images are looked for by their names without suffix, in a folder of the split's
    name, in ``images/`` and beside the table.

    Raises:
        InputError: a table that cannot be read.
    """
    rows = Rows(tree, _describe, _describe)
    names = _names(tree)
    for file in candidate.files:
        word = file.stem if role(file.stem) is not None else tree.split_of(file)
        _Table(file, rows, names, None if candidate.options else word).read()
    return rows


def _describe(number: int, name: str) -> str:
    return f"line {number}"


def _names(tree: Tree) -> dict[str, str]:
    """What classes are called, by code; with or without a header."""
    names: dict[str, str] = {}
    for file in tree.files(".csv"):
        if "class-descriptions" in file.name.lower() or file.name == "classes.csv":
            for cells in _lines(file):
                if len(cells) == 2 and cells[0].strip().startswith("/") and cells[1].strip():
                    names.setdefault(cells[0].strip(), cells[1].strip())
    return names


def _lines(file: Path) -> Iterator[list[str]]:
    try:
        if (size := size_of(file)) > MOST_BYTES:
            most = f"at most {MOST_BYTES / 1e9:.0f} GB"
            raise bad_input(file, f"a file of {size / 1e9:.1f} GB", most, _FIX)
        with open_text(file, "utf-8-sig", newline="") as stream:
            yield from csv.reader(stream)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise bad_input(file, f"a table that cannot be read ({error})", "CSV in UTF-8", _FIX) from None


class _Table:
    """One file."""

    def __init__(self, file: Path, rows: Rows, names: dict[str, str], word: str | None) -> None:
        self.file, self.rows, self.names, self.word = file, rows, names, word
        self.number = rows.file(file)
        folders = [
            base / folder
            for base in dict.fromkeys((file.parent, Path(rows.root)))
            for folder in (*_folders(word), "images", "")
        ]
        self.look = rows.look(folders, stem=True)
        self.images: dict[str, int] = {}
        self.codes: dict[str, int] = {}

    def read(self) -> None:
        if self.word is not None:
            self.rows.split(self.word)
        lines = _lines(self.file)
        self.columns = _columns(next(lines, []))
        if missing := [key for key in _NEEDED if key not in self.columns]:
            raise bad_input(self.file, f"no column {missing[0]}", "a table of boxes of Open Images", _FIX)
        self.width = max(self.columns.values()) + 1
        first = 2
        while block := list(islice(lines, _BLOCK)):
            numbers = np.arange(first, first + len(block))
            try:
                self._add(block, numbers)
            except BadEntryError:
                self._one_by_one(block, numbers)
            first += len(block)

    def _one_by_one(self, block: list[list[str]], numbers: Array) -> None:
        for cells, number in zip(block, numbers, strict=True):
            try:
                if cells:
                    self._add([cells], number[None])
            except BadEntryError as error:
                splits = [] if self.word is None else [self.word]
                self.rows.bad(error, self.file, f"line {number}", splits=splits)

    def _add(self, block: list[list[str]], numbers: Array) -> None:
        """The rows of a block; nothing is added where one of them cannot be understood."""
        widths = set(map(len, block))
        if widths != {self.width}:
            raise BadEntryError(f"{min(widths)} columns", f"{self.width}")
        columns = list(zip(*block, strict=True))
        boxes = np.stack([_numbers(key, columns[self.columns[key]]) for key in _CORNERS], 1)
        flags = {key: _flags(key, columns[at]) for key, at in self.columns.items() if key.startswith("is")}
        names = _texts("ImageID", columns[self.columns["imageid"]])
        labels = _texts("LabelName", columns[self.columns["labelname"]])

        new = [name for name in dict.fromkeys(names) if name not in self.images]
        lines = dict(zip(reversed(names), reversed(numbers.tolist()), strict=True))
        row = self.rows.images(
            new,
            self.number,
            self.look,
            np.array([lines[name] for name in new], np.int64),
            np.zeros((len(new), 2), np.int32),
            self.word,
            relative=True,
        )
        self.images.update(zip(new, range(row, row + len(new)), strict=True))
        for label in dict.fromkeys(labels):
            if label not in self.codes:
                self.codes[label] = self.rows.code(self.names.get(label, label))
        crowds = flags.get("isgroupof", np.zeros(len(block), np.bool_))
        self.rows.objects(
            Objects(
                np.array([self.images[name] for name in names], np.int64),
                boxes,
                np.array([self.codes[label] for label in labels], np.int32),
                numbers.astype(np.int64),
                (crowds * CROWD).astype(np.uint8),
                np.full(len(block), np.nan),
                np.full(len(block), self.number, np.int32),
            )
        )
        for key, what in _LEFT_OUT.items():
            self.rows.left_out[what] += int(flags[key].sum()) if key in flags else 0


def _folders(word: str | None) -> list[str]:
    of = role(word) if word is not None else None
    names = [of, "validation" if of == "val" else None]
    return [folder for name in names if name for folder in (f"images/{name}", name)]


def _texts(key: str, cells: tuple[str, ...]) -> list[str]:
    texts = [cell.strip() for cell in cells]
    if not all(texts):
        raise BadEntryError(f"no {key}", "one")
    return texts


def _numbers(key: str, cells: tuple[str, ...]) -> Array:
    try:
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        raise BadEntryError(f"{key} {cells[0][:40]!r}", "a share of the image") from None


def _flags(key: str, cells: tuple[str, ...]) -> Array:
    """Yes or no; -1 stands for unknown."""
    meaning = {text: text.strip() != "-1" and as_flag(text, key) for text in set(cells)}
    return np.array([meaning[text] for text in cells], np.bool_)


FORMAT = Format("openimages", "Open Images (train-annotations-bbox.csv)", find, read)
