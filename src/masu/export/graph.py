"""The whole detector for a batch of images of one size: pixels in, a fixed number of rows out.

The mathematics of ``detections``, without a loop over images or a list whose length depends on them: what is
cut, clipped away or suppressed keeps its row with a score of minus infinity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masu.detectors.build import pyramid_detector
from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.retinanet import RetinaNet
from masu.detectors.rpn import RPN
from masu.ops.anchors import grid_anchors
from masu.ops.coder import decode
from masu.ops.geometry import clip, degenerate
from masu.ops.operators import canvas, pool, suppress
from masu.ops.roi_align import assign_levels

ABSENT = float("-inf")


OUTPUTS = ("boxes", "scores", "labels", "count")
"""Names of what :class:`Graph` returns."""


class _Level(NamedTuple):
    logits: Tensor
    deltas: Tensor
    anchors: Tensor


class Graph(nn.Module):
    """A detector as a function of one tensor.

    Args:
        detector: one with folded normalisation; its weights are shared.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        for i, cell in enumerate(pyramid_detector(detector).cells):
            self.register_buffer(f"cell{i}", cell, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detections of every image.

        Args:
            images: ``(N, H, W, 3)`` uint8, or with ``channels`` ``(N, C, H, W)`` float32.

        Returns:
            ``boxes (N, D, 4)`` float32 xyxy in pixels of the image as it was given, ``scores (N, D)``
            float32, falling, ``labels (N, D)`` int64, and ``count (N,)`` int64; zeros beyond ``count``.
        """
        policy = self.detector.input
        planes = images.permute(0, 3, 1, 2) if policy.channels is None else images
        mean, std, rgb = list(policy.mean), list(policy.std), policy.channels is None
        pixels, size = canvas(planes, policy.min_size, policy.max_size, policy.divisor, mean, std, rgb)
        pyramid: Any = pyramid_detector(self.detector)
        features = pyramid.fpn(pyramid.backbone(pixels))
        levels = [self._level(i, pixels, x, pyramid.head) for i, x in enumerate(features)]
        original = torch.stack([size.new_full((), side) for side in planes.shape[2:]])
        if isinstance(self.detector, RetinaNet):
            boxes, scores, labels = _one_stage(self.detector, levels, size)
        else:
            boxes, scores = _proposals(pyramid, levels, size)
            labels = torch.zeros_like(scores, dtype=torch.int64)
            if isinstance(self.detector, FasterRCNN):
                boxes, scores, labels = _second_stage(self.detector, features, boxes, scores, size)
        there = scores > ABSENT
        ratio = (original / size).flip(0).repeat(2)  # (rh, rw) → (rw, rh, rw, rh)
        return (
            torch.where(there[..., None], boxes * ratio, 0.0),
            torch.where(there, scores, 0.0),
            torch.where(there, labels, 0),
            there.sum(1),
        )

    def _level(self, i: int, pixels: Tensor, x: Tensor, head: Any) -> _Level:
        grid = (x.shape[2], x.shape[3])
        stride = (pixels.shape[2] // grid[0], pixels.shape[3] // grid[1])
        logits, deltas = head([x])
        return _Level(logits, deltas, grid_anchors(getattr(self, f"cell{i}"), grid, stride))


def _best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` best columns of ``(N, S)``; where there are fewer, rows of minus infinity follow."""
    values, index = F.pad(scores, (0, k), value=ABSENT).topk(k, dim=1)
    return values, torch.where(values > ABSENT, index, 0)


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """Rows ``index (N, k)`` of ``(N, S, 4)``: ``(N, k, 4)``."""
    return table.gather(1, index[..., None].expand(-1, -1, 4))


def _proposals(rpn: RPN, levels: list[_Level], size: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`masu.detectors.proposals.propose`: boxes ``(N, P, 4)`` and scores ``(N, P)``."""
    settings = rpn.config.proposals
    k = settings.top_per_level
    all_boxes, all_logits, lists = [], [], []
    for number, level in enumerate(levels):
        logits, index = _best(level.logits, k)
        boxes = clip(decode(_rows(level.deltas, index), level.anchors[index]), size)
        usable = ~degenerate(boxes, settings.min_size) & (logits.sigmoid() >= settings.min_score)
        all_boxes.append(boxes)
        all_logits.append(torch.where(usable, logits, ABSENT))
        lists.append([number] * k)
    boxes, logits = torch.cat(all_boxes, 1), torch.cat(all_logits, 1)
    own = torch.tensor(lists).flatten().expand(logits.shape)
    kept = suppress(boxes, logits, own, len(levels), settings.nms_threshold)
    logits, index = _best(torch.where(kept, logits, ABSENT), settings.kept)
    return _rows(boxes, index), torch.where(logits > ABSENT, logits.sigmoid(), ABSENT)


def _second_stage(
    detector: FasterRCNN, features: list[Tensor], proposals: Tensor, objectness: Tensor, size: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """RoIs to boxes ``(N, D, 4)``, scores and labels ``(N, D)``."""
    settings, classes = detector.config.rois, len(detector.names)
    count, rois = proposals.shape[:2]
    flat = proposals.reshape(-1, 4)
    image = torch.arange(count, device=flat.device)[:, None].expand(count, rois).reshape(-1)
    level = assign_levels(flat, settings.strides, settings.canonical_size, settings.canonical_level)
    strides = list(settings.strides)
    pooled = pool(list(features[: len(strides)]), flat, image, level, strides, settings.cells)
    logits, deltas = detector.predictor(detector.box_head(pooled))
    scores = logits.softmax(1)[:, :-1].reshape(count, rois, classes)
    boxes = decode(deltas.reshape(count, rois, classes, 4), proposals[:, :, None], settings.box_weights)
    boxes = clip(boxes, size)
    usable = (
        (objectness > ABSENT)[..., None]
        & (scores > settings.min_score)
        & ~degenerate(boxes, settings.min_size)
    )
    scores = torch.where(usable, scores, ABSENT)  # (N, P, K)
    lists = scores.transpose(1, 2).reshape(-1, rois)
    one = torch.zeros_like(lists, dtype=torch.int64)
    kept = suppress(boxes.transpose(1, 2).reshape(-1, rois, 4), lists, one, 1, settings.nms_threshold)
    kept = kept.reshape(count, classes, rois).transpose(1, 2)
    scores, index = _best(torch.where(kept, scores, ABSENT).flatten(1), settings.max_detections)
    return _rows(boxes.flatten(1, 2), index), scores, index % classes


def _one_stage(detector: RetinaNet, levels: list[_Level], size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Class logits of all anchors to boxes ``(N, D, 4)``, scores and labels ``(N, D)``."""
    config, classes = detector.config, len(detector.names)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for level in levels:
        logits, index = _best(level.logits.flatten(1), config.top_per_level)
        anchor = index // classes
        boxes = clip(decode(_rows(level.deltas, anchor), level.anchors[anchor]), size)
        usable = (logits.sigmoid() > config.min_score) & ~degenerate(boxes, config.min_size)
        found.append((boxes, torch.where(usable, logits, ABSENT), index % classes))
    boxes, logits, labels = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    kept = suppress(boxes, logits, labels, classes, config.nms_threshold)
    logits, index = _best(torch.where(kept, logits, ABSENT), config.max_detections)
    scores = torch.where(logits > ABSENT, logits.sigmoid(), ABSENT)
    return _rows(boxes, index), scores, labels.gather(1, index)
