"""Tables with one row per object: ``file,x1,y1,x2,y2,class`` and its relatives, with or without header.

Numbers are pixels; a table whose corners all lie between 0 and 1 holds shares of the image, as Open Images'.
"""

from __future__ import annotations

import csv
import math
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from masu.data.dataset import Fault
from masu.data.formats.reading import (
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
from masu.data.pixels.bands import image_size
from masu.data.pixels.pictures import UnreadableImageError
from masu.errors import InputError, bad_input, listed

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
    "width": ("image_width", "img_width", "width"),
    "height": ("image_height", "img_height", "height"),
    "ignored": ("ignored", "iscrowd", "difficult", "is_crowd"),
    "split": ("split", "set", "subset"),
}
"""Names of columns, small letters, that mean the same."""

_CORNERS, _SIDES = ("x1", "y1", "x2", "y2"), ("x", "y", "w", "h")
_OPTIONAL = ("width", "height", "ignored", "split")
_SEPARATORS = ",;\t|"
_LARGEST_SHARE = 1.01  # boxes of rounded shares may end a little outside


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
    Columns ``width`` and ``height`` beside the box's corners are the size of the image, unless they are that
    of every box.

    Raises:
        InputError: a table that cannot be read, or an image outside of the data set.
    """
    if not source.parsed:
        source.parsed["tables"] = [_Table(file) for file in source.files]
    tables: list[_Table] = source.parsed["tables"]
    names = tuple(sorted({row.name for table in tables for row in table.rows if row.name}))
    faults: list[Fault] = []
    rows: dict[tuple[Path, Path, str], list[Marked]] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    for table in tables:
        own = source.splits.get(split or "") == table.file
        if split == UNLISTED:
            own = table.file not in source.splits.values()
        faults += table.faults if split is None or own or table.has_splits else []
        folders_of = {
            one: _folders(table.file, source.root, one or split) for one in {r.split for r in table.rows}
        }
        missing: set[str] = set()
        upright: dict[Path, tuple[int, int] | None] = {}
        for row in table.rows:
            if split is not None and (row.split != split if table.has_splits else not own):
                continue
            refuse_leaving(row.file, table.file, row.where, source.root)
            folders = folders_of[row.split]
            image = find_image(row.file, folders)
            if image is None:
                if row.file not in missing:
                    missing.add(row.file)
                    looked = listed(str(folder) for folder in folders)
                    found = f"no such file {row.file}, looked in {looked}"
                    faults.append(Fault("missing-image", table.file, row.where, found, "skipped"))
                continue
            if table.shares and image not in upright:
                try:
                    upright[image] = image_size(image)
                except UnreadableImageError as error:
                    upright[image] = None
                    faults.append(Fault("unreadable-image", image, "image", error.found, "skipped"))
            if table.shares and upright[image] is None:
                continue
            objects = rows.setdefault((image, table.file, row.split), [])
            if row.size is not None and sizes.setdefault(image, row.size) != row.size:
                (height, width), (first_height, first_width) = row.size, sizes[image]
                found = f"{width}×{height} pixels, {first_width}×{first_height} in an earlier row"
                faults.append(Fault("wrong-size", table.file, row.where, found, "kept"))
            if row.box is not None:
                box = _scaled(row.box, upright.get(image) or (1, 1))
                objects.append(Marked(row.where, box, row.name, row.ignored))
    pictures = (Picture(image, file, sizes.get(image), own) for (image, file, _), own in rows.items())
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
    size: tuple[int, int] | None


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
        self._width = len(first)
        if not columns:
            columns = {"file": 0, "x1": 1, "y1": 2, "x2": 3, "y2": 4, "class": 5}
            self._width = 6
            self._add(1, first, columns)
        self.has_splits = "split" in columns
        for number, cells in rows:
            if any(cell.strip() for cell in cells):
                self._add(number, cells, columns)
        sized = [(row.size, row.box) for row in self.rows if row.size is not None and row.box is not None]
        if sized and all(_is_size_of_box(size, box) for size, box in sized):
            self.rows = [replace(row, size=None) for row in self.rows]
        self.shares = self._are_shares("x1" in columns)

    def _are_shares(self, corners: bool) -> bool:
        boxes = [row.box for row in self.rows if row.box is not None and all(map(math.isfinite, row.box))]
        if not corners:
            boxes = [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]
        if not boxes or not all(
            1 - _LARGEST_SHARE <= value <= _LARGEST_SHARE for box in boxes for value in box
        ):
            return False
        if not corners:
            raise bad_input(
                self.file,
                "x, y, w and h all from 0 to 1: shares of the image, x and y of a corner or of the middle",
                "pixels, or shares as x1, y1, x2, y2",
                "write the corners",
            )
        found = "x1, y1, x2 and y2 all from 0 to 1"
        self.faults.append(Fault("shares", self.file, "the file", found, "taken for shares of the image"))
        return True

    def _add(self, number: int, cells: list[str], columns: dict[str, int]) -> None:
        where = f"line {number}"
        try:
            if len(cells) <= max(columns[key] for key in columns if key not in _OPTIONAL):
                raise BadEntryError(f"{len(cells)} columns", f"{self._width}")
            if any(cell.strip() for cell in cells[self._width :]):
                wanted = f"{self._width}, with quotes around a text that holds the separator"
                raise BadEntryError(f"{len(cells)} columns", wanted)
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
    split, size = cells.get("split", "").strip(), _size(cells)
    if not any(texts):
        return _Row(where, file, None, "", False, split, size)
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
    return _Row(where, file, box, cells["class"], ignored, split, size)


def _size(cells: dict[str, str]) -> tuple[int, int] | None:
    try:
        height, width = (int(float(cells.get(side, ""))) for side in ("height", "width"))
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _is_size_of_box(size: tuple[int, int], box: Box) -> bool:
    return abs(box[2] - box[0] - size[1]) <= 1 and abs(box[3] - box[1] - size[0]) <= 1


def _scaled(box: Box, size: tuple[int, int]) -> Box:
    height, width = size
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height


def _known(header: list[str]) -> dict[str, int]:
    """Where each column of a known name is."""
    names = [cell.strip().lower().replace(" ", "_") for cell in header]
    return {
        key: names.index(name)
        for key, known in _COLUMNS.items()
        for name in known
        if name in names and name == next(n for n in known if n in names)
    }


def _columns(header: list[str]) -> dict[str, int]:
    """Where each column that counts is; empty where the row is no header."""
    found = _known(header)
    corners = all(key in found for key in _CORNERS)
    if not {"file", "class"} <= found.keys() or not (corners or all(key in found for key in _SIDES)):
        return {}
    used = {key: at for key, at in found.items() if key not in (_SIDES if corners else _CORNERS)}
    if used.get("w") == used.get("width") or used.get("h") == used.get("height"):
        used = {key: at for key, at in used.items() if key not in ("width", "height")}
    return used


def near_miss(path: Path) -> InputError | None:
    """What a table lacks that is named outright, or one of a folder with two columns of known names."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    for file in files:
        if file.suffix.lower() not in (".csv", ".tsv") or not file.is_file():
            continue
        header = _header(file)
        known = _known(header)
        if file != path and len(known) < 2:
            continue
        box = min(_CORNERS, _SIDES, key=lambda keys: sum(key not in known for key in keys))
        missing = [key for key in ("file", *box, "class") if key not in known]
        wanted = "; ".join(f"{key} or {listed(_COLUMNS[key][1:], 6)}" for key in missing)
        found = f"no column for {listed(missing)} (its columns: {listed(header, 12)})"
        return bad_input(file, found, wanted, "rename its columns")
    return None


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
        with file.open(encoding=_encoding(file), newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = max(_SEPARATORS, key=first.count)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            for cells in reader:
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise bad_input(file, f"a table that cannot be read ({error})", "CSV in UTF-8", _FIX) from None


def _encoding(file: Path) -> str:
    with file.open("rb") as stream:
        return "utf-16" if stream.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"


def _header(file: Path) -> list[str]:
    """The cells of the first line; none where it cannot be read."""
    try:
        with file.open(encoding=_encoding(file), newline="", errors="replace") as stream:
            first = stream.readline(100_000)
    except OSError:
        return []
    return next(csv.reader([first], delimiter=max(_SEPARATORS, key=first.count)), [])


def _is_table(file: Path) -> bool:
    if file.suffix.lower() not in (".csv", ".tsv"):
        return False
    cells = _header(file)
    return bool(_columns(cells)) or _looks_like_a_row(cells)


def _source(root: Path, files: list[Path]) -> Source:
    by_stem = {file.stem: file for file in files if file.stem in USUAL_SPLITS}
    source = Source(root, {}, tuple(files))
    whole = len(by_stem) == len(files)
    if by_stem and (whole or not any(_Table(file).has_splits for file in files)):
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
