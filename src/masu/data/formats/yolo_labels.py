"""The label files of YOLO: a line for each object, boxes or polygons as shares of the image."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from masu.data.dataset import Fault
from masu.data.formats.reading import BadEntryError, Marked

MOST_BYTES = 1_000_000
"""Size of the labels of one image."""

LARGEST_SHARE = 2.0
"""Beyond it numbers are pixels, not shares."""

_LARGEST_CLASS = 999_999


class LabelledObject(NamedTuple):
    """One line: its class, whether it is a polygon, and the object."""

    number: int
    polygon: bool
    marked: Marked


def labels_of(image: Path) -> Path:
    """``labels`` in place of the path's last ``images``, where there is such a folder; else beside it."""
    parts = image.parent.parts
    for at in range(len(parts) - 1, -1, -1):
        if parts[at].lower() == "images":
            for name in ("labels", "Labels", "LABELS"):
                folder = Path(*parts[:at], name, *parts[at + 1 :])
                if folder.is_dir():
                    return folder / f"{image.stem}.txt"
            break
    return image.with_name(f"{image.stem}.txt")


def label_lines(labels: Path, faults: list[Fault]) -> Iterator[tuple[str, str]]:
    """The lines of a file that hold something, each with its place; a file that cannot be read is a fault."""
    if not labels.is_file():
        return
    try:
        if labels.stat().st_size > MOST_BYTES:
            raise BadEntryError(f"a file of {labels.stat().st_size / 1e6:.1f} MB", "at most 1 MB")
        text = labels.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(
            BadEntryError(f"a file that cannot be read ({error})", "text").fault(labels, "the file")
        )
        return
    except BadEntryError as error:
        faults.append(error.fault(labels, "the file"))
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"line {number}", line


def read_object(
    where: str, line: str, size: tuple[int, int], names: tuple[str, ...] | None
) -> LabelledObject:
    """The object of a line.

    Args:
        where: the line's place.
        line: its text.
        size: height and width of the upright image.
        names: class names; None: the numbers themselves.

    Raises:
        BadEntryError: for anything but a class and shares of the image.
    """
    words = line.split()
    if len(words) != 5 and (len(words) < 7 or len(words) % 2 == 0):
        wanted = "5: class x y width height, or a class and at least 3 points"
        raise BadEntryError(f"{len(words)} values", wanted)
    number = class_number(words[0])
    values = []
    for word in words[1:]:
        try:
            values.append(float(word))
        except ValueError:
            raise BadEntryError(f"{word[:40]!r}", "a share of the image, 0 to 1") from None
    if any(math.isfinite(value) and abs(value) > LARGEST_SHARE for value in values):
        raise BadEntryError(f"{max(values, key=abs):g}", "shares of the image, 0 to 1, not pixels")
    height, width = size
    polygon = len(words) != 5
    if polygon:
        x, y = values[0::2], values[1::2]
        box = (min(x) * width, min(y) * height, max(x) * width, max(y) * height)
    else:
        cx, cy, w, h = values
        box = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
    name = names[number] if names is not None and number < len(names) else str(number)
    return LabelledObject(number, polygon, Marked(where, box, name, False))


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


def add_orphans(images: set[Path], faults: list[Fault]) -> None:
    """Tell the label files of the images' folders that have no image there."""
    for folder in sorted({image.parent for image in images}):
        files = map(os.path.splitext, os.listdir(folder))
        known = {stem for stem, suffix in files if suffix != ".txt"} | {"classes"}
        labels = labels_of(folder / "any.jpg").parent
        if labels.is_dir():
            faults += [
                Fault("missing-image", label, "the file", f"no image {label.stem}", "skipped")
                for label in sorted(labels.glob("*.txt"))
                if label.stem not in known and (labels != folder or _holds_an_object(label))
            ]


def _holds_an_object(file: Path) -> bool:
    """Whether a text beside the images has a line of labels, and is no list or note."""
    words = next((line.split() for _, line in label_lines(file, [])), [])
    return len(words) >= 5 and all(_is_number(word) for word in words)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
