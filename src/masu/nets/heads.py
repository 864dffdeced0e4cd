"""The second stage's network: pooled RoIs to class scores and box deltas.

Only here does the background exist: it is the last of ``K + 1`` logits, so that class ids are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from masu.nets.conv import Conv3x3
from masu.ops.products import linear


class Linear(nn.Linear):
    """``nn.Linear`` computed by :func:`masu.ops.products.linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """``(R, in_features)`` → ``(R, out_features)``."""
        return linear(x, self.weight, self.bias)


class BoxHead(nn.Module):
    """Optional 3×3 convolutions, then fully connected layers (Ren et al. 2015; with them Li et al. 2021).

    Args:
        channels: channels of the pooled RoIs.
        cells: cells per side of the pooled RoIs.
        convs: number of 3×3 convolutions with batch normalisation, of ``channels`` channels.
        hidden: widths of the fully connected layers.
    """

    def __init__(self, channels: int, cells: int, convs: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv_norm(channels) for _ in range(convs))
        widths = [channels * cells * cells, *hidden]
        self.linears = nn.ModuleList(Linear(a, b) for a, b in pairwise(widths))

    def forward(self, pooled: Tensor) -> Tensor:
        """``(R, C, cells, cells)`` → ``(R, hidden[-1])``; rows are read cell by cell, channels innermost."""
        x = pooled
        for conv in self.convs:
            x = conv(x).relu_()
        x = x.permute(0, 2, 3, 1).flatten(1)  # (R, C, h, w) → (R, h·w·C), a view of channels-last memory
        for layer in self.linears:
            x = layer(x).relu_()
        return x


def _conv_norm(channels: int) -> nn.Sequential:
    conv = Conv3x3(channels, channels, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


class BoxPredictor(nn.Module):
    """Class logits and box deltas, for every class or for all alike.

    Args:
        in_features: width of the head's output.
        classes: ``K``.
        class_agnostic: one box for all classes.
    """

    def __init__(self, in_features: int, classes: int, class_agnostic: bool = False) -> None:
        super().__init__()
        self.scores = Linear(in_features, classes + 1)
        self.deltas = Linear(in_features, 4 if class_agnostic else classes * 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(R, in_features)`` → logits ``(R, K + 1)``, background last, and deltas ``(R, K or 1, 4)``."""
        return self.scores(x), self.deltas(x).reshape(x.shape[0], self.deltas.out_features // 4, 4)
