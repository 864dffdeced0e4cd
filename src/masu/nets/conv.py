"""The 3×3 convolution of pyramids and heads, and of backbones that have wide ones."""

from __future__ import annotations

from torch import Tensor, nn

from masu.ops.conv3x3 import conv3x3


class Conv3x3(nn.Conv2d):
    """``nn.Conv2d`` with a 3×3 kernel and padding 1, computed by :func:`masu.ops.conv3x3.conv3x3`."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` → ``(N, out_channels, H, W)``."""
        return conv3x3(x, self.weight, self.bias)


def use_conv3x3(net: nn.Module) -> None:
    """Replace the 3×3 convolutions of stride 1 inside ``net``; names and weights stay."""
    for name, child in net.named_children():
        if type(child) is nn.Conv2d and _is_plain_3x3(child):
            conv = Conv3x3(child.in_channels, child.out_channels, bias=child.bias is not None)
            conv.weight, conv.bias = child.weight, child.bias
            setattr(net, name, conv)
        else:
            use_conv3x3(child)


def _is_plain_3x3(conv: nn.Conv2d) -> bool:
    settings = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode)
    return settings == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros")
