"""RoIAlign over feature levels (He et al. 2017, section 3; level assignment: Lin et al. 2017, FPN, eq. 1).

Every output cell is a weighted sum of feature rows: 2 × 2 sample points with 4 neighbours each make 16 rows.
With all levels laid out as one table of channel rows this is one embedding bag, and its gradient is the same
weighted row sum over the transposed index: deterministic, and parallel in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from masu.ops.checks import check_boxes, check_index, check_shape
from masu.ops.geometry import area

SAMPLES = 2
"""Sample points per cell and axis."""


def assign_levels(
    boxes: Tensor, strides: Sequence[int], canonical_size: int = 224, canonical_level: int = 4
) -> Tensor:
    """The feature level each box is pooled from: ``k = ⌊k0 + log2(√(wh) / 224)⌋``, FPN eq. 1.

    Args:
        boxes: ``(R, 4)`` xyxy in pixels of the network's input.
        strides: pixels per cell of each level, powers of two, finest first.
        canonical_size: box side that belongs to ``canonical_level``.
        canonical_level: level (log2 of the stride) of a box of ``canonical_size``.

    Returns:
        ``(R,)`` int64 in ``0..len(strides)-1``.
    """
    finest, coarsest = strides[0].bit_length() - 1, strides[-1].bit_length() - 1
    side = area(boxes).clamp(min=0).sqrt()
    level = torch.floor(canonical_level + torch.log2(side / canonical_size) + 1e-6)
    return torch.nan_to_num(level).clamp(finest, coarsest).to(torch.int64) - finest


def _axis(start: Tensor, length: Tensor, cells: int, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Feature rows (or columns) and their weights along one axis, each ``(R, cells, 2 * SAMPLES)``."""
    steps = (torch.arange(cells * SAMPLES, device=start.device) + 0.5) / SAMPLES
    position = start[:, None] + steps * (length / cells)[:, None]
    limit = limit[:, None].to(position.dtype)
    inside = (position >= -1) & (position <= limit)
    position = torch.minimum(torch.nan_to_num(position).clamp(min=0), limit - 1)
    low = position.floor()
    high = torch.minimum(low + 1, limit - 1)
    share = position - low
    scale = inside / SAMPLES
    index = torch.stack([low, high], dim=-1).to(torch.int32)
    weight = torch.stack([(1 - share) * scale, share * scale], dim=-1)
    return index.reshape(-1, cells, 2 * SAMPLES), weight.reshape(-1, cells, 2 * SAMPLES)


class _RowSum(torch.autograd.Function):
    """``out[c] = Σ_j weight[c, j] · table[index[c, j]]``; weights are constants."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.rows = len(table)
        return F.embedding_bag(index, table, per_sample_weights=weight, mode="sum")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        index, weight = ctx.saved_tensors
        grad: Tensor = _TransposedRowSum.apply(grads[0], index, weight, ctx.rows)
        return grad, None, None


class _TransposedRowSum(torch.autograd.Function):
    """``out[index[c, j]] += weight[c, j] · cells[c]``, the gradient of :class:`_RowSum`, which is its own."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, index: Tensor, weight: Tensor, rows: int) -> Tensor:
        ctx.save_for_backward(index, weight)
        source, order = index.flatten().sort(stable=True)
        bounds = torch.arange(rows, device=index.device, dtype=source.dtype)
        offsets = torch.searchsorted(source, bounds)  # where the cells of each row begin
        return F.embedding_bag(
            order // index.shape[1],
            cells.contiguous(),
            offsets,
            per_sample_weights=weight.flatten()[order],
            mode="sum",
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        grad: Tensor = _RowSum.apply(grads[0].contiguous(), *ctx.saved_tensors)
        return grad, None, None, None


def empty_levels(like: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Feature maps to be filled in, one after the other in memory, as :func:`roi_align` reads them fastest.

    Args:
        like: ``(N, C, ·, ·)``, whose images, channels, type and device the maps have.
        sizes: height and width of each level.

    Returns:
        ``(N, C, H_l, W_l)`` per level, channels-last.
    """
    images, channels = like.shape[:2]
    rows = [images * height * width for height, width in sizes]
    parts = torch.split(like.new_empty((sum(rows), channels)), rows)
    return [
        part.view(images, *size, channels).permute(0, 3, 1, 2)
        for part, size in zip(parts, sizes, strict=True)
    ]


def _table(features: Sequence[Tensor]) -> Tensor:
    """All levels as one table of channel rows ``(ΣN·H·W, C)``; a view of what :func:`empty_levels` made."""
    levels = [f.permute(0, 2, 3, 1).reshape(-1, f.shape[1]) for f in features]
    first = levels[0]
    follows = all(
        a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
        and a.storage_offset() + a.numel() == b.storage_offset()
        for a, b in pairwise(levels)
    )
    if follows and not any(f.requires_grad for f in features):
        return first.as_strided((sum(len(level) for level in levels), first.shape[1]), first.stride())
    return torch.cat(levels)


def _check(
    features: Sequence[Tensor], boxes: Tensor, image: Tensor, level: Tensor, strides: Sequence[int]
) -> None:
    if not features or len(features) != len(strides):
        raise ValueError(f"features: found {len(features)} levels, wanted {len(strides)}, one per stride")
    first = features[0]
    check_shape("features[0]", first, ("N", "C", "H", "W"))
    for number, maps in enumerate(features[1:], 1):
        wanted = (*first.shape[:2], "H", "W")
        check_shape(f"features[{number}]", maps, wanted, ", images and channels of the first level")
    check_boxes("boxes", boxes, "R")
    for name, index, count in (("image", image, first.shape[0]), ("level", level, len(features))):
        check_shape(name, index, boxes.shape[:1], ", one per box")
        check_index(name, index, count)


def roi_align(
    features: Sequence[Tensor],
    boxes: Tensor,
    image: Tensor,
    level: Tensor,
    strides: Sequence[int],
    output_size: int = 7,
) -> Tensor:
    """Pool every box from its feature level into a grid of fixed size, bilinearly, 2 × 2 samples a cell.

    Gradients of any order flow to the features; the boxes are constants.

    Args:
        features: one ``(N, C, H_l, W_l)`` per level; channels-last ones are read without a copy.
        boxes: ``(R, 4)`` xyxy in pixels of the network's input; ``R`` may be 0.
        image: ``(R,)`` int64, which image of the batch each box lies in.
        level: ``(R,)`` int64 from :func:`assign_levels`.
        strides: pixels per cell of each level.
        output_size: cells per side of the result.

    Returns:
        ``(R, C, output_size, output_size)`` of the features' type, channels-last in memory. Equal to
        torchvision's ``roi_align`` with ``sampling_ratio=2, aligned=False``. Half precision is summed in
        single, there and back.

    Raises:
        ValueError: shapes that do not fit each other, or (on a CPU) an image or level that is not there.
    """
    if torch.compiler.is_exporting():
        exported: Tensor = torch.ops.masu.pool(
            list(features), boxes, image, level, list(strides), output_size
        )
        return exported
    _check(features, boxes, image, level, strides)
    device, channels, cells = boxes.device, features[0].shape[1], output_size
    summed = torch.promote_types(features[0].dtype, torch.float32)
    boxes = boxes.to(summed)
    shapes = torch.tensor([f.shape[-2:] for f in features], device=device)  # (L, 2) rows, columns
    images = features[0].shape[0]
    bases = F.pad((shapes.prod(dim=1) * images).cumsum(0), (1, 0))[:-1]
    table = _table(features).to(summed)

    scaled = boxes / torch.tensor(strides, device=device, dtype=boxes.dtype)[level][:, None]
    sides = (scaled[:, 2:] - scaled[:, :2]).clamp(min=1)
    rows, columns = shapes[level].unbind(1)
    x, weight_x = _axis(scaled[:, 0], sides[:, 0], cells, columns)
    y, weight_y = _axis(scaled[:, 1], sides[:, 1], cells, rows)
    base = (bases[level] + image * rows * columns).to(torch.int32)[:, None, None]
    y = base + y * columns.to(torch.int32)[:, None, None]
    index = y[:, :, None, :, None] + x[:, None, :, None, :]  # (R, 7, 7, 4, 4)
    weight = weight_y[:, :, None, :, None] * weight_x[:, None, :, None, :]
    per_cell = (2 * SAMPLES) ** 2
    pooled: Tensor = _RowSum.apply(table, index.reshape(-1, per_cell), weight.reshape(-1, per_cell))
    return pooled.to(features[0].dtype).reshape(-1, cells, cells, channels).permute(0, 3, 1, 2)
