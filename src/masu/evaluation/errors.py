"""What kinds of errors a detector makes, and the AP50 that each kind costs.

Source: Bolya et al. 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors", whose kinds,
IoU bounds (0.5 and 0.1), order of tests and fixes these are; AP50 is the project's own (COCO's).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from masu.evaluation.matches import RIGHT_IOU, ImageMatch, taken
from masu.evaluation.metrics import coco_metrics
from masu.evaluation.overlaps import Array
from masu.records import Detections, Target

Kind = Literal["classification", "localisation", "both", "duplicate", "background", "missed"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they are shown."""

BACKGROUND_IOU = 0.1
"""IoU below which a detection has nothing to do with an object."""


@dataclass(frozen=True)
class Error:
    """One error in one image.

    Attributes:
        kind: which.
        detection: row of the wrong detection; None for a missed object.
        object: row of the object that was missed, or that the detection means (classification and
            localisation); None for the others.
    """

    kind: Kind
    detection: int | None
    object: int | None


def image_errors(match: ImageMatch) -> list[Error]:
    """The errors of an image: each wrong detection is one, best score first; then the missed objects.

    The first that fits, where IoU is the largest with an object, a difficult one too, but no
    crowd region:

    - *localisation*: IoU in [0.1, 0.5) with objects of its class;
    - *classification*: IoU ≥ 0.5 with objects of other classes;
    - *duplicate*: IoU ≥ 0.5 with objects of its class, which better detections have found;
    - *background*: IoU ≤ 0.1 with every object;
    - *both*: the rest: IoU between 0.1 and 0.5 with objects of other classes.

    *Missed* is an object, not an ignored one, that was not found and that no localisation or classification
    error means.
    """
    errors: list[Error] = []
    solid = ~match.ignored | match.difficult
    same = match.labels[:, None] == match.object_labels
    own, own_iou = _nearest(match.iou, solid & same)
    other, other_iou = _nearest(match.iou, solid & ~same)
    for row in np.flatnonzero(match.wrong).tolist():
        if BACKGROUND_IOU <= own_iou[row] < RIGHT_IOU:
            errors.append(Error("localisation", row, int(own[row])))
        elif other_iou[row] >= RIGHT_IOU:
            errors.append(Error("classification", row, int(other[row])))
        elif own_iou[row] >= RIGHT_IOU:
            errors.append(Error("duplicate", row, None))
        elif max(own_iou[row], other_iou[row]) <= BACKGROUND_IOU:
            errors.append(Error("background", row, None))
        else:
            errors.append(Error("both", row, None))
    meant = {error.object for error in errors}
    missed = np.flatnonzero(~match.ignored & ~match.found).tolist()
    return errors + [Error("missed", None, row) for row in missed if row not in meant]


def _nearest(iou: Array, among: Array) -> tuple[Array, Array]:
    """``(D,)`` the object with the largest IoU of each row, and that IoU; 0 where there is none."""
    if not iou.shape[1]:
        return np.zeros(len(iou), np.int64), np.zeros(len(iou))
    allowed = np.where(among, iou, 0.0)
    return allowed.argmax(1), allowed.max(1)


def fixed(match: ImageMatch, errors: Sequence[Error], kind: Kind) -> tuple[Target, Detections]:
    """An image in which only the errors of one kind are put right.

    - *localisation*: the detection gets the box of the object it means; *classification*: its class. If
      that object is found already or a difficult one, or a better error of the kind means it too, the
      detection is left out.
    - *duplicate*, *background*, *both*: the detection is left out.
    - *missed*: the object is left out.
    """
    own = [error for error in errors if error.kind == kind]
    target, detections = match.target, match.detections
    if kind == "missed":
        keep = torch.ones(len(target), dtype=torch.bool)
        keep[[error.object for error in own]] = False
        return target.taken(keep), detections
    boxes, labels, names = detections.boxes.clone(), detections.labels.clone(), list(detections.names)
    found, dropped = match.found | match.difficult, set()
    for error in own:
        assert error.detection is not None
        if error.object is None or found[error.object]:
            dropped.add(error.detection)
            continue
        found[error.object] = True
        if kind == "localisation":
            boxes[error.detection] = target.boxes[error.object]
        else:
            labels[error.detection] = target.labels[error.object]
    kept = np.array([row for row in range(len(detections)) if row not in dropped], np.int64)
    return target, taken(Detections(boxes, detections.scores, labels, tuple(names)), kept)


def ap50_costs(
    matches: Sequence[ImageMatch],
    errors: Sequence[Sequence[Error]],
    names: Sequence[str],
    ap50: Mapping[str, float | None],
) -> dict[Kind, dict[str, float]]:
    """What AP50 each class would gain if all errors of one kind, and only these, were put right.

    Args:
        matches: all detections of each image, not cut at a threshold.
        errors: of each image.
        names: class names.
        ap50: of each class as it is; None for a class without objects, which is left out.

    Returns:
        Kind → class name → gain. The mean over the classes is the gain of the AP50 of all. A class of
        which every object was missed has none left after the fix, and AP50 1: there is nothing to find.
    """
    # no detection is cut off for having been moved to another class
    limit = max([101, *(len(match.detections) for match in matches)])
    costs: dict[Kind, dict[str, float]] = {}
    for kind in KINDS:
        if not any(error.kind == kind for of_image in errors for error in of_image):
            costs[kind] = {name: 0.0 for name, value in ap50.items() if value is not None}
            continue
        scenes = [fixed(match, of_image, kind) for match, of_image in zip(matches, errors, strict=True)]
        targets, found = [target for target, _ in scenes], [detections for _, detections in scenes]
        after = coco_metrics(targets, found, names, (1, 10, limit)).per_class
        costs[kind] = {
            name: (1.0 if (fixed_ap := after[name].ap50) is None else fixed_ap) - value
            for name, value in ap50.items()
            if value is not None
        }
    return costs


def confusion(matches: Sequence[ImageMatch], classes: int) -> Array:
    """How often each class was found as which.

    Right detections stand on the diagonal. Of the others, best score first, each takes of the objects of
    other classes that are still free the one with the largest IoU, if that is at least 0.5; what is left
    over is background.

    Args:
        matches: of each image, detections cut at the thresholds.
        classes: ``K``.

    Returns:
        ``(K + 1, K + 1)`` int64: rows are predicted classes, columns true ones, the last of each background.
        A row sums to the detections of the class, a column to its objects; what is ignored does not count.
    """
    table = np.zeros((classes + 1, classes + 1), np.int64)
    for match in matches:
        for row in np.flatnonzero(match.right).tolist():
            table[match.labels[row], match.labels[row]] += 1
        free = ~match.ignored & ~match.found
        for row in np.flatnonzero(match.wrong).tolist():
            other = free & (match.object_labels != match.labels[row])
            (at,), (iou,) = _nearest(match.iou[row : row + 1], other)
            if iou >= RIGHT_IOU:
                free[at] = False
                table[match.labels[row], match.object_labels[at]] += 1
            else:
                table[match.labels[row], classes] += 1
        np.add.at(table[classes], match.object_labels[free], 1)
    return table
