"""Greedy suppression compiled with numba, for thousands of boxes; :mod:`masu.ops.nms` decides when.

Two boxes can only overlap by more than a threshold when their longer sides differ by less than a factor of
``1 / threshold`` and their centres are near. Kept boxes are therefore filed by group, size class and grid
cell of that class's size, and a box is compared with those filed around it: the answer of comparing all, to
the bit, for overlaps are computed as torchvision does.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

MARGIN = 1.0001
"""Widens classes and distances, so that rounding never hides a pair."""


@numba.njit(cache=True, nogil=True, inline="always")
def _slot(group, level, column, row, size):  # type: ignore[no-untyped-def]  # numba infers the types
    """Place of a cell in a table of ``size``, a power of two; cells that share one only cost time."""
    mixed = (
        (group * 8191 + level) * 0x9E3779B97F4A7C15 + column * 0xC2B2AE3D27D4EB4F + row * 0x165667B19E3779F9
    )
    return ((mixed ^ (mixed >> 31)) * 0x27D4EB2F165667C5 >> 32) & (size - 1)


def suppress(
    boxes: np.ndarray[Any, Any],
    groups: np.ndarray[Any, Any],
    order: np.ndarray[Any, Any],
    threshold: float,
    limit: int,
) -> np.ndarray[Any, Any]:
    """Rows kept by greedy suppression within groups, in ``order``, at most ``limit``.

    Args:
        boxes: ``(R, 4)`` float32 xyxy; those without area or not finite overlap nothing, all others have
            :data:`masu.ops.nms.MIN_AREA`.
        groups: ``(R,)`` int64.
        order: ``(R,)`` int64, best first.
        threshold: largest IoU of two kept boxes of a group, :data:`masu.ops.nms.MIN_THRESHOLD` to 1.
        limit: stop after so many.

    Raises:
        ValueError: other shapes or types, or a row of ``order`` that is not there: compiled code reads memory
            without looking.
    """
    count = len(boxes)
    wanted: dict[str, tuple[np.ndarray[Any, Any], tuple[int, ...], type]] = {
        "boxes": (boxes, (count, 4), np.float32),
        "groups": (groups, (count,), np.int64),
        "order": (order, order.shape[:1], np.int64),
    }
    for name, (array, shape, kind) in wanted.items():
        if array.shape != shape or array.dtype != kind:
            found = f"shape {array.shape} of {array.dtype}"
            raise ValueError(f"{name}: found {found}, wanted {shape} of {np.dtype(kind)}")
    if len(order) and not 0 <= order.min() <= order.max() < count:
        raise ValueError(f"order: found {order.min()} to {order.max()}, wanted 0..{count - 1}")
    if limit < 0:
        raise ValueError(f"limit: found {limit}, wanted at least 0")
    kept: np.ndarray[Any, Any] = _suppress(boxes, groups, order, threshold, limit)
    return kept


@numba.njit(cache=True, nogil=True)
def _suppress(boxes, groups, order, threshold, limit):  # type: ignore[no-untyped-def]
    """:func:`suppress` of what was looked at."""
    zero = boxes.dtype.type(0)
    base = MARGIN / threshold
    size = 16
    while size < 2 * len(order):
        size *= 2
    first = np.full(size, -1, np.int32)
    following = np.full(len(boxes), -1, np.int32)
    kept = np.empty(min(limit, len(order)), np.int64)
    count = 0
    for i in order:
        if count == len(kept):
            break
        x1, y1, x2, y2 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        width, height = x2 - x1, y2 - y1
        area = width * height
        group = groups[i]
        keep = True
        filed = width > 0 and height > 0 and area > 0 and np.isfinite(area)
        if filed:
            level = math.floor(math.log(max(float(width), float(height))) / math.log(base))
            x, y = (float(x1) + float(x2)) / 2, (float(y1) + float(y2)) / 2
            for other in (level, level - 1, level + 1):
                cell = base ** (other + 1)
                far_x = max(float(width), cell) * (1 - threshold) * MARGIN
                far_y = max(float(height), cell) * (1 - threshold) * MARGIN
                for row in range(math.floor((y - far_y) / cell), math.floor((y + far_y) / cell) + 1):
                    for column in range(math.floor((x - far_x) / cell), math.floor((x + far_x) / cell) + 1):
                        j = first[_slot(group, other, column, row, size)]
                        while j >= 0:
                            if groups[j] == group:
                                a1, b1, a2, b2 = boxes[j, 0], boxes[j, 1], boxes[j, 2], boxes[j, 3]
                                shared = max(min(x2, a2) - max(x1, a1), zero) * max(
                                    min(y2, b2) - max(y1, b1), zero
                                )
                                if shared / ((a2 - a1) * (b2 - b1) + area - shared) > threshold:
                                    keep = False
                                    break
                            j = following[j]
                        if not keep:
                            break
                    if not keep:
                        break
                if not keep:
                    break
            if keep:
                cell = base ** (level + 1)
                place = _slot(group, level, math.floor(x / cell), math.floor(y / cell), size)
                following[i] = first[place]
                first[place] = i
        if keep:
            kept[count] = i
            count += 1
    return kept[:count]
