"""The images within a Parquet file of Hugging Face, unpacked once into files of their own.

They go into ``.masu-images`` beside the Parquet file or, where that cannot be written, below the user's cache
folder. A file's images are unpacked anew when its size, its time of change or its own table of contents is
another.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from masu.atomic import folder_whole, new_file, workshop
from masu.data.formats.parquet_columns import Columns, told, values_of
from masu.data.formats.tree import is_image, plain
from masu.errors import bad_input
from masu.regular import open_regular

UNPACKED = ".masu-images"
"""The folder of the unpacked images, beside the Parquet files."""

_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp"}
_SUFFIXES |= {b"RIFF": ".webp", b"II*\0": ".tif", b"MM\0*": ".tif"}
_AT_ONCE = 64  # rows, with their images
_LONGEST_NAME = 200


def unpacked(file: Path, columns: Columns) -> Path:
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
            with workshop(place / name):
                pass
        except OSError as error:
            problems.append(f"{place}: {(error.strerror or str(error)).lower()}")
            continue
        try:
            with folder_whole(place / name) as made:
                _unpack(file, columns, made)
        except OSError as error:
            if not (place / name).is_dir():  # else another process was first
                found = f"images that cannot be unpacked ({(error.strerror or str(error)).lower()})"
                raise bad_input(file, found, f"room for them in {place}", "look at the disk") from None
        return place / name
    found = f"no place for its images ({'; '.join(problems)})"
    raise bad_input(file, found, "a folder that can be written", "copy the data set to such a folder")


def _state(file: Path) -> str:
    """What changes when the file does: its size, its time and its table of contents."""
    with told(file):
        status = file.stat()
        with open_regular(file) as stream:
            stream.seek(max(0, status.st_size - 8))
            length = int.from_bytes(stream.read(4), "little")
            stream.seek(max(0, status.st_size - 8 - length))
            content = stream.read(length)
        said = f"{status.st_size} {status.st_mtime_ns} ".encode() + content
        return hashlib.sha256(said).hexdigest()[:16]


def _unpack(file: Path, columns: Columns, folder: Path) -> None:
    names = names_of(file, columns)
    column = f"{columns.image}.bytes" if columns.packed else columns.image
    for name, values in zip(names, values_of(file, [column], _AT_ONCE), strict=True):
        value = values[columns.image]
        content = value.get("bytes") if isinstance(value, dict) else value
        if content:
            new_file(folder / (name if is_image(name) else name + _suffix(content)), content)


def _suffix(content: bytes) -> str:
    return next((suffix for magic, suffix in _SUFFIXES.items() if content.startswith(magic)), ".png")


def names_of(file: Path, columns: Columns) -> list[str]:
    """A name for each row's image: the last part of its path, or ``row12``, without a suffix."""
    names: list[str] = []
    taken: set[str] = set()
    with told(file) as pa:
        field = pa.parquet.read_schema(file).field(columns.image).type
        if columns.packed and field.get_field_index("path") >= 0:
            paths = [one[columns.image] for one in values_of(file, [f"{columns.image}.path"], 65_536)]
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
