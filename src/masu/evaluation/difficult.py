"""Difficult objects: what is found there is neither right nor wrong, and they count as missed by nobody.

A detection means the object of its class with the largest IoU, in its image, found before or not. If that IoU
is large enough to be right and the object is a difficult one, the detection is left out; so are any further
detections of the same object. Other detections are matched as if there were no difficult objects.

Source: Everingham et al. 2010, "The PASCAL Visual Object Classes (VOC) Challenge", and the rule of its
development kit. COCO has no such objects; in its figures the rule holds at each IoU threshold by itself.
"""

from __future__ import annotations

import numpy as np

from masu.evaluation.overlaps import Array, overlaps
from masu.evaluation.table import Table

IOUS = np.linspace(0.5, 0.95, 10)
"""COCO's thresholds, as its reference computes them."""


def difficult_iou(iou: Array, same: Array, ignored: Array, difficult: Array) -> Array:
    """``(D,)`` IoU with the object that a detection means if that is a difficult one; 0 for the others.

    Where a difficult object and another fit equally well, the other one is meant.

    Args:
        iou: ``(D, M)`` of detections and objects.
        same: ``(D, M)`` bool, both are of one class.
        ignored: ``(M,)`` bool, difficult objects and crowd regions.
        difficult: ``(M,)`` bool.
    """
    hard = np.where(same & difficult, iou, 0.0).max(1, initial=0.0)
    other = np.where(same & ~ignored, iou, 0.0).max(1, initial=0.0)
    means: Array = np.where(hard > other, hard, 0.0)
    return means


def set_apart(objects: Table, found: Table) -> tuple[Table, Table]:
    """The same scene without difficult objects, for a matching that knows crowd regions only.

    A detection that means a difficult object is moved to where nothing else is, together with a crowd region
    of its own. It covers as much of the detection as leaves it out at the thresholds at which it is to be
    left out, and at no other: so it keeps its place among the best detections of the image.

    Args:
        objects: of all images.
        found: detections in them.

    Returns:
        Both, in the order in which they were, the new crowd regions last.
    """
    if not objects.difficult.any():
        return objects, found
    moved, regions, owners = found.xyxy.copy(), [np.zeros((0, 4))], [np.zeros(0, np.int64)]
    for image in np.unique(objects.image[objects.difficult]).tolist():
        of, at = objects.rows(image), found.rows(image)
        ignored, difficult = objects.ignored[of], objects.difficult[of]
        crowd = ignored & ~difficult
        same = found.category[at, None] == objects.category[of]
        share = overlaps(found.xyxy[at], objects.xyxy[of], crowd)
        iou = difficult_iou(share, same, ignored, difficult)
        out = iou >= IOUS[0]
        inside = np.where(same & crowd, share, 0.0).max(1, initial=0.0)
        passed = (np.maximum(iou, inside)[out, None] >= IOUS).sum(1)
        beyond = max(objects.xyxy[of][:, 2].max(), found.xyxy[at][:, 2].max(initial=0.0))
        boxes = _in_a_row(found.xyxy[at][out], beyond)
        moved[at.start + np.flatnonzero(out)] = boxes
        region = boxes.copy()
        # midway between the last threshold that is passed and the next: rounding changes nothing
        region[:, 2] -= (boxes[:, 2] - boxes[:, 0]) * (1 - (IOUS[passed - 1] + 0.025))
        regions.append(region)
        owners.append(at.start + np.flatnonzero(out))
    owner = np.concatenate(owners)
    own = Table(
        images=objects.images,
        image=found.image[owner],
        category=found.category[owner],
        xyxy=np.concatenate(regions),
        area=np.ones(len(owner)),
        score=np.ones(len(owner)),
        ignored=np.ones(len(owner), np.bool_),
        difficult=np.zeros(len(owner), np.bool_),
    )
    return objects.where(~objects.difficult).joined(own), found.with_boxes(moved)


def _in_a_row(boxes: Array, beyond: float) -> Array:
    """The boxes side by side, to the right of ``beyond``, a pixel between them."""
    width = boxes[:, 2] - boxes[:, 0]
    left = beyond + 1 + np.cumsum(width + 1) - width
    shift = (left - boxes[:, 0])[:, None] * np.array([1.0, 0, 1, 0])
    row: Array = boxes + shift
    return row
