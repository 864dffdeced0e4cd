"""Federated data such as LVIS: an image is judged for the classes that it was checked for, and no others.

A detection of a class that an image was not checked for says nothing of the detector, and where not every
object of a class is labelled, a detection of it that finds none may well be right.

Source: Gupta et al. 2019, "LVIS: A Dataset for Large Vocabulary Instance Segmentation", section 2.3, and its
reference implementation lvis-api.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from masu.data.dataset import Dataset
from masu.evaluation.overlaps import Array
from masu.records import Detections, Target


def as_checked(
    data: object, images: Sequence[int], targets: Sequence[Target], found: Sequence[Detections]
) -> tuple[list[Target], list[Detections]]:
    """Targets and detections of which each counts, for an evaluation that knows crowd regions.

    Detections of classes that an image was not checked for are left out. For each class of which not every
    object is labelled there is one more crowd region, the whole image: what finds no object lies in it.

    Args:
        data: a data set; one that says nothing of its labels was checked for all classes.
        images: positions in it.
        targets: of these images.
        found: in these images, labels in the numbering of the targets.
    """
    if not isinstance(data, Dataset) or data.class_lists is None:
        return list(targets), list(found)
    lists = data.class_lists
    counted, judged = [], []
    for image, target, detections in zip(images, targets, found, strict=True):
        labels, partial = detections.labels.cpu().numpy(), lists.partial[image]
        kept = np.ones(len(labels), np.bool_)
        if lists.listed[image]:
            checked = np.union1d(target.labels.cpu().numpy(), lists.absent[image])
            kept, partial = np.isin(labels, checked), np.intersect1d(partial, checked)
        boxes = detections.boxes.detach().cpu().numpy()
        # no region can hold a box without area
        kept &= ~np.isin(labels, partial) | (boxes[:, 2:] > boxes[:, :2]).all(1)
        judged.append(detections if kept.all() else detections[np.flatnonzero(kept)])
        counted.append(
            _with_regions(target, partial, _around(boxes, data.sizes[image])) if len(partial) else target
        )
    return counted, judged


def _around(boxes: Array, size: Array) -> Array:
    """``(4,)`` xyxy of an image and all boxes, which may reach out of it or, without a size, make it up."""
    low = boxes[:, :2].min(0, initial=0)
    return np.concatenate([low, np.maximum(boxes[:, 2:].max(0, initial=1), size[::-1])])


def _with_regions(target: Target, classes: Array, box: Array) -> Target:
    count = len(classes)
    boxes = torch.as_tensor(np.tile(box, (count, 1)), dtype=torch.float32)
    yes, no = torch.ones(count, dtype=torch.bool), torch.zeros(count, dtype=torch.bool)
    area = (boxes[:, 2:] - boxes[:, :2]).double().prod(1)
    return Target(
        torch.cat([target.boxes.cpu(), boxes]),
        torch.cat([target.labels.cpu(), torch.as_tensor(classes, dtype=torch.int64)]),
        torch.cat([target.ignored.cpu(), yes]),
        torch.cat([target.areas.cpu().double(), area]),
        torch.cat([target.difficult.cpu(), no]),
    )
