"""Convolutions computed in faster ways; names and weights are those of ``nn.Conv2d``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masu.nets.hooks import is_plain
from masu.ops.conv1x1 import conv1x1
from masu.ops.conv3x3 import MIN_CHANNELS, conv3x3, prepare


class Conv1x1(nn.Conv2d):
    """``nn.Conv2d`` with a 1×1 kernel, computed by :func:`masu.ops.conv1x1.conv1x1`."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return conv1x1(x, weight, bias)


class Conv3x3(nn.Conv2d):
    """``nn.Conv2d`` with a 3×3 kernel and padding 1, computed by :func:`masu.ops.conv3x3.conv3x3`.

    Attributes:
        prepared: what :func:`prepare_convs` made of the weights, in a copy for prediction; else None.
    """

    prepared: Tensor | None = None

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return conv3x3(x, weight, bias, prepared=self.prepared)


class SameConv(nn.Conv2d):
    """Convolution of stride 2 that pads like TensorFlow's ``SAME``: ``ceil(side / 2)`` outputs per side.

    Where the padding is odd, there is one more at the end than before. It is had without copying the input:
    symmetric padding, and the first output rows and columns dropped.
    """

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        sides = list(zip(x.shape[2:], self.kernel_size, strict=True))
        if torch.compiler.is_exporting():
            rows, columns = (_same_padding(side, kernel) for side, kernel in sides)
            return F.conv2d(F.pad(x, (*columns, *rows)), weight, bias, 2, 0, 1, self.groups)
        padding, kept = [], []
        for side, kernel in sides:
            before, after = _same_padding(side, kernel)
            uneven = after - before
            padding.append(before + 2 * uneven)  # enough, and a whole output row more than before
            kept.append(slice(uneven, uneven + (side + 1) // 2))
        y = F.conv2d(x, weight, bias, 2, padding, 1, self.groups)
        return y[:, :, kept[0], kept[1]]


def _same_padding(side: int, kernel: int) -> tuple[int, int]:
    """Padding before and after a side, for stride 2."""
    total = 0 if kernel == 1 else kernel - 2 + side % 2
    return total // 2, total - total // 2


def use_fast_convs(net: nn.Module) -> None:
    """Replace inside ``net`` 1×1 and 3×3 convolutions of stride 1 and timm's ``SAME`` ones of stride 2."""
    for name, child in net.named_children():
        replacement: nn.Conv2d | None = None
        if isinstance(child, nn.Conv2d):
            bias = child.bias is not None
            if is_plain(child, nn.Conv2d) and _is_like(child, kernel=1):
                child.__class__ = Conv1x1
            elif is_plain(child, nn.Conv2d) and _is_like(child, kernel=3):
                replacement = Conv3x3(child.in_channels, child.out_channels, bias)
            elif type(child).__name__ == "Conv2dSame" and _halves(child):
                kernel = (child.kernel_size[0], child.kernel_size[1])
                replacement = SameConv(
                    child.in_channels, child.out_channels, kernel, stride=2, groups=child.groups, bias=bias
                )
        if replacement is None:
            use_fast_convs(child)
        else:
            replacement.load_state_dict(child.state_dict())
            setattr(net, name, replacement)


def _is_like(conv: nn.Conv2d, kernel: int) -> bool:
    """Whether it has that kernel, and nothing special besides."""
    side, border = (kernel, kernel), (kernel // 2, kernel // 2)
    settings = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode)
    return settings == (side, (1, 1), border, (1, 1), 1, "zeros")


def _halves(conv: nn.Conv2d) -> bool:
    return is_plain(conv, type(conv)) and conv.stride == (2, 2) and conv.dilation == (1, 1)


@torch.no_grad()
def prepare_convs(net: nn.Module) -> None:
    """Let every plain :class:`Conv3x3` inside ``net`` keep its weights as Winograd's matrices, on a CPU.

    For a copy that only predicts and is made anew when weights change: the matrices do not follow them.
    Training is never given such a copy, and no gradient goes through the matrices. They are no part of the
    state dict.
    """
    for module in net.modules():
        if isinstance(module, Conv3x3) and is_plain(module, Conv3x3):
            weight, narrowest = module.weight, min(module.in_channels, module.out_channels)
            single = weight.dtype in (torch.float32, torch.float64)
            if weight.device.type == "cpu" and single and narrowest >= MIN_CHANNELS:
                module.prepared = prepare(weight)


def freeze_depthwise(net: nn.Module) -> None:
    """Take the filters of every depthwise convolution inside ``net`` out of training."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.weight.requires_grad_(False)
