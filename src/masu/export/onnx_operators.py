"""The operators of :mod:`masu.export.operators` in standard ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18

from masu.ops.roi_align import SAMPLES

op: Any = opset18  # untyped: its stubs do not know values of a graph that is being traced

INT, FLOAT, DOUBLE = 7, 1, 11
"""ONNX's numbers of its types."""


def _ints(*values: int) -> Any:
    return op.Constant(value_ints=list(values))


def canvas(
    images: Any, min_size: int, max_size: int, divisor: int, mean: Sequence[float], std: Sequence[float]
) -> Any:
    """Resize, normalise and pad; sizes in double precision, as Python computes them."""
    count_channels = op.Slice(op.Shape(images), _ints(0), _ints(2))
    given = op.Slice(op.Shape(images), _ints(2), _ints(4))
    sides = op.Cast(given, to=DOUBLE)
    short, long = op.ReduceMin(sides, keepdims=1), op.ReduceMax(sides, keepdims=1)
    wanted = op.Cast(op.Constant(value_floats=[float(min_size), float(max_size)]), to=DOUBLE)
    scale = op.ReduceMin(op.Div(wanted, op.Concat(short, long, axis=0)), keepdims=1)
    size = op.Max(op.Cast(op.Floor(op.Mul(sides, scale)), to=INT), _ints(1))
    resized = op.Resize(
        op.Cast(images, to=FLOAT),
        None,
        None,
        op.Concat(count_channels, size, axis=0),
        mode="linear",
        coordinate_transformation_mode="pytorch_half_pixel",
    )
    largest = 255.0 if len(mean) == 3 else 1.0
    shape = (1, len(mean), 1, 1)
    factor = torch.tensor(std).mul(largest).reshape(shape)
    shift = torch.tensor(mean).div(torch.tensor(std)).reshape(shape)
    pixels = op.Sub(op.Div(resized, _tensor(factor)), _tensor(shift))
    missing = op.Sub(_up(size, divisor), size)
    pads = op.Concat(_ints(0, 0, 0, 0, 0, 0), missing, axis=0)
    return op.Pad(pixels, pads), op.Cast(size, to=FLOAT)


def suppress(boxes: Any, scores: Any, threshold: float) -> Any:
    """``NonMaxSuppression``, its list of indices scattered into a mask."""
    most = op.Slice(op.Shape(boxes), _ints(1), _ints(2))
    lowest = op.Constant(value_float=torch.finfo(torch.float32).min)
    kept = op.NonMaxSuppression(boxes, scores, most, op.Constant(value_float=threshold), lowest)
    ones = op.Expand(op.Constant(value_float=1.0), op.Slice(op.Shape(kept), _ints(0), _ints(1)))
    nothing = op.Expand(op.Constant(value_float=0.0), op.Shape(scores))
    return op.Cast(op.ScatterND(nothing, kept, ones), to=9)


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
