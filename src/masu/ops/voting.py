"""Box voting: where the boxes around a box say that it is.

Gidaris & Komodakis 2015, section 4.2, with the weights of He et al. 2019 (softer NMS, eq. 6), without their
variances.
"""

from __future__ import annotations

import torch
from torch import Tensor

from masu.ops.checks import check_boxes
from masu.ops.geometry import area, iou

SIGMA = 0.025
"""The σ of the small detectors (docs/models.md)."""


def vote_boxes(boxes: Tensor, around: Tensor, scores: Tensor, sigma: float) -> Tensor:
    """The mean of the boxes around each box, weighted by their scores and by how well they fit it.

    The weight of a box is ``score · exp(−(1 − IoU)² / σ)``. With σ = 0.025 an IoU of 0.9 weighs 0.67 times as
    much as one of 1, of 0.7 0.03 times, and of 0.5 nothing that counts.

    Args:
        boxes: ``(..., D, 4)`` xyxy, each among those around it.
        around: ``(..., D or 1, S, 4)`` xyxy.
        scores: ``(..., D, S)``, 0 for what has no vote.
        sigma: σ, above 0.

    Returns:
        ``(..., D, 4)``; a box without area stays as it is.
    """
    check_boxes("boxes", boxes)
    check_boxes("around", around)
    around = torch.where((scores > 0)[..., None], around, 0.0)  # what has no vote may be no number
    away = 1 - iou(boxes[..., None, :], around)[..., 0, :]
    weights = scores * torch.exp(-away.square() / sigma)
    mean = (weights[..., None] * around).sum(-2) / weights.sum(-1, keepdim=True)
    return torch.where(area(boxes)[..., None] > 0, mean, boxes)
