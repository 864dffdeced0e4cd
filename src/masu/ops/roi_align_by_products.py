"""RoIAlign as matrix products alone, for runtimes without an operator for it or for rows by index.

Bilinear interpolation is separable: a cell is ``Σ_y Σ_x wy · wx · feature``, with weights of the box along
each axis that are nought but near its sample points. Every box is pooled from every level, with weights of
nought on those that are not its own, so that nothing depends on what is found.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from masu.ops.roi_align import SAMPLES


def roi_align_by_products(
    features: Sequence[Tensor],
    boxes: Tensor,
    image: Tensor,
    level: Tensor,
    strides: Sequence[int],
    cells: int,
) -> Tensor:
    """As :func:`masu.ops.roi_align.roi_align`, of one image.

    Args:
        features: one ``(1, C, H_l, W_l)`` per level.
        boxes: ``(R, 4)`` xyxy in pixels of the network's input.
        image: not looked at.
        level: ``(R,)`` int64, which level each box is pooled from.
        strides: pixels per cell of each level.
        cells: per side of the result.

    Returns:
        ``(R, C, cells, cells)``.
    """
    pooled = boxes.new_zeros(())
    for number, (maps, stride) in enumerate(zip(features, strides, strict=True)):
        channels, height, width = maps.shape[1:]
        own = (level == number).to(boxes.dtype)[:, None, None]  # (R, 1, 1)
        down = _weights(boxes[:, 1], boxes[:, 3], stride, cells, height) * own  # (R, cells, H)
        across = _weights(boxes[:, 0], boxes[:, 2], stride, cells, width)  # (R, cells, W)
        table = maps[0].permute(1, 2, 0).reshape(height, width * channels)
        rows = (down.reshape(-1, height) @ table).reshape(-1, cells, width, channels)  # (R, cells, W, C)
        pooled = pooled + across[:, None] @ rows  # (R, cells, cells, C)
    return pooled.permute(0, 3, 1, 2)


def _weights(start: Tensor, end: Tensor, stride: int, cells: int, length: int) -> Tensor:
    """What each of ``length`` rows of a map adds to each cell of a box: ``(R, cells, length)``."""
    start, end = start / stride, end / stride
    steps = (torch.arange(cells * SAMPLES, dtype=start.dtype) + 0.5) / SAMPLES
    at = start[:, None] + steps * ((end - start).clamp(min=1) / cells)[:, None]  # (R, cells · SAMPLES)
    inside = ((at >= -1) & (at <= length)).to(at.dtype)
    nearest = at.clamp(0, length - 1)[..., None] - torch.arange(length, dtype=at.dtype)
    weights = (1 - nearest.abs()).clamp(min=0) * inside[..., None]
    return weights.reshape(-1, cells, SAMPLES, length).mean(2)
