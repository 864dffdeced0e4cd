"""The anchor that covers an object best, found without laying out the grid of anchors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Size = tuple[int, int]


def best_anchors(
    boxes: Tensor, cells: Sequence[Tensor], grids: Sequence[Size], strides: Sequence[Size]
) -> tuple[Tensor, Tensor]:
    """Best IoU of each box with any anchor of an image, and the level of that anchor.

    Anchors of one shape all look alike and are centred on the grid, so the one that overlaps a box most is,
    on each axis for itself, the one whose centre is nearest. That leaves one candidate per level and shape
    instead of one per cell; the result equals the largest IoU over
    :func:`~masu.ops.anchors.grid_anchors`.

    Args:
        boxes: ``(M, 4)`` xyxy in pixels of the network's input, of positive area.
        cells: per level ``(A, 4)`` from :func:`~masu.ops.anchors.cell_anchors`.
        grids: per level height and width of the feature map, in cells.
        strides: per level pixels from one cell to the next, down and right.

    Returns:
        IoU ``(M,)`` and level ``(M,)``, the finest level of equal ones.
    """
    centre_x, centre_y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    of_levels = []
    for cell, (rows, columns), (down, right) in zip(cells, grids, strides, strict=True):
        x = (centre_x / right).round().clamp(0, columns - 1) * right
        y = (centre_y / down).round().clamp(0, rows - 1) * down
        anchors = torch.stack([x, y, x, y], dim=1)[:, None] + cell.to(boxes)
        shared_x = torch.minimum(anchors[..., 2], boxes[:, None, 2]) - torch.maximum(
            anchors[..., 0], boxes[:, None, 0]
        )
        shared_y = torch.minimum(anchors[..., 3], boxes[:, None, 3]) - torch.maximum(
            anchors[..., 1], boxes[:, None, 1]
        )
        shared = shared_x.clamp(min=0) * shared_y.clamp(min=0)
        own = (cell[:, 2] - cell[:, 0]) * (cell[:, 3] - cell[:, 1])
        of_levels.append((shared / (areas[:, None] + own.to(boxes) - shared)).amax(1))
    iou, level = torch.stack(of_levels, dim=1).max(1)
    return iou, level
