"""Faster R-CNN: proposals from the RPN, then a class and a finer box for each.

Ren et al. 2015; with feature pyramid: Lin et al. 2017, section 4.2; RoIAlign: He et al. 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from masu.detectors.box_loss import box_loss, check_box_loss
from masu.detectors.candidates import Candidates
from masu.detectors.detector import Detector
from masu.detectors.proposals import Raw, label, proposal_losses, propose, targets_at_network_size
from masu.detectors.rpn import RPN, RPNConfig
from masu.nets.folding import fold_norms
from masu.nets.heads import BoxHead, BoxPredictor
from masu.ops.coder import Weights, decode
from masu.ops.geometry import clip, degenerate, resize
from masu.ops.images import InputPolicy
from masu.ops.losses import cross_entropy
from masu.ops.roi_align import assign_levels, roi_align
from masu.ops.sampling import sample
from masu.records import Detections, Proposals, Target


@dataclass(frozen=True)
class RoISettings:
    """The second stage: pooling, head, training and final detections; stored in the model file.

    Attributes:
        strides: pixels per cell of the pyramid levels that RoIs are pooled from, finest first.
        canonical_size: side in pixels of a box that belongs to ``canonical_level``.
        canonical_level: log2 of that level's stride.
        cells: cells per side of a pooled RoI.
        convs: 3×3 convolutions of the box head.
        hidden: widths of its fully connected layers.
        samples: RoIs per image in the loss.
        positive_fraction: largest share of objects among them.
        match: IoU from which a RoI stands for an object.
        box_weights: factors of dx, dy, dw, dh.
        box_loss: name of the box loss, see ``masu.detectors.box_loss``.
        min_score: smallest score of a detection.
        min_size: shortest side of a detection in pixels of the network's input.
        nms_threshold: IoU above which the weaker of two detections of one class is dropped.
        max_detections: detections per image.
    """

    strides: tuple[int, ...] = (4, 8, 16, 32)
    canonical_size: int = 224
    canonical_level: int = 4
    cells: int = 7
    convs: int = 0
    hidden: tuple[int, ...] = (1024, 1024)
    samples: int = 512
    positive_fraction: float = 0.25
    match: float = 0.5
    box_weights: Weights = (10.0, 10.0, 5.0, 5.0)
    box_loss: str = "smooth_l1"
    min_score: float = 0.05
    min_size: float = 1e-2
    nms_threshold: float = 0.5
    max_detections: int = 100

    def __post_init__(self) -> None:
        check_box_loss(self.box_loss)


@dataclass(frozen=True)
class FasterRCNNConfig:
    """Everything that makes a Faster R-CNN but its class names; stored in the model file.

    Attributes:
        rpn: the first stage.
        rois: the second stage.
    """

    rpn: RPNConfig
    rois: RoISettings = field(default_factory=RoISettings)


class FasterRCNN(Detector):
    """Two-stage detector.

    Args:
        config: architecture and settings.
        names: class names, without background.
    """

    kind: ClassVar[Literal["detector", "proposals"]] = "detector"

    def __init__(self, config: FasterRCNNConfig, names: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        self.names = tuple(names)
        self.rpn = RPN(config.rpn)
        rois = config.rois
        self.box_head = BoxHead(config.rpn.fpn_channels, rois.cells, rois.convs, rois.hidden)
        self.predictor = BoxPredictor(rois.hidden[-1], len(self.names))

    @property
    def input(self) -> InputPolicy:
        """See :attr:`Detector.input`."""
        policy: InputPolicy = self.config.rpn.input
        return policy

    def forward(self, images: Sequence[Tensor], policy: InputPolicy | None = None) -> Raw:
        """Steps 1 to 3: features, RPN head, anchors."""
        raw: Raw = self.rpn(images, policy)
        return raw

    def losses(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Steps 4 to 9: ``objectness``, ``proposal_boxes``, ``classes`` and ``boxes``."""
        scaled = targets_at_network_size(targets, raw.images)
        settings, rois = self.config.rpn.proposals, self.config.rois
        losses = proposal_losses(raw, scaled, settings, generator)
        proposals = propose(raw, settings, settings.top_per_level_training, settings.kept_training)
        sampled = self._sample_rois(proposals, scaled, generator)
        logits, deltas = self.second_stage(raw, sampled.boxes, sampled.image)
        norm = max(len(sampled.boxes), 1)
        positive = torch.where(sampled.classes < len(self.names))[0]
        losses["classes"] = cross_entropy(logits, sampled.classes, norm)
        losses["boxes"] = box_loss(
            rois.box_loss,
            deltas[positive, sampled.classes[positive]],
            sampled.matched[positive],
            sampled.boxes[positive],
            norm,
            rois.box_weights,
        )
        return losses

    def detections(self, raw: Raw) -> list[Detections]:
        """Steps 8 to 10: proposals, second stage, final boxes."""
        settings, rois = self.config.rpn.proposals, self.config.rois
        proposals = propose(raw, settings, settings.top_per_level, settings.kept)
        counts = proposals.count.tolist()
        classified = self.classify(raw, [proposals.boxes[i, :count] for i, count in enumerate(counts)])
        images = [self.candidates(raw, i, *of_image) for i, of_image in enumerate(classified)]
        threshold, most = rois.nms_threshold, rois.max_detections
        return [self.final(raw, i, c, c.survivors(threshold, most)) for i, c in enumerate(images)]

    def fold_norms(self) -> None:
        """See :meth:`Detector.fold_norms`."""
        self.rpn.fold_norms()
        cells, channels = self.config.rois.cells, self.config.rpn.fpn_channels
        fold_norms(self.box_head, next(self.parameters()).new_zeros((1, channels, cells, cells)))

    def classify(self, raw: Raw, proposals: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Per image its proposals ``(P, 4)``, scores ``(P, K + 1)``, background last, and class deltas."""
        boxes, counts = torch.cat(list(proposals)), [len(p) for p in proposals]
        image = torch.arange(len(counts), device=boxes.device)
        image = image.repeat_interleave(torch.tensor(counts, device=boxes.device))
        logits, deltas = self.second_stage(raw, boxes, image)
        parts = (torch.split(x, counts) for x in (boxes, logits.softmax(dim=1), deltas))
        return list(zip(*parts, strict=True))

    def second_stage(self, raw: Raw, boxes: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """RoIs ``(R, 4)`` of images ``(R,)`` → logits ``(R, K + 1)`` and deltas ``(R, K, 4)``."""
        rois = self.config.rois
        levels = raw.features[: len(rois.strides)]
        level = assign_levels(boxes, rois.strides, rois.canonical_size, rois.canonical_level)
        pooled = roi_align(levels, boxes, image, level, rois.strides, rois.cells)
        logits, deltas = self.predictor(self.box_head(pooled))
        return logits.to(boxes), deltas.to(boxes)

    def _sample_rois(
        self, proposals: Proposals, targets: Sequence[Target], generator: torch.Generator | None
    ) -> _SampledRoIs:
        settings, background = self.config.rois, len(self.names)
        boxes, images, classes, matched = [], [], [], []
        for i, target in enumerate(targets):
            # Objects join the proposals so that the second stage has positives from the first step on
            # (reference implementation; the proposals of an untrained RPN overlap few objects).
            candidates = torch.cat([proposals.boxes[i, : proposals.count[i]], target.boxes[~target.ignored]])
            index, labels, objects = label(candidates, target, settings.match, settings.match, restore=False)
            positive, negative = sample(labels, settings.samples, settings.positive_fraction, generator)
            rows = torch.cat([positive, negative])
            class_of_row = torch.full_like(rows, background)
            class_of_row[: len(positive)] = objects.labels[index[positive]]
            object_of_row = candidates.new_zeros((len(rows), 4))
            object_of_row[: len(positive)] = objects.boxes[index[positive]]
            boxes.append(candidates[rows])
            images.append(torch.full_like(rows, i))
            classes.append(class_of_row)
            matched.append(object_of_row)
        return _SampledRoIs(torch.cat(boxes), torch.cat(images), torch.cat(classes), torch.cat(matched))

    def candidates(self, raw: Raw, i: int, proposals: Tensor, scores: Tensor, deltas: Tensor) -> Candidates:
        """Proposals and classes of image ``i`` that score enough, only those decoded; groups are classes."""
        settings = self.config.rois
        scores = scores[:, :-1]  # without background
        row, labels = torch.where(scores > settings.min_score)
        boxes = decode(deltas[row, labels], proposals[row], settings.box_weights)
        boxes = clip(boxes, raw.images.sizes[i])
        return Candidates(row, labels, scores[row, labels], boxes, ~degenerate(boxes, settings.min_size))

    def final(self, raw: Raw, i: int, candidates: Candidates, keep: Tensor) -> Detections:
        """Candidates ``keep (k,)`` of image ``i`` as detections, in pixels of the image as it was given."""
        boxes = resize(candidates.boxes[keep], raw.images.sizes[i], raw.images.original_sizes[i])
        labels = candidates.group[keep]
        names = tuple(self.names[label] for label in labels.tolist())
        return Detections(boxes, candidates.ranking[keep], labels, names)


@dataclass(frozen=True, eq=False)
class _SampledRoIs:
    """RoIs drawn for the loss: ``boxes (R, 4)``, ``image (R,)``, ``classes (R,)`` with K as background,
    ``matched (R, 4)`` objects, zeros for background."""

    boxes: Tensor
    image: Tensor
    classes: Tensor
    matched: Tensor
