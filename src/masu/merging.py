"""Merging: what was found in overlapping views of a picture, each object once.

Boxes of one view are never compared: the detector has told them apart. Boxes of two views are one object
where they overlap more than the detector's own suppression lets two boxes. A box that its view has cut off is
a part: the other box is cut by the same view before the two are compared, and a part that lies mostly in
another box belongs to it (intersection over the part's own area).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

NEAR = 0.02
"""Of a view's length: a box that ends so near to its border is taken for cut off there."""

PART = 0.5
"""Share of a cut-off box within a whole one from which it is a part of it."""

DOUBT = 0.5
"""By which a score is multiplied, where two boxes are one object, for each side on which a box is cut off.

Also of a box from the reduced whole where a tile shows all of the object. So another box takes its place,
unless that is less than half as sure."""


class Layout(NamedTuple):
    """The parts of a picture that were looked at.

    Attributes:
        windows: ``(V, 4)`` x1 y1 x2 y2 in pixels of the picture; each other than the last a tile.
        height: of the picture.
        width: likewise.
        overlap: pixels that neighbouring tiles have in common at least: a smaller object is whole in one.
    """

    windows: Array
    height: int
    width: int
    overlap: float


def merged(boxes: Array, scores: Array, labels: Array, view: Array, layout: Layout, iou: float) -> Array:
    """The rows that stand for one object each.

    Does not depend on the order of rows or views.

    Args:
        boxes: ``(n, 4)`` x1 y1 x2 y2 in pixels of the picture.
        scores: ``(n,)``.
        labels: ``(n,)`` integers.
        view: ``(n,)`` integers, the window that each was found in.
        layout: the windows.
        iou: above which two boxes of a class from two views are one object.

    Returns:
        ``(k,)`` int64, best score first.
    """
    own = layout.windows[view]
    inner = own != np.array([0, 0, layout.width, layout.height])  # borders that are not the picture's
    length = own[:, 2:] - own[:, :2]
    sides = ((abs(boxes - own) <= NEAR * np.tile(length, 2)) & inner).sum(1)
    coarse = ~inner.any(1) & (boxes[:, 2:] - boxes[:, :2] <= layout.overlap).all(1)
    truncated, trust = sides > 0, scores * DOUBT ** (sides + coarse)
    order = np.lexsort((*boxes.T, labels, -scores, -trust))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))

    first, second = _one_object(boxes, labels, view, truncated, place, layout.windows, iou)
    alive = np.ones(len(order), bool)
    for earlier, later in zip(first.tolist(), second.tolist(), strict=True):
        alive[later] &= not alive[earlier]
    rows = order[alive[order]]
    return rows[np.argsort(-scores[rows], kind="stable")]


def _one_object(
    boxes: Array, labels: Array, view: Array, truncated: Array, place: Array, windows: Array, iou: float
) -> tuple[Array, Array]:
    """Pairs of rows that are one object, the one that stays first, in the order of places."""
    by_view = np.argsort(view, kind="stable")
    bounds = np.searchsorted(view[by_view], np.arange(len(windows) + 1))
    pairs = [np.zeros((2, 0), np.int64)]
    for one in np.flatnonzero(np.diff(bounds)):
        meets = (windows[one + 1 :, :2] < windows[one, 2:]).all(1)
        meets &= (windows[one + 1 :, 2:] > windows[one, :2]).all(1)
        others = [by_view[bounds[k] : bounds[k + 1]] for k in one + 1 + np.flatnonzero(meets)]
        a, b = by_view[bounds[one] : bounds[one + 1]], np.concatenate([np.zeros(0, np.int64), *others])
        b = b[_meet(boxes[b], windows[one])]
        i, j = np.nonzero(labels[a][:, None] == labels[b])
        pairs.append(_same(boxes, a[i], b[j], view, truncated, place, windows, iou))
    earlier, later = np.concatenate(pairs, axis=1)
    order = np.lexsort((place[later], place[earlier]))
    return earlier[order], later[order]


def _same(
    boxes: Array, a: Array, b: Array, view: Array, truncated: Array, place: Array, windows: Array, iou: float
) -> Array:
    """Of pairs of rows those that are one object, ``(2, m)``, the one that stays first."""
    swap = place[a] > place[b]
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    near = _meet(boxes[a], boxes[b])
    a, b = a[near], b[near]
    seen_a = np.where(truncated[b, None], _clipped(boxes[a], windows[view[b]]), boxes[a])
    seen_b = np.where(truncated[a, None], _clipped(boxes[b], windows[view[a]]), boxes[b])
    inside = _area(_clipped(boxes[a], boxes[b])) > PART * np.maximum(_area(boxes[b]), 1e-9)
    part = truncated[b] & (inside | (ious(seen_a, seen_b) > iou))  # a part is no reason to drop a whole
    same = part | (ious(boxes[a], boxes[b]) > iou)
    return np.stack([a[same], b[same]])


def _meet(a: Array, b: Array) -> Array:
    meets = (a[..., :2] < b[..., 2:]) & (a[..., 2:] > b[..., :2])
    return np.asarray(meets.all(-1))


def _clipped(a: Array, b: Array) -> Array:
    """What boxes have in common."""
    return np.concatenate([np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])], axis=1)


def ious(a: Array, b: Array) -> Array:
    """Intersection over union ``(m,)`` of boxes ``(m, 4)`` and ``(m, 4)``, row by row."""
    shared = _area(_clipped(a, b))
    return np.asarray(shared / np.maximum(_area(a) + _area(b) - shared, 1e-9))


def _area(boxes: Array) -> Array:
    area: Array = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1, dtype=np.float64)
    return area
