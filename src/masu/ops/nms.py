"""Ranking and suppression: which boxes are kept. All functions return indices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor

from masu.ops.geometry import iou

LOADING = 10**9
"""Pairs of boxes that torchvision's suppression compares in about the time numba needs to load."""

_pairs_so_far = 0


def nms(boxes: Tensor, scores: Tensor, threshold: float, limit: int | None = None) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: ``(R, 4)`` xyxy.
        scores: ``(R,)``; of equal scores the earlier row comes first.
        threshold: a box is dropped when its IoU with a kept box of higher score is above this.
        limit: the most boxes to keep; default: all that survive.

    Returns:
        Indices of the kept boxes, best score first.
    """
    return _greedy(boxes, scores, None, threshold, limit)


def batched_nms(
    boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, limit: int | None = None
) -> Tensor:
    """:func:`nms` within each group (feature level, class); boxes of different groups never meet.

    Args:
        boxes: ``(R, 4)`` xyxy.
        scores: ``(R,)``.
        groups: ``(R,)`` int64.
        threshold: as in :func:`nms`.
        limit: the most boxes to keep over all groups; default: all that survive.

    Returns:
        Indices of the kept boxes, best score first, over all groups.
    """
    return _greedy(boxes, scores, groups, threshold, limit)


def suppressors(boxes: Tensor, groups: Tensor, usable: Tensor, survivors: Tensor, threshold: float) -> Tensor:
    """Which survivor of :func:`batched_nms` each dropped box gave way to.

    Args:
        boxes: ``(R, 4)`` xyxy.
        groups: ``(R,)`` int64.
        usable: ``(R,)`` booleans, the boxes that took part.
        survivors: ``(k,)`` indices of all that survived, best first.
        threshold: as it was.

    Returns:
        ``(R,)`` int64: of a dropped box the index of the best scored survivor of its group that overlaps it
        by more than the threshold, else −1.
    """
    found = torch.full_like(groups, -1)
    dropped = usable.clone()
    dropped[survivors] = False
    for group in set(groups[dropped].tolist()):
        weak = torch.where(dropped & (groups == group))[0]
        strong = survivors[groups[survivors] == group]
        overlap = iou(boxes[weak], boxes[strong])
        above = overlap > threshold
        # suppression may round otherwise: where nothing is above here, it was the largest overlap
        best = torch.where(above.any(1), above.byte().argmax(1), overlap.argmax(1))
        found[weak] = strong[best]
    return found


def _greedy(
    boxes: Tensor, scores: Tensor, groups: Tensor | None, threshold: float, limit: int | None
) -> Tensor:
    """Compiled, once a process has compared so many boxes that loading has paid off; else torchvision's."""
    global _pairs_so_far
    _pairs_so_far += len(boxes) ** 2
    worth_loading = _pairs_so_far > LOADING or compiled.cache_info().currsize
    if boxes.device.type == "cpu" and threshold >= 0.1 and worth_loading and (suppress := compiled()):
        order = scores.argsort(descending=True, stable=True)
        groups = torch.zeros_like(order) if groups is None else groups
        most = len(boxes) if limit is None else limit
        found = suppress(boxes.detach().numpy(), groups.numpy(), order.numpy(), threshold, most)
        return torch.from_numpy(found)
    kept: Tensor
    if groups is None:
        kept = torchvision.ops.nms(boxes, scores, threshold)
    else:
        kept = torchvision.ops.batched_nms(boxes, scores, groups, threshold)
    return kept[:limit]


@functools.cache
def compiled() -> Callable[..., Any] | None:
    """:func:`masu.ops.compiled_nms.suppress`, or None where numba (``masu[fast]``) cannot serve.

    That is where it is not installed, or (RuntimeError) finds no folder that it may keep compiled code in.
    """
    try:
        from masu.ops.compiled_nms import suppress
    except (ImportError, RuntimeError):
        return None
    return suppress


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
