"""Two looks at one picture, by hand and by law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.fusion import NEAR, fused, mirrored
from masu.merging import ious
from masu.views import Rows

WIDTH = 64


def rows(*each):
    boxes, scores, labels = (np.array([one[i] for one in each]) for i in range(3))
    return Rows(boxes.reshape(-1, 4).astype(np.float32), scores.astype(np.float32), labels.astype(np.int64))


def listed(found):
    return list(zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True))


@st.composite
def looks(draw):
    """Boxes on a grid of quarter pixels, many of them near each other, with scores of eighths."""
    each = []
    for _ in range(draw(st.integers(0, 6))):
        x, y = (draw(st.integers(0, 160)) / 4 for _ in range(2))
        width, height = (draw(st.integers(1, 96)) / 4 for _ in range(2))
        box = [x, y, min(x + width, WIDTH), y + height]
        each.append((box, draw(st.integers(1, 8)) / 8, draw(st.integers(0, 1))))
    return rows(*each)


def test_left_and_right_change_places():
    assert mirrored(rows(([10, 5, 30, 20], 0.5, 0)), 100).boxes.tolist() == [[70, 5, 90, 20]]
    assert mirrored(rows(), 100).boxes.shape == (0, 4)


def test_partners_become_one_by_their_means():
    found = fused(rows(([0, 0, 10, 10], 0.75, 2)), rows(([4, 0, 14, 10], 0.25, 2)))
    assert len(found.scores) == 2  # IoU 6/14: two objects
    found = fused(rows(([0, 0, 10, 10], 0.75, 2)), rows(([2, 0, 12, 10], 0.25, 2)))  # IoU 8/12
    assert listed(found) == [([1, 0, 11, 10], 0.5, 2)]


def test_what_one_look_finds_alone_counts_half():
    found = fused(rows(([0, 0, 10, 10], 0.5, 0)), rows(([20, 0, 30, 10], 0.75, 0)))
    assert listed(found) == [([20, 0, 30, 10], 0.375, 0), ([0, 0, 10, 10], 0.25, 0)]
    assert listed(fused(rows(), rows(([0, 0, 10, 10], 0.5, 1)))) == [([0, 0, 10, 10], 0.25, 1)]
    assert listed(fused(rows(), rows())) == []


def test_classes_are_never_mixed():
    found = fused(rows(([0, 0, 10, 10], 0.5, 0)), rows(([0, 0, 10, 10], 0.75, 1)))
    assert listed(found) == [([0, 0, 10, 10], 0.375, 1), ([0, 0, 10, 10], 0.25, 0)]


def test_the_closest_are_partners_and_each_has_one():
    first = rows(([0, 0, 10, 10], 0.5, 0), ([1, 0, 11, 10], 0.5, 0))
    found = fused(first, rows(([1, 0, 11, 10], 0.5, 0)))
    assert listed(found) == [([1, 0, 11, 10], 0.5, 0), ([0, 0, 10, 10], 0.25, 0)]


def test_of_equally_close_ones_the_surer_is_the_partner():
    first = rows(([0, 0, 10, 10], 0.25, 0), ([2, 0, 12, 10], 0.75, 0))
    found = fused(first, rows(([1, 0, 11, 10], 0.75, 0)))
    assert listed(found) == [([1.5, 0, 11.5, 10], 0.75, 0), ([0, 0, 10, 10], 0.125, 0)]


def test_the_best_are_kept():
    first = rows(([0, 0, 10, 10], 0.25, 0), ([20, 0, 30, 10], 0.75, 0))
    assert listed(fused(first, rows(), 1)) == [([20, 0, 30, 10], 0.375, 0)]


@given(looks(), looks())
def test_laws(first, second):
    found = fused(first, second)
    assert listed(fused(second, first)) == listed(found)  # the order of the looks decides nothing
    one, other = mirrored(first, WIDTH), mirrored(second, WIDTH)
    again = mirrored(fused(one, other), WIDTH)  # a mirrored picture gives mirrored boxes
    for a, b in zip(sorted(listed(again)), sorted(listed(found)), strict=True):
        assert a[1:] == b[1:]
        assert a[0] == pytest.approx(b[0], abs=1e-5)
    every = np.concatenate([first.scores, second.scores])
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores > 0) & (found.scores <= every.max(initial=0))).all()
    assert found.scores.sum() == pytest.approx(every.sum() / 2)
    parts = Rows(*(np.concatenate(column) for column in zip(first, second, strict=True)))
    for box, _, label in listed(found):
        own = parts.boxes[parts.labels == label]  # the hull of two of its class, or one of them
        low = np.minimum(own[:, None], own)[..., :2] - 1e-5 <= box[:2]
        high = np.maximum(own[:, None], own)[..., 2:] + 1e-5 >= box[2:]
        inner = np.maximum(own[:, None], own)[..., :2] + 1e-5 >= box[:2]
        outer = np.minimum(own[:, None], own)[..., 2:] - 1e-5 <= box[2:]
        assert (low & high & inner & outer).all(-1).any()


@given(looks())
def test_the_same_look_twice_is_that_look(look):
    i, j = np.triu_indices(len(look.scores), 1)
    if not (ious(look.boxes[i], look.boxes[j]) == 1).any():
        assert sorted(listed(fused(look, look))) == sorted(listed(look))
    assert NEAR < 1
