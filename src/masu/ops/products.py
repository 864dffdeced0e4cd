"""Matrix products of single precision by oneDNN on an AMD processor, where MKL uses half of what it has.

PyTorch's builds for x86 multiply matrices with MKL, which on a processor of another maker keeps to AVX2.
oneDNN, which they bring along for convolutions, goes by what the processor says it can do. PyTorch's public
functions do not multiply by it in single precision, so the operators are called that ``torch.compile`` puts
in the place of layers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST = 1_000_000
"""Multiplications below which the call, and not the product, decides the time."""

LEAST_ROWS = 512
"""Rows of :func:`by_groups` below which bringing its matrices into oneDNN's order costs too much."""


@functools.cache
def available() -> bool:
    """Whether the processor is AMD's and this PyTorch has MKL and those operators, which multiply right."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if not capabilities.get("cpu_name", "").startswith("AMD"):
        return False
    if not (torch._C.has_mkl and torch._C._has_mkldnn):
        return False
    with torch.inference_mode():
        rows, matrix = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(3, 4)
        grouped = torch.stack([rows, rows + 1], dim=1)
        matrices = torch.stack([matrix, -matrix])
        try:
            found = _times(rows, matrix.T, None), _grouped(grouped, _packed(matrices, 2), 2, 4)
        except (AttributeError, NotImplementedError, RuntimeError, TypeError):
            return False
        wanted = rows @ matrix, torch.einsum("tgc,gco->tgo", grouped, matrices)
        return all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def pays(multiplications: int, *tensors: Tensor | None) -> bool:
    """Whether oneDNN is to multiply these tensors, of which None are left out.

    Not under autocast, whose types it does not know, while a graph is traced, or where
    ``torch.backends.mkldnn.enabled`` is off.
    """
    return (
        not torch.compiler.is_compiling()  # first: while a graph is traced, sizes must not be looked at
        and multiplications >= LEAST
        and all(t is None or (t.dtype == torch.float32 and t.device.type == "cpu") for t in tensors)
        and not torch.is_autocast_enabled("cpu")
        and bool(torch.backends.mkldnn.enabled)
        and available()
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear(x, weight, bias)``, by whichever of the two ways is faster, with gradients of any order.

    Args:
        x: ``(R, C)``; other shapes are left to ``F.linear``.
        weight: ``(O, C)``.
        bias: ``(O,)``.

    Returns:
        ``(R, O)``; in single precision summed in another order than ``F.linear``'s.
    """
    if (
        x.dim() != 2
        or x.shape[1] != weight.shape[-1]
        or not pays(x.shape[0] * weight.numel(), x, weight, bias)
    ):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias)):
        found: Tensor = _Linear.apply(x, weight, bias)
        return found
    return _times(x, weight, bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _times(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (grad,) = grads
        times = F.linear if torch.is_grad_enabled() else _times  # the former can be differentiated again
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            times(grad, weight.T, None) if needs_x else None,
            times(grad.T, x.T, None) if needs_weight else None,
            grad.sum(dim=0) if needs_bias else None,
        )


def by_groups(matrices: Tensor, rows: int, total: int) -> Callable[[Tensor], Tensor]:
    """Products with the same matrices again and again, one matrix for each group.

    Args:
        matrices: ``(G, C, O)``; no gradient reaches them.
        rows: the most that will come at a time.
        total: rows of all times together.

    Returns:
        A function of ``(T, G, C)``, ``T <= rows``, to ``(T, G, O)``.
    """
    if total < LEAST_ROWS or not pays(total * matrices.numel(), matrices):
        return lambda x: torch.bmm(x.transpose(0, 1), matrices).transpose(0, 1)
    return functools.partial(_grouped, packed=_packed(matrices, rows), rows=rows, outputs=matrices.shape[2])


def _times(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


def _packed(matrices: Tensor, rows: int) -> Tensor:
    """Matrices ``(G, C, O)`` as the weights of a grouped 1×1 convolution, in oneDNN's own order."""
    groups, channels, outputs = matrices.shape
    weight = matrices.transpose(1, 2).reshape(groups * outputs, channels, 1, 1)
    shape = [1, groups * channels, rows, 1]
    reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # declared without its last argument
    found: Tensor = reorder(weight.to_mkldnn(), [0, 0], [1, 1], [1, 1], groups, shape)
    return found


def _grouped(x: Tensor, packed: Tensor, rows: int, outputs: int) -> Tensor:
    count, groups, channels = x.shape
    x = F.pad(x, (0, 0, 0, 0, 0, rows - count))  # for another number of rows the order may be another one
    pixels = x.view(1, rows, 1, groups * channels).permute(0, 3, 1, 2)  # channels-last, in one column
    y: Tensor = torch.ops.mkldnn._convolution_pointwise(
        pixels, packed, None, [0, 0], [1, 1], [1, 1], groups, "none", [], ""
    )
    return y.permute(0, 2, 3, 1).reshape(rows, groups, outputs)[:count]
