"""Close boxes without a table of pairs: as the table and the double loop have them."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.data.audit import overlaps
from masu.data.audit.overlaps import first_twins


def table(boxes):
    x1, y1, x2, y2 = boxes.T
    width = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
    height = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    shared = width.clip(0) * height.clip(0)
    area = (x2 - x1) * (y2 - y1)
    return shared / (area[:, None] + area - shared)


def double_loop(boxes, groups, least):
    shares = table(boxes)
    twins = []
    for i in range(len(boxes)):
        kept = (j for j in range(i) if twins[j] < 0 and groups[j] == groups[i] and shares[i, j] >= least)
        twins.append(next(kept, -1))
    return twins


@st.composite
def crowds(draw):
    """Boxes of few sizes on a coarse grid, many of them moved a little."""
    count = draw(st.integers(0, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    low = random.integers(-3, 4, (count, 2)) * 10.0
    sides = random.choice([10.0, 20.0, 1e-3, 1e5], (count, 2))
    nudge = random.choice([0, 0, 0.2, 0.5, 1], (count, 4)) * random.standard_normal((count, 4))
    boxes = np.concatenate([low, low + sides], axis=1) + nudge * np.tile(sides, 2) * 0.05
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]


@pytest.mark.parametrize("crowd", [0, 64])
@given(crowds(), st.sampled_from([0.3, 0.9, 0.99, 1.0]), st.integers(1, 4))
def test_twins_are_those_of_the_double_loop(crowd, boxes, least, kinds):
    groups = np.arange(len(boxes)) * 7 % kinds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "_CROWD", crowd)
        twins = first_twins(boxes, groups, least)
        assert twins.tolist() == double_loop(boxes, groups, least)
        kept = twins < 0
        assert (first_twins(boxes[kept], groups[kept], least) == -1).all(), "what is kept repeats nothing"
    assert (twins < np.arange(len(boxes))).all()
    assert kept[twins[~kept]].all()


def test_by_hand():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9.5], [0, 0, 10, 9], [0, 0, 10, 10], [50, 0, 60, 10.0]])
    assert first_twins(boxes, np.zeros(5), 0.95).tolist() == [-1, 0, -1, 0, -1]
    assert first_twins(boxes, np.array([1, 2, 1, 2, 1]), 0.94).tolist() == [-1, -1, -1, 1, -1]
    assert first_twins(boxes[:0], np.zeros(0), 0.9).tolist() == []


def many(kind):
    random = np.random.default_rng(0)
    low = random.uniform(0, 4000, (10_000, 2))
    if kind == "equal":
        low[:] = 7
    if kind == "nearly equal":
        low = low / 4000 * 0.05
    if kind == "in a column":
        low[:, 0] = 7
    return np.concatenate([low, low + random.uniform(30, 40, (10_000, 2)) * (kind == "apart") + 30], axis=1)


@pytest.mark.parametrize("kind", ["apart", "in a column", "equal", "nearly equal"])
def test_ten_thousand_boxes_of_one_picture(kind):
    boxes, groups = many(kind), np.zeros(10_000, np.int64)
    started = time.perf_counter()
    twins = first_twins(boxes, groups, 0.99)
    assert time.perf_counter() - started < 2
    assert (twins[1:] == 0).all() == ("equal" in kind)
