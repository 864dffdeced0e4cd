"""A draft: what a model found in one photograph, in numbers short enough for a file that people read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from masu.records import Detections

Box = tuple[float, float, float, float]

_PIXELS, _SCORE = 2, 4
"""Digits after the point."""


@dataclass(frozen=True)
class Draft:
    """One photograph.

    Attributes:
        path: its file; None where it came without one.
        size: height and width, upright.
        boxes: xyxy in pixels, rounded to 0.01, best score first.
        names: the class of each box.
        scores: of each box, 0 to 1, rounded to 0.0001.
    """

    path: Path | None
    size: tuple[int, int]
    boxes: tuple[Box, ...]
    names: tuple[str, ...]
    scores: tuple[float, ...]


def draft_of(found: Detections, size: tuple[int, int], path: Path | None = None) -> Draft:
    """The draft of what was found; a box that rounding leaves without area is left out.

    Args:
        found: boxes in pixels of the image.
        size: its height and width.
        path: its file.
    """
    rows = []
    for one in found:
        x1, y1, x2, y2 = (round(float(x), _PIXELS) for x in one.box)
        if x2 > x1 and y2 > y1:
            rows.append(((x1, y1, x2, y2), one.name, round(one.score, _SCORE)))
    boxes, names, scores = zip(*rows, strict=True) if rows else ((), (), ())
    return Draft(path, size, tuple(boxes), tuple(names), tuple(scores))
