"""How far detections and labelled objects overlap, in float64 as COCO's reference computes it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


def overlaps(found: Array, objects: Array, crowd: Array) -> Array:
    """``(D, M)`` IoU of detections and objects; for a crowd region the share of the detection in it (IoA).

    Args:
        found: ``(D, 4)`` xyxy.
        objects: ``(M, 4)`` xyxy.
        crowd: ``(M,)`` bool.
    """
    inside = np.ones((len(found), len(objects)))
    for axis in (0, 1):  # one after the other: the table may be a large one
        side = np.minimum(found[:, None, axis + 2], objects[:, axis + 2])
        side -= np.maximum(found[:, None, axis], objects[:, axis])
        inside *= np.clip(side, 0, None, out=side)
    area, object_area = ((b[:, 2:] - b[:, :2]).prod(1) for b in (found, objects))
    union = np.where(crowd, area[:, None], area[:, None] + object_area - inside)
    shares: Array = np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
    return shares
