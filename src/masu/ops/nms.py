"""Ranking and suppression: which boxes are kept. All functions return indices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchvision
from torch import Tensor


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: ``(R, 4)`` xyxy.
        scores: ``(R,)``.
        threshold: a box is dropped when its IoU with a kept box of higher score is above this.

    Returns:
        Indices of the kept boxes, best score first.
    """
    kept: Tensor = torchvision.ops.nms(boxes, scores, threshold)
    return kept


def batched_nms(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """:func:`nms` within each group (feature level, class); boxes of different groups never meet.

    Args:
        boxes: ``(R, 4)`` xyxy.
        scores: ``(R,)``.
        groups: ``(R,)`` int64.
        threshold: as in :func:`nms`.

    Returns:
        Indices of the kept boxes, best score first, over all groups.
    """
    kept: Tensor = torchvision.ops.batched_nms(boxes, scores, groups, threshold)
    return kept


def topk_per_level(scores: Tensor, levels: Sequence[int], k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` best of each feature level.

    Args:
        scores: ``(N, R)``, the levels one after the other.
        levels: how many columns each level has; they add up to ``R``.
        k: how many to take of each level (fewer where the level is smaller).

    Returns:
        ``index (N, S)`` into the columns, level by level and best first within a level, and ``level (S,)``.
    """
    picked, offset = [], 0
    for scores_of_level in torch.split(scores, list(levels), dim=1):
        width = scores_of_level.shape[1]
        picked.append(scores_of_level.topk(min(k, width), dim=1).indices + offset)
        offset += width
    counts = torch.tensor([p.shape[1] for p in picked], device=scores.device)
    level = torch.arange(len(picked), device=scores.device).repeat_interleave(counts)
    return torch.cat(picked, dim=1), level
