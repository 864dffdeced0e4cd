"""Tables with one row per object: ``file,x1,y1,x2,y2,class`` and its relatives, with or without header.

Numbers are pixels; where all corners lie between 0 and 1 they are shares of the image.
"""

from __future__ import annotations

import csv
import math
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.copying import Copy
from masu.data.formats.form import POSSIBLE, Candidate, Format, Place, as_flag, as_size
from masu.data.formats.rows import BadEntryError, Box, Rows
from masu.data.formats.tree import Tree
from masu.data.splits import ROLES, role
from masu.errors import InputError, bad_input, listed
from masu.regular import open_regular, open_text, size_of

MOST_BYTES = 4_000_000_000
"""Size of a file."""

_FIX = "correct the file or export it again"
_COLUMNS = {
    "file": (
        *("file", "filename", "file_name", "image", "image_path", "path", "img", "image_name", "image_id"),
        *("img_name", "img_path", "imagename", "filepath"),
    ),
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
    "ignored": ("ignored", "iscrowd", "is_crowd"),
    "difficult": ("difficult",),
    "split": ("split", "set", "subset"),
}
"""Names of columns, small letters, that mean the same."""

_CORNERS, _SIDES = ("x1", "y1", "x2", "y2"), ("x", "y", "w", "h")
_OPTIONAL = ("width", "height", "ignored", "difficult", "split")
_SEPARATORS = ",;\t|"
_LARGEST_SHARE = 1.01  # boxes of rounded shares may end a little outside


def find(place: Place) -> Candidate | None:
    """The table itself, or the tables below a folder that have the columns of one."""
    files = [file for file in place.files(".csv", ".tsv") if _is_table(file)]
    return Candidate(tuple(files), POSSIBLE, place.path.is_file()) if files else None


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images and objects of all tables; a row of empty numbers is an image without any.

    Splits are the column for them, else the tables' names or folders. Rows whose split is empty are in none.
    Classes are in alphabetical order. Images are looked for beside the table, in ``images/``, ``JPEGImages/``
    and folders of the split's name. Columns ``width`` and ``height`` beside the box's corners are the size of
    the image, unless they are that of every box.

    Raises:
        InputError: a table that cannot be read, or shares whose meaning cannot be told.
    """
    rows = Rows(tree, _describe, _describe)
    tables = [_Table(file) for file in candidate.files]
    shares = _are_shares(tables)
    for table in tables:
        word = None
        if not table.has_splits and not candidate.options:
            word = table.file.stem if role(table.file.stem) is not None else tree.split_of(table.file)
        if word is not None:
            rows.split(word)
        number = rows.file(table.file)
        for line, error in table.faults:
            rows.bad(error, table.file, f"line {line}", splits=[] if word is None else [word])
        if shares and any(row.box is not None for row in table.rows):
            found = "x1, y1, x2 and y2 all from 0 to 1"
            rows.fault("shares", table.file, "the file", found, "taken for shares of the image")
        images: dict[tuple[str, str], int] = {}
        sizes: dict[tuple[str, str], tuple[int, int]] = {}
        for row in table.rows:
            split = row.split if table.has_splits else word
            key = (row.file, split or "")
            if key not in images:
                look = rows.look(_folders(table.file, Path(tree.root), split), stem=True)
                words = [split] if split else []
                images[key] = rows.image(
                    row.file, number, look, number=row.line, size=row.size, splits=words, relative=shares
                )
            if row.size is not None and sizes.setdefault(key, row.size) != row.size:
                (height, width), (first_height, first_width) = row.size, sizes[key]
                found = f"{width}×{height} pixels, {first_width}×{first_height} in an earlier row"
                rows.fault("wrong-size", table.file, f"line {row.line}", found, "kept", image=images[key])
            if row.box is not None:
                rows.object(images[key], row.box, row.name, row.line, number, flag=row.flag)
    return rows


def _describe(number: int, name: str) -> str:
    return f"line {number}"


@dataclass(frozen=True)
class _Row:
    line: int
    file: str
    box: Box | None
    name: str
    flag: int
    split: str
    size: tuple[int, int] | None


class _Table:
    """One file, its rows understood or told as faults."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.faults: list[tuple[int, BadEntryError]] = []
        self.rows: list[_Row] = []
        if (size := _size(file)) > MOST_BYTES:
            raise bad_input(
                file, f"a file of {size / 1e9:.1f} GB", "at most 4 GB", "cut it into several files"
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
        self.corners = "x1" in columns
        for number, cells in rows:
            if any(cell.strip() for cell in cells):
                self._add(number, cells, columns)
        sized = [(row.size, row.box) for row in self.rows if row.size is not None and row.box is not None]
        if sized and all(_is_size_of_box(size, box) for size, box in sized):
            self.rows = [replace(row, size=None) for row in self.rows]

    def _add(self, number: int, cells: list[str], columns: dict[str, int]) -> None:
        try:
            if len(cells) <= max(columns[key] for key in columns if key not in _OPTIONAL):
                raise BadEntryError(f"{len(cells)} columns", f"{self._width}")
            if any(cell.strip() for cell in cells[self._width :]):
                wanted = f"{self._width}, with quotes around a text that holds the separator"
                raise BadEntryError(f"{len(cells)} columns", wanted)
            self.rows.append(_row(number, {key: cells[at] for key, at in columns.items() if at < len(cells)}))
        except BadEntryError as error:
            self.faults.append((number, error))


def _are_shares(tables: list[_Table]) -> bool:
    """Whether all numbers of all tables lie between 0 and 1."""
    for table in tables:
        boxes = [row.box for row in table.rows if row.box is not None and all(map(math.isfinite, row.box))]
        if not table.corners:
            boxes = [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]
        if any(not 1 - _LARGEST_SHARE <= value <= _LARGEST_SHARE for box in boxes for value in box):
            return False
        if boxes and not table.corners:
            raise bad_input(
                table.file,
                "x, y, w and h all from 0 to 1: shares of the image, x and y of a corner or of the middle",
                "pixels, or shares as x1, y1, x2, y2",
                "write the corners",
            )
    return any(row.box is not None for table in tables for row in table.rows)


def _row(line: int, cells: dict[str, str]) -> _Row:
    file = cells["file"].strip()
    if not file:
        raise BadEntryError("no file name", "the name of an image")
    keys = _CORNERS if "x1" in cells else _SIDES
    texts = [cells[key].strip() for key in keys]
    ignored, difficult = (as_flag(cells.get(key), key) for key in ("ignored", "difficult"))
    flag = CROWD * ignored | DIFFICULT * difficult
    split, size = cells.get("split", "").strip(), as_size(cells.get("height"), cells.get("width"))
    if not any(texts):
        return _Row(line, file, None, "", 0, split, size)
    values = []
    for key, text in zip(keys, texts, strict=True):
        try:
            values.append(float(text))
        except ValueError:
            raise BadEntryError(f"{key} {text[:40]!r}", "a number of pixels") from None
    if not (name := cells["class"].strip()):
        raise BadEntryError("no class", "the name of a class")
    a, b, c, d = values
    box = (a, b, c, d) if keys is _CORNERS else (a, b, a + c, b + d)
    return _Row(line, file, box, name, flag, split, size)


def _is_size_of_box(size: tuple[int, int], box: Box) -> bool:
    return abs(box[2] - box[0] - size[1]) <= 1 and abs(box[3] - box[1] - size[0]) <= 1


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


def near_miss(place: Place) -> InputError | None:
    """What a table lacks that is named outright, or one of a folder with two columns of known names."""
    for file in place.files(".csv", ".tsv"):
        header = _header(file)
        known = _known(header)
        if file != place.path and len(known) < 2:
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


def _size(file: Path) -> int:
    try:
        return size_of(file)
    except OSError as error:
        raise bad_input(file, f"a table that cannot be read ({error})", "CSV in UTF-8", _FIX) from None


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with open_text(file, _encoding(file), newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = max(_SEPARATORS, key=first.count)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            for cells in reader:
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise bad_input(file, f"a table that cannot be read ({error})", "CSV in UTF-8", _FIX) from None


def _encoding(file: Path) -> str:
    with open_regular(file) as stream:
        return "utf-16" if stream.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"


def _header(file: Path) -> list[str]:
    """The cells of the first line; none where it cannot be read."""
    try:
        with open_text(file, _encoding(file), newline="", errors="replace") as stream:
            first = stream.readline(100_000)
    except OSError:
        return []
    try:
        return next(csv.reader([first], delimiter=max(_SEPARATORS, key=first.count)), [])
    except csv.Error:
        return []


def _is_table(file: Path) -> bool:
    cells = _header(file)
    return bool(_columns(cells)) or _looks_like_a_row(cells)


def _folders(file: Path, root: Path, split: str | None) -> list[Path]:
    words = (split, role(split) if split else None, file.stem, "images", "JPEGImages")
    names = list(dict.fromkeys(filter(None, words)))
    folders = [base / name for base in (file.parent, root) for name in names]
    folders += [base / "images" / name for base in (file.parent, root) for name in names]
    return [file.parent, root, *folders]


def write(copy: Copy) -> None:
    """``<split>.csv`` (``annotations.csv``) with file, x1, y1, x2, y2, class, ignored, and ``images/``.

    Where splits have other names than the usual ones, or images are in none, one table with a column for the
    split. Where objects are difficult, or annotations claim other sizes than their images', there are columns
    for these.
    """
    copy.say_unordered()
    copy.say_not_coco()
    data = copy.data
    parts = copy.parts()
    own_tables = [split for split, _ in parts] == [None] or all(split in ROLES for split, _ in parts)
    difficult = bool((data.flags & DIFFICULT).any())
    columns = ["file", "x1", "y1", "x2", "y2", "class", "ignored"]
    claimed = bool(data.claimed.any())
    columns += ["difficult"] * difficult + ["image_width", "image_height"] * claimed
    columns += ["split"] * (not own_tables)
    tables: dict[str, list[list[object]]] = {}
    for split, indices in parts:
        table = tables.setdefault(split if own_tables and split else "annotations", [list(columns)])
        if not own_tables and not indices:
            copy.say(f"CSV has no place for a split without images: {split} is left out")
        for index in indices:
            name = f"images/{copy.image(index, 'images')}"
            objects = list(copy.objects(index))
            last: list[object] = [*reversed(copy.said_size(index))] if claimed else []
            last += [] if own_tables else [split or ""]
            if not objects:
                table.append([name, "", "", "", "", "", "", *[""] * difficult, *last])
            for row in objects:
                flags = [int(data.flags[row] & CROWD != 0)] + [
                    int(data.flags[row] & DIFFICULT != 0)
                ] * difficult
                table.append([name, *map(repr, data.boxes[row].tolist()), copy.name_of(row), *flags, *last])
    for name, lines in tables.items():
        with copy.stream(f"{name}.csv") as stream:
            csv.writer(stream).writerows(lines)
    copy.put_strays("images")


FORMAT = Format("csv", "CSV (a table with file, x1, y1, x2, y2, class)", find, read, write)
