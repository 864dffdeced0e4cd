"""What the network computed for a batch: losses, detections and explanations all start from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from masu.records import ImageBatch


@dataclass(frozen=True, eq=False)
class Level:
    """The anchors of one feature level and the head's outputs for them; ``R`` = H·W·A of this level.

    Attributes:
        anchors: ``(R, 4)`` xyxy in pixels of the network's input, the same for every image.
        logits: ``(N, R, C)``: objectness (``C`` is 1) of an RPN, one per class (``C`` is K) in one stage.
        deltas: ``(N, R, 4)`` of each anchor, as the detector's coder reads them.
    """

    anchors: Tensor
    logits: Tensor
    deltas: Tensor


@dataclass(frozen=True, eq=False)
class Raw:
    """The outputs of the network for a batch.

    Attributes:
        images: the batch as the network saw it.
        features: per level ``(N, C, H_l, W_l)``; under ``torch.autocast`` of its type, and nothing else is.
        levels: per level the anchors and the head's outputs, finest first.
    """

    images: ImageBatch
    features: tuple[Tensor, ...]
    levels: tuple[Level, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Anchors of each level; they add up to ``R`` of the properties below."""
        return tuple(len(level.anchors) for level in self.levels)

    @cached_property
    def anchors(self) -> Tensor:
        """``(R, 4)`` anchors of all levels, one after the other."""
        return torch.cat([level.anchors for level in self.levels])

    @cached_property
    def logits(self) -> Tensor:
        """``(N, R, C)`` logits of all levels, one after the other."""
        return torch.cat([level.logits for level in self.levels], dim=1)

    @cached_property
    def deltas(self) -> Tensor:
        """``(N, R, 4)`` deltas of all levels, one after the other."""
        return torch.cat([level.deltas for level in self.levels], dim=1)
