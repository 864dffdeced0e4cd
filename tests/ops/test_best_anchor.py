"""The best anchor of an object: hand-worked, and equal to looking at every anchor of the grid."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from masu.ops.anchors import cell_anchors, grid_anchors, level_strides
from masu.ops.best_anchor import best_anchors
from masu.ops.geometry import iou as box_iou

CELLS = [cell_anchors((size,), (0.5, 1.0, 2.0)) for size in (24.0, 48.0, 112.0)]


def dense(boxes, cells, grids, strides):
    per_level = [
        box_iou(boxes, grid_anchors(cell, grid, stride)).amax(1)
        for cell, grid, stride in zip(cells, grids, strides, strict=True)
    ]
    return torch.stack(per_level, dim=1).max(1)


def test_by_hand():
    cells = [cell_anchors((8.0,), (1.0,)), cell_anchors((16.0,), (1.0,))]
    boxes = torch.tensor([[4.0, 4, 12, 12], [0, 0, 16, 16], [7, 4, 15, 12], [900, 900, 910, 910]])
    iou, level = best_anchors(boxes, cells, [(4, 4), (2, 2)], [(8, 8), (16, 16)])
    # the first is an anchor; the second lies between four of the finer level and four of the coarser one;
    # the third is shifted by 3 of 8 pixels; the last is far outside
    assert_close(iou, torch.tensor([1.0, 64 / 256, 5 / 11, 0.0]))
    assert level.tolist() == [0, 0, 0, 0]


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(1, 9).map(lambda n: 32 * n),
    st.integers(1, 9).map(lambda n: 32 * n),
)
def test_equals_the_best_of_all_anchors(seed, height, width):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(40, 2, generator=generator) * torch.tensor([width, height])
    boxes = torch.cat([corner, corner + torch.rand(40, 2, generator=generator) * 150 + 0.5], dim=1)
    grids = [(-(-height // step), -(-width // step)) for step in (8, 16, 64)]
    strides = level_strides((height, width), grids)
    iou, level = best_anchors(boxes, CELLS, grids, strides)
    wanted, _ = dense(boxes, CELLS, grids, strides)
    assert_close(iou, wanted)
    ties = [dense(boxes, [c], [g], [s])[0] for c, g, s in zip(CELLS, grids, strides, strict=True)]
    assert_close(torch.stack(ties, 1).gather(1, level[:, None])[:, 0], wanted)


def test_without_boxes():
    iou, level = best_anchors(torch.zeros(0, 4), CELLS[:1], [(4, 4)], [(8, 8)])
    assert iou.shape == level.shape == (0,)


@pytest.mark.parametrize("shift", [-3.0, 2.0])
def test_moving_an_object_and_the_grid_alike_changes_nothing(shift):
    box = torch.tensor([[40.0, 44, 70, 61]])
    a = best_anchors(box, CELLS, [(20, 20)] * 3, [(8, 8)] * 3)[0]
    b = best_anchors(box + 8 * shift, CELLS, [(20, 20)] * 3, [(8, 8)] * 3)[0]
    assert_close(a, b)
