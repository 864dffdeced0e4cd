"""What anchors and proposals stand for in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from masu.ops.geometry import covered, iou, resize
from masu.ops.matching import match
from masu.records import BACKGROUND, IGNORE, OBJECT, ImageBatch, Target

IGNORED_SHARE = 0.5
"""Background that lies to this share within one ignored region takes no part in training."""


def targets_at_network_size(targets: Sequence[Target], images: ImageBatch) -> list[Target]:
    """Targets in pixels of the network's input, on its device."""
    if len(targets) != len(images.sizes):
        raise ValueError(f"targets: found {len(targets)}, wanted {len(images.sizes)}, one for each image")
    device = images.pixels.device
    scaled = []
    for target, old, new in zip(targets, images.original_sizes, images.sizes, strict=True):
        moved = target.to(device)
        scaled.append(moved.with_boxes(resize(moved.boxes, old, new)))
    return scaled


def assign_targets(
    boxes: Tensor,
    target: Target,
    fg_iou_thresh: float,
    bg_iou_thresh: float,
    allow_low_quality_matches: bool,
) -> tuple[Tensor, Tensor, Target]:
    """Match anchors or proposals to the objects of one image; what lies in ignored regions is ignored.

    Args:
        boxes: ``(R, 4)`` anchors or proposals.
        target: the image's objects, in the same pixels.
        fg_iou_thresh: IoU from which a box stands for an object.
        bg_iou_thresh: IoU under which it is background.
        allow_low_quality_matches: see :func:`masu.ops.matching.match`.

    Returns:
        ``index (R,)`` and ``label (R,)`` as of ``match``, and the target without ignored boxes, into which
        ``index`` points.
    """
    objects = target.without_ignored()
    index, labels = match(boxes, objects.boxes, fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches)
    return index, hide_ignored(boxes, labels, target), objects


def hide_ignored(boxes: Tensor, labels: Tensor, target: Target) -> Tensor:
    """``labels (R,)`` with background in ignored regions of the target as ``IGNORE``."""
    if target.ignored.any():
        hidden = covered(boxes, target.boxes[target.ignored]) >= IGNORED_SHARE
        labels[hidden & (labels == BACKGROUND)] = IGNORE
    return labels


@dataclass(frozen=True, eq=False)
class Assignment:
    """What every anchor of an image stands for in training, for explanations.

    Attributes:
        index: ``(R,)`` int64, an object of ``objects``.
        label: ``(R,)`` int64, ``OBJECT``, ``BACKGROUND`` or ``IGNORE``.
        low_quality: ``(R,)`` booleans, stands for an object only by low-quality matches.
        between: ``(R,)`` booleans, takes no part, since it is neither near to its object nor far from it.
        objects: the image's objects that are not ignored.
    """

    index: Tensor
    label: Tensor
    low_quality: Tensor
    between: Tensor
    objects: Target


def assignment_by_iou(
    anchors: Tensor, target: Target, fg_iou_thresh: float, bg_iou_thresh: float
) -> Assignment:
    """The assignment of a detector whose anchors are matched by IoU, with low-quality matches."""
    thresholds = fg_iou_thresh, bg_iou_thresh
    index, plain, objects = assign_targets(anchors, target, *thresholds, allow_low_quality_matches=False)
    label = assign_targets(anchors, target, *thresholds, allow_low_quality_matches=True)[1]
    ignored = torch.where(plain == IGNORE)[0]
    between = torch.zeros_like(plain, dtype=torch.bool)
    if len(objects):
        overlap = iou(anchors[ignored, None], objects.boxes[index[ignored], None])[:, 0, 0]
        between[ignored[overlap >= bg_iou_thresh]] = True
    return Assignment(index, label, (label == OBJECT) & (plain != OBJECT), between, objects)
