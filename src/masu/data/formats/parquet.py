"""Hugging Face data sets as Parquet: ``data/train-00000-of-00001.parquet``, images and objects in columns.

The images lie in the files themselves. They are unpacked once, into ``.masu-images`` beside the Parquet file
or, where that cannot be written, below the user's cache folder; from then on they are files like any others.
A file's images are unpacked anew when its size, its time of change or its own table of contents is another.

The names of classes are those of the features that the library ``datasets`` writes into the schema.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.form import BY_CONTENT, POSSIBLE, Candidate, Format, Place, as_flag
from masu.data.formats.rows import BadEntryError, Box, Rows, as_text
from masu.data.formats.tree import Tree, is_image, plain
from masu.data.pixels.headers import read_headers
from masu.data.splits import role
from masu.errors import InputError, bad_input, listed

UNPACKED = ".masu-images"
"""The folder of the unpacked images, beside the Parquet files."""

_MAGIC = b"PAR1"
_IMAGES = ("image", "img", "picture", "photo")
_OBJECTS = ("objects", "object", "annotations", "annotation", "faces", "labels")
_BOXES = ("bbox", "bboxes", "boxes", "box")
_CLASSES = ("category", "categories", "label", "labels", "class", "classes", "category_id", "category_ids")
_SIDES = ("height", "width")
_NOT_CARRIED = ("segmentation", "mask", "keypoints")
_SHARD = re.compile(r"[-_.]\d+-of-\d+$")
_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp"}
_SUFFIXES |= {b"RIFF": ".webp", b"II*\0": ".tif", b"MM\0*": ".tif"}
_IN_A_ROW = 1_000_000  # objects of a row have the numbers row × this + position
_AT_ONCE = 64  # rows, with their images
_LONGEST_NAME = 200
_LARGEST_SHARE = 1.01
_FIX = "download the file again, or save it again with the library datasets"
_NO_NUMBER = "4 numbers: x y width height"


def find(place: Place) -> Candidate | None:
    """The Parquet files with a column of images and one of boxes."""
    files = [file for file in place.files(".parquet") if place.head(file).startswith(_MAGIC)]
    fits = {file: _is_data_set(file, place.head(file)) for file in files}
    good = tuple(file for file in files if fits[file])
    sure = any(fits[file] is not None for file in good)
    return Candidate(good, BY_CONTENT if sure else POSSIBLE, place.path.is_file()) if good else None


def _is_data_set(file: Path, head: bytes) -> bool:
    try:
        return _columns(file) is not None
    except InputError:  # no pyarrow, or a broken file: reading says which
        return any(key.encode() in head for key in _BOXES)


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images of all files with their objects; ``bbox`` is x y width height in pixels.

    The name of a file, else its folder, is the split. Objects may be a struct of lists, a list of structs or
    columns of their own. ``iscrowd`` objects are regions to leave out, ``difficult`` ones difficult. Classes
    are in the order of the features; without features numbers are in theirs and texts in alphabetical order.

    Raises:
        InputError: no pyarrow, a file that cannot be read, images that can be unpacked nowhere, or boxes that
            are not x y width height in pixels.
    """
    rows = Rows(tree, _describe, lambda number, name: f"row {number}")
    kind = _Kind(rows)
    for file in candidate.files:
        columns = _columns(file)
        if columns is None:
            raise bad_input(file, "no columns of images and boxes", "image, and objects with bbox", _FIX)
        word = None if candidate.options else _word(file, tree)
        splits = [] if word is None else [word]
        for one in splits:
            rows.split(one)
        _number_classes(columns.names, rows)
        number, folder = rows.file(file), _unpacked(file, columns)
        look = rows.look([folder, file.parent, Path(tree.root)], stem=True)
        for entry in _entries(file, columns):
            _read_entry(entry, columns, number, look, splits, kind, rows)
    kind.refuse_corners(candidate.files[0])
    if not rows.ids and all(name.isdecimal() and len(name) < 10 for name in rows.classes):
        numbers = {name: int(name) for name in rows.classes}
        if len(set(numbers.values())) == len(numbers):
            rows.ids = numbers
    elif rows.ids:
        for name in sorted(rows.classes.keys() - rows.ids.keys()):
            rows.number_class(name)
    return rows


def _describe(number: int, name: str) -> str:
    return f"row {number // _IN_A_ROW}, object {number % _IN_A_ROW}"


def _word(file: Path, tree: Tree) -> str | None:
    """What the file says of its split: its own name without the number of the shard, or its folder's."""
    stem = _SHARD.sub("", file.stem)
    if role(stem) is None and (folder := tree.split_of(file)) is not None:
        return folder
    return stem if role(stem) is not None or stem != file.stem else None


def _pyarrow(file: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        found = "a Parquet file, and no package to read it"
        raise bad_input(file, found, "the package pyarrow", "pip install 'masu[parquet]'") from None
    return pyarrow


@contextmanager
def _told(file: Path) -> Iterator[Any]:
    """Pyarrow; whatever it says of a broken file is bad input."""
    pa = _pyarrow(file)
    try:
        yield pa
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError) as error:
        found = f"unusable Parquet ({type(error).__name__}: {error})"
        raise bad_input(file, found, "a data set of Hugging Face", _FIX) from None


class _Columns(NamedTuple):
    """Where in a file things are.

    Attributes:
        image: column of images.
        packed: whether it is a struct of ``bytes`` and ``path``; else it is the bytes.
        objects: column of the objects; empty where their parts are columns.
        box: key of the boxes.
        label: key of the classes.
        sizes: columns of the images' height and width; none where they are not known.
        names: class names by their numbers; None where the classes are as they stand.
    """

    image: str
    packed: bool
    objects: str
    box: str
    label: str
    sizes: tuple[str, ...]
    names: tuple[str, ...] | None


def _columns(file: Path) -> _Columns | None:
    """The columns of a file; None where it holds no labelled images.

    Raises:
        InputError: no pyarrow, or a file that cannot be read.
    """
    with _told(file) as pa:
        schema = pa.parquet.read_schema(file)
        images = [field.name for field in schema if _holds_images(field.type, pa)]
        image = next((name for name in _IMAGES if name in images), images[0] if len(images) == 1 else None)
        if image is None:
            return None
        keys: dict[str, list[str]] = {"": list(schema.names)}
        for field in sorted(schema, key=lambda one: one.name not in _OBJECTS):
            inner = field.type.value_type if _is_list(field.type, pa) else field.type
            if pa.types.is_struct(inner):
                keys[field.name] = [inner.field(at).name for at in range(inner.num_fields)]
        for objects in (*(name for name in keys if name), ""):
            box = next((key for key in _BOXES if key in keys[objects]), None)
            label = next((key for key in _CLASSES if key in keys[objects]), None)
            if box is not None and label is not None:
                break
        else:
            return None
        sizes = _SIDES if all(side in schema.names for side in _SIDES) else ()
        packed = pa.types.is_struct(schema.field(image).type)
        names = _class_names(schema.metadata or {}, [key for key in (objects, label) if key])
        return _Columns(image, packed, objects, box, label, sizes, names)


def _is_list(kind: Any, pa: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_binary(kind: Any, pa: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_images(kind: Any, pa: Any) -> bool:
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _is_binary(kind.field(at).type, pa)
    return _is_binary(kind, pa)


def _class_names(metadata: dict[bytes, bytes], path: list[str]) -> tuple[str, ...] | None:
    """The names of a ``ClassLabel`` in the features of the schema."""
    try:
        found = json.loads(metadata.get(b"huggingface", b"null"))
    except (ValueError, RecursionError):
        return None
    for key in ("info", "features", *path):
        found = _inside(found)
        found = found.get(key) if isinstance(found, dict) else None
    found = _inside(found)
    names = found.get("names") if isinstance(found, dict) and found.get("_type") == "ClassLabel" else None
    if isinstance(names, dict):
        names = [names.get(str(number)) for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        return None
    return tuple(as_text(name.strip()) for name in names)


def _inside(feature: Any) -> Any:
    """A feature without the lists around it."""
    for _ in range(8):
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        elif isinstance(feature, dict) and "feature" in feature:
            feature = feature["feature"]
    return feature


def _number_classes(names: tuple[str, ...] | None, rows: Rows) -> None:
    for number, name in enumerate(names or ()):
        rows.number_class(name, number)


class _Entry(NamedTuple):
    """One row: its number from 1, the name of its image's file, and its columns."""

    number: int
    name: str
    values: dict[str, Any]


def _entries(file: Path, columns: _Columns) -> Iterator[_Entry]:
    """The rows of a file, without the images."""
    wanted = [columns.objects] if columns.objects else [columns.box, columns.label]
    wanted += columns.sizes
    names = _names(file, columns)
    for number, values in enumerate(_values(file, wanted, 1024)):
        yield _Entry(number + 1, names[number], values)


def _values(file: Path, columns: list[str], at_once: int) -> Iterator[dict[str, Any]]:
    """Some columns of every row, a few rows at a time."""
    with _told(file) as pa:
        opened = pa.parquet.ParquetFile(file)
        left = opened.metadata.num_rows
        for batch in opened.iter_batches(batch_size=at_once, columns=columns):
            if (left := left - len(batch)) < 0:
                break
            yield from batch.to_pylist()
        if left:
            raise ValueError("not as many rows as it says")


def _names(file: Path, columns: _Columns) -> list[str]:
    """A name for each row's image: the last part of its path, or ``row12``, without a suffix."""
    names: list[str] = []
    taken: set[str] = set()
    with _told(file) as pa:
        field = pa.parquet.read_schema(file).field(columns.image).type
        if columns.packed and field.get_field_index("path") >= 0:
            paths = [one[columns.image] for one in _values(file, [f"{columns.image}.path"], 65_536)]
        else:
            paths = [None] * pa.parquet.read_metadata(file).num_rows
    for number, value in enumerate(paths, start=1):
        path = value.get("path") if isinstance(value, dict) else None
        name = path.replace("\\", "/").rpartition("/")[2] if isinstance(path, str) else ""
        good = is_image(name) and name.isprintable() and ":" not in name
        if not good or len(name.encode()) > _LONGEST_NAME or _stem(name) in taken:
            name = f"row{number}"
            while _stem(name) in taken:
                name += "_"
        taken.add(_stem(name))
        names.append(name)
    return names


def _stem(name: str) -> str:
    return plain(os.path.splitext(name)[0] if is_image(name) else name)


def _unpacked(file: Path, columns: _Columns) -> Path:
    """The folder with a file's images, which are unpacked into it where they are not.

    Raises:
        InputError: where neither the folder of the file nor the user's cache folder can be written.
    """
    name = f"{file.stem[:80]}-{_state(file)}"
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    places = [file.parent / UNPACKED, Path(cache, "masu", "images")]
    for place in places:
        if (place / name).is_dir():
            return place / name
    problems = []
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
        except OSError as error:
            problems.append(f"{place}: {(error.strerror or str(error)).lower()}")
            continue
        try:
            _unpack(file, columns, made)
            made.chmod(0o755)
            try:
                made.rename(place / name)
            except OSError:  # another process was first
                if not (place / name).is_dir():
                    raise
        except OSError as error:
            found = f"images that cannot be unpacked ({(error.strerror or str(error)).lower()})"
            raise bad_input(file, found, f"room for them in {place}", "look at the disk") from None
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return place / name
    found = f"no place for its images ({'; '.join(problems)})"
    raise bad_input(file, found, "a folder that can be written", "copy the data set to such a folder")


def _state(file: Path) -> str:
    """What changes when the file does: its size, its time and its table of contents."""
    with _told(file):
        status = file.stat()
        with file.open("rb") as stream:
            stream.seek(max(0, status.st_size - 8))
            length = int.from_bytes(stream.read(4), "little")
            stream.seek(max(0, status.st_size - 8 - length))
            content = stream.read(length)
        said = f"{status.st_size} {status.st_mtime_ns} ".encode() + content
        return hashlib.sha256(said).hexdigest()[:16]


def _unpack(file: Path, columns: _Columns, folder: Path) -> None:
    names = _names(file, columns)
    column = f"{columns.image}.bytes" if columns.packed else columns.image
    for name, values in zip(names, _values(file, [column], _AT_ONCE), strict=True):
        value = values[columns.image]
        content = value.get("bytes") if isinstance(value, dict) else value
        if content:
            (folder / (name if is_image(name) else name + _suffix(content))).write_bytes(content)


def _suffix(content: bytes) -> str:
    return next((suffix for magic, suffix in _SUFFIXES.items() if content.startswith(magic)), ".png")


class _Kind:
    """What the four numbers of the boxes are: seen over all of them, they may be no x y width height."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._boxes: list[tuple[int, int, tuple[int, int] | None, Box]] | None = []
        self._shares = True

    def look(self, row: int, look: int, size: tuple[int, int] | None, values: Box) -> None:
        """Take a box into account, as its file has it."""
        if not all(map(math.isfinite, values)):
            return
        self._shares &= all(0 <= value <= _LARGEST_SHARE for value in values)
        if self._boxes is not None:
            self._boxes.append((row, look, size, values))
            if not self._shares and not (values[2] > values[0] and values[3] > values[1]):
                self._boxes = None  # no two corners

    def refuse_corners(self, file: Path) -> None:
        """Refuse boxes that are all good as two corners, and not all good as x y width height; and shares.

        Raises:
            InputError: for these.
        """
        if not self._boxes:
            return
        wanted = "x y width height in pixels"
        if self._shares:
            raise bad_input(
                file,
                "bbox values all from 0 to 1: shares of the image, x and y of a corner or of the middle",
                wanted,
                "write bbox in pixels",
            )
        looks = {row: look for row, look, size, _ in self._boxes if size is None}
        found = [self._rows.tree.find(self._rows.names[row], self._rows.looks[looks[row]]) for row in looks]
        headers = read_headers([Path(one.path or "") for one in found])
        known = dict(zip(looks, headers.sizes.tolist(), strict=True))
        over = 0
        for row, _, size, (a, b, c, d) in self._boxes:
            height, width = size or known[row]
            if not (height and width and c > a and d > b and c <= width + 1 and d <= height + 1):
                return
            over += a + c > width + 1 or b + d > height + 1
        if over:
            said = f"{over} of {len(self._boxes)} as x y width height reach outside their image"
            raise bad_input(
                file,
                f"bbox values that look like x1 y1 x2 y2: {said}",
                wanted,
                "save the data set with bbox as x y width height",
            )


def _read_entry(
    entry: _Entry,
    columns: _Columns,
    file: int,
    look: int,
    splits: list[str],
    kind: _Kind,
    rows: Rows,
) -> None:
    size = _size([entry.values.get(side) for side in columns.sizes])
    row = rows.image(entry.name, file, look, number=entry.number, size=size, splits=splits)
    path = rows.files[file]
    try:
        objects = _objects(entry.values, columns)
    except BadEntryError as error:
        rows.bad(error, path, f"row {entry.number}", image=row)
        return
    for at, one in enumerate(objects, start=1):
        place = entry.number * _IN_A_ROW + at
        try:
            values = _four(one.get(columns.box))
            name = _class(one.get(columns.label), columns.names)
            flag = CROWD * as_flag(one.get("iscrowd", one.get("is_crowd")))
            flag |= DIFFICULT * as_flag(one.get("difficult"))
            area = one.get("area")
            area = float(area) if isinstance(area, int | float) else math.nan
        except BadEntryError as error:
            rows.bad(error, path, _describe(place, ""), image=row)
            continue
        if name is None:
            found = f"class {one.get(columns.label)}, known are 0 to {len(columns.names or ()) - 1}"
            rows.fault("unknown-class", path, _describe(place, ""), found, image=row)
            continue
        kind.look(row, look, size, values)
        for key in _NOT_CARRIED:
            rows.left_out[key] += bool(one.get(key))
        x, y, width, height = values
        rows.object(row, (x, y, x + width, y + height), name, place, file, flag=flag, area=area)


def _size(sides: list[Any]) -> tuple[int, int] | None:
    if len(sides) == 2 and all(isinstance(side, int) and 0 < side <= 10**7 for side in sides):
        return sides[0], sides[1]
    return None


def _objects(values: dict[str, Any], columns: _Columns) -> list[dict[str, Any]]:
    """The objects of a row, each with its own values by their keys."""
    content = values.get(columns.objects) if columns.objects else values
    if content is None:
        return []
    if isinstance(content, list):
        return [one if isinstance(one, dict) else {} for one in content]
    boxes, labels = ([] if content.get(key) is None else content[key] for key in (columns.box, columns.label))
    if not isinstance(boxes, list) or not isinstance(labels, list):
        raise BadEntryError(f"{columns.box!r} or {columns.label!r} that is no list", "a list of each")
    if len(boxes) != len(labels):
        raise BadEntryError(f"{len(boxes)} boxes and {len(labels)} classes", "as many of each")
    lists = {key: one for key, one in content.items() if isinstance(one, list) and len(one) == len(boxes)}
    return [{key: one[at] for key, one in lists.items()} for at in range(len(boxes))]


def _four(box: Any) -> Box:
    if not isinstance(box, list) or len(box) != 4:
        raise BadEntryError(f"bbox {box!r}"[:60], _NO_NUMBER)
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in box):
        raise BadEntryError(f"bbox {box!r}"[:60], _NO_NUMBER)
    x, y, width, height = map(float, box)
    return x, y, width, height


def _class(label: Any, names: tuple[str, ...] | None) -> str | None:
    """The name of a class; None for a number that has none."""
    if names is not None and isinstance(label, int) and not isinstance(label, bool):
        return names[label] if 0 <= label < len(names) else None
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
        raise BadEntryError(f"class {label!r}"[:60], "a text or a whole number")
    return str(label).strip()


FORMAT = Format(
    "parquet", f"Parquet of Hugging Face (columns {listed(('image', 'objects'))} with bbox)", find, read
)
