"""The one-stage head: class logits and box deltas for every anchor of every level.

Source: Lin et al. 2017 (Focal Loss for Dense Object Detection), section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from masu.nets.conv import Conv3x3
from masu.nets.rpn import flatten_levels

GROUPS = 32
"""Of a group normalisation."""

PRIOR = 0.01
"""Score of every class before training, so that the many background anchors do not drown the first steps."""


def check_groups(channels: int, norm: bool) -> None:
    """Raise ``ValueError`` where channels cannot be normalised in groups."""
    if norm and (channels % GROUPS or channels == GROUPS):  # one channel in one cell cannot be normalised
        raise ValueError(
            f"fpn_channels: found {channels} with head_norm, wanted a multiple of {GROUPS} "
            f"from {2 * GROUPS} on: the head's normalisation has {GROUPS} groups"
        )


class Tower(nn.Module):
    """3×3 convolutions shared by all levels, with ReLU between them and none after the last.

    What nothing normalises starts as He et al. 2015 have it, so that what passes through keeps its size; the
    0.01 of the paper is a third of that at 256 channels, a fifth at 96, for each convolution.

    Args:
        channels: channels of every feature map.
        outputs: channels of the result.
        depth: number of convolutions before the last.
        norm: group normalisation (32 groups) after each of them.
        bias: of the convolutions before the last; None: where there is no normalisation.
    """

    def __init__(self, channels: int, outputs: int, depth: int, norm: bool, bias: bool | None = None) -> None:
        super().__init__()
        bias = not norm if bias is None else bias
        self.convs = nn.ModuleList(Conv3x3(channels, channels, bias=bias) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.GroupNorm(GROUPS, channels) if norm else nn.Identity() for _ in self.convs
        )
        self.output = Conv3x3(channels, outputs)
        for conv in (*self.convs, self.output):
            if norm or conv is self.output:
                nn.init.normal_(conv.weight, std=0.01)
            else:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def hidden(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``, what the last convolution is given."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x)).relu_()
        return x

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, outputs, H, W)``."""
        y: Tensor = self.output(self.hidden(x))
        return y


class RetinaHead(nn.Module):
    """A tower for class logits and one for box deltas.

    Args:
        channels: channels of every feature map.
        anchors: anchors per cell, ``A``.
        classes: ``K``.
        depth: convolutions of each tower before its last.
        norm: group normalisation in the towers.
    """

    def __init__(self, channels: int, anchors: int, classes: int, depth: int = 4, norm: bool = False) -> None:
        super().__init__()
        self.anchors = anchors
        self.classes = Tower(channels, anchors * classes, depth, norm)
        self.boxes = Tower(channels, anchors * 4, depth, norm)
        bias = self.classes.output.bias
        assert bias is not None
        nn.init.constant_(bias, -math.log((1 - PRIOR) / PRIOR))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """``L`` maps ``(N, C, H, W)`` → logits ``(N, ΣH·W·A, K)`` and deltas ``(N, ΣH·W·A, 4)``."""
        logits = [self.classes(x) for x in features]
        deltas = [self.boxes(x) for x in features]
        return flatten_levels(logits, logits[0].shape[1] // self.anchors), flatten_levels(deltas, 4)
