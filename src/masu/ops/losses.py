"""Losses, all of one form: ``f(prediction, target, norm) → scalar``, the sum divided by ``norm``.

``norm`` is the caller's, since it differs by use: sampled anchors for the RPN, sampled RoIs for the second
stage. An empty prediction gives 0 with a gradient, so images without objects are normal training data.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from masu.ops.geometry import area

BoxLoss = Callable[[Tensor, Tensor, float], Tensor]


def smooth_l1(prediction: Tensor, target: Tensor, norm: float, beta: float = 1 / 9) -> Tensor:
    """Squared below ``beta``, absolute above (Girshick 2015, Fast R-CNN, section 2.3)."""
    return F.smooth_l1_loss(prediction, target, beta=beta, reduction="sum") / norm


def l1(prediction: Tensor, target: Tensor, norm: float) -> Tensor:
    """Sum of absolute differences."""
    return (prediction - target).abs().sum() / norm


def l2(prediction: Tensor, target: Tensor, norm: float) -> Tensor:
    """Half the sum of squared differences, so that its slope at 1 is that of :func:`l1`."""
    return 0.5 * (prediction - target).square().sum() / norm


def bce(logits: Tensor, target: Tensor, norm: float) -> Tensor:
    """Binary cross-entropy of logits against 0 or 1, of equal shape."""
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="sum") / norm


def cross_entropy(logits: Tensor, target: Tensor, norm: float) -> Tensor:
    """Cross-entropy of ``(R, C)`` logits against ``(R,)`` class indices."""
    return F.cross_entropy(logits, target, reduction="sum") / norm


def focal(logits: Tensor, target: Tensor, norm: float, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Binary cross-entropy that plays down what is already right (Lin et al. 2017, eq. 5).

    Args:
        logits: any shape.
        target: 0 or 1, of the same shape.
        norm: the sum is divided by this.
        alpha: weight of the ones; that of the zeros is ``1 - alpha``.
        gamma: power of the probability of being wrong.
    """
    probability = logits.sigmoid()
    wrong = probability + target - 2 * probability * target
    weight = (1 - alpha) + target * (2 * alpha - 1)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (weight * wrong.pow(gamma) * entropy).sum() / norm


def giou(prediction: Tensor, target: Tensor, norm: float, eps: float = 1e-7) -> Tensor:
    """1 − generalised IoU of boxes row by row, ``(R, 4)`` xyxy each (Rezatofighi et al. 2019)."""
    inner = torch.minimum(prediction[:, 2:], target[:, 2:]) - torch.maximum(prediction[:, :2], target[:, :2])
    outer = torch.maximum(prediction[:, 2:], target[:, 2:]) - torch.minimum(prediction[:, :2], target[:, :2])
    shared = inner.clamp(min=0).prod(dim=1)
    union = area(prediction) + area(target) - shared
    hull = outer.prod(dim=1)
    return (1 - shared / (union + eps) + (hull - union) / (hull + eps)).sum() / norm


BOX_LOSSES: dict[str, BoxLoss] = {"smooth_l1": smooth_l1, "l1": l1, "l2": l2}
"""The selectable losses on box deltas, by the name that settings and model files use."""


def first_non_finite(losses: dict[str, Tensor]) -> str | None:
    """The name of the first loss term that is not a finite number, or None."""
    if torch.isfinite(torch.stack([value.detach() for value in losses.values()])).all():
        return None
    return next(name for name, value in losses.items() if not torch.isfinite(value))
