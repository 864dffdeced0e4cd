"""The operators of :mod:`masu.ops.operators` in standard ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18

from masu.ops.roi_align import SAMPLES

op: Any = opset18  # untyped: its stubs do not know values of a graph that is being traced

INT, FLOAT = 7, 1
"""ONNX's numbers of its types."""


def _ints(*values: int) -> Any:
    return op.Constant(value_ints=list(values))


def canvas(
    images: Any,
    min_size: int,
    max_size: int,
    divisor: int,
    mean: Sequence[float],
    std: Sequence[float],
    rgb: bool,
) -> Any:
    """Resize, normalise and pad."""
    count_channels = op.Slice(op.Shape(images), _ints(0), _ints(2))
    size = _resized_size(op.Slice(op.Shape(images), _ints(2), _ints(4)), min_size, max_size)
    resized = op.Resize(
        op.Cast(images, to=FLOAT),
        None,
        None,
        op.Concat(count_channels, size, axis=0),
        mode="linear",
        coordinate_transformation_mode="pytorch_half_pixel",
    )
    largest = 255.0 if rgb else 1.0
    shape = (1, len(mean), 1, 1)
    factor = torch.tensor(std).mul(largest).reshape(shape)
    shift = torch.tensor(mean).div(torch.tensor(std)).reshape(shape)
    pixels = op.Sub(op.Div(resized, _tensor(factor)), _tensor(shift))
    missing = op.Sub(_up(size, divisor), size)
    pads = op.Concat(_ints(0, 0, 0, 0, 0, 0), missing, axis=0)
    return op.Pad(pixels, pads), op.Cast(size, to=FLOAT)


SIDES = 1 << 14
"""Of images whose governing side is shorter, sizes are those of eager mode to the pixel."""


def _resized_size(given: Any, min_size: int, max_size: int) -> Any:
    """:func:`masu.ops.images.resized_size` in whole numbers, for OpenVINO has no doubles.

    The scale is a length over the side that governs it, and ``⌊side · length / governing⌋`` what doubles give
    as well, unless the division is exact: then they give one less where the double of the scale lies so far
    below it that the product is rounded below the whole number.
    """
    short, long = op.ReduceMin(given, keepdims=1), op.ReduceMax(given, keepdims=1)
    least, most = _ints(min_size), _ints(max_size)
    by_long = op.Less(op.Mul(most, short), op.Mul(least, long))
    governing, length = op.Where(by_long, long, short), op.Where(by_long, most, least)
    wanted = op.Mul(given, length)
    size = op.Div(wanted, governing)
    whole = op.Equal(op.Mul(size, governing), wanted)
    table = _tensor(torch.tensor(_missing(min_size) + _missing(max_size)))
    row = op.Add(op.Min(governing, _ints(SIDES - 1)), op.Where(by_long, _ints(SIDES), _ints(0)))
    # within (1, 2], of whole numbers; half a unit in the last place below them is 2⁻⁵³ of it
    significands = torch.tensor([n / 2.0 ** ((n - 1).bit_length() - 1) for n in range(max_size + 1)])
    rounded = op.Mul(op.Gather(table, row), op.Gather(_tensor(significands), size))
    below = op.And(whole, op.Greater(rounded, op.Constant(value_float=1 + 1e-6)))
    return op.Max(op.Sub(size, op.Cast(below, to=INT)), _ints(1))


def _missing(length: int) -> list[float]:
    """By how many 2⁻⁵³ of itself the double of ``length / side`` is too small, for each side."""
    ratios = [(length / side).as_integer_ratio() for side in range(1, SIDES - 1)]
    short = [max(length * d - n * side, 0) * 2**53 / (length * d) for side, (n, d) in enumerate(ratios, 1)]
    return [0.0, *short, 0.0]


def suppress(boxes: Any, scores: Any, groups: Any, count: int, threshold: float) -> Any:
    """``NonMaxSuppression`` of a list for each group, its indices scattered into a mask."""
    scores = op.Unsqueeze(scores, _ints(1))
    if count > 1:
        own = op.Equal(op.Unsqueeze(groups, _ints(1)), op.Reshape(_ints(*range(count)), _ints(1, count, 1)))
        scores = op.Where(own, scores, op.Constant(value_float=float("-inf")))  # (B, count, S)
    most = op.Slice(op.Shape(boxes), _ints(1), _ints(2))
    lowest = op.Constant(value_float=torch.finfo(torch.float32).min)
    kept = op.NonMaxSuppression(boxes, scores, most, op.Constant(value_float=threshold), lowest)
    ones = op.Expand(op.Constant(value_float=1.0), op.Slice(op.Shape(kept), _ints(0), _ints(1)))
    nothing = op.Expand(op.Constant(value_float=0.0), op.Shape(scores))
    return op.Cast(op.ReduceMax(op.ScatterND(nothing, kept, ones), _ints(1), keepdims=0), to=9)


def pool(
    features: Sequence[Any], boxes: Any, image: Any, level: Any, strides: Sequence[int], cells: int
) -> Any:
    """``RoiAlign`` of each level's own boxes, put back in their order."""
    parts, rows = [], []
    for number, (x, stride) in enumerate(zip(features, strides, strict=True)):
        own = op.Reshape(op.NonZero(op.Equal(level, _ints(number))), _ints(-1))
        rows.append(own)
        parts.append(
            op.RoiAlign(
                x,
                op.Gather(boxes, own),
                op.Gather(image, own),
                coordinate_transformation_mode="output_half_pixel",
                output_height=cells,
                output_width=cells,
                sampling_ratio=SAMPLES,
                spatial_scale=1.0 / stride,
            )
        )
    order = op.Concat(*rows, axis=0)
    every = op.Range(op.Constant(value_int=0), op.Size(order), op.Constant(value_int=1))
    return op.Gather(op.Concat(*parts, axis=0), op.ScatterElements(every, order, every))


def _tensor(value: torch.Tensor) -> Any:
    flat = op.Constant(value_floats=value.flatten().tolist())
    return op.Reshape(flat, _ints(*value.shape))


def _up(size: Any, divisor: int) -> Any:
    return op.Mul(op.Div(op.Add(size, _ints(divisor - 1)), _ints(divisor)), _ints(divisor))


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.masu.canvas.default: canvas,
    torch.ops.masu.suppress.default: suppress,
    torch.ops.masu.pool.default: pool,
}
