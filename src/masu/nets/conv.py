"""Convolutions computed in faster ways; names and weights are those of ``nn.Conv2d``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masu.ops.conv3x3 import conv3x3


class Conv3x3(nn.Conv2d):
    """``nn.Conv2d`` with a 3×3 kernel and padding 1, computed by :func:`masu.ops.conv3x3.conv3x3`."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return conv3x3(x, weight, bias)


class SameConv(nn.Conv2d):
    """Convolution of stride 2 that pads like TensorFlow's ``SAME``: an even side more at its end than before.

    The uneven padding is had without copying the input: symmetric padding of one more, and the first output
    row or column dropped.
    """

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if torch.compiler.is_exporting():  # sides are multiples of the input policy's divisor, so even
            rows, columns = (((k - 2) // 2, (k - 1) // 2) for k in self.kernel_size)
            return F.conv2d(F.pad(x, (*columns, *rows)), weight, bias, 2, 0, 1, self.groups)
        even = [1 - side % 2 for side in x.shape[2:]]
        padding = [k // 2 + e for k, e in zip(self.kernel_size, even, strict=True)]
        y = F.conv2d(x, weight, bias, 2, padding, 1, self.groups)
        return y[:, :, even[0] :, even[1] :]


def use_fast_convs(net: nn.Module) -> None:
    """Replace inside ``net`` the 3×3 convolutions of stride 1 and timm's ``SAME`` ones of stride 2."""
    for name, child in net.named_children():
        replacement: nn.Conv2d | None = None
        if isinstance(child, nn.Conv2d):
            bias = child.bias is not None
            if type(child) is nn.Conv2d and _is_plain_3x3(child):
                replacement = Conv3x3(child.in_channels, child.out_channels, bias)
            elif type(child).__name__ == "Conv2dSame" and child.stride == (2, 2) and child.dilation == (1, 1):
                kernel = (child.kernel_size[0], child.kernel_size[1])
                replacement = SameConv(
                    child.in_channels, child.out_channels, kernel, stride=2, groups=child.groups, bias=bias
                )
        if replacement is None:
            use_fast_convs(child)
        else:
            replacement.load_state_dict(child.state_dict())
            setattr(net, name, replacement)


def _is_plain_3x3(conv: nn.Conv2d) -> bool:
    settings = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode)
    return settings == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros")


def freeze_depthwise(net: nn.Module) -> None:
    """Take the filters of every depthwise convolution inside ``net`` out of training."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.weight.requires_grad_(False)


def prepare_convs(net):  # TEMP
    pass
