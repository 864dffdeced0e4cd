"""Boxes that nearly coincide, among very many, without a table of every pair.

Where the IoU of two boxes is at least t, neither is wider than 1/t times the other, and their left edges
lie no farther apart than (1 − t)/t of either's width; so with tops and heights. Boxes are sorted along one
axis, and each is compared with those within that reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from masu.data.pixels.pictures import Array

_PAIRS = 1 << 20  # looked at together
_CROWD = 64  # boxes within reach, on average, from which a group is gone through box by box
_ROUNDING = 1e-9


def first_twins(boxes: Array, groups: Array, least: float) -> Array:
    """For each box the first kept one before it that it repeats, −1 where it is kept itself.

    In their order, a box is dropped if one of the same group was kept before it and their IoU is ``least`` or
    more. So what is kept repeats nothing, and keeps its order.

    Args:
        boxes: ``(M, 4)`` xyxy, float64, all with area.
        groups: ``(M,)`` integers: only boxes of the same group repeat each other.
        least: above 0, at most 1.

    Returns:
        ``(M,)`` int64 positions.
    """
    boxes, groups = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(groups)
    twin = np.full(len(boxes), -1, np.int64)
    if not len(boxes):
        return twin
    original = _first_equal(boxes, groups)
    index = np.flatnonzero(original == np.arange(len(boxes)))
    found = _twins(boxes[index], np.unique(groups[index], return_inverse=True)[1], least)
    twin[index] = np.where(found < 0, -1, index[found])
    # an equal box repeats what its original repeats, or the original itself
    copies = original != np.arange(len(boxes))
    earlier = original[copies]
    twin[copies] = np.where(twin[earlier] < 0, earlier, twin[earlier])
    return twin


def iou(a: Array, b: Array) -> Array:
    """IoU of each row of ``a`` with the same row of ``b``, or of one box with many; all have area."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clip(0).prod(axis=-1)
    found: Array = shared / (_area(a) + _area(b) - shared)
    return found


def _area(boxes: Array) -> Array:
    found: Array = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return found


def _first_equal(boxes: Array, groups: Array) -> Array:
    """For each box the first that is equal, in the same group."""
    order = np.lexsort((*boxes.T, groups))
    new = np.ones(len(boxes), bool)
    new[1:] = (boxes[order][1:] != boxes[order][:-1]).any(axis=1) | (groups[order][1:] != groups[order][:-1])
    first = np.empty(len(boxes), np.int64)
    first[order] = order[np.flatnonzero(new)][np.cumsum(new) - 1]  # lexsort keeps equals in their order
    return first


class _Reach(NamedTuple):
    """Which boxes each box can be close to: a stretch of the sorted ones."""

    order: Array  # positions, sorted
    start: Array  # where in order the stretch of each box begins
    end: Array

    @classmethod
    def of(cls, boxes: Array, least: float, groups: Array) -> _Reach:
        """Along x or y, whichever makes fewer pairs."""
        along = [cls._along(boxes[:, axis], boxes[:, axis + 2], least, groups) for axis in (0, 1)]
        return min(along, key=lambda reach: int((reach.end - reach.start).sum()))

    @classmethod
    def _along(cls, low: Array, high: Array, least: float, groups: Array) -> _Reach:
        far = (high - low) * ((1 - least) / least) * (1 + _ROUNDING) + _ROUNDING * np.abs(low)
        order = np.lexsort((low, groups))
        count = len(low)
        ends = []
        for side, value in ((0, low - far), (2, low + far)):  # how many edges lie before each limit
            sides = np.concatenate([np.ones(count, np.int64), np.full(count, side)])
            every = np.lexsort((sides, np.concatenate([low, value]), np.concatenate([groups, groups])))
            before = np.cumsum(every < count)
            limit = np.empty(2 * count, np.int64)
            limit[every] = before
            ends.append(limit[count:])
        return cls(order, *ends)

    def later(self, index: Array) -> Iterator[tuple[Array, Array]]:
        """These boxes with each one behind them that is within reach, by the first and then the second."""
        sizes = self.end[index] - self.start[index]
        total = np.cumsum(sizes)
        at = 0
        while at < len(index):
            done = total[at - 1] if at else 0
            stop = max(at + 1, int(np.searchsorted(total, done + _PAIRS, "right")))
            here, size = index[at:stop], sizes[at:stop]
            first = np.repeat(here, size)
            begins = np.repeat(self.start[here] - (np.cumsum(size) - size), size)
            second = self.order[begins + np.arange(len(first))]
            behind = second > first
            first, second = first[behind], second[behind]
            sort = np.lexsort((second, first))
            yield first[sort], second[sort]
            at = stop


def _twins(boxes: Array, groups: Array, least: float) -> Array:
    """As :func:`first_twins`, of boxes of which no two are equal."""
    reach = _Reach.of(boxes, least, groups)
    sizes = reach.end - reach.start
    crowded = (np.bincount(groups, sizes) > _CROWD * np.bincount(groups))[groups]
    twin = np.full(len(boxes), -1, np.int64)
    for first, second in reach.later(np.flatnonzero(~crowded)):
        close = iou(boxes[first], boxes[second]) >= least
        for a, b in zip(first[close].tolist(), second[close].tolist(), strict=True):
            if twin[a] < 0 and twin[b] < 0:  # by rising a: whether a is kept has been decided
                twin[b] = a
    for a in np.flatnonzero(crowded):
        if twin[a] < 0:
            near = reach.order[reach.start[a] : reach.end[a]]
            near = near[(near > a) & (twin[near] < 0)]
            twin[near[iou(boxes[a], boxes[near]) >= least]] = a
    return twin
