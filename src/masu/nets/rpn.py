"""The RPN's head: objectness and box deltas for every anchor of every level (Ren et al. 2015, 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from masu.nets.conv import Conv3x3


class RPNHead(nn.Module):
    """3×3 convolutions shared by all levels, then 1×1 convolutions for objectness and deltas.

    Args:
        channels: channels of every feature map.
        anchors: anchors per cell, ``A``.
        depth: number of 3×3 convolutions.
    """

    def __init__(self, channels: int, anchors: int, depth: int = 1) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Conv3x3(channels, channels) for _ in range(depth))
        self.objectness = nn.Conv2d(channels, anchors, 1)
        self.deltas = nn.Conv2d(channels, anchors * 4, 1)
        for layer in (*self.convs, self.objectness, self.deltas):
            nn.init.normal_(layer.weight, std=0.01)  # Ren et al. 2015, section 3.1.3
            nn.init.zeros_(layer.bias)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """``L`` maps ``(N, C, H, W)`` → objectness logits ``(N, ΣH·W·A)`` and deltas ``(N, ΣH·W·A, 4)``."""
        objectness, deltas = [], []
        for x in features:
            for conv in self.convs:
                x = conv(x).relu_()
            objectness.append(self.objectness(x))
            deltas.append(self.deltas(x))
        return flatten_levels(objectness, 1).squeeze(-1), flatten_levels(deltas, 4)


def flatten_levels(maps: Sequence[Tensor], values: int) -> Tensor:
    """Head outputs of all levels as one table in the order of the anchors.

    Args:
        maps: per level ``(N, A·values, H, W)``.
        values: numbers per anchor: 4 for deltas, 1 for objectness, K for class logits.

    Returns:
        ``(N, ΣH·W·A, values)``: level by level, cells row by row, the anchors of a cell together.
    """
    flat = []
    for x in maps:
        n, channels, h, w = x.shape
        x = x.permute(0, 2, 3, 1)  # (N, A·values, H, W) → (N, H, W, A·values)
        flat.append(x.reshape(n, h * w * (channels // values), values))
    return torch.cat(flat, dim=1)
