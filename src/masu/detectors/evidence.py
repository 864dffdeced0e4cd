"""What a detector says of one box: its class logit as a function of the image, anchor or RoI held fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.proposals import Raw, propose
from masu.detectors.retinanet import RetinaNet
from masu.detectors.rpn import RPN
from masu.ops.coder import decode
from masu.ops.geometry import clip, iou, resize

Logit = Callable[[Tensor], Tensor]
"""Pixels as the network sees them ``(N, C, H, W)`` → log odds of the detection's class ``(N,)``."""


def evidence(detector: Detector, image: Tensor, box: Tensor, label: int) -> tuple[Tensor, Logit]:
    """The image as the network sees it, and the logit of one detection in it.

    The anchor (proposal of a two-stage detector) is chosen once, as the one whose decoded box is nearest;
    from then on it stays where it is, whatever the pixels. Its logit is the log odds of the class, so that
    the sigmoid of it is the detection's score.

    Args:
        detector: any of masu's.
        image: ``(C, H, W)`` on the detector's device.
        box: ``(4,)`` xyxy in pixels of the image.
        label: class id.

    Returns:
        Pixels ``(1, C, H', W')``, and the function; it can be differentiated.
    """
    with torch.no_grad():
        raw = detector([image])
        wanted = resize(box.to(raw.anchors), raw.images.original_sizes[0], raw.images.sizes[0])
        if isinstance(detector, FasterRCNN):
            return raw.images.pixels, _of_roi(detector, raw, wanted, label)
        assert isinstance(detector, RetinaNet | RPN)
        return raw.images.pixels, _of_anchor(detector, raw, wanted, label)


def _of_roi(detector: FasterRCNN, raw: Raw, wanted: Tensor, label: int) -> Logit:
    settings, rois = detector.config.rpn.proposals, detector.config.rois
    proposals = propose(raw, settings, settings.top_per_level, settings.kept)
    boxes = proposals.boxes[0, : int(proposals.count[0])]
    logits, deltas = detector.second_stage(raw, boxes, boxes.new_zeros(len(boxes), dtype=torch.int64))
    found = clip(decode(deltas[:, label], boxes, rois.box_weights), raw.images.sizes[0])
    nearest = int(torch.nan_to_num(iou(found, wanted[None])[:, 0]).argmax())
    roi = boxes[nearest : nearest + 1]
    others = [k for k in range(logits.shape[1]) if k != label]

    def logit(pixels: Tensor) -> Tensor:
        seen = replace(raw, features=tuple(detector.rpn.fpn(detector.rpn.backbone(pixels))))
        image = torch.arange(len(pixels), device=pixels.device)
        of_class, _ = detector.second_stage(seen, roi.expand(len(pixels), 4), image)
        return of_class[:, label] - of_class[:, others].logsumexp(dim=1)

    return logit


def _of_anchor(detector: RetinaNet | RPN, raw: Raw, wanted: Tensor, label: int) -> Logit:
    found = clip(decode(raw.deltas[0], raw.anchors), raw.images.sizes[0])
    nearest = int(torch.nan_to_num(iou(found, wanted[None])[:, 0]).argmax())

    def logit(pixels: Tensor) -> Tensor:
        return _of_class(detector.head(detector.fpn(detector.backbone(pixels)))[0], label)[:, nearest]

    return logit


def _of_class(logits: Tensor, label: int) -> Tensor:
    """``(N, R)`` of an RPN or ``(N, R, K)`` → ``(N, R)``."""
    return logits if logits.ndim == 2 else logits[..., label]
