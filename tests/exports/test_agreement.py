"""Answers compared as sets: what counts as equal, as a near-tie, as a difference."""

import pytest
import torch

from masu.exports.agreement import Agreement, compare
from masu.records import Detections

BOX = (10.0, 10.0, 50.0, 40.0)
FAR = (100.0, 10.0, 150.0, 40.0)


def found(*rows):
    boxes, scores, labels = ([row[i] for row in rows] for i in range(3))
    return Detections(boxes, scores, labels, tuple(f"c{label}" for label in labels))


def agreement(a, b, most=100):
    return compare([a], [b], score_thresh=0.05, detections_per_img=most, nms_thresh=0.5)


def test_equal_answers_in_another_order():
    a = found((BOX, 0.8, 0), (FAR, 0.8, 1))
    b = found((FAR, 0.8, 1), (BOX, 0.8, 0))
    assert agreement(a, b) == Agreement(1, 2, 2, 0.0, 0.0, 0, 0)


def test_small_differences_are_measured():
    moved = (10.25, 10, 50, 40)
    result = agreement(found((BOX, 0.8, 0)), found((moved, 0.801, 0)))
    assert result.pixels == pytest.approx(0.25)
    assert result.score == pytest.approx(0.001, rel=1e-3)
    assert result.unmatched == result.near_ties == 0


WIDER = (10.0, 10.0, 50.6, 40.0)


def test_a_box_of_the_same_score_that_suppression_could_have_chosen_is_a_near_tie():
    result = agreement(found((BOX, 0.8, 0)), found((WIDER, 0.8, 0)))
    assert (result.near_ties, result.unmatched) == (2, 0)
    assert result.equal


def test_a_box_of_another_score_is_a_difference():
    result = agreement(found((BOX, 0.8, 0)), found((WIDER, 0.7, 0)))
    assert (result.near_ties, result.unmatched) == (0, 2)
    assert not result.equal


def test_an_overlap_at_the_suppressions_threshold_is_a_near_tie():
    half = (10.0, 10.0, 50.0, 25.1)  # 15.1 of 30 rows: IoU 0.503 with BOX
    result = agreement(found((BOX, 0.8, 0), (half, 0.4, 0)), found((BOX, 0.8, 0)))
    assert (result.near_ties, result.unmatched) == (1, 0)


@pytest.mark.parametrize("alike", [0, 1, 8])
def test_near_ties_beside_equals_are_no_difference(alike):
    rows = [((100.0 * i, 0.0, 100.0 * i + 40, 40.0), 0.8, 0) for i in range(9)]
    moved = [((x1 + 0.6, y1, x2, y2), score, label) for (x1, y1, x2, y2), score, label in rows]
    result = agreement(found(*rows), found(*rows[:alike], *moved[alike:]))
    assert (result.matched, result.near_ties, result.unmatched) == (alike, 2 * (9 - alike), 0)
    assert result.equal == (alike > 0)  # where all boxes have moved, that is no tie


def test_one_difference_beside_many_equals():
    rows = [((100.0 * i, 0.0, 100.0 * i + 40, 40.0), 0.8, 0) for i in range(40)]
    result = agreement(found(*rows), found(*rows[1:]))
    assert (result.matched, result.near_ties, result.unmatched) == (39, 0, 1)
    assert not result.equal


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (found((BOX, 0.8, 0)), found((BOX, 0.8, 1))),
        (found((BOX, 0.8, 0)), found((FAR, 0.8, 0))),
    ],
)
def test_another_label_or_place_is_a_difference(a, b):
    assert agreement(a, b).unmatched == 2


def test_a_missing_detection_is_a_difference():
    assert agreement(found((BOX, 0.8, 0), (FAR, 0.3, 1)), found((BOX, 0.8, 0))).unmatched == 1


def test_a_missing_one_at_the_threshold_is_a_near_tie():
    result = agreement(found((BOX, 0.8, 0), (FAR, 0.0515, 1)), found((BOX, 0.8, 0)))
    assert (result.near_ties, result.unmatched) == (1, 0)


def test_the_last_of_a_full_list_is_a_near_tie():
    a, b = found((BOX, 0.8, 0), (FAR, 0.301, 1)), found((BOX, 0.8, 0), ((0, 0, 9, 9), 0.3, 2))
    assert agreement(a, b, most=2).unmatched == 0
    assert agreement(a, b, most=3).unmatched == 2


def test_nothing_found_by_both():
    empty = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), ())
    assert agreement(empty, empty) == Agreement(1, 0, 0, 0.0, 0.0, 0, 0)
    assert agreement(empty, found((BOX, 0.9, 0))).unmatched == 1
