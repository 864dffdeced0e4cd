"""Files of the MOT Challenge: who was where in which frame, one row for each box."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from masu.errors import InputError, bad_input
from masu.films.frame import Array
from masu.regular import open_text


@dataclass(frozen=True, eq=False)
class MotRows:
    """The ``R`` rows of a file, frame by frame.

    Attributes:
        frame: ``(R,)`` int64, from 1.
        track: ``(R,)`` int64; −1 for a box of no object.
        xywh: ``(R, 4)`` float64, pixels.
        score: ``(R,)`` float64; of truth 0 for a row that does not count.
        kind: ``(R,)`` int64, the class of truth; −1 where the row has none.
    """

    frame: Array
    track: Array
    xywh: Array
    score: Array
    kind: Array


def read_mot(path: str | Path) -> MotRows:
    """Read ``frame,id,x,y,width,height[,score[,class,…]]``, as the MOT Challenge has truth and results.

    Args:
        path: the file, or a folder of that challenge, which has ``gt/gt.txt``.

    Raises:
        InputError: for a file that is missing, a row that is none of these, with its line, or an object that
            stands twice in one frame.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "gt" / "gt.txt"
    rows = []
    try:
        with open_text(path, "utf-8-sig", newline="") as file:
            for line, fields in enumerate(csv.reader(file), 1):
                if fields:
                    rows.append(_row(path, line, fields))
    except FileNotFoundError:
        raise bad_input(path, "no such file", "a MOT file", "check the path", code="missing-file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise bad_input(path, str(error), "a MOT file", "masu detect --track --to mot writes one") from None
    table = np.array(sorted(rows), np.float64).reshape(-1, 8)
    frame, track = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    _refuse_twice(path, frame, track)
    return MotRows(frame, track, table[:, 2:6], table[:, 6], table[:, 7].astype(np.int64))


def _row(path: Path, line: int, fields: list[str]) -> tuple[float, ...]:
    try:
        numbers = [float(text) for text in fields[:8]]
    except ValueError:
        raise _wrong(path, line, ",".join(fields)) from None
    whole = all(number.is_integer() for number in numbers[:2])
    if len(numbers) < 6 or not all(map(math.isfinite, numbers)) or not whole or max(numbers[:2]) > 2**53:
        raise _wrong(path, line, ",".join(fields))
    if numbers[0] < 1 or min(numbers[4:6]) < 0:
        raise _wrong(path, line, ",".join(fields))
    score = numbers[6] if len(numbers) > 6 else 1.0
    kind = numbers[7] if len(numbers) > 7 else -1.0
    return (*numbers[:6], score, kind)


def _wrong(path: Path, line: int, found: str) -> InputError:
    wanted = "frame,id,x,y,width,height,score: numbers, frames from 1"
    return bad_input(
        f"{path}, line {line}", repr(found[:80]), wanted, "masu detect --track --to mot writes them"
    )


def _refuse_twice(path: Path, frame: Array, track: Array) -> None:
    seen = np.stack([frame, track], 1)[track >= 0]
    pairs, counts = np.unique(seen, axis=0, return_counts=True)
    if (counts > 1).any():
        number, who = pairs[counts > 1][0]
        raise bad_input(path, f"object {who} twice in frame {number}", "each object once in a frame")
