"""What became of every anchor and proposal of an image, from the head's outputs to the final boxes.

Reads the same pieces as ``detections(raw)`` and keeps what that throws away. Law: the detections of the
traces equal ``detector.detections(raw)`` to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from masu.detectors.candidates import Candidates
from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.proposals import ProposalSettings, Raw, ranked
from masu.detectors.retinanet import RetinaNet
from masu.detectors.rpn import RPN
from masu.ops.coder import decode
from masu.ops.geometry import clip, degenerate
from masu.ops.nms import suppressors
from masu.records import Detections


@dataclass(frozen=True, eq=False)
class Filtered:
    """Candidates and what became of each of them in one stage's filters; ``C`` of them, any order.

    Attributes:
        candidates: rows, groups, ranking and boxes.
        small: ``(C,)`` booleans, too small a box; what is neither small nor usable was scored too low.
        suppressor: ``(C,)`` int64 index of the candidate that a box gave way to, else −1.
        rank: ``(C,)`` int64 place among the survivors of suppression, best 0; −1 for all others.
        limit: survivors of this rank and beyond are cut off.
    """

    candidates: Candidates
    small: Tensor
    suppressor: Tensor
    rank: Tensor
    limit: int

    @property
    def kept(self) -> Tensor:
        """Indices of the candidates that remain, best first."""
        survivors = torch.where(self.rank >= 0)[0]
        return survivors[self.rank[survivors].argsort()][: self.limit]


@dataclass(frozen=True, eq=False)
class AnchorTrace:
    """Every anchor of an image. Boxes are xyxy in pixels of the network's input.

    Attributes:
        anchors: ``(R, 4)``.
        logits: ``(R,)`` objectness, or ``(R, K)`` of classes.
        level: ``(R,)`` int64 feature level, finest 0.
        rank: ``(R,)`` int64 place of the anchor's best logit within its level, best 0.
        decoded: ``(R, 4)`` boxes as the head moved the anchors.
        boxes: ``(R, 4)`` the same cut to the image.
        filtered: those among the best of their level. The rows of its candidates are anchors; groups are
            levels for an RPN, classes for a one-stage detector.
    """

    anchors: Tensor
    logits: Tensor
    level: Tensor
    rank: Tensor
    decoded: Tensor
    boxes: Tensor
    filtered: Filtered


@dataclass(frozen=True, eq=False)
class RoITrace:
    """Every proposal of an image in the second stage. Boxes are in pixels of the network's input.

    Attributes:
        proposals: ``(P, 4)``, best first: proposal ``p`` is the RPN's candidate of rank ``p``.
        scores: ``(P, K + 1)`` softmax, background last.
        boxes: ``(P, K, 4)`` decoded for each class and cut to the image.
        filtered: pairs of proposal and class that score enough; groups are classes.
    """

    proposals: Tensor
    scores: Tensor
    boxes: Tensor
    filtered: Filtered


@dataclass(frozen=True, eq=False)
class Trace:
    """One image's way through a detector.

    Attributes:
        anchors: of the RPN, or of a one-stage detector.
        rois: the second stage; None without one.
        size: ``(2,)`` int64 height and width of the image within the network's input.
        original_size: ``(2,)`` int64 height and width of the image as it was given.
        detections: the final boxes, in pixels of the image as it was given.
    """

    anchors: AnchorTrace
    rois: RoITrace | None
    size: Tensor
    original_size: Tensor
    detections: Detections

    @property
    def last(self) -> Filtered:
        """The filters that the final boxes came out of; detection ``k`` is number ``k`` of its ``kept``."""
        return self.anchors.filtered if self.rois is None else self.rois.filtered


def trace(detector: Detector, raw: Raw) -> list[Trace]:
    """Follow every anchor of a batch to the final boxes; one trace per image.

    Args:
        detector: an RPN, Faster R-CNN or RetinaNet of masu.
        raw: result of its ``forward``; no gradient flows back through it.

    Raises:
        TypeError: for another detector.
    """
    if isinstance(detector, FasterRCNN):
        return _two_stages(detector, raw)
    if isinstance(detector, RPN):
        anchors = _proposed(raw, detector.config.proposals)
    elif isinstance(detector, RetinaNet):
        anchors = _one_stage(raw, detector)
    else:
        raise TypeError(f"detector: found {type(detector).__name__}, wanted a detector of masu")
    return [
        Trace(a, None, *_sizes(raw, i), detector.final(raw, i, a.filtered.candidates, a.filtered.kept))
        for i, a in enumerate(anchors)
    ]


def _two_stages(detector: FasterRCNN, raw: Raw) -> list[Trace]:
    settings, traces = detector.config.rois, []
    anchors = _proposed(raw, detector.config.rpn.proposals)
    proposals = [a.filtered.candidates.boxes[a.filtered.kept] for a in anchors]
    for i, of_image in enumerate(detector.classify(raw, proposals)):
        boxes, scores, deltas = (x.detach() for x in of_image)
        candidates = detector.candidates(raw, i, boxes, scores, deltas)
        filtered = _filtered(candidates, settings.min_size, settings.nms_threshold, settings.max_detections)
        decoded = clip(decode(deltas, boxes[:, None], settings.box_weights), raw.images.sizes[i])
        decoded[candidates.row, candidates.group] = candidates.boxes  # the same, and to the bit
        found = detector.final(raw, i, candidates, filtered.kept)
        rois = RoITrace(boxes, scores, decoded, filtered)
        traces.append(Trace(anchors[i], rois, *_sizes(raw, i), found))
    return traces


def _one_stage(raw: Raw, detector: RetinaNet) -> list[AnchorTrace]:
    config = detector.config
    images = [detector.candidates(raw, i) for i in range(len(raw.logits))]
    limits = config.min_size, config.nms_threshold, config.max_detections
    return [_anchors(raw, i, _filtered(candidates, *limits)) for i, candidates in enumerate(images)]


def _proposed(raw: Raw, settings: ProposalSettings) -> list[AnchorTrace]:
    limits = settings.min_size, settings.nms_threshold, settings.kept
    images = ranked(raw, settings, settings.top_per_level)
    return [_anchors(raw, i, _filtered(candidates, *limits)) for i, candidates in enumerate(images)]


def _filtered(candidates: Candidates, min_size: float, threshold: float, limit: int) -> Filtered:
    survivors = candidates.survivors(threshold)
    rank = torch.full_like(candidates.row, -1)
    rank[survivors] = torch.arange(len(survivors), device=rank.device)
    gave_way_to = suppressors(candidates.boxes, candidates.group, candidates.usable, survivors, threshold)
    return Filtered(candidates, degenerate(candidates.boxes, min_size), gave_way_to, rank, limit)


def _anchors(raw: Raw, i: int, filtered: Filtered) -> AnchorTrace:
    logits, row = raw.logits[i].detach(), filtered.candidates.row
    decoded = decode(raw.deltas[i].detach(), raw.anchors)
    boxes = clip(decoded, raw.images.sizes[i])
    boxes[row] = filtered.candidates.boxes  # the same, and to the bit
    best = logits if logits.ndim == 1 else logits.amax(1)
    ranks = [torch.empty_like(x, dtype=torch.int64) for x in torch.split(best, list(raw.levels))]
    for rank, of_level in zip(ranks, torch.split(best, list(raw.levels)), strict=True):
        rank[of_level.argsort(descending=True, stable=True)] = torch.arange(len(rank), device=rank.device)
    levels = torch.tensor(raw.levels, device=row.device)
    level = torch.arange(len(levels), device=row.device).repeat_interleave(levels)
    return AnchorTrace(raw.anchors, logits, level, torch.cat(ranks), decoded, boxes, filtered)


def _sizes(raw: Raw, i: int) -> tuple[Tensor, Tensor]:
    return raw.images.sizes[i], raw.images.original_sizes[i]
