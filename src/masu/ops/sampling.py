"""A fixed budget of anchors or proposals per image, so that background does not drown the objects."""

from __future__ import annotations

import torch
from torch import Tensor

from masu.records import BACKGROUND, IGNORE


def sample(
    labels: Tensor, budget: int, positive_fraction: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw at most ``budget`` labels, at most ``positive_fraction`` of them objects.

    Args:
        labels: ``(R,)`` ``BACKGROUND``, ``IGNORE`` or anything above 0 for an object.
        budget: how many to draw; background fills what objects leave over.
        positive_fraction: largest share of objects, 0..1.
        generator: source of randomness on ``labels``' device; default: torch's global one.

    Returns:
        Indices of the drawn objects and of the drawn background, each in random order.
        Equal to the reference implementation (torchvision ``BalancedPositiveNegativeSampler``) for equal
        random states: one permutation of the objects, then one of the background.
    """
    positive = torch.where((labels != BACKGROUND) & (labels != IGNORE))[0]
    negative = torch.where(labels == BACKGROUND)[0]
    positives = min(len(positive), int(budget * positive_fraction))
    negatives = min(len(negative), budget - positives)
    drawn_positive = torch.randperm(len(positive), device=labels.device, generator=generator)[:positives]
    drawn_negative = torch.randperm(len(negative), device=labels.device, generator=generator)[:negatives]
    return positive[drawn_positive], negative[drawn_negative]
