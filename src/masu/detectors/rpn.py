"""The Region Proposal Network on feature pyramid levels: boxes that may hold an object, without a class.

Ren et al. 2015 (Faster R-CNN), section 3; Lin et al. 2017 (FPN), section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from masu.detectors.box_loss import box_loss, check_box_loss
from masu.detectors.config import Depth, PyramidConfig
from masu.detectors.pyramid import PyramidDetector
from masu.detectors.raw import Level, Raw
from masu.detectors.stages import PROPOSAL_REASONS, Kept, Rows, Stage
from masu.detectors.targets import Assignment, assign_targets, assignment_by_iou, targets_at_network_size
from masu.nets.rpn import RPNHead
from masu.ops.coder import decode
from masu.ops.losses import bce
from masu.ops.sampling import sample
from masu.records import Target
from masu.settings import Count, Share, SmallestSide, check_fields

PROPOSALS = "proposals"
"""Name of the stage."""


@dataclass(frozen=True)
class ProposalSettings:
    """How anchors are labelled in training and head outputs become proposals (Ren et al. 2015).

    Attributes:
        fg_iou_thresh: IoU from which an anchor stands for an object.
        bg_iou_thresh: IoU under which it is background.
        batch_size_per_image: anchors per image in the loss.
        positive_fraction: largest share of objects among them.
        box_loss: name of the loss on box deltas, see ``masu.detectors.box_loss``.
        pre_nms_top_n_training: best anchors of each level that are decoded, in training.
        pre_nms_top_n: the same in prediction.
        post_nms_top_n_training: proposals per image after suppression, in training.
        post_nms_top_n: the same in prediction.
        nms_thresh: IoU above which the weaker of two proposals of one level is dropped.
        min_size: shortest side of a proposal in pixels.
        score_thresh: smallest objectness of a proposal, 0..1.
    """

    fg_iou_thresh: Share = 0.7
    bg_iou_thresh: Share = 0.3
    batch_size_per_image: Count = 256
    positive_fraction: Share = 0.5
    box_loss: str = "smooth_l1"
    pre_nms_top_n_training: Count = 2000
    pre_nms_top_n: Count = 1000
    post_nms_top_n_training: Count = 2000
    post_nms_top_n: Count = 1000
    nms_thresh: Share = 0.7
    min_size: SmallestSide = 1e-3
    score_thresh: Share = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_box_loss(self.box_loss)

    @property
    def in_training(self) -> ProposalSettings:
        """The settings under which proposals are made for the loss of a second stage."""
        return replace(
            self, pre_nms_top_n=self.pre_nms_top_n_training, post_nms_top_n=self.post_nms_top_n_training
        )


@dataclass(frozen=True)
class RPNConfig(PyramidConfig):
    """Everything that makes a Region Proposal Network; stored in the model file.

    Attributes:
        head_depth: 3×3 convolutions of the RPN's head.
        proposals: matching, sampling and filtering.
    """

    head_depth: Depth = 1
    proposals: ProposalSettings = field(default_factory=ProposalSettings)

    @property
    def fg_iou_thresh(self) -> float:
        """IoU from which an anchor stands for an object."""
        return self.proposals.fg_iou_thresh

    def with_box_loss(self, name: str) -> RPNConfig:
        """See :meth:`masu.detectors.config.DetectorConfig.with_box_loss`."""
        return replace(self, proposals=replace(self.proposals, box_loss=name))

    def with_setting(self, stage: str, name: str, value: float) -> RPNConfig:
        """See :meth:`masu.detectors.config.DetectorConfig.with_setting`."""
        changed: dict[str, Any] = {name: value}
        return replace(self, proposals=replace(self.proposals, **changed))


class RPN(PyramidDetector):
    """Backbone, pyramid and RPN head; on its own a trainable, class-agnostic proposal generator.

    Args:
        config: architecture and settings.
        names: not looked at; the one class is ``object``.
    """

    config: RPNConfig
    kind = "proposals"

    def __init__(self, config: RPNConfig, names: Sequence[str] = ()) -> None:
        super().__init__(config, ("object",))
        self.head = RPNHead(config.fpn_channels, len(self.cells[0]), config.head_depth)

    def level(self, features: Tensor, anchors: Tensor) -> Level:
        """See :meth:`PyramidDetector.level`."""
        objectness, deltas = self.head([features])
        return Level(anchors, objectness[..., None].to(anchors), deltas.to(anchors))

    def loss_terms(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Steps 4 to 7: ``objectness`` and ``proposal_boxes``; classes are not looked at."""
        scaled = targets_at_network_size(targets, raw.images)
        return proposal_losses(raw, scaled, self.config.proposals, generator)

    @property
    def network_stages(self) -> tuple[Stage, ...]:
        """Step 8: the proposals."""
        return (proposal_stage(self.config.proposals),)

    def assignment(self, anchors: Tensor, target: Target) -> Assignment:
        """See :meth:`Detector.assignment`."""
        settings = self.config.proposals
        return assignment_by_iou(anchors, target, settings.fg_iou_thresh, settings.bg_iou_thresh)


def proposal_stage(settings: ProposalSettings) -> Stage:
    """Step 8: the best anchors of each level, suppressed within it."""
    return Stage(
        name=PROPOSALS,
        look=_objectness,
        decode=decode,
        reasons=PROPOSAL_REASONS,
        by_class=False,
        score_thresh=settings.score_thresh,
        reaching=True,
        pre_nms_top_n=settings.pre_nms_top_n,
        min_size=settings.min_size,
        nms_thresh=settings.nms_thresh,
        limit=settings.post_nms_top_n,
        limit_name="post_nms_top_n",
    )


def _objectness(raw: Raw, given: Kept | None) -> list[Rows]:
    return [Rows(x.anchors, x.logits, x.deltas[:, :, None]) for x in raw.levels]


def proposal_losses(
    raw: Raw, targets: Sequence[Target], settings: ProposalSettings, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """The RPN's loss terms ``objectness`` and ``proposal_boxes`` (Ren et al. 2015, eq. 1).

    Args:
        raw: the network's outputs.
        targets: objects in pixels of the network's input.
        settings: thresholds and budgets.
        generator: randomness of the sampling.
    """
    rows, labels, matched, positives = [], [], [], []
    for i, target in enumerate(targets):
        index, label_of_anchor, objects = assign_targets(
            raw.anchors,
            target,
            settings.fg_iou_thresh,
            settings.bg_iou_thresh,
            allow_low_quality_matches=True,
        )
        positive, negative = sample(
            label_of_anchor, settings.batch_size_per_image, settings.positive_fraction, generator
        )
        offset = i * len(raw.anchors)
        rows.append(torch.cat([positive, negative]) + offset)
        labels.append(torch.cat([torch.ones_like(positive), torch.zeros_like(negative)]))
        positives.append(positive + offset)
        matched.append(objects.boxes[index[positive]].to(raw.anchors))
    row, norm = torch.cat(rows), max(sum(len(r) for r in rows), 1)
    positive = torch.cat(positives)
    return {
        "objectness": bce(raw.logits.flatten()[row], torch.cat(labels), norm),
        "proposal_boxes": box_loss(
            settings.box_loss,
            raw.deltas.reshape(-1, 4)[positive],
            torch.cat(matched),
            raw.anchors[positive % len(raw.anchors)],
            norm,
        ),
    }
