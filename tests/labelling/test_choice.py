"""Which photograph comes next."""

import numpy as np
import pytest

from masu.labelling.choice import Open, in_order, uncertainty

EAST, NORTH, WEST, SOUTH = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
NONE = np.zeros((0, 2))


def photograph(scores, feature, group):
    return Open(np.array(scores, float), np.array(feature, float), group)


def test_uncertainty_is_the_entropy_of_scores_per_expected_object():
    assert uncertainty(np.zeros(0)) == 0
    assert uncertainty(np.array([0.5])) == pytest.approx(1 / 1.5)
    assert uncertainty(np.array([0.5, 0.5])) == pytest.approx(2 / 2)
    assert uncertainty(np.array([1.0, 0.0])) == pytest.approx(0, abs=1e-4)
    assert uncertainty(np.array([0.5] * 4 + [1.0] * 4)) < uncertainty(np.array([0.5] * 4))


def test_the_most_uncertain_is_next_where_all_else_is_equal():
    photographs = [photograph([score], EAST, i) for i, score in enumerate((0.95, 0.55, 0.8))]
    assert in_order(photographs, NORTH[None]) == [1, 2, 0]


def test_the_most_unlike_is_next_where_all_are_as_uncertain():
    photographs = [photograph([0.5], feature, i) for i, feature in enumerate((EAST, NORTH, WEST))]
    assert in_order(photographs, np.array([EAST, SOUTH]))[0] in (1, 2)
    assert in_order(photographs, np.array([EAST, SOUTH]))[2] == 0


def test_one_that_was_chosen_counts_as_labelled():
    photographs = [
        photograph([0.5], EAST, 0),
        photograph([0.51], EAST, 1),
        photograph([0.8], WEST, 2),
    ]
    assert in_order(photographs, NORTH[None]) == [0, 2, 1]


def test_those_that_show_the_same_come_last():
    photographs = [
        photograph([score], EAST, group) for score, group in ((0.5, 7), (0.6, 7), (0.9, 8), (0.95, 9))
    ]
    assert in_order(photographs, NORTH[None], [9]) == [0, 2, 1, 3]
    assert in_order(photographs, NORTH[None], [9], most=1) == [0, 2, 1, 3]


def test_every_photograph_comes_once_and_always_in_the_same_order():
    draw = np.random.default_rng(0)
    photographs = [
        photograph(draw.random(draw.integers(0, 5)), draw.normal(size=2), draw.integers(0, 20))
        for _ in range(30)
    ]
    orders = [in_order(photographs, draw.normal(size=(0, 2)), most=most) for most in (0, 7, 100, 100)]
    assert all(sorted(order) == list(range(30)) for order in orders)
    assert orders[2] == orders[3]
    assert orders[1][:7] == orders[2][:7]


def test_none_left_is_no_order():
    assert in_order([], NONE) == []


def test_one_left_comes_also_without_detections_and_with_all_alike():
    assert in_order([photograph([], EAST, 0)], NONE) == [0]
    assert in_order([photograph([], EAST, 0), photograph([], EAST, 1)], EAST[None]) == [0, 1]
