"""Which labelled object, if any, each anchor or proposal stands for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from masu.ops.checks import as_single, check_boxes
from masu.ops.geometry import iou
from masu.records import BACKGROUND, IGNORE, OBJECT

BLOCK = 256
"""Neighbouring anchors that are compared with the same objects."""

CHUNK = 2**18
"""Pairs of anchor and object that are compared at a time, so that they fit a processor's cache."""

DENSE_PAIRS = 2**19
"""Up to this many pairs of anchor and object the whole table of overlaps is the faster way."""


def match(
    anchors: Tensor, objects: Tensor, high: float, low: float, allow_low_quality_matches: bool = False
) -> tuple[Tensor, Tensor]:
    """Match every anchor to the object it overlaps most.

    Memory is in proportion to anchors plus objects, and only anchors near an object are compared with it;
    that is fast where neighbours in ``anchors`` are neighbours in the image, as on a grid.

    Args:
        anchors: ``(R, 4)`` xyxy pixels; one that is not a number matches nothing.
        objects: ``(M, 4)`` xyxy pixels; ``M`` may be 0.
        high: IoU from which an anchor stands for its object.
        low: IoU under which an anchor is background; between the two it is ignored.
        allow_low_quality_matches: also label as object every anchor that is some object's best (ties
            included), however low its IoU, if above 0 (Ren et al. 2015, section 3.1.2 (i)).

    Returns:
        ``index (R,)`` int64, the object with the highest IoU (the first of equals; 0 without overlap), and
        ``label (R,)`` int64, ``OBJECT``, ``BACKGROUND`` or ``IGNORE``.

    Raises:
        ValueError: another shape. Half precision and whole numbers are compared in float32.
    """
    check_boxes("anchors", anchors, "R")
    check_boxes("objects", objects, "M")
    if len(objects) == 0 or len(anchors) == 0:
        index = anchors.new_zeros(len(anchors), dtype=torch.int64)
        return index, torch.full_like(index, BACKGROUND)
    small = len(anchors) * len(objects) <= DENSE_PAIRS
    overlaps = dense_overlaps if small or anchors.device.type != "cpu" else block_overlaps
    kind = torch.promote_types(as_single(anchors).dtype, as_single(objects).dtype)
    best, index, best_of_any = overlaps(anchors.to(kind), objects.to(kind))
    label = torch.full_like(index, BACKGROUND)
    label[best >= low] = IGNORE
    label[best >= high] = OBJECT
    if allow_low_quality_matches:
        label[best_of_any] = OBJECT
    return index, label


def dense_overlaps(anchors: Tensor, objects: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best overlaps from the whole ``(M, R)`` table of IoUs.

    Returns:
        For every anchor its highest IoU ``(R,)``, the object it is with ``(R,)`` (0 without overlap), and
        whether the anchor is some object's best ``(R,)``.
    """
    overlap = iou(objects, anchors).nan_to_num(nan=0)
    best, index = overlap.max(dim=0)
    best_of_object = overlap.amax(dim=1, keepdim=True)
    best_of_any = ((overlap == best_of_object) & (best_of_object > 0)).any(dim=0)
    return best, index.masked_fill(best <= 0, 0), best_of_any


def block_overlaps(anchors: Tensor, objects: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`dense_overlaps`, each block of anchors compared only with objects that touch its bounds."""
    blocks = anchors.new_full((-(-len(anchors) // BLOCK) * BLOCK, 4), torch.nan)
    blocks[: len(anchors)] = anchors
    blocks = blocks.reshape(-1, BLOCK, 4)
    best = blocks.new_zeros(blocks.shape[:2])
    index = torch.zeros_like(best, dtype=torch.int64)
    best_of_any = torch.zeros_like(best, dtype=torch.bool)
    best_of_object = blocks.new_zeros(len(objects) + 1)
    pairs = []
    for rows, items in _near(blocks, objects):
        overlap = _overlaps(blocks[rows], objects, items)  # (rows, near objects, BLOCK)
        best[rows], position = overlap.max(dim=1)
        index[rows] = items.gather(1, position)
        of_pair = overlap.amax(dim=2)
        best_of_object.scatter_reduce_(0, items.flatten(), of_pair.flatten(), "amax")
        pairs.append((rows[:, None].expand_as(items).flatten(), items.flatten(), of_pair.flatten()))
    for row, item, of_pair in pairs:
        own = torch.where((of_pair == best_of_object[item]) & (of_pair > 0))[0]
        for part in torch.split(own, CHUNK // BLOCK):
            overlap = _overlaps(blocks[row[part]], objects, item[part, None])[:, 0]
            hit, place = torch.where(overlap == of_pair[part, None])
            best_of_any[row[part][hit], place] = True
    index.masked_fill_(best <= 0, 0)
    best, index, best_of_any = (x.flatten()[: len(anchors)] for x in (best, index, best_of_any))
    return best, index, best_of_any


def _near(blocks: Tensor, objects: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks and the objects that touch their bounds, in parts of at most about ``CHUNK`` pairs.

    Yields:
        ``rows (b,)`` and ``items (b, m)``, the objects of each block in order, filled with ``len(objects)``.
    """
    low = blocks[..., :2].nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf).amin(dim=1)
    high = blocks[..., 2:].nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).amax(dim=1)
    touching = (low[:, None] < objects[:, 2:]).all(-1) & (high[:, None] > objects[:, :2]).all(-1)
    counts, order = touching.sum(dim=1).sort(descending=True)  # lists of about equal length together
    every, start, lengths = torch.arange(len(objects)), 0, counts.tolist()
    while start < len(order) and lengths[start] > 0:
        rows = order[start : start + max(CHUNK // (lengths[start] * BLOCK), 1)]
        start += len(rows)
        listed = torch.where(touching[rows], every, len(objects))
        yield rows, listed.topk(lengths[start - len(rows)], largest=False).values


def _overlaps(blocks: Tensor, objects: Tensor, items: Tensor) -> Tensor:
    """IoU ``(b, m, BLOCK)`` of objects ``items (b, m)`` with the anchors of their block ``(b, BLOCK, 4)``."""
    filled = torch.cat([objects, objects.new_zeros(1, 4)])  # the object that fills up lists touches nothing
    return iou(filled[items], blocks).nan_to_num_(nan=0)
