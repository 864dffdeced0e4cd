"""3×3 convolution of stride 1 with 2.25 instead of 9 multiplications per output, for wide maps on a CPU.

Source: Lavin & Gray 2016 (Fast Algorithms for Convolutional Neural Networks), F(4×4, 3×3). A tile of 6×6
inputs becomes 36 numbers per channel, each of which meets its own channels × channels matrix; the products
become the tile's 4×4 outputs. The three steps are matrix products over chunks of tiles that stay in cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from masu.ops.checks import check_shape
from masu.ops.products import by_groups

MIN_CHANNELS = 128
"""Below it the transforms cost more than the multiplications they save."""

MIN_CHANNELS_TRAINING = 64
"""The same with a gradient, whose direct computation is slower than that of the convolution itself."""

MIN_PIXELS = 900
"""Below it, over all images of the batch, preparing the weights costs more than it saves."""

CHUNK = 256
"""Tiles transformed at a time."""

_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_WEIGHT = torch.tensor(
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64
).div(24)
_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)
INPUT_2D, WEIGHT_2D, OUTPUT_2D = (torch.kron(m, m) for m in (_INPUT, _WEIGHT, _OUTPUT))
"""The paper's Bᵀ, G and Aᵀ for tiles written as columns: ``(36, 36)``, ``(36, 9)`` and ``(16, 36)``."""


def conv3x3(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    out: Tensor | None = None,
    prepared: Tensor | None = None,
) -> Tensor:
    """``F.conv2d(x, weight, bias, padding=1)``, by whichever of the two ways is faster.

    Args:
        x: ``(N, C, H, W)``.
        weight: ``(O, C, 3, 3)``.
        bias: ``(O,)``.
        out: channels-last map to write to; without a gradient.
        prepared: ``prepare(weight)``, where that was kept; used where no gradient is wanted. The result is
            the same to the bit.

    Returns:
        ``(N, O, H, W)``; in single precision within about 1e-5 of the largest value of the direct sum.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    _check(x, weight, bias, out, prepared)
    if not pays(x, weight):
        direct = F.conv2d(x, weight, bias, padding=1)
        return direct if out is None else out.copy_(direct)
    if prepared is not None and prepared.dtype != weight.dtype:
        prepared = None
    if out is not None:
        winograd(x, weight, bias, out.permute(0, 2, 3, 1), prepared)
        return out
    y: Tensor
    if prepared is None or _wants_gradient(x, weight, bias):
        y = _Winograd.apply(x, weight, bias)
    else:
        y = winograd(x, weight, bias, None, prepared)
    return y.permute(0, 3, 1, 2)


def _check(
    x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor | None, prepared: Tensor | None
) -> None:
    check_shape("weight", weight, ("O", "C", 3, 3))
    outputs, channels = weight.shape[:2]
    check_shape("x", x, ("N", channels, "H", "W"), ", with the channels of the weight")
    if bias is not None:
        check_shape("bias", bias, (outputs,), ", one per output channel")
    if out is not None:
        check_shape("out", out, (x.shape[0], outputs, *x.shape[2:]))
    if prepared is not None:
        check_shape("prepared", prepared, (36, channels, outputs), ", what prepare(weight) gives")


def _wants_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether :func:`winograd` is faster than the direct convolution; in half precision it is inexact."""
    if torch.compiler.is_exporting():
        return False
    images, channels, height, width = x.shape
    training = _wants_gradient(x, weight)
    return (
        x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and min(channels, weight.shape[0]) >= (MIN_CHANNELS_TRAINING if training else MIN_CHANNELS)
        and images * height * width >= MIN_PIXELS
    )


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return winograd(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].permute(0, 3, 1, 2)
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        of_x = of_weight = None
        if torch.is_grad_enabled():  # differentiated again: PyTorch keeps less for that
            if needs_x:
                of_x = conv2d_input(x.shape, weight, grad, padding=1)  # type: ignore[no-untyped-call]
            if needs_weight:
                of_weight = conv2d_weight(x, weight.shape, grad, padding=1)  # type: ignore[no-untyped-call]
        else:
            if needs_x:
                of_x = winograd(grad, weight.flip(2, 3).transpose(0, 1), None).permute(0, 3, 1, 2)
            if needs_weight:
                of_weight = winograd_weight_gradient(x, grad)
        return of_x, of_weight, grad.sum(dim=(0, 2, 3)) if needs_bias else None


def prepare(weight: Tensor) -> Tensor:
    """Weights ``(O, C, 3, 3)`` as the 36 matrices of :func:`winograd`, ``(36, C, O)``."""
    out, channels = weight.shape[:2]
    taps = weight.permute(2, 3, 0, 1).reshape(9, out * channels)
    return (WEIGHT_2D.to(weight) @ taps).view(36, out, channels).transpose(1, 2)


def winograd(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    y: Tensor | None = None,
    prepared: Tensor | None = None,
) -> Tensor:
    """``F.conv2d(x, weight, bias, padding=1)``, channels last: ``(N, H, W, O)``.

    Args:
        x: ``(N, C, H, W)``.
        weight: ``(O, C, 3, 3)``.
        bias: ``(O,)``.
        y: where to write the result.
        prepared: ``prepare(weight)``.
    """
    images, height, width, out = x.shape[0], x.shape[2], x.shape[3], len(weight)
    matrices = prepare(weight) if prepared is None else prepared
    to_output = OUTPUT_2D.to(x)
    if y is None:
        y = x.new_empty((images, height, width, out))
    columns, all_rows, most_rows, together = _tiling(x)
    multiply = by_groups(matrices, together * most_rows * columns, images * all_rows * columns)
    for part, shape, tiles in _transformed_tiles(x):
        outputs = torch.bmm(to_output.expand(len(tiles), 16, 36), multiply(tiles))  # (T, 16, O)
        outputs = outputs.view(*shape, 4, 4, out)
        target = y[part]
        rows, columns = shape[1:]
        whole = target.shape[1:3] == (rows * 4, columns * 4)
        if whole:
            target = target.view(-1, rows, 4, columns, 4, out).transpose(2, 3)
        else:
            outputs = outputs.transpose(2, 3).flatten(3, 4).flatten(1, 2)
            outputs = outputs[:, : target.shape[1], :width]
        if bias is None:
            target.copy_(outputs)
        else:
            torch.add(outputs, bias, out=target)
    return y


def winograd_weight_gradient(x: Tensor, grad: Tensor) -> Tensor:
    """Gradient ``(O, C, 3, 3)`` of the weights, from ``x (N, C, H, W)`` and ``grad (N, O, H, W)``."""
    channels, out = x.shape[1], grad.shape[1]
    total = x.new_zeros((36, channels, out))
    from_output = OUTPUT_2D.T.to(x)
    grad = grad.permute(0, 2, 3, 1)
    for part, (images, rows, columns), tiles in _transformed_tiles(x):
        outputs = x.new_zeros((images, rows * 4, columns * 4, out))
        outputs[:, : grad[part].shape[1], : grad.shape[2]] = grad[part]
        outputs = outputs.view(images, rows, 4, columns, 4, out).transpose(2, 3).reshape(-1, 16, out)
        products = torch.bmm(from_output.expand(len(outputs), 36, 16), outputs)  # (T, 36, O)
        total.baddbmm_(tiles.permute(1, 2, 0), products.transpose(0, 1))
    taps = WEIGHT_2D.T.to(x) @ total.view(36, -1)
    return taps.view(3, 3, channels, out).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)


def _tiling(x: Tensor) -> tuple[int, int, int, int]:
    """Columns and rows of tiles of an image, and how many rows and images are transformed at a time."""
    images, _, height, width = x.shape
    columns, all_rows = -(-width // 4), -(-height // 4)
    most_rows = min(max(CHUNK // columns, 1), all_rows)
    return columns, all_rows, most_rows, min(max(CHUNK // (columns * all_rows), 1), images)


def _transformed_tiles(x: Tensor) -> Iterator[tuple[tuple[slice, slice], tuple[int, int, int], Tensor]]:
    """Chunks of the padded input's 6×6 tiles, transformed.

    Yields:
        which images and output rows, how many images and rows and columns of tiles, and the tiles
        ``(T, 36, C)``.
    """
    images, channels, height, width = x.shape
    columns, _, most_rows, together = _tiling(x)
    x = x.permute(0, 2, 3, 1)  # a view of channels-last memory
    strip = x.new_zeros((together, most_rows * 4 + 2, columns * 4 + 2, channels))
    across, down, right, _ = strip.stride()
    to_tile = INPUT_2D.to(x)
    for image in range(0, images, together):
        chosen = slice(image, min(image + together, images))
        count = chosen.stop - image
        for top in range(0, height, most_rows * 4):
            rows = min(most_rows, -(-(height - top) // 4))
            first, last = max(top - 1, 0), min(top + rows * 4 + 1, height)
            strip[:, : first - top + 1] = 0
            strip[:count, first - top + 1 : last - top + 1, 1 : width + 1] = x[chosen, first:last]
            strip[:, last - top + 1 :] = 0
            patches = strip.as_strided(
                (count, rows, columns, 6, 6, channels), (across, down * 4, right * 4, down, right, 1)
            ).reshape(-1, 36, channels)
            tiles = torch.bmm(to_tile.expand(len(patches), 36, 36), patches)
            yield (chosen, slice(top, top + rows * 4)), (count, rows, columns), tiles
