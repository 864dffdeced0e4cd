import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.ops import box_iou

from masu.ops.geometry import area, clip, covered, degenerate, intersection, iou, resize

coordinate = st.floats(-500, 1500, width=32)
boxes = st.lists(st.tuples(*[coordinate] * 4), max_size=8).map(
    lambda rows: torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
)
size = st.tuples(st.integers(1, 1000), st.integers(1, 1000)).map(torch.tensor)
NONE = torch.zeros(0, 4)


def random_boxes(count, seed, extent=100.0):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=g) * extent
    return torch.cat([corner, corner + 1 + torch.rand(count, 2, generator=g) * extent], dim=1)


def test_area_is_width_times_height():
    assert area(torch.tensor([[0.0, 0, 2, 3], [5, 5, 5, 9], [-1, -1, 1, 1]])).tolist() == [6, 0, 4]
    assert area(torch.tensor([0.0, 0, 2, 3])).item() == 6
    assert area(NONE).shape == (0,)


def test_intersection_by_hand():
    a = torch.tensor([[0.0, 0, 10, 10]])
    b = torch.tensor([[5.0, 5, 15, 15], [10, 0, 20, 10], [30, 30, 40, 40], [2, 3, 4, 9]])
    assert intersection(a, b).tolist() == [[25, 0, 0, 12]]


def test_iou_by_hand():
    a = torch.tensor([[0.0, 0, 10, 10]])
    b = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 10, 5], [20, 20, 30, 30]])
    assert_close(iou(a, b), torch.tensor([[1.0, 1 / 3, 0.5, 0.0]]))


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (0, 0)])
def test_overlap_of_no_boxes_has_the_shape_of_the_pairs(rows, columns):
    a, b = random_boxes(rows, 0), random_boxes(columns, 1)
    assert iou(a, b).shape == intersection(a, b).shape == (rows, columns)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 1000))
@settings(max_examples=30)
def test_iou_is_torchvisions_and_symmetric(rows, columns, seed):
    a, b = random_boxes(rows, seed), random_boxes(columns, seed + 1)
    assert_close(iou(a, b), box_iou(a, b), rtol=0, atol=1e-6)
    assert_close(iou(a, b), iou(b, a).T, rtol=0, atol=0)


def test_covered_is_the_largest_share_in_one_region():
    box = torch.tensor([[0.0, 0, 10, 10], [100, 100, 110, 110]])
    regions = torch.tensor([[0.0, 0, 10, 4], [0, 4, 10, 10]])
    assert_close(covered(box, regions), torch.tensor([0.6, 0.0]))


def test_covered_without_regions_is_zero():
    assert covered(random_boxes(3, 0), NONE).tolist() == [0, 0, 0]
    assert covered(NONE, random_boxes(3, 0)).shape == (0,)
    assert covered(NONE, NONE).shape == (0,)


def test_clip_cuts_x_at_the_width_and_y_at_the_height():
    found = clip(torch.tensor([[-5.0, -5, 300, 300], [10, 20, 30, 40]]), torch.tensor([100, 200]))
    assert found.tolist() == [[0, 0, 200, 100], [10, 20, 30, 40]]


def test_clip_takes_a_size_for_each_image():
    found = clip(torch.full((2, 3, 4), 999.0), torch.tensor([[10, 20], [30, 40]])[:, None])
    assert found[:, 0].tolist() == [[20, 10, 20, 10], [40, 30, 40, 30]]
    assert found.shape == (2, 3, 4)


@given(boxes, size)
@settings(max_examples=30)
def test_clip_is_idempotent_and_stays_inside(b, image):
    once = clip(b, image)
    assert torch.equal(clip(once, image), once)
    assert (once >= 0).all()
    assert (once[:, [0, 2]] <= image[1]).all()
    assert (once[:, [1, 3]] <= image[0]).all()


def test_resize_scales_x_by_width_and_y_by_height():
    found = resize(torch.tensor([[10.0, 10, 20, 40]]), torch.tensor([100, 200]), torch.tensor([50, 600]))
    assert found.tolist() == [[30, 5, 60, 20]]


@given(boxes, size, size)
@settings(max_examples=30)
def test_resize_back_is_the_inverse(b, old, new):
    assert_close(resize(resize(b, old, new), new, old), b, rtol=1e-5, atol=1e-4)


def test_degenerate_means_a_side_too_short_or_not_a_number():
    nan, inf = float("nan"), float("inf")
    b = torch.tensor(
        [[0, 0, 2, 2], [0, 0, 2, 1.5], [0, 0, 1.5, 2], [5, 5, 1, 9], [0, nan, 5, 5], [inf, 0, inf, 5]]
    )
    assert degenerate(b, 2).tolist() == [False, True, True, True, True, True]
    assert degenerate(NONE, 2).shape == (0,)
