"""What was found in a film as rows that are written as they come: JSON lines, CSV, Parquet, MOT Challenge."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TextIO

from masu.errors import bad_input
from masu.films.watching import Seen
from masu.json_text import to_json
from masu.results import record

if TYPE_CHECKING:
    import pyarrow

SUFFIXES = {"jsonl": ".jsonl", "csv": ".csv", "parquet": ".parquet", "mot": ".mot.txt"}
"""What the file of each format is called, after the film's name."""

TEXTS = ("jsonl", "csv", "mot")
"""Formats that are text, and can go to standard output."""

CSV_COLUMNS = ("film", "frame", "seconds", "track", "x1", "y1", "x2", "y2", "score", "label", "name")
"""Columns of CSV and Parquet: one row for each box."""

_GROUP = 20_000
"""Rows of a Parquet file that are held until they are written together."""


class Rows(Protocol):
    """Takes one frame after the other."""

    def add(self, seen: Seen) -> None:
        """Write what was found in a frame."""


class _Lines:
    """A text for each frame, the first one after a heading."""

    def __init__(
        self, write: Callable[[str], object], text: Callable[[str, Seen], str], film: str, heading: str
    ) -> None:
        self._write, self._text, self._film, self._heading = write, text, film, heading

    def add(self, seen: Seen) -> None:
        text, self._heading = self._heading + self._text(self._film, seen), ""
        if text:
            self._write(text.encode(errors="backslashreplace").decode())


class _Parquet:
    """Rows in groups, so that memory does not grow with the film."""

    def __init__(self, file: BinaryIO, film: str, made: ExitStack) -> None:
        self._pa = _require_pyarrow()
        self._file, self._made = file, made
        self._film = film.encode(errors="backslashreplace").decode()
        self._rows: list[tuple[Any, ...]] = []
        self._writer: Any = None

    def add(self, seen: Seen) -> None:
        if self._writer is None:
            self._writer = self._pa.parquet.ParquetWriter(self._file, self._schema(), compression="zstd")
            self._made.callback(self._closed)
        self._rows += box_rows(self._film, seen)
        if len(self._rows) >= _GROUP:
            self._write()

    def _closed(self) -> None:
        self._write()
        self._writer.close()

    def _schema(self) -> pyarrow.Schema:
        pa = self._pa
        whole, share, text = pa.int64(), pa.float64(), pa.string()
        kinds = (text, whole, share, whole, share, share, share, share, share, whole, text)
        return pa.schema(list(zip(CSV_COLUMNS, kinds, strict=True)))

    def _write(self) -> None:
        if not self._rows:
            return
        columns = dict(zip(CSV_COLUMNS, zip(*self._rows, strict=True), strict=True))
        self._writer.write_table(self._pa.table(columns, schema=self._schema()))
        self._rows.clear()


@contextmanager
def rows_in(file: BinaryIO, to: str, film: str, *, followed: bool) -> Generator[Rows]:
    """Rows of a format in an open file, complete when this ends, however it ends.

    Args:
        file: to be written.
        to: one of ``SUFFIXES``.
        film: the film's name.
        followed: objects have numbers.

    Raises:
        InputError: for Parquet without pyarrow.
    """
    if to == "parquet":
        with ExitStack() as made:
            yield _Parquet(file, film, made)
        return
    heading = csv_text([CSV_COLUMNS]) if to == "csv" else ""
    yield _Lines(lambda text: file.write(text.encode()), _text(to, followed), film, heading)


def rows_on(stream: TextIO, to: str, film: str, *, followed: bool, first: bool = True) -> Rows:
    """Rows of a format that is text on an open stream, each frame's at once.

    Args:
        stream: such as standard output.
        to: one of ``TEXTS``.
        film: the film's name.
        followed: objects have numbers.
        first: whether it is the first film on it: CSV has one line of names.
    """

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    heading = csv_text([CSV_COLUMNS]) if to == "csv" and first else ""
    return _Lines(write, _text(to, followed), film, heading)


def box_rows(film: str, seen: Seen) -> list[tuple[Any, ...]]:
    """A row of ``CSV_COLUMNS`` for each box: pixels rounded to 0.001, scores and seconds to 0.000001."""
    frame = seen.frame
    return [
        (
            film,
            frame.number,
            frame.seconds,
            track,
            *(round(x, 3) for x in one.box),
            round(one.score, 6),
            one.label,
            one.name,
        )
        for one, track in zip(seen.found, seen.tracks, strict=True)
    ]


def jsonl_text(film: str, seen: Seen) -> str:
    """One line for a frame: as ``masu detect`` has it of an image, with its number, time and tracks."""
    frame = seen.frame
    one = record(seen.found, film, (frame.image.shape[0], frame.image.shape[1]))
    found = one.pop("detections")
    for each, track in zip(found, seen.tracks, strict=True):
        each["track"] = track
    said = {"film": one.pop("file"), "frame": frame.number, "seconds": frame.seconds, **one}
    return to_json(said | {"detections": found}, ensure_ascii=False) + "\n"


def csv_text(rows: Any) -> str:
    """Rows as CSV; an empty field where there is no number."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def mot_text(seen: Seen, *, followed: bool) -> str:
    """Rows of the MOT Challenge: ``frame,id,x,y,width,height,score,-1,-1,-1``, frames from 1, corners too.

    Where objects are followed, boxes that belong to none are left out; where not, all have the id −1.
    """
    lines = []
    for one, track in zip(seen.found, seen.tracks, strict=True):
        if followed and track is None:
            continue
        x1, y1, x2, y2 = one.box
        numbers = (x1 + 1, y1 + 1, x2 - x1, y2 - y1)
        shown = ",".join(f"{number:.3f}" for number in numbers)
        lines.append(f"{seen.frame.number + 1},{track or -1},{shown},{one.score:.6f},-1,-1,-1\n")
    return "".join(lines)


def _text(to: str, followed: bool) -> Callable[[str, Seen], str]:
    if to == "mot":
        return lambda _film, seen: mot_text(seen, followed=followed)
    return jsonl_text if to == "jsonl" else lambda film, seen: csv_text(box_rows(film, seen))


def _require_pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        fix = "pip install 'masu[parquet]'"
        raise bad_input(
            "--to parquet", "no such package", "the package pyarrow", fix, code="missing-package"
        ) from None
    return pyarrow
