"""The label files of YOLO: a line for each object, a class and then shares of the image.

Five values are a box. More are a polygon, the four corners of a turned box, a box with keypoints, or a box
with its confidence and track; what fits two of these is settled by all lines of the data set together or
refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from masu.data.formats.form import load_text
from masu.data.formats.masks import box_of_points
from masu.data.formats.rows import BadEntryError, Box, Rows

MOST_BYTES = 16_000_000
"""Size of the labels of one image."""

LARGEST_SHARE = 2.0
"""Beyond it numbers are pixels, not shares."""

_LARGEST_CLASS = 999_999
_WHOLE = re.compile(r"[0-9]{1,12}")
_WITH_TRACK = 7
_ROUNDING = 0.01


class Line(NamedTuple):
    """One line: its place, class, and numbers as texts after it."""

    where: int
    number: int
    words: tuple[str, ...]


class Shape(NamedTuple):
    """What a line says: the box in shares, and what of it masu does not carry; whether it is of points."""

    box: Box
    left_out: str = ""
    of_points: bool = False


def label_lines(labels: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that hold something, each with its number.

    Raises:
        BadEntryError: for a file that is too large or cannot be read.
    """
    for number, line in enumerate(load_text(labels, MOST_BYTES).splitlines(), start=1):
        if line.strip():
            yield number, line


def line_of(number: int, shape: Sequence[float], digits: int) -> str:
    """A line: a class and shares of the image."""
    return " ".join((str(number), *(f"{value:.{digits}f}" for value in shape)))


def parse(number: int, line: str) -> Line:
    """The class and words of a line.

    Raises:
        BadEntryError: for a class that is no whole number from 0.
    """
    first, *rest = line.split()
    return Line(number, class_number(first), tuple(rest))


class Reading:
    """What the lines of a data set mean, where their number of values does not say.

    Args:
        keypoints: number of keypoints and values of each, as ``kpt_shape`` of ``data.yaml`` says; None for
            none.
    """

    def __init__(self, keypoints: tuple[int, int] | None) -> None:
        self.keypoints = keypoints
        self._seven = self._tracks = self._boxes = self._lines = 0
        self._beyond = False
        self._lengths: set[int] = set()
        self._posed = True
        self._turned = True

    def add(self, line: Line) -> None:
        """Take a line into account."""
        words = line.words
        self._lines += 1
        self._boxes += len(words) < 6
        if len(words) == _WITH_TRACK - 1:
            self._seven += 1
            self._tracks += (track := _is_track(words))
            self._beyond |= track and int(words[5]) > 1
        if len(words) >= _WITH_TRACK:
            self._lengths.add(len(words))
            try:
                values = [float(word) for word in words]
            except ValueError:
                return
            self._posed &= _points_within(values)
            self._turned &= len(values) == 8 and _is_turned_box(values)

    def written(self, box: Box, *, of_points: bool | None = None) -> list[float]:
        """The shares of a line that says a box as the others of the data set do.

        Where it has keypoints, those of the line are not labelled.

        Args:
            box: xyxy in shares.
            of_points: whether it is to be four points; default: where all lines are of points.
        """
        x1, y1, x2, y2 = box
        if of_points is None:
            of_points = self.keypoints is None and self._lines > self._boxes == self._tracks == 0
        if of_points:
            return [x1, y1, x2, y1, x2, y2, x1, y2]
        count, each = self.keypoints or (0, 0)
        return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, *[0.0] * (count * each)]

    def shape(self, line: Line) -> Shape:
        """The box of a line.

        Raises:
            BadEntryError: for anything but shares of the image in a number that has one meaning.
        """
        words = line.words
        if self.keypoints is not None:
            return self._pose(words)
        if len(words) == 4:
            return Shape(_box(_shares(words)))
        if len(words) == 5:
            return Shape(_box(_shares(words[:4])), "confidence")
        if (
            len(words) == _WITH_TRACK - 1
            and _is_track(words)
            and (self._beyond or self._tracks == self._seven)
        ):
            return self._track(words)
        if len(words) < 6 or len(words) % 2:
            wanted = "5: class x y width height, or a class and at least 3 points (poses need kpt_shape)"
            raise BadEntryError(f"{len(words) + 1} values", wanted)
        if self._posed and len(self._lengths) == 1 and len(words) >= _WITH_TRACK and not self._turned:
            found = f"{len(words) + 1} values: a polygon, or a box with its keypoints"
            raise BadEntryError(found, "kpt_shape in data.yaml, which says which")
        values = _shares(words)
        points = list(zip(values[0::2], values[1::2], strict=True))
        left_out = "rotated boxes" if len(points) == 4 and self._turned else "polygons"
        return Shape(box_of_points(points), left_out, of_points=True)

    def _track(self, words: tuple[str, ...]) -> Shape:
        """A box with confidence and track, if that can be told from a polygon of 3 points."""
        if not self._beyond or (self._tracks < self._seven and int(words[5]) <= 1):
            found = "7 values: a polygon of 3 points, or a box with confidence and track"
            raise BadEntryError(found, "one of them in all lines, tracks from 2 on")
        return Shape(_box(_shares(words[:4])), "confidence and track")

    def _pose(self, words: tuple[str, ...]) -> Shape:
        count, each = self.keypoints or (0, 0)
        if len(words) not in (4, 4 + count * each):
            wanted = f"{5 + count * each}: class x y width height and {count} keypoints of {each} values"
            raise BadEntryError(f"{len(words) + 1} values", wanted)
        return Shape(_box(_shares(words[:4])), "keypoints" if len(words) > 4 else "")


def class_number(word: str) -> int:
    """A class, also as ``3.0``, as tables of floats are written.

    Raises:
        BadEntryError: for anything but a whole number from 0.
    """
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not (value.is_integer() or math.isinf(value)):
        raise BadEntryError(f"class {word[:40]!r}", "a whole number")
    if not 0 <= value <= _LARGEST_CLASS:
        wanted = "a number from 0" if value < 0 else f"at most {_LARGEST_CLASS}"
        raise BadEntryError(f"class {word[:40]}", wanted)
    return int(value)


def holds_an_object(file: Path) -> bool:
    """Whether a text has a line of labels, and is no list or note."""
    try:
        words = next((line.split() for _, line in label_lines(file)), [])
        return len(words) >= 5 and all(math.isfinite(float(word)) for word in words)
    except (BadEntryError, ValueError):
        return False


def _shares(words: tuple[str, ...]) -> list[float]:
    values = []
    for word in words:
        try:
            values.append(float(word))
        except ValueError:
            raise BadEntryError(f"{word[:40]!r}", "a share of the image, 0 to 1") from None
    if any(math.isfinite(value) and abs(value) > LARGEST_SHARE for value in values):
        raise BadEntryError(f"{max(values, key=abs):g}", "shares of the image, 0 to 1, not pixels")
    return values


def _box(values: list[float]) -> Box:
    x, y, width, height = values
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _is_track(words: tuple[str, ...]) -> bool:
    """Whether six values look like a box within the image, a confidence and a whole number."""
    try:
        values = [float(word) for word in words[:5]]
    except ValueError:
        return False
    inside = all(-_ROUNDING <= value <= 1 + _ROUNDING for value in _box(values[:4]))
    return inside and bool(_WHOLE.fullmatch(words[5])) and 0 <= values[4] <= 1


def _points_within(values: list[float]) -> bool:
    """Whether all points after the first four values lie in the box that these are."""
    x1, y1, x2, y2 = _box(values[:4])
    rest = values[4:]
    pairs = zip(rest[0::2], rest[1::2], strict=False)
    return x2 > x1 and y2 > y1 and all(x1 <= x <= x2 and y1 <= y <= y2 for x, y in pairs)


def _is_turned_box(values: list[float]) -> bool:
    """Whether four points are the corners of a parallelogram: the middles of both diagonals meet."""
    ax, ay, bx, by, cx, cy, dx, dy = values
    return abs(ax + cx - bx - dx) < 0.01 and abs(ay + cy - by - dy) < 0.01


def lines_in(file: str, reading: Reading, rows: Rows) -> list[Line]:
    """The lines of a label file; what each is of is told to the reading, what is none to the rows."""
    found = []
    path = Path(file)
    try:
        for number, text in label_lines(path):
            try:
                line = parse(number, text)
            except BadEntryError as error:
                rows.bad(error, path, f"line {number}")
                continue
            reading.add(line)
            found.append(line)
    except BadEntryError as error:
        rows.bad(error, path, "the file")
    return found
