import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from masu.ops.anchors import cell_anchors, fit_anchors, grid_anchors, level_strides, shape_iou


def test_cell_anchors_by_hand():
    found = cell_anchors([32], [0.5, 1, 2])  # 32 / √0.5 = 45.25, 32 · √0.5 = 22.63
    assert found.tolist() == [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]


def test_ratios_are_the_outer_loop():
    found = cell_anchors([16, 32], [1, 4])
    assert found.tolist() == [[-8, -8, 8, 8], [-16, -16, 16, 16], [-4, -16, 4, 16], [-8, -32, 8, 32]]


def test_no_sizes_make_no_anchors():
    assert cell_anchors([], [1.0]).shape == (0, 4)
    assert grid_anchors(torch.zeros(0, 4), (2, 2), (8, 8)).shape == (0, 4)


def test_grid_goes_row_by_row_with_the_anchors_of_a_cell_together():
    cell = torch.tensor([[-1.0, -1, 1, 1], [-2, -2, 2, 2]])
    assert grid_anchors(cell, (2, 2), (10, 100)).tolist() == [
        [-1, -1, 1, 1],
        [-2, -2, 2, 2],
        [99, -1, 101, 1],
        [98, -2, 102, 2],
        [-1, 9, 1, 11],
        [-2, 8, 2, 12],
        [99, 9, 101, 11],
        [98, 8, 102, 12],
    ]


@pytest.mark.parametrize("grid", [(0, 3), (3, 0)])
def test_an_empty_grid_has_no_anchors(grid):
    assert grid_anchors(cell_anchors([32], [1]), grid, (8, 8)).shape == (0, 4)


def test_level_strides_divide_to_whole_numbers():
    assert level_strides((64, 100), [(16, 25), (5, 7)]) == [(4, 4), (12, 14)]
    assert level_strides((64, 64), []) == []


@pytest.mark.parametrize("image", [(64, 96), (96, 160), (32, 32), (224, 352)])
def test_anchors_are_torchvisions(image):
    sizes, ratios = ((32.0, 40.0), (64.0, 80.0), (128.0, 160.0)), (0.5, 1.0, 2.0)
    grids = [(-(-image[0] // s), -(-image[1] // s)) for s in (4, 8, 64)]
    found = torch.cat(
        [
            grid_anchors(cell_anchors(s, ratios), grid, stride)
            for s, grid, stride in zip(sizes, grids, level_strides(image, grids), strict=True)
        ]
    )
    images = ImageList(torch.zeros(1, 3, *image), [image])
    features = [torch.zeros(1, 1, *grid) for grid in grids]
    assert_close(found, AnchorGenerator(sizes, (ratios,) * 3)(images, features)[0], rtol=0, atol=0)


def test_shape_iou_by_hand():
    iou = shape_iou(
        torch.tensor([[2.0, 4.0], [3.0, 3.0]]), torch.tensor([[4.0, 2.0], [3.0, 3.0], [2.0, 4.0]])
    )
    assert_close(iou, torch.tensor([[4 / 12, 6 / 11, 1.0], [6 / 11, 1.0, 6 / 11]]))


def test_fitted_anchors_of_two_kinds_of_objects_are_those():
    tall, wide = torch.tensor([[40.0, 10.0]]), torch.tensor([[50.0, 200.0]])
    shapes = torch.cat([tall.repeat(30, 1), wide.repeat(50, 1)])
    sizes, ratios = fit_anchors(shapes, ((32.0,), (64.0,)), (0.5, 2.0), (8, 16))
    assert sizes == ((20.0,), (100.0,))
    assert ratios == (0.25, 4.0)


def test_fitted_sizes_stay_within_their_level():
    sizes, _ = fit_anchors(torch.full((9, 2), 500.0), ((32.0,), (64.0,)), (1.0,), (8, 16))
    assert sizes == ((32.0,), (192.0,))  # no object; 12 strides at most
    sizes, _ = fit_anchors(torch.full((9, 2), 3.0), ((32.0,), (64.0,)), (1.0,), (8, 16))
    assert sizes == ((16.0,), (64.0,))


def test_without_objects_anchors_stay():
    assert fit_anchors(torch.zeros(0, 2), ((32.0, 48.0),), (0.5, 1.0), (8,)) == (((32.0, 48.0),), (0.5, 1.0))


@given(st.integers(0, 10_000))
def test_fitting_never_makes_the_worst_of_it(seed):
    draw = torch.Generator().manual_seed(seed)
    shapes = (torch.rand((40, 2), generator=draw) * 2.5 + 2.5).exp()
    start, strides = ((24.0,), (48.0,), (96.0,)), (8, 16, 32)
    sizes, ratios = fit_anchors(shapes, start, (0.5, 1.0, 2.0), strides)

    def fit(sizes, ratios):
        anchors = [(s * r**0.5, s / r**0.5) for level in sizes for s in level for r in ratios]
        return shape_iou(shapes, torch.tensor(anchors)).amax(1).mean()

    assert fit(sizes, ratios) > fit(start, (0.5, 1.0, 2.0)) - 0.05
