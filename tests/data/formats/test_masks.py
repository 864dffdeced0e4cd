"""Boxes around masks: pycocotools as the oracle, and texts that are none."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from pycocotools import mask as oracle

from masu.data.formats.masks import box_of_keypoints, box_of_mask
from masu.data.formats.rows import BadEntryError

SHAPES = of_numpy.array_shapes(min_dims=2, max_dims=2, max_side=12)
PIXELS = SHAPES.flatmap(
    lambda shape: of_numpy.arrays(np.uint8, shape, elements=st.integers(0, 1), fill=st.just(0))
)


def counts_of(pixels):
    """Run lengths, column by column, the first of nothing."""
    flat = pixels.flatten(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
    return np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()


@settings(max_examples=300)
@given(PIXELS)
def test_run_lengths_as_pycocotools(pixels):
    packed = oracle.encode(np.asfortranarray(pixels))
    size, counts = list(pixels.shape), counts_of(pixels)
    unpacked = oracle.frPyObjects({"size": size, "counts": counts}, *size)
    assert unpacked["counts"] == packed["counts"]
    masks = [{"size": size, "counts": counts}, {"size": size, "counts": packed["counts"].decode()}]
    if not pixels.any():
        for mask in masks:
            with pytest.raises(BadEntryError, match="an empty mask"):
                box_of_mask(mask)
        return
    x, y, width, height = oracle.toBbox(packed).tolist()
    for mask in masks:
        assert box_of_mask(mask) == (x, y, x + width, y + height)


@settings(max_examples=50)
@given(st.integers(1, 3000), st.integers(1, 3000), st.data())
def test_large_masks_as_pycocotools(height, width, data):
    runs, left = [], height * width
    for _ in range(data.draw(st.integers(2, 9))):
        runs.append(data.draw(st.integers(0 if not runs else 1, max(left - 9, 1))))
        left -= runs[-1]
        if left < 10:
            break
    mask = {"size": [height, width], "counts": [*runs, max(left, 0)]}
    if left < 0 or len(runs) < 2:
        return
    packed = oracle.frPyObjects(mask, height, width)
    x, y, w, h = oracle.toBbox(packed).tolist()
    assert box_of_mask({"size": [height, width], "counts": packed["counts"].decode()}) == (x, y, x + w, y + h)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=3, max_size=9))
def test_polygons(points):
    x, y = zip(*points, strict=True)
    assert box_of_mask([[value for point in points for value in point]]) == (min(x), min(y), max(x), max(y))


@pytest.mark.parametrize(
    "mask",
    [
        5,
        "a",
        None,
        [],
        [5],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
        [["a"] * 6],
        [None],
        {},
        {"size": [4]},
        {"size": [4, 4]},
        {"size": [4, 4], "counts": [3, -1]},
        {"size": [4, 4], "counts": [3, 99]},
        {"size": [0, 4], "counts": [0, 1]},
        {"size": ["a", 4], "counts": [0, 1]},
        {"size": [4, 4], "counts": 5},
        {"size": [4, 4], "counts": [[1], [2]]},
        {"size": [4, 4], "counts": "P"},  # says that more follows
        {"size": [4, 4], "counts": ""},
        {"size": [4, 4], "counts": "é"},
    ],
)
def test_what_is_no_mask(mask):
    with pytest.raises(BadEntryError):
        box_of_mask(mask)


def test_a_number_without_end_is_refused_at_once():
    start = time.process_time()
    with pytest.raises(BadEntryError):
        box_of_mask({"size": [4, 4], "counts": "o" * 1_000_000})
    assert time.process_time() - start < 1


@given(st.text(max_size=30), st.integers(-1, 50), st.integers(-1, 50))
def test_any_text(text, height, width):
    try:
        x1, y1, x2, y2 = box_of_mask({"size": [height, width], "counts": text})
    except BadEntryError:
        return
    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height


def test_keypoints_that_are_labelled_have_a_box_around_them():
    assert box_of_keypoints([10, 20, 2, 0, 0, 0, 30, 5, 1]) == (10, 5, 30, 20)


@pytest.mark.parametrize("keypoints", [[1, 2, 2], [1, 2, 2, 0, 0, 0], [1, 2], "x", [None, 1, 2], [[1], [2]]])
def test_keypoints_without_a_box(keypoints):
    with pytest.raises(BadEntryError):
        box_of_keypoints(keypoints)
