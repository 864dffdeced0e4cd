"""Anchors: for every cell of every feature level one box per size and aspect ratio."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Anchors of one cell around the origin.

    Args:
        sizes: square roots of the anchors' areas in pixels (size × scale where a level has scales).
        ratios: heights over widths.

    Returns:
        ``(A, 4)`` xyxy with ``A = len(ratios) * len(sizes)``, ratios outermost, rounded to whole pixels
        as in the reference implementation (torchvision ``AnchorGenerator``).
    """
    size = torch.tensor(sizes, dtype=torch.float32)
    tall = torch.tensor(ratios, dtype=torch.float32).sqrt()
    widths = ((1 / tall)[:, None] * size[None, :]).flatten()
    heights = (tall[:, None] * size[None, :]).flatten()
    return (torch.stack([-widths, -heights, widths, heights], dim=1) / 2).round()


def grid_anchors(cell: Tensor, grid: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """The anchors of one cell repeated over a level.

    Args:
        cell: ``(A, 4)`` from :func:`cell_anchors`.
        grid: height and width of the feature map, in cells.
        stride: pixels from one cell to the next, down and right.

    Returns:
        ``(H·W·A, 4)``, cells row by row, the anchors of a cell together: the order in which
        :func:`masu.nets.rpn.flatten_levels` lays out the head's outputs.
    """
    y = torch.arange(grid[0], device=cell.device) * stride[0]
    x = torch.arange(grid[1], device=cell.device) * stride[1]
    y, x = torch.meshgrid(y, x, indexing="ij")
    corners = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (corners + cell).reshape(-1, 4)


def level_strides(image: tuple[int, int], grids: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pixels per cell of each level for a padded image of size ``(H, W)``.

    Whole-number division as in the reference implementation: on a level whose grid was rounded up, the
    stride is a little under the power of two, so that the last row of anchors stays within the image.
    """
    return [(image[0] // rows, image[1] // columns) for rows, columns in grids]
