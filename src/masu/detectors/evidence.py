"""One detection as a function of the image: its class logit and its box, anchor or RoI held fixed."""

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

Answer = Callable[[Tensor], Tensor]
"""Pixels as the network sees them ``(N, C, H, W)`` → ``(N, 2)``: log odds of the detection's class, and the
IoU of the box that the network gives with the detection's own."""


def evidence(detector: Detector, image: Tensor, box: Tensor, label: int) -> tuple[Tensor, Answer]:
    """The image as the network sees it, and what the network says of one detection in it.

    The anchor (proposal of a two-stage detector) is chosen once, as the one whose decoded box is nearest;
    from then on it stays where it is, whatever the pixels. Its logit is the log odds of the class, so that
    the sigmoid of it is the detection's score; in the image itself the IoU is 1.

    Args:
        detector: any of masu's.
        image: ``(C, H, W)`` on the detector's device.
        box: ``(4,)`` xyxy in pixels of the image.
        label: class id.

    Returns:
        Pixels ``(1, C, H', W')``, and the function; both of its values can be differentiated.
    """
    with torch.no_grad():
        raw = detector([image])
        wanted = resize(box.to(raw.anchors), raw.images.original_sizes[0], raw.images.sizes[0])
        if isinstance(detector, FasterRCNN):
            return raw.images.pixels, _of_roi(detector, raw, wanted, label)
        assert isinstance(detector, RetinaNet | RPN)
        return raw.images.pixels, _of_anchor(detector, raw, wanted, label)


def _of_roi(detector: FasterRCNN, raw: Raw, wanted: Tensor, label: int) -> Answer:
    settings, rois = detector.config.rpn.proposals, detector.config.rois
    size = raw.images.sizes[0]
    proposals = propose(raw, settings, settings.top_per_level, settings.kept)
    boxes = proposals.boxes[0, : int(proposals.count[0])]
    _, deltas = detector.second_stage(raw, boxes, boxes.new_zeros(len(boxes), dtype=torch.int64))
    nearest, own = _nearest(clip(decode(deltas[:, label], boxes, rois.box_weights), size), wanted)
    roi = boxes[nearest : nearest + 1]
    others = [k for k in range(len(detector.names) + 1) if k != label]

    def answer(pixels: Tensor) -> Tensor:
        seen = replace(raw, features=tuple(detector.rpn.fpn(detector.rpn.backbone(pixels))))
        image = torch.arange(len(pixels), device=pixels.device)
        logits, moved = detector.second_stage(seen, roi.expand(len(pixels), 4), image)
        found = clip(decode(moved[:, label], roi, rois.box_weights), size)
        return torch.stack([logits[:, label] - logits[:, others].logsumexp(1), iou(found, own)[:, 0]], dim=1)

    return answer


def _of_anchor(detector: RetinaNet | RPN, raw: Raw, wanted: Tensor, label: int) -> Answer:
    size = raw.images.sizes[0]
    nearest, own = _nearest(clip(decode(raw.deltas[0], raw.anchors), size), wanted)
    anchor = raw.anchors[nearest]

    def answer(pixels: Tensor) -> Tensor:
        logits, deltas = detector.head(detector.fpn(detector.backbone(pixels)))
        found = clip(decode(deltas[:, nearest], anchor), size)
        return torch.stack([_of_class(logits, label)[:, nearest], iou(found, own)[:, 0]], dim=1)

    return answer


def _nearest(found: Tensor, wanted: Tensor) -> tuple[int, Tensor]:
    """Which of ``(R, 4)`` boxes lies nearest to ``(4,)``, and that box, ``(1, 4)``."""
    nearest = int(torch.nan_to_num(iou(found, wanted[None])[:, 0]).argmax())
    return nearest, found[nearest : nearest + 1]


def _of_class(logits: Tensor, label: int) -> Tensor:
    """``(N, R)`` of an RPN or ``(N, R, K)`` → ``(N, R)``."""
    return logits if logits.ndim == 2 else logits[..., label]
