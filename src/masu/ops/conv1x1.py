"""1×1 convolution, also in one thread by oneDNN."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from masu.ops.products import pays


def conv1x1(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.conv2d(x, weight, bias)``, by whichever of the two ways is faster.

    PyTorch computes a 1×1 convolution of fewer than 16 images in one thread by a matrix product of MKL, which
    is slow on some processors (:mod:`masu.ops.products`). A dilated one it leaves to oneDNN, and to dilate
    a single tap changes nothing.

    Args:
        x: ``(N, C, H, W)``.
        weight: ``(O, C, 1, 1)``.
        bias: ``(O,)``.

    Returns:
        ``(N, O, H, W)``.
    """
    alone = pays(x.numel() * weight.shape[0], x, weight, bias) and torch.get_num_threads() == 1
    return F.conv2d(x, weight, bias, dilation=2 if alone else 1)
