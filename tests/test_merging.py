"""Each object once, by hand-worked boxes and by objects at every place of a border."""

import numpy as np
import pytest

from masu.merging import Layout, merged
from masu.tiles import Tiles

LEFT, RIGHT, WHOLE = 0, 1, 2
TWO = Layout(np.array([[0, 0, 100, 100], [80, 0, 180, 100], [0, 0, 180, 100]]), 100, 180, 20)
"""Two tiles that share 20 columns, and the whole."""


def kept(*rows, layout=TWO, iou=0.5):
    boxes, scores, labels, view = (np.array([row[i] for row in rows]) for i in range(4))
    return merged(boxes.astype(np.float32), scores.astype(np.float32), labels, view, layout, iou).tolist()


def test_nothing_found():
    none = np.zeros(0)
    assert merged(none.reshape(0, 4), none, none.astype(int), none.astype(int), TWO, 0.5).tolist() == []


def test_the_same_box_in_two_tiles_is_one_object():
    assert kept(([84, 10, 94, 20], 0.8, 0, LEFT), ([84, 10, 94, 21], 0.9, 0, RIGHT)) == [1]


def test_other_classes_and_boxes_of_one_view_are_left_alone():
    assert kept(([84, 10, 94, 20], 0.8, 0, LEFT), ([84, 10, 94, 20], 0.9, 1, RIGHT)) == [1, 0]
    assert kept(([10, 10, 30, 30], 0.8, 0, LEFT), ([10, 10, 30, 31], 0.9, 0, LEFT)) == [1, 0]


def test_the_whole_object_takes_the_place_of_its_part():
    part = [80, 10, 92, 40]  # the right tile cuts it at column 80
    assert kept(([50, 10, 92, 40], 0.8, 0, LEFT), (part, 0.9, 0, RIGHT)) == [0]
    assert kept(([50, 10, 92, 40], 0.4, 0, LEFT), (part, 0.9, 0, RIGHT)) == [1, 0]  # less than half as sure


def test_two_parts_of_an_object_that_none_sees_whole_are_one_object():
    # they share columns 80 to 100, 20 of 60 and of 70: IoU 0.18, and 1 where both tiles look
    assert kept(([40, 10, 100, 40], 0.8, 0, LEFT), ([80, 10, 150, 40], 0.9, 0, RIGHT)) == [1]
    # another row: two objects
    assert kept(([40, 10, 100, 40], 0.8, 0, LEFT), ([80, 50, 150, 80], 0.9, 0, RIGHT)) == [1, 0]


def test_a_large_object_comes_from_the_whole_and_a_small_one_from_its_tile():
    assert kept(
        ([40, 10, 100, 40], 0.9, 0, LEFT),
        ([80, 10, 150, 40], 0.9, 0, RIGHT),
        ([40, 10, 150, 40], 0.7, 0, WHOLE),
    ) == [2]
    assert kept(([10, 10, 20, 20], 0.6, 0, LEFT), ([10, 10, 20, 18], 0.9, 0, WHOLE)) == [0]
    assert kept(([10, 10, 50, 50], 0.6, 0, LEFT), ([10, 10, 50, 48], 0.9, 0, WHOLE)) == [1]


def test_a_small_object_on_a_large_one_stays():
    assert kept(([30, 30, 40, 40], 0.6, 0, LEFT), ([10, 10, 150, 90], 0.9, 0, WHOLE)) == [1, 0]


def test_a_border_of_the_picture_cuts_nothing_off():
    assert kept(([0, 10, 9, 20], 0.6, 0, LEFT), ([0, 10, 30, 30], 0.9, 0, WHOLE)) == [1, 0]


def _found(objects, tiles, height, width, scores):
    """What a detector finds that draws every object as far as a view shows it."""
    windows = np.concatenate([tiles.windows(height, width), [[0, 0, width, height]]])
    rows = [
        (np.concatenate([np.maximum(one[:2], window[:2]), np.minimum(one[2:], window[2:])]), view)
        for view, window in enumerate(windows)
        for one in objects
    ]
    seen = [(box, view) for box, view in rows if (box[2:] - box[:2] > 2).all()]
    boxes, view = np.array([box for box, _ in seen], np.float32), np.array([view for _, view in seen])
    scores = scores.uniform(0.5, 0.99, len(boxes)).astype(np.float32)
    return boxes, scores, view, Layout(windows, height, width, tiles.side * tiles.overlap)


@pytest.mark.parametrize("overlap", [0.25, 0.4])
def test_each_object_is_found_once_wherever_a_border_falls(overlap):
    tiles, objects = Tiles(64, overlap), np.array([[5, 5, 20, 15], [30, 5, 46, 21], [60, 30, 70, 44]])
    objects = np.concatenate([objects, [[10, 60, 120, 110]]])
    for shift in range(0, 60, 1):
        moved = objects + np.array([shift, shift * 0.7] * 2)
        boxes, scores, view, layout = _found(moved, tiles, 160, 200, np.random.default_rng(shift))
        rows = merged(boxes, scores, np.zeros(len(boxes), int), view, layout, 0.5)
        assert np.allclose(sorted(boxes[rows].tolist()), sorted(moved.tolist()), atol=1e-4), shift


def test_the_order_of_tiles_and_boxes_is_irrelevant():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 180, (40, 2))
    objects = np.concatenate([corners, corners + random.uniform(5, 60, (40, 2))], axis=1)
    boxes, scores, view, layout = _found(np.minimum(objects, 200), Tiles(64), 200, 200, random)
    scores = scores.round(1)  # ties
    labels = random.integers(0, 2, len(boxes))
    rows = merged(boxes, scores, labels, view, layout, 0.5)
    wanted = np.column_stack([boxes, scores, labels])[rows]
    assert (np.diff(scores[rows]) <= 0).all()
    for _ in range(5):
        order, other = random.permutation(len(boxes)), random.permutation(len(layout.windows))
        turned = layout._replace(windows=layout.windows[other])
        again = merged(
            boxes[order], scores[order], labels[order], np.argsort(other)[view[order]], turned, 0.5
        )
        assert np.array_equal(np.column_stack([boxes, scores, labels])[order][again], wanted)
