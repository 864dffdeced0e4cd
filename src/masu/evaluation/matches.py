"""Which detection found which object at IoU 0.5, as COCO's evaluation decides it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from masu.evaluation.difficult import difficult_iou
from masu.evaluation.overlaps import Array, overlaps
from masu.records import Detections, Target

RIGHT_IOU = 0.5
"""IoU from which a box is right."""

LIMIT = 100
"""Detections of a class in an image that count, best scores first; COCO's."""


@dataclass(frozen=True, eq=False)
class ImageMatch:
    """One image: ``D`` detections that count, ``M`` labelled objects, and who found whom.

    Attributes:
        target: the objects.
        detections: best score first.
        labels: ``(D,)`` int64 classes of the detections.
        object_labels: ``(M,)`` int64 classes of the objects.
        ignored: ``(M,)`` bool, crowd regions and difficult objects.
        difficult: ``(M,)`` bool, which of these are difficult objects.
        iou: ``(D, M)`` float64, classes disregarded; for a crowd region the share of the detection in it.
        partner: ``(D,)`` int64, the object that a detection found, −1 for none.
        left_out: ``(D,)`` bool, neither right nor wrong: inside a crowd region of its class, or it means a
            difficult object.
    """

    target: Target
    detections: Detections
    labels: Array
    object_labels: Array
    ignored: Array
    difficult: Array
    iou: Array
    partner: Array
    left_out: Array

    @property
    def right(self) -> Array:
        """``(D,)`` bool, detections that found an object."""
        return self.partner >= 0

    @property
    def wrong(self) -> Array:
        """``(D,)`` bool, detections that found nothing and count."""
        return ~self.right & ~self.left_out

    @property
    def found(self) -> Array:
        """``(M,)`` bool, objects that a detection found."""
        found = np.zeros(len(self.ignored), np.bool_)
        found[self.partner[self.right]] = True
        return found


def match_image(target: Target, detections: Detections, limit: int = LIMIT) -> ImageMatch:
    """Match the detections of an image with its objects.

    Best score first, a detection takes of the objects of its class that are still free the one with the
    largest IoU, if that is at least 0.5. Source: Lin et al. 2014 (COCO), as pycocotools' ``evaluateImg``.
    One that means a difficult object is left out before, see :mod:`masu.evaluation.difficult`.

    Args:
        target: labelled objects.
        detections: labels in the numbering of the objects.
        limit: of a class so many count, best scores first.
    """
    detections = _that_count(detections, limit)
    labels, object_labels = detections.labels.cpu().numpy(), target.labels.cpu().numpy()
    ignored, difficult = target.ignored.cpu().numpy(), target.difficult.cpu().numpy()
    crowd = ignored & ~difficult
    iou = overlaps(_boxes(detections), _boxes(target), crowd)
    same = labels[:, None] == object_labels
    partner = np.full(len(labels), -1, np.int64)
    left_out = difficult_iou(iou, same, ignored, difficult) >= RIGHT_IOU
    near = (iou >= RIGHT_IOU) & same
    free = ~ignored
    for row in np.flatnonzero(near.any(1) & ~left_out):
        candidates = np.flatnonzero(near[row] & free)
        if len(candidates):
            # of equal ones the last, as the reference has it
            partner[row] = candidates[::-1][iou[row, candidates[::-1]].argmax()]
            free[partner[row]] = False
        else:
            left_out[row] = bool((near[row] & crowd).any())
    return ImageMatch(target, detections, labels, object_labels, ignored, difficult, iou, partner, left_out)


def _that_count(detections: Detections, limit: int) -> Detections:
    """Best score first, the best ``limit`` of each class."""
    labels = detections.labels.cpu().numpy()
    order = np.argsort(-detections.scores.detach().cpu().double().numpy(), kind="stable")
    rows = np.concatenate(
        [np.zeros(0, np.int64), *(order[labels[order] == label][:limit] for label in np.unique(labels))]
    )
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return taken(detections, rows[np.argsort(place[rows])])


def taken(detections: Detections, rows: Array) -> Detections:
    """Some of the detections, in the order of ``rows``."""
    index = torch.as_tensor(rows, dtype=torch.int64)
    names = tuple(detections.names[row] for row in rows.tolist())
    return Detections(detections.boxes[index], detections.scores[index], detections.labels[index], names)


def _boxes(of: Target | Detections) -> Array:
    boxes: Array = of.boxes.detach().cpu().double().numpy()
    return boxes
