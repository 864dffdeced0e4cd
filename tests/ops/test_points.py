import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.models.detection._utils import BoxLinearCoder

from masu.ops import points
from masu.ops.points import centreness, decode, encode, match_points
from masu.records import BACKGROUND, OBJECT

pair = st.tuples(*[st.floats(-1000, 1000)] * 2, *[st.floats(1, 500)] * 2)


def corners(rows):
    b = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)
    return torch.cat([b[:, :2], b[:, :2] + b[:, 2:]], dim=1)


def square(x, y, side=8):
    """The anchor of a point."""
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def match(anchors, objects, radius=1.5, finest=8.0, coarsest=128.0):
    index, label = match_points(
        torch.tensor(anchors).float().reshape(-1, 4),
        torch.tensor(objects).float().reshape(-1, 4),
        radius,
        finest,
        coarsest,
    )
    assert index.dtype == label.dtype == torch.int64
    assert set(label.tolist()) <= {OBJECT, BACKGROUND}
    return [i if k == OBJECT else None for i, k in zip(index.tolist(), label.tolist(), strict=True)]


def test_encode_and_decode_by_hand():
    anchor = torch.tensor([[12.0, 16, 20, 32]])  # 8 × 16 px around (16, 24)
    box = torch.tensor([[12.0, 8, 40, 32]])
    wanted = torch.tensor([[0.5, 1.0, 3.0, 0.5]])
    assert torch.equal(encode(box, anchor), wanted)
    assert torch.equal(decode(wanted, anchor), box)
    assert torch.equal(decode(torch.zeros(1, 4), anchor), torch.tensor([[16.0, 24, 16, 24]]))


def test_a_point_outside_its_box_has_a_negative_distance():
    assert encode(torch.tensor([8.0, 0, 16, 8]), torch.tensor([-4.0, 0, 4, 8])).tolist() == [-1, 0.5, 2, 0.5]


@given(st.lists(st.tuples(pair, pair), max_size=6))
@settings(max_examples=30)
def test_decode_is_the_inverse_of_encode(rows):
    boxes, anchors = corners([r[0] for r in rows]), corners([r[1] for r in rows])
    assert_close(decode(encode(boxes, anchors), anchors), boxes, rtol=1e-9, atol=1e-9)


@given(st.lists(pair, max_size=6), st.integers(0, 1000))
@settings(max_examples=30)
def test_encode_is_the_inverse_of_decode(rows, seed):
    anchors = corners(rows)
    distances = torch.rand(len(anchors), 4, generator=torch.Generator().manual_seed(seed)).double()
    assert_close(encode(decode(distances, anchors), anchors), distances, rtol=1e-9, atol=1e-9)


def test_both_ways_are_torchvisions():
    torch.manual_seed(0)
    boxes, anchors = (corners((torch.rand(50, 4) * 90 + 1).tolist()).float() for _ in range(2))
    distances, oracle = torch.rand(50, 4) * 8, BoxLinearCoder(normalize_by_size=True)
    assert_close(encode(boxes, anchors), oracle.encode(anchors, boxes))
    assert_close(decode(distances, anchors), oracle.decode(distances, anchors))


def test_anchors_broadcast_against_distances():
    anchors = corners([(0, 0, 10, 10), (5, 5, 20, 20)])
    distances = torch.rand(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert_close(decode(distances, anchors)[1], decode(distances[1], anchors))
    assert decode(torch.zeros(3, 0, 4), torch.zeros(0, 4)).shape == (3, 0, 4)


@pytest.mark.parametrize(
    ("distances", "wanted"),
    [
        ([3, 2, 3, 2], 1),
        ([1, 2, 4, 2], 0.5),  # √(1/4 · 1)
        ([4, 2, 1, 2], 0.5),
        ([1, 1, 4, 9], 1 / 6),
        ([0, 2, 3, 2], 0),
    ],
)
def test_centreness_by_hand(distances, wanted):
    assert centreness(torch.tensor(distances).float()).item() == pytest.approx(wanted)
    assert centreness(torch.zeros(0, 4)).shape == (0,)


def test_centre_sampling_by_hand():
    box = [0, 0, 60, 40]  # its middle is (30, 20); 1.5 · 8 px around it are 18 to 42 and 8 to 32
    inside = [(30, 20), (18.1, 20), (41.9, 31.9), (30, 8.1)]
    outside = [(18, 20), (42, 20), (30, 8), (30, 32), (0, 0), (31, 39), (200, 20)]
    assert match([square(*p) for p in inside], box) == [0] * 4
    assert match([square(*p) for p in outside], box) == [None] * 7
    assert match([square(18, 20)], box, radius=1.6) == [0]


def test_a_point_near_the_middle_but_outside_stands_for_nothing():
    narrow = [28, 0, 32, 60]
    assert match([square(x, 30) for x in (27, 28, 29, 31, 32)], narrow) == [None, None, 0, 0, None]


def test_scale_ranges_by_hand():
    """The farthest side decides: a level of 16 px looks from 64 to 128 px, both bounds left out."""

    def across(width):
        return [200 - width / 2, 190, 200 + width / 2, 210]

    for half, wanted in ((64, None), (64.5, 0), (127.5, 0), (128, None)):
        assert match([square(200, 200, 16)], across(2 * half)) == [wanted], half
    for half, wanted in ((11, 0), (63, 0), (64, None)):  # the finest level looks at what is nearer too
        assert match([square(200, 200, 8)], across(2 * half)) == [wanted], half
    for half, wanted in ((64, None), (65, 0), (1000, 0)):  # the coarsest at what is farther
        assert match([square(200, 200, 16)], across(2 * half), coarsest=16.0) == [wanted], half
    off = square(206, 200, 8)  # 66 px to its farther side
    assert match([off], across(120)) == [None]
    assert match([off], across(114)) == [0]


def test_the_smallest_object_wins():
    large, small, other = [0, 0, 60, 60], [10, 10, 50, 50], [14, 14, 54, 54]
    anchors = [square(30, 30), square(20, 30), square(36, 36)]
    assert match(anchors, [large, small]) == [1, 1, 1]
    assert match(anchors, [small, large]) == [0, 0, 0]
    assert match(anchors, [other, small]) == [0, 1, 0]  # of equally large ones the first that fits
    assert match(anchors, [small, other]) == [0, 0, 0]


def test_no_points_no_objects():
    assert match([square(30, 30)], []) == [None]
    assert match([], [[0, 0, 60, 60]]) == []
    assert match([], []) == []


@pytest.mark.parametrize("pairs", [1, 700, 10**9])
def test_parts_of_the_objects_give_what_all_of_them_give(monkeypatch, pairs):
    """Against a plain loop over points and objects."""
    monkeypatch.setattr(points, "PAIRS", pairs)
    g = torch.Generator().manual_seed(0)
    corner, size = torch.rand(40, 2, generator=g) * 200, torch.rand(40, 2, generator=g) * 120 + 4
    objects = torch.cat([corner, corner + size], dim=1)
    objects[20:] = objects[:20]  # each twice: the first counts
    places = [(x, y, side) for side in (8, 16, 32) for x in range(0, 256, side) for y in range(0, 256, side)]
    found = match([square(*p) for p in places], objects.tolist(), finest=8.0, coarsest=32.0)
    seen = set()
    for (x, y, side), index in zip(places, found, strict=True):
        fits = []
        for m, (x1, y1, x2, y2) in enumerate(objects.tolist()):
            sides = (x - x1, y - y1, x2 - x, y2 - y)
            near = max(abs(x - (x1 + x2) / 2), abs(y - (y1 + y2) / 2)) < 1.5 * side
            least, most = (0 if side == 8 else 4 * side), (math.inf if side == 32 else 8 * side)
            if min(sides) > 0 and near and least < max(sides) < most:
                fits.append(((x2 - x1) * (y2 - y1), m))
        assert index == (min(fits)[1] if fits else None)
        seen.add(index)
    assert len(seen) > 10
