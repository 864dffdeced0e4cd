"""Tables with one row per object: ``file,x1,y1,x2,y2,class`` and its relatives, with or without header."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from masu.data.dataset import Fault
from masu.data.reading import (
    UNLISTED,
    USUAL_SPLITS,
    BadEntryError,
    Box,
    Contents,
    Marked,
    Picture,
    Reader,
    Source,
    find_image,
    joined,
    refuse_leaving,
    split_order,
)
from masu.errors import bad_input, listed

MOST_BYTES = 1_000_000_000
"""Size of a file."""

_FIX = "correct the file or export it again"
_COLUMNS = {
    "file": ("file", "filename", "file_name", "image", "image_path", "path", "img", "image_name", "image_id"),
    "class": ("class", "label", "class_name", "name", "category", "label_name", "object"),
    "x1": ("x1", "xmin", "x_min", "left"),
    "y1": ("y1", "ymin", "y_min", "top"),
    "x2": ("x2", "xmax", "x_max", "right"),
    "y2": ("y2", "ymax", "y_max", "bottom"),
    "x": ("x", "bbox_x", "box_x"),
    "y": ("y", "bbox_y", "box_y"),
    "w": ("w", "bbox_w", "bbox_width", "box_w", "width"),
    "h": ("h", "bbox_h", "bbox_height", "box_h", "height"),
    "ignored": ("ignored", "iscrowd", "difficult", "is_crowd"),
    "split": ("split", "set", "subset"),
}
"""Names of columns, small letters, that mean the same."""

_CORNERS, _SIDES = ("x1", "y1", "x2", "y2"), ("x", "y", "w", "h")


def find(path: Path) -> Source | None:
    """The table itself, or the tables of a folder that have the columns of one."""
    if path.is_file():
        return _source(path.absolute().parent, [path]) if _is_table(path) else None
    files = [file for file in sorted(path.iterdir()) if file.is_file() and _is_table(file)]
    return _source(path, files) if files else None


def read(source: Source, split: str | None) -> Contents:
    """The images and objects of a split, or of all tables; a row of empty numbers is an image without any.

    An image in several tables or splits has the objects of them all; one that two of them have alike counts
    once. Rows whose split is empty are in none. Classes are in alphabetical order, those of all splits.
    Images are looked for beside the table, in ``images/``, ``JPEGImages/`` and folders of the split's name.

    Raises:
        InputError: a table that cannot be read, or an image outside of the data set.
    """
    if not source.parsed:
        source.parsed["tables"] = [_Table(file) for file in source.files]
    tables: list[_Table] = source.parsed["tables"]
    names = tuple(sorted({row.name for table in tables for row in table.rows if row.name}))
    faults: list[Fault] = []
    rows: dict[tuple[Path, Path, str], list[Marked]] = {}
    for table in tables:
        own = source.splits.get(split or "") == table.file
        if split == UNLISTED:
            own = table.file not in source.splits.values()
        faults += table.faults if split is None or own or table.has_splits else []
        folders = _folders(table.file, source.root, split)
        missing: set[str] = set()
        for row in table.rows:
            if split is not None and (row.split != split if table.has_splits else not own):
                continue
            refuse_leaving(row.file, table.file, row.where, source.root)
            image = find_image(row.file, folders)
            if image is None:
                if row.file not in missing:
                    missing.add(row.file)
                    looked = listed(str(folder) for folder in folders)
                    found = f"no such file {row.file}, looked in {looked}"
                    faults.append(Fault("missing-image", table.file, row.where, found, "skipped"))
                continue
            objects = rows.setdefault((image, table.file, row.split), [])
            if row.box is not None:
                objects.append(Marked(row.where, row.box, row.name, row.ignored))
    pictures = (Picture(image, file, None, objects) for (image, file, _), objects in rows.items())
    return Contents(joined(pictures, faults), names, tuple(range(1, len(names) + 1)), faults)


READER = Reader("csv", "CSV (a table with file, x1, y1, x2, y2, class)", find, read, has_unlisted=True)


@dataclass(frozen=True)
class _Row:
    where: str
    file: str
    box: Box | None
    name: str
    ignored: bool
    split: str


class _Table:
    """One file, its rows understood or told as faults."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.rows: list[_Row] = []
        if (size := file.stat().st_size) > MOST_BYTES:
            raise bad_input(
                file, f"a file of {size / 1e9:.1f} GB", "at most 1 GB", "cut it into several files"
            )
        rows = _lines(file)
        _, first = next(rows, (0, []))
        columns = _columns(first)
        if not columns:
            columns = {"file": 0, "x1": 1, "y1": 2, "x2": 3, "y2": 4, "class": 5}
            self._add(1, first, columns)
        self.has_splits = "split" in columns
        for number, cells in rows:
            if any(cell.strip() for cell in cells):
                self._add(number, cells, columns)

    def _add(self, number: int, cells: list[str], columns: dict[str, int]) -> None:
        where = f"line {number}"
        try:
            if len(cells) <= max(columns[key] for key in columns if key not in ("ignored", "split")):
                raise BadEntryError(f"{len(cells)} columns", f"{max(columns.values()) + 1}")
            self.rows.append(_row(where, {key: cells[at] for key, at in columns.items() if at < len(cells)}))
        except BadEntryError as error:
            self.faults.append(error.fault(self.file, where))


def _row(where: str, cells: dict[str, str]) -> _Row:
    file = cells["file"].strip()
    if not file:
        raise BadEntryError("no file name", "the name of an image")
    keys = _CORNERS if "x1" in cells else _SIDES
    texts = [cells[key].strip() for key in keys]
    ignored = cells.get("ignored", "").strip().lower() in ("1", "true", "yes")
    split = cells.get("split", "").strip()
    if not any(texts):
        return _Row(where, file, None, "", False, split)
    values = []
    for key, text in zip(keys, texts, strict=True):
        try:
            values.append(float(text))
        except ValueError:
            raise BadEntryError(f"{key} {text[:40]!r}", "a number of pixels") from None
    if not cells["class"].strip():
        raise BadEntryError("no class", "the name of a class")
    a, b, c, d = values
    box = (a, b, c, d) if keys is _CORNERS else (a, b, a + c, b + d)
    return _Row(where, file, box, cells["class"], ignored, split)


def _columns(header: list[str]) -> dict[str, int]:
    """Where each column is; empty where the row is no header."""
    names = [cell.strip().lower().replace(" ", "_") for cell in header]
    found = {
        key: names.index(name)
        for key, known in _COLUMNS.items()
        for name in known
        if name in names and name == next(n for n in known if n in names)
    }
    corners = all(key in found for key in _CORNERS)
    if not {"file", "class"} <= found.keys() or not (corners or all(key in found for key in _SIDES)):
        return {}
    return {key: at for key, at in found.items() if key not in (_SIDES if corners else _CORNERS)}


def _looks_like_a_row(cells: list[str]) -> bool:
    """``path,x1,y1,x2,y2,class`` without a header: numbers, or nothing, in the middle."""
    return len(cells) == 6 and all(not cell.strip() or _is_number(cell) for cell in cells[1:5])


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            for cells in reader:
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise bad_input(file, f"a table that cannot be read ({error})", "CSV in UTF-8", _FIX) from None


def _is_table(file: Path) -> bool:
    if file.suffix.lower() not in (".csv", ".tsv"):
        return False
    try:
        with file.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
            first = stream.readline(100_000)
    except OSError:
        return False
    cells = next(csv.reader([first], delimiter=max(",;\t", key=first.count)), [])
    return bool(_columns(cells)) or _looks_like_a_row(cells)


def _source(root: Path, files: list[Path]) -> Source:
    by_stem = {file.stem: file for file in files if file.stem in USUAL_SPLITS}
    source = Source(root, {}, tuple(files))
    if by_stem and len(by_stem) == len(files):
        return Source(root, {name: by_stem[name] for name in split_order(by_stem)}, source.files)
    tables = source.parsed["tables"] = [_Table(file) for file in files]
    found = {row.split: table.file for table in tables if table.has_splits for row in table.rows if row.split}
    return Source(root, {name: found[name] for name in split_order(found)}, source.files, source.parsed)


def _folders(file: Path, root: Path, split: str | None) -> tuple[Path, ...]:
    names = dict.fromkeys((split or file.stem, file.stem, "images", "JPEGImages"))
    folders = [base / name for base in (file.parent, root) for name in names]
    folders += [base / "images" / name for base in (file.parent, root) for name in names]
    every = dict.fromkeys((file.parent, root, *folders))
    return tuple(folder for folder in every if folder.is_dir())
