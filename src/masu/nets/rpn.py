"""The RPN's head: objectness and box deltas for every anchor of every level (Ren et al. 2015, 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masu.nets.conv import Conv3x3
from masu.nets.hooks import is_plain
from masu.ops.conv3x3 import conv3x3
from masu.ops.products import linear

MOST_CELLS = 4096
"""Cells of a level with a gradient up to which the backward pass visits them one by one."""


class RPNHead(nn.Module):
    """3×3 convolutions shared by all levels, then 1×1 convolutions for objectness and deltas.

    Args:
        channels: channels of every feature map.
        anchors: anchors per cell, ``A``.
        depth: number of 3×3 convolutions.
    """

    def __init__(self, channels: int, anchors: int, depth: int = 1) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Conv3x3(channels, channels) for _ in range(depth))
        self.objectness = nn.Conv2d(channels, anchors, 1)
        self.deltas = nn.Conv2d(channels, anchors * 4, 1)
        for layer in (*self.convs, self.objectness, self.deltas):
            nn.init.normal_(layer.weight, std=0.01)  # Ren et al. 2015, section 3.1.3
            nn.init.zeros_(layer.bias)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """``L`` maps ``(N, C, H, W)`` → objectness logits ``(N, ΣH·W·A)`` and deltas ``(N, ΣH·W·A, 4)``."""
        per_level = [self.level(x) for x in features]
        objectness, deltas = zip(*per_level, strict=True)
        return flatten_levels(objectness, 1).squeeze(-1), flatten_levels(deltas, 4)

    def level(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One map ``(N, C, H, W)`` → logits ``(N, A, H, W)`` and deltas ``(N, 4A, H, W)``."""
        if torch.is_grad_enabled() and len(self.convs) == 1:
            modules = (self.convs[0], self.objectness, self.deltas)
            if is_plain(modules[0], Conv3x3) and _is_plain_1x1(modules[1]) and _is_plain_1x1(modules[2]):
                layers = [tensor for module in modules for tensor in (module.weight, module.bias)]
                if all(tensor is not None for tensor in layers):
                    found: tuple[Tensor, Tensor] = _SparseGradient.apply(x, *layers)
                    return found
        for conv in self.convs:
            x = conv(x).relu_()
        return self.objectness(x), self.deltas(x)


def _is_plain_1x1(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d) or not is_plain(module, nn.Conv2d):
        return False
    return (module.kernel_size, module.stride, module.padding, module.groups) == ((1, 1), (1, 1), (0, 0), 1)


class _SparseGradient(torch.autograd.Function):
    """The head of depth 1, with a gradient computed only in the cells that the loss looked at.

    The loss samples 256 anchors of an image among hundreds of thousands, so that almost all of the incoming
    gradient is zero: instead of two dense convolutions the backward pass is a small matrix product over the
    3×3 patches around those cells. The hidden map need not be kept. Under autocast the backward pass, which
    sums over patches that overlap, is in single precision. A gradient that is itself to be differentiated
    (``create_graph=True``) is the dense one.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *layers: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, *layers)
        return _dense(x, *layers)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        given = ctx.saved_tensors
        kind = torch.promote_types(given[0].dtype, torch.float32)
        with torch.autocast(grads[0].device.type, enabled=False):
            if torch.is_grad_enabled():
                return _differentiable(kind, given, ctx.needs_input_grad, grads)
            touched = (grads[0] != 0).any(dim=1) | (grads[1] != 0).any(dim=1)  # (N, H, W)
            cells = torch.where(touched)
            few = len(cells[0]) <= MOST_CELLS
            wanted = tuple(grad.permute(0, 2, 3, 1)[cells] for grad in grads) if few else grads
            with torch.enable_grad():
                tracked = [tensor.detach().to(kind).requires_grad_() for tensor in given]
                outputs = _at_cells(cells, *tracked) if few else _dense(*tracked)
            found = torch.autograd.grad(outputs, tracked, [grad.to(kind) for grad in wanted])
        return tuple(grad.to(tensor.dtype) for grad, tensor in zip(found, given, strict=True))


def _differentiable(
    kind: torch.dtype, given: Sequence[Tensor], needed: Sequence[bool], grads: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Gradients of :func:`_dense` that can be differentiated again, computed in ``kind``."""
    # views, so that the gradient ends here also where one tensor was made from another
    tracked = [tensor.to(kind).view_as(tensor) for tensor in given]
    x, weight, bias, *rest = tracked
    both = zip(_heads(F.conv2d(x, weight, bias, padding=1).relu(), *rest), grads, strict=True)
    outputs, upstream = zip(*((y, grad.to(kind)) for y, grad in both if y.requires_grad), strict=True)
    inputs = [tensor for tensor, is_needed in zip(tracked, needed, strict=True) if is_needed]
    found = iter(torch.autograd.grad(outputs, inputs, upstream, create_graph=True))
    return tuple(
        next(found).to(tensor.dtype) if is_needed else None
        for tensor, is_needed in zip(given, needed, strict=True)
    )


def _dense(x: Tensor, *layers: Tensor) -> tuple[Tensor, Tensor]:
    weight, bias, *rest = layers
    return _heads(conv3x3(x, weight, bias).relu_(), *rest)


def _heads(
    hidden: Tensor, objectness: Tensor, objectness_bias: Tensor, deltas: Tensor, deltas_bias: Tensor
) -> tuple[Tensor, Tensor]:
    return F.conv2d(hidden, objectness, objectness_bias), F.conv2d(hidden, deltas, deltas_bias)


def _at_cells(cells: tuple[Tensor, ...], x: Tensor, *layers: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`_dense` only at ``cells``, images and rows and columns ``(S,)``: ``(S, A)`` and ``(S, 4A)``."""
    weight, bias, objectness, objectness_bias, deltas, deltas_bias = layers
    image, row, column = (index[:, None, None] for index in cells)
    steps = torch.arange(3, device=x.device)
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    height, width, channels = padded.shape[1:]
    place = (image * height + row + steps[:, None]) * width + column + steps  # (S, 3, 3)
    # an embedding, since the gradient of plain indexing adds in the order in which threads arrive
    patches = F.embedding(place, padded.view(-1, channels)).flatten(1)  # (S, 3·3·C)
    hidden = linear(patches, weight.permute(0, 2, 3, 1).flatten(1), bias).relu()
    return F.linear(hidden, objectness.flatten(1), objectness_bias), F.linear(
        hidden, deltas.flatten(1), deltas_bias
    )


def flatten_levels(maps: Sequence[Tensor], values: int) -> Tensor:
    """Head outputs of all levels as one table in the order of the anchors.

    Args:
        maps: per level ``(N, A·values, H, W)``.
        values: numbers per anchor: 4 for deltas, 1 for objectness, K for class logits.

    Returns:
        ``(N, ΣH·W·A, values)``: level by level, cells row by row, the anchors of a cell together.
    """
    flat = []
    for x in maps:
        n, channels, h, w = x.shape
        x = x.permute(0, 2, 3, 1)  # (N, A·values, H, W) → (N, H, W, A·values)
        flat.append(x.reshape(n, h * w * (channels // values), values))
    return torch.cat(flat, dim=1)
