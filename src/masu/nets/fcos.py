"""The head of FCOS: class logits, distances to the four sides and centre-ness of every point of every level.

Source: Tian et al. 2019 (FCOS), section 3; centre-ness beside the distances: arXiv:2006.09214.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from masu.nets.conv import Conv3x3
from masu.nets.retina import PRIOR, Tower
from masu.nets.rpn import flatten_levels


class FCOSHead(nn.Module):
    """A tower for class logits, and one for distances and centre-ness.

    Args:
        channels: channels of every feature map.
        classes: ``K``.
        depth: convolutions of each tower before its last.
        norm: group normalisation in the towers.
    """

    def __init__(self, channels: int, classes: int, depth: int = 4, norm: bool = True) -> None:
        super().__init__()
        self.classes = Tower(channels, classes, depth, norm, bias=True)
        self.boxes = Tower(channels, 4, depth, norm, bias=True)
        self.centreness = Conv3x3(channels, 1)
        nn.init.normal_(self.centreness.weight, std=0.01)
        unlikely = -math.log((1 - PRIOR) / PRIOR)
        for layer, value in ((self.centreness, 0.0), (self.classes.output, unlikely)):
            assert layer.bias is not None
            nn.init.constant_(layer.bias, value)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """``L`` maps ``(N, C, H, W)`` → logits ``(N, ΣH·W, K)``, distances ``(N, ΣH·W, 4)``, at least 0, and
        logits of centre-ness ``(N, ΣH·W, 1)``."""
        logits = [self.classes(x) for x in features]
        hidden = [self.boxes.hidden(x) for x in features]
        distances = [self.boxes.output(x).relu() for x in hidden]
        centreness = [self.centreness(x) for x in hidden]
        return (
            flatten_levels(logits, logits[0].shape[1]),
            flatten_levels(distances, 4),
            flatten_levels(centreness, 1),
        )
