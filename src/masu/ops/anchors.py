"""Anchors: for every cell of every feature level one box per size and aspect ratio."""

from __future__ import annotations

import math
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


def shape_iou(shapes: Tensor, others: Tensor) -> Tensor:
    """IoU of boxes with the same centre: ``(M, 2)`` and ``(A, 2)`` heights and widths → ``(M, A)``."""
    shared = torch.minimum(shapes[:, None], others[None]).prod(-1)
    return shared / (shapes.prod(-1)[:, None] + others.prod(-1)[None] - shared)


def fit_anchors(
    shapes: Tensor,
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
    strides: Sequence[int],
    rounds: int = 50,
) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Sizes and ratios that fit objects: k-means on IoU (Redmon & Farhadi 2017), tied as anchors are.

    Every size of every level goes with every ratio. Each object belongs to the anchor with the best IoU of
    shapes; sizes and ratios then become the geometric means of what belongs to them; and so on. A size
    without objects stays what it was.

    Args:
        shapes: ``(M, 2)`` heights and widths of the objects in pixels of the network's input.
        sizes: per level, where to start: square roots of areas.
        ratios: where to start: heights over widths.
        strides: pixels per cell of each level; sizes stay within 2 to 12 of them, so that an object always
            has cells near its centre and a level sees all of it.
        rounds: times that objects are assigned anew, at most.

    Returns:
        Sizes per level, rising, and ratios, rising, both to three figures.
    """
    log = shapes[(shapes > 0).all(-1)].double().log()
    side, ratio = log.mean(1), log[:, 0] - log[:, 1]
    per_level = len(sizes[0])
    low = torch.tensor(strides, dtype=torch.float64).repeat_interleave(per_level).mul(2).log()
    high = low + math.log(6)
    log_sizes = torch.tensor(sizes, dtype=torch.float64).flatten().log()
    log_ratios = torch.tensor(ratios, dtype=torch.float64).log()
    before = None
    for _ in range(rounds):
        heights = (log_sizes[:, None] + log_ratios[None] / 2).exp()
        widths = (log_sizes[:, None] - log_ratios[None] / 2).exp()
        anchors = torch.stack([heights.flatten(), widths.flatten()], dim=1)
        best = shape_iou(log.exp(), anchors).argmax(1)
        if before is not None and torch.equal(best, before):
            break
        before = best
        log_sizes = _means(side, best // len(ratios), log_sizes).clamp(low, high)
        log_ratios = _means(ratio, best % len(ratios), log_ratios)
    found = log_sizes.exp().reshape(len(sizes), per_level)
    return (
        tuple(tuple(sorted(float(f"{v:.3g}") for v in level)) for level in found.tolist()),
        tuple(sorted(float(f"{v:.3g}") for v in log_ratios.exp().tolist())),
    )


def _means(values: Tensor, group: Tensor, otherwise: Tensor) -> Tensor:
    """Mean of the values of each group, of an empty one what it was."""
    count = torch.bincount(group, minlength=len(otherwise))
    total = torch.zeros_like(otherwise).index_add_(0, group, values)
    return torch.where(count > 0, total / count.clamp(min=1), otherwise)
