"""The box around a mask: polygons, or run lengths as COCO writes them, also its compressed texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from masu.data.formats.rows import BadEntryError, Box

_MOST_BITS = 60  # of a run's length; texts of strangers would make numbers without end


def box_of_points(points: Sequence[Sequence[float]]) -> Box:
    """The box around points ``(x, y)``."""
    x, y = zip(*points, strict=True)
    return min(x), min(y), max(x), max(y)


def box_of_mask(mask: Any) -> Box:
    """The box around a COCO segmentation.

    Args:
        mask: polygons, lists of ``x1 y1 x2 y2 …``; or ``{"size": [height, width], "counts": …}`` with counts
            as a list or as a compressed text.

    Raises:
        BadEntryError: for anything else, and an empty mask.
    """
    try:
        if isinstance(mask, dict):
            return _of_runs(mask)
        values = [np.asarray(part, np.float64).reshape(-1, 2) for part in mask if len(part) >= 6]
        if not values:
            raise BadEntryError("a mask without a polygon of 3 points", "polygons or run lengths")
        points = np.concatenate(values)
        (x1, y1), (x2, y2) = points.min(0).tolist(), points.max(0).tolist()
        return x1, y1, x2, y2
    except (TypeError, ValueError, LookupError, OverflowError):
        raise BadEntryError("a mask that cannot be understood", "polygons or run lengths") from None


def box_of_keypoints(keypoints: Any) -> Box:
    """The box around COCO keypoints ``x1 y1 v1 x2 y2 v2 …`` that are labelled (v above 0).

    Raises:
        BadEntryError: for anything else, and fewer than two labelled points.
    """
    try:
        points = np.asarray(keypoints, np.float64).reshape(-1, 3)
    except (TypeError, ValueError, OverflowError):
        raise BadEntryError("keypoints that cannot be understood", "x y v for each") from None
    points = points[points[:, 2] > 0, :2]
    if len(points) < 2:
        raise BadEntryError(f"no bbox, and {len(points)} labelled keypoints", "a bbox, or at least 2")
    (x1, y1), (x2, y2) = points.min(0).tolist(), points.max(0).tolist()
    return x1, y1, x2, y2


def _of_runs(mask: dict[str, Any]) -> Box:
    height, width = (int(side) for side in mask["size"])
    counts = mask["counts"]
    runs = np.asarray(_uncompressed(counts) if isinstance(counts, str) else counts, np.int64)
    if height < 1 or width < 1 or runs.ndim != 1 or (runs < 0).any() or runs.sum() > height * width:
        raise ValueError
    ends = np.cumsum(runs)
    starts, ends = (ends - runs)[1::2], ends[1::2]
    starts, ends = starts[ends > starts], ends[ends > starts]
    if not len(starts):
        raise BadEntryError("an empty mask", "one with a pixel")
    # column by column: a run that goes on in the next column has the first and the last row
    first, last = starts // height, (ends - 1) // height
    wraps = first != last
    top = 0 if wraps.any() else int((starts % height).min())
    bottom = height if wraps.any() else int(((ends - 1) % height).max()) + 1
    return float(first.min()), float(top), float(last.max()) + 1, float(bottom)


def _uncompressed(text: str) -> list[int]:
    """Run lengths of COCO's text: 5 bits a letter; from the fourth on a difference to the last but one."""
    runs: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        while True:
            bits = ord(text[at]) - 48
            at += 1
            value |= (bits & 31) << shift
            shift += 5
            if shift > _MOST_BITS:
                raise ValueError
            if not bits & 32:
                if bits & 16:
                    value |= -1 << shift
                break
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs
