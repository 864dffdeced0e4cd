"""Shapes and types of what comes into an operator, looked at before anything reads memory by them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def check_shape(name: str, value: Tensor, wanted: Sequence[int | str | None], said: str = "") -> None:
    """Refuse another shape.

    Args:
        name: of the argument.
        value: what came.
        wanted: a length per dimension; a letter or None: any. A first ``"..."``: any number of dimensions.
        said: after the wanted shape, such as ``, one per box``.

    Raises:
        ValueError: names both shapes.
    """
    shape, lengths = value.shape, list(wanted)
    if lengths[:1] == ["..."]:
        lengths = lengths[1:]
        shape = shape[max(len(shape) - len(lengths), 0) :]
    if len(shape) == len(lengths) and all(
        own == length for own, length in zip(shape, lengths, strict=True) if isinstance(length, int)
    ):
        return
    shown = ", ".join(map(str, wanted)) + ("," if len(wanted) == 1 else "")
    raise ValueError(f"{name}: found shape {tuple(value.shape)}, wanted ({shown}){said}")


def check_boxes(name: str, boxes: Tensor, *lengths: int | str) -> None:
    """Refuse what has not four numbers in its last dimension.

    Args:
        name: of the argument.
        boxes: what came.
        lengths: of the dimensions before; default: any.

    Raises:
        ValueError: names both shapes.
    """
    check_shape(name, boxes, (*(lengths or ("...",)), 4))


def as_single(value: Tensor) -> Tensor:
    """Half precision and whole numbers as float32, for their products overflow; else the tensor itself."""
    kind = value.dtype
    if kind in (torch.float32, torch.float64):
        return value
    if kind.is_complex:
        raise ValueError(f"boxes or scores: found {kind}, wanted real numbers")
    return value.to(torch.float32)


def check_index(name: str, index: Tensor, count: int) -> None:
    """Refuse what is no index below ``count``. Elsewhere than on a CPU one would wait for the values.

    Raises:
        ValueError: another type, or a value outside ``0..count-1``.
    """
    if index.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"{name}: found {index.dtype}, wanted torch.int64")
    if index.device.type == "cpu" and index.numel():
        least, most = (int(bound) for bound in index.aminmax())
        if least < 0 or most >= count:
            raise ValueError(f"{name}: found {least if least < 0 else most}, wanted 0..{count - 1}")
