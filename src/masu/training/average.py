"""A running average of the weights, which is better than the last of them (Polyak & Juditsky 1992)."""

from __future__ import annotations

import copy

import torch

from masu.detectors.detector import Detector


class Average:
    """A detector whose weights are the exponential average of those of one in training.

    Args:
        detector: the one in training.
        decay: share of the old average that a step keeps; it rises to this from 0.1, so that a short
            training is not held back by its beginning.

    Attributes:
        detector: the averaged one; same settings and names.
    """

    def __init__(self, detector: Detector, decay: float) -> None:
        self.decay = decay
        self.detector = copy.deepcopy(detector).eval()
        self.trained = [
            (mean, p)
            for mean, p in zip(self.detector.parameters(), detector.parameters(), strict=True)
            if p.requires_grad
        ]
        self.buffers = list(zip(self.detector.buffers(), detector.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step number ``step`` (from 0); statistics are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_([mean for mean, _ in self.trained], [p for _, p in self.trained], 1 - decay)
        for kept, current in self.buffers:
            kept.copy_(current)
