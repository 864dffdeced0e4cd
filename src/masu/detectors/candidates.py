"""Boxes of one image that are ranked and suppressed: what a first or second stage keeps of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from masu.ops.nms import batched_nms


@dataclass(frozen=True, eq=False)
class Candidates:
    """Decoded boxes of one image on their way into suppression, ``C`` of them.

    Attributes:
        row: ``(C,)`` int64, the anchor or proposal that each box is from.
        group: ``(C,)`` int64 feature level or class; boxes of different groups do not suppress each other.
        ranking: ``(C,)`` logit or score; the higher comes first.
        boxes: ``(C, 4)`` xyxy in pixels of the network's input, cut to the image.
        usable: ``(C,)`` booleans, false for boxes that are too small or scored too low.
    """

    row: Tensor
    group: Tensor
    ranking: Tensor
    boxes: Tensor
    usable: Tensor

    def survivors(self, threshold: float, limit: int | None = None) -> Tensor:
        """Indices ``(k,)`` of usable boxes after suppression within groups, best first.

        Args:
            threshold: IoU above which the weaker of two boxes is dropped.
            limit: the most boxes to keep; default: all that survive.
        """
        rows = torch.where(self.usable)[0]
        kept = batched_nms(self.boxes[rows], self.ranking[rows], self.group[rows], threshold, limit)
        return rows[kept]
