"""Which labelled object, if any, each anchor or proposal stands for."""

from __future__ import annotations

import torch
from torch import Tensor

from masu.ops.geometry import iou
from masu.records import BACKGROUND, IGNORE, OBJECT


def match(
    anchors: Tensor, objects: Tensor, high: float, low: float, restore: bool = False
) -> tuple[Tensor, Tensor]:
    """Match every anchor to the object it overlaps most.

    Args:
        anchors: ``(R, 4)`` xyxy pixels.
        objects: ``(M, 4)`` xyxy pixels; ``M`` may be 0.
        high: IoU from which an anchor stands for its object.
        low: IoU under which an anchor is background; between the two it is ignored.
        restore: also label as object every anchor that is some object's best (ties included), however low
            its IoU, if above 0 ("low-quality matches", Ren et al. 2015, section 3.1.2 (i)).

    Returns:
        ``index (R,)`` int64, the object with the highest IoU (the first of equals; 0 without objects), and
        ``label (R,)`` int64, ``OBJECT``, ``BACKGROUND`` or ``IGNORE``.
    """
    index = anchors.new_zeros(len(anchors), dtype=torch.int64)
    label = torch.full_like(index, BACKGROUND)
    if len(objects) == 0 or len(anchors) == 0:
        return index, label
    overlap = iou(objects, anchors)  # (M, R)
    best, index = overlap.max(dim=0)
    label[best >= low] = IGNORE
    label[best >= high] = OBJECT
    if restore:
        best_of_object = overlap.amax(dim=1, keepdim=True)
        restored = ((overlap == best_of_object) & (best_of_object > 0)).any(dim=0)
        label[restored] = OBJECT
    return index, label
