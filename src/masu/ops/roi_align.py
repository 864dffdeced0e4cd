"""RoIAlign over feature levels (He et al. 2017, section 3; level assignment: Lin et al. 2017, FPN, eq. 1).

Every output cell is a weighted sum of feature rows: 2 × 2 sample points with 4 neighbours each make 16 rows.
With all levels laid out as one table of channel rows this is one embedding bag, and its gradient is the same
weighted row sum over the transposed index: deterministic, and parallel in both directions. Where the number
of sample points follows from the box, or is large, torchvision's operator pools level by level.
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
"""Sample points per cell and axis that the detectors have."""

MOST_SAMPLES = 4
"""Up to so many samples the sum of rows is taken, which lists ``(2 · samples)²`` rows a cell."""


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


def _axis(start: Tensor, length: Tensor, cells: int, limit: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Feature rows (or columns) and their weights along one axis, each ``(R, cells, 2 * samples)``."""
    steps = (torch.arange(cells * samples, device=start.device, dtype=start.dtype) + 0.5) / samples
    position = start[:, None] + steps * (length / cells)[:, None]
    limit = limit[:, None].to(position.dtype)
    inside = (position >= -1) & (position <= limit)
    position = torch.minimum(torch.nan_to_num(position).clamp(min=0), limit - 1)
    low = position.floor()
    high = torch.minimum(low + 1, limit - 1)
    share = position - low
    scale = inside.to(position.dtype) / samples
    index = torch.stack([low, high], dim=-1).to(torch.int32)
    weight = torch.stack([(1 - share) * scale, share * scale], dim=-1)
    return index.reshape(-1, cells, 2 * samples), weight.reshape(-1, cells, 2 * samples)


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
    output_size: int | tuple[int, int] = 7,
    sampling_ratio: int = SAMPLES,
    aligned: bool = False,
) -> Tensor:
    """Pool every box from its feature level into a grid of fixed size, bilinearly.

    Equal to torchvision's ``roi_align`` of the same settings. With 1 to 4 samples gradients of any order flow
    to the features, parallel and equal to the bit every time; otherwise torchvision's operator pools, which
    has first gradients. The boxes are constants.

    Args:
        features: one ``(N, C, H_l, W_l)`` per level; channels-last ones are read without a copy.
        boxes: ``(R, 4)`` xyxy in pixels of the network's input; ``R`` may be 0.
        image: ``(R,)`` int64, which image of the batch each box lies in.
        level: ``(R,)`` int64 from :func:`assign_levels`.
        strides: pixels per cell of each level.
        output_size: cells of the result: per side, or (rows, columns).
        sampling_ratio: sample points per cell and axis; 0 or less: as many as the box has feature cells in
            one cell of the result, rounded up.
        aligned: half a feature cell is taken off the coordinates, so that a feature lies in the middle of its
            cell, and boxes may be smaller than a cell. Without it they are at least one cell wide and high.

    Returns:
        ``(R, C, rows, columns)`` of the features' type, channels-last in memory. Half precision is summed in
        single, there and back.

    Raises:
        ValueError: shapes that do not fit each other, (on a CPU) an image or level that is not there, boxes
            that are not finite where torchvision's operator pools, or within ``torch.export`` other settings
            than a square of ``sampling_ratio=2, aligned=False``.
    """
    rows, columns = _grid(output_size)
    if torch.compiler.is_exporting():
        if (rows, sampling_ratio, aligned) != (columns, SAMPLES, False):
            raise ValueError(
                f"roi_align: found output_size={output_size}, sampling_ratio={sampling_ratio}, "
                f"aligned={aligned} within torch.export, wanted a square, sampling_ratio={SAMPLES} and "
                "aligned=False"
            )
        exported: Tensor = torch.ops.masu.pool(list(features), boxes, image, level, list(strides), rows)
        return exported
    _check(features, boxes, image, level, strides)
    summed = torch.promote_types(features[0].dtype, torch.float32)
    boxes = boxes.to(summed)
    scaled = boxes / torch.tensor(strides, device=boxes.device, dtype=summed)[level][:, None]
    if not 1 <= sampling_ratio <= MOST_SAMPLES:
        return _by_torchvision(features, scaled, image, level, (rows, columns), sampling_ratio, aligned)
    if aligned:
        scaled = scaled - 0.5
    sides = scaled[:, 2:] - scaled[:, :2]
    if not aligned:
        sides = sides.clamp(min=1)

    shapes = torch.tensor([f.shape[-2:] for f in features], device=boxes.device)  # (L, 2) rows, columns
    images = features[0].shape[0]
    bases = F.pad((shapes.prod(dim=1) * images).cumsum(0), (1, 0))[:-1]
    height, width = shapes[level].unbind(1)
    x, weight_x = _axis(scaled[:, 0], sides[:, 0], columns, width, sampling_ratio)
    y, weight_y = _axis(scaled[:, 1], sides[:, 1], rows, height, sampling_ratio)
    base = (bases[level] + image * height * width).to(torch.int32)[:, None, None]
    y = base + y * width.to(torch.int32)[:, None, None]
    index = y[:, :, None, :, None] + x[:, None, :, None, :]  # (R, rows, columns, 2 · samples, 2 · samples)
    weight = weight_y[:, :, None, :, None] * weight_x[:, None, :, None, :]
    per_cell = (2 * sampling_ratio) ** 2
    table = _table(features).to(summed)
    pooled: Tensor = _RowSum.apply(table, index.reshape(-1, per_cell), weight.reshape(-1, per_cell))
    channels = features[0].shape[1]
    return pooled.to(features[0].dtype).reshape(-1, rows, columns, channels).permute(0, 3, 1, 2)


def _grid(output_size: int | tuple[int, int]) -> tuple[int, int]:
    rows, columns = (output_size, output_size) if isinstance(output_size, int) else output_size
    if rows < 1 or columns < 1:
        raise ValueError(f"output_size: found {output_size}, wanted at least 1 cell per side")
    return rows, columns


def _by_torchvision(
    features: Sequence[Tensor],
    scaled: Tensor,
    image: Tensor,
    level: Tensor,
    grid: tuple[int, int],
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Each level's boxes by torchvision's operator; ``scaled`` in cells of their level."""
    from torchvision.ops import roi_align as of_level  # a second to import, which not every use needs

    if not torch.isfinite(scaled).all():  # it would sample without end
        raise ValueError(
            "boxes: found coordinates that are not finite, wanted finite ones for "
            f"sampling_ratio={sampling_ratio}"
        )
    numbered = torch.cat([image.to(scaled.dtype)[:, None], scaled], dim=1)  # (R, 5)
    pooled = [
        of_level(maps.to(scaled.dtype), numbered[level == i], grid, 1.0, sampling_ratio, aligned)
        for i, maps in enumerate(features)
    ]
    place = level.argsort(stable=True).argsort()  # where each box stands in levels one after the other
    together = torch.cat(pooled)[place].to(features[0].dtype)
    return together.contiguous(memory_format=torch.channels_last)
