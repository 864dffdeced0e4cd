"""What a format is: how it is found, read and written. A new one is one file with a ``FORMAT``.

Formats of other packages are found by the entry point group ``masu.formats``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from masu.data.formats.copying import Copy
from masu.data.formats.editing import LabelFiles
from masu.data.formats.rows import BadEntryError, Rows
from masu.data.formats.tree import Tree
from masu.regular import open_regular, read_bytes, read_text, size_of

SAYS_SO = 0.9
"""Confidence where a file that is made for it describes the whole data set, such as ``data.yaml``."""

BY_CONTENT = 0.8
"""Confidence where the content of the annotation files is that of the format alone."""

BY_LAYOUT = 0.6
"""Confidence where names and folders are those of the format."""

POSSIBLE = 0.4
"""Confidence where it may be, and any other format that fits is likelier."""

_HEAD, _TAIL = 65_536, 4_096
_LONGEST_SIDE = 10_000_000


@dataclass(frozen=True)
class Place:
    """Where a data set is looked for.

    Attributes:
        path: the folder or file.
        tree: the files below the data set's folder.
    """

    path: Path
    tree: Tree
    _heads: dict[Path, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def root(self) -> Path:
        """The folder that no file name may leave."""
        return self.tree.root

    def files(self, *suffixes: str) -> list[Path]:
        """The files with one of the suffixes (small letters): the path itself, or all below it, sorted."""
        if self.path.is_file():
            return [self.path] if self.path.name.lower().endswith(suffixes) else []
        return self.tree.files(*suffixes)

    def head(self, file: Path) -> bytes:
        """The first 64 KB and the last 4 KB of a file; empty where it cannot be read."""
        if file not in self._heads:
            try:
                with open_regular(file) as stream:
                    first = stream.read(_HEAD)
                    stream.seek(max(size_of(file) - _TAIL, len(first)))
                    self._heads[file] = first + stream.read()
            except OSError:
                self._heads[file] = b""
        return self._heads[file]

    def some(self, files: list[Path], fits: Callable[[bytes], bool]) -> list[Path]:
        """The files of the folders in which the first file's head fits; of few files each is looked at."""
        if len(files) <= 64:
            return [file for file in files if fits(self.head(file))]
        first: dict[Path, Path] = {}
        for file in files:
            first.setdefault(file.parent, file)
        good = {folder for folder, file in first.items() if fits(self.head(file))}
        return [file for file in files if file.parent in good]


class Candidate(NamedTuple):
    """A data set of a format, found but not read.

    Attributes:
        files: its annotation files.
        confidence: 0 to 1; of several formats that fit the likeliest is taken.
        options: what the format wants to remember for reading.
    """

    files: tuple[Path, ...]
    confidence: float
    options: Any = None


class Format(NamedTuple):
    """One format.

    Attributes:
        name: for ``--format`` and ``--to``.
        looks: what it looks like, for messages.
        find: what of it is at a place, if anything.
        read: all of it.
        write: a data set in it; None where masu only reads it. See :class:`masu.data.formats.copying.Copy`.
        by_stem: it has a file of labels for each image, named as the image but for the suffix.
        all_in_splits: it has no place for images that no split names, where there are splits.
        drafts_are_labels: what is written of drafts looks like labels, and a list says that it is none; see
            :mod:`masu.data.formats.draft_list`.
        edit: the labels of single photographs below a folder, in the files of a candidate (None: there are
            none yet); None where masu does not change files of this format.
        crowds: its files can say that a box is a crowd region.
    """

    name: str
    looks: str
    find: Callable[[Place], Candidate | None]
    read: Callable[[Candidate, Tree], Rows]
    write: Callable[[Copy], None] | None = None
    by_stem: bool = False
    all_in_splits: bool = False
    drafts_are_labels: bool = True
    edit: Callable[[Path, Candidate | None], LabelFiles] | None = None
    crowds: bool = False


def load_json(file: Path, most_bytes: int) -> Any:
    """The content of a JSON file.

    Raises:
        BadEntryError: for a file that is too large, cannot be read or is no JSON.
    """
    try:
        if (size := size_of(file)) > most_bytes:
            raise BadEntryError(f"a file of {size / 1e6:.0f} MB", f"at most {most_bytes / 1e6:.0f} MB")
        content = read_bytes(file)
    except OSError as error:
        raise BadEntryError(f"unusable JSON ({type(error).__name__}: {error})", "annotations") from None
    return json_of(content)


def json_of(content: bytes) -> Any:
    """The value that the bytes of a JSON file say.

    Raises:
        BadEntryError: for what is no JSON.
    """
    try:
        return json.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except json.JSONDecodeError as error:
        found = f"broken JSON ({error.msg}: line {error.lineno}, column {error.colno})"
        raise BadEntryError(found, "annotations") from None
    except (ValueError, RecursionError) as error:
        raise BadEntryError(f"unusable JSON ({type(error).__name__}: {error})", "annotations") from None


def load_text(file: Path, most_bytes: int) -> str:
    """The content of a text file in UTF-8.

    Raises:
        BadEntryError: for a file that is too large, cannot be read or is no such text.
    """
    try:
        if (size := size_of(file)) > most_bytes:
            raise BadEntryError(f"a file of {size / 1e6:.0f} MB", f"at most {most_bytes / 1e6:.0f} MB")
        return read_text(file)
    except (OSError, UnicodeDecodeError) as error:
        raise BadEntryError(f"a file that cannot be read ({error})", "UTF-8 text") from None


def as_size(height: Any, width: Any) -> tuple[int, int] | None:
    """Height and width of an image in pixels, from numbers or texts; None for what no picture has."""
    try:
        tall, wide = int(float(height)), int(float(width))
    except (TypeError, ValueError, OverflowError):
        return None
    return (tall, wide) if 0 < tall <= _LONGEST_SIDE and 0 < wide <= _LONGEST_SIDE else None


def as_pixels(value: object, what: str) -> float:
    """A number of a JSON file; one beyond any float is infinite.

    Args:
        value: what there is.
        what: its name, for the message.

    Raises:
        BadEntryError: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadEntryError(f"{what} {json.dumps(value)[:40]}", "a number of pixels")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def as_flag(value: object, what: str) -> bool:
    """A yes or no, also as the texts and numbers that tables and languages write; nothing is no.

    Args:
        value: what there is.
        what: its name, for the message.

    Raises:
        BadEntryError: for anything else.
    """
    if value is None:
        return False
    text = str(value).strip().lower()
    if text in ("1", "1.0", "true", "yes", "y", "t"):
        return True
    if text in ("", "0", "0.0", "false", "no", "n", "f", "none", "null"):
        return False
    raise BadEntryError(f"{what} {text[:40]!r}", "0 or 1")
