"""Pictures as tiles and a reduced whole."""

import numpy as np
import pytest

from masu.data.pixels.windows import Held
from masu.tiles import Tiles
from masu.views import Rows, find, found_in_each, fraction, views


def test_fractions_by_hand():
    assert fraction(4000, 6000, 800, 1333) == 5  # 4000/800; the longer side would allow 4.5
    assert fraction(1000, 1000, 800, 1333) == 1
    assert fraction(100, 100, 800, 1333) == 1


def test_tiles_at_their_full_size_and_the_whole_last():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 250, 3)).astype(np.uint8)
    *tiles, whole = views(Held(pixels), Tiles(100, 0.25), 25, 100)
    assert [view.window.tolist() for view in tiles] == [[0, 0, 100, 60], [75, 0, 175, 60], [150, 0, 250, 60]]
    for view in tiles:
        left, _, right, _ = view.window
        assert view.pixels.shape == (100, 100, 3)
        assert np.array_equal(view.pixels[:60], pixels[:, left:right])
        assert not view.pixels[60:].any()
    assert whole.window.tolist() == [0, 0, 250, 60]
    assert whole.scale.tolist() == [2, 2]
    assert whole.pixels.shape == (30, 125, 3)


BRIGHT = 200


def bright(images):
    """A detector of bright rectangles that stand apart: exact, and blind to what is smaller than 2 pixels."""
    found = []
    for image in images:
        seen = image[..., 0] >= BRIGHT
        boxes, left = [], seen.copy()
        for y, x in zip(*np.nonzero(seen), strict=True):
            if left[y, x]:
                right = x + int(np.argmin(np.append(seen[y, x:], False)))
                bottom = y + int(np.argmin(np.append(seen[y:, x], False)))
                left[y:bottom, x:right] = False
                boxes.append([x, y, right, bottom])
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) >= 2).all(1)]
        found.append(Rows(boxes, np.full(len(boxes), 0.75, np.float32), np.zeros(len(boxes), np.int64)))
    return found


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("shift", range(0, 52, 3))
def test_pasted_objects_are_found_once_wherever_a_border_falls(shift, batch_size):
    picture = np.zeros((170, 260, 3), np.uint8)
    objects = [[4, 4, 12, 12], [20, 4, 30, 10], [52, 8, 60, 17], [8, 40, 148, 108]]
    moved = [[x1 + shift, y1 + shift, x2 + shift, y2 + shift] for x1, y1, x2, y2 in objects]
    for x1, y1, x2, y2 in moved:
        picture[y1:y2, x1:x2] = 255
    found = find(Held(picture), Tiles(64, 0.25), 0.5, 64, 128, bright, batch_size)
    assert len(found.scores) == 4
    small, large = sorted(found.boxes.tolist(), key=lambda box: box[2] - box[0])[:3], found.boxes
    assert sorted(small) == sorted([float(v) for v in box] for box in moved[:3])
    assert (np.abs(large - np.array(moved[3], np.float32)).max(1) <= 2).any()  # of a picture at half its size


def test_what_lies_in_the_filling_is_no_object():
    def look(images):
        filling = [[10, 80, 30, 95], [10, 20, 30, 90]]
        return [
            Rows(
                np.array(filling if image.shape[0] == 100 else [], np.float32).reshape(-1, 4),
                np.array([0.9, 0.8] if image.shape[0] == 100 else [], np.float32),
                np.array([0, 0] if image.shape[0] == 100 else [], np.int64),
            )
            for image in images
        ]

    found = find(Held(np.zeros((60, 150, 3), np.uint8)), Tiles(100), 0.5, 100, 200, look, 1)
    assert sorted(found.boxes.tolist()) == [[10, 20, 30, 60], [60, 20, 80, 60]]


def test_whole_images_are_looked_at_together_and_pictures_each_in_tiles():
    picture = Held(np.zeros((4, 6, 3), np.uint8))
    together = []

    def whole(images):
        together.append(list(images))
        return [image.upper() for image in images]

    found = found_in_each(["a", picture, "b"], whole, lambda one: one.shape)
    assert found == ["A", (3, 4, 6), "B"]
    assert found_in_each([picture], whole, lambda one: one.shape) == [(3, 4, 6)]
    assert together == [["a", "b"]]
