"""Cascade R-CNN: box heads in a row, each trained on what the one before made of the proposals.

Cai & Vasconcelos 2018 (arXiv:1712.00726); with more of the settings 2019 (arXiv:1906.09756).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from masu.detectors.config import DetectorConfig, PyramidConfig
from masu.detectors.detector import ClassRows, Detector
from masu.detectors.raw import Raw
from masu.detectors.rois import (
    BoxWeights,
    RoISettings,
    assign_rois,
    detection_stage,
    look,
    pool,
    pooled_probe,
    roi_losses,
    sample_rois,
)
from masu.detectors.rpn import PROPOSALS, RPN, RPNConfig, proposal_losses, proposal_stage
from masu.detectors.stages import Kept, Reason, Rows, Stage, run
from masu.detectors.targets import Assignment, targets_at_network_size
from masu.nets.heads import BoxHead, BoxPredictor
from masu.ops.coder import decode
from masu.ops.geometry import clip
from masu.ops.nms import ABSENT
from masu.records import Target
from masu.settings import Length, Share, Within, check_fields


@dataclass(frozen=True)
class LaterHead:
    """What a head after the first does otherwise.

    Attributes:
        fg_iou_thresh: IoU from which a RoI stands for an object.
        box_weights: factors of dx, dy, dw, dh: its moves are smaller.
        loss_weight: of its two loss terms; the first head's is 1.
    """

    fg_iou_thresh: Share
    box_weights: BoxWeights
    loss_weight: Annotated[float, Within(0.0, 1e6)]

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class CascadeRCNNConfig(DetectorConfig):
    """Everything that makes a Cascade R-CNN but its class names; stored in the model file.

    Attributes:
        rpn: the proposals.
        rois: pooling and heads, which are all alike; the first head's training; the final detections.
        later: the heads after the first, in order; loss weights are those of the authors' code.
    """

    rpn: RPNConfig
    rois: RoISettings = field(default_factory=RoISettings)
    later: Annotated[tuple[LaterHead, ...], Length(0, 16)] = (
        LaterHead(0.6, (20.0, 20.0, 10.0, 10.0), 0.5),
        LaterHead(0.7, (30.0, 30.0, 15.0, 15.0), 0.25),
    )

    def __post_init__(self) -> None:
        check_fields(self)
        ious = [head.fg_iou_thresh for head in self.heads]
        if any(a >= b for a, b in pairwise(ious)):
            raise ValueError(f"fg_iou_thresh: found {ious} from head to head, wanted rising ones")

    @property
    def heads(self) -> tuple[RoISettings, ...]:
        """The settings of every head."""
        others = (
            replace(self.rois, fg_iou_thresh=head.fg_iou_thresh, box_weights=head.box_weights)
            for head in self.later
        )
        return self.rois, *others

    @property
    def loss_weights(self) -> tuple[float, ...]:
        """Of every head."""
        return 1.0, *(head.loss_weight for head in self.later)

    @property
    def pyramid(self) -> PyramidConfig:
        """See :attr:`DetectorConfig.pyramid`."""
        return self.rpn

    def with_pyramid(self, pyramid: PyramidConfig) -> CascadeRCNNConfig:
        """See :meth:`DetectorConfig.with_pyramid`."""
        return replace(self, rpn=self.rpn.with_pyramid(pyramid))

    @property
    def fg_iou_thresh(self) -> float:
        """See :attr:`DetectorConfig.fg_iou_thresh`."""
        return self.rpn.fg_iou_thresh

    def with_box_loss(self, name: str) -> CascadeRCNNConfig:
        """See :meth:`DetectorConfig.with_box_loss`."""
        return replace(self, rpn=self.rpn.with_box_loss(name), rois=replace(self.rois, box_loss=name))

    def with_setting(self, stage: str, name: str, value: float) -> CascadeRCNNConfig:
        """See :meth:`DetectorConfig.with_setting`."""
        if stage == PROPOSALS:
            return replace(self, rpn=self.rpn.with_setting(stage, name, value))
        changed: dict[str, Any] = {name: value}
        return replace(self, rois=replace(self.rois, **changed))

    @property
    def pretrained(self) -> str:
        """See :attr:`DetectorConfig.pretrained`: its pyramid and RPN are those of a Faster R-CNN."""
        return "FasterRCNN"


class CascadeRCNN(Detector):
    """Detector whose proposals are moved and classified by several heads, one after the other.

    Args:
        config: architecture and settings.
        names: class names, without background.
    """

    config: CascadeRCNNConfig

    def __init__(self, config: CascadeRCNNConfig, names: Sequence[str]) -> None:
        super().__init__(config, names)
        self.rpn = RPN(config.rpn)
        rois, channels = config.rois, config.rpn.fpn_channels
        rois.check_strides(self.rpn.strides)
        self.heads = nn.ModuleList(
            nn.Sequential(
                OrderedDict(
                    box_head=BoxHead(channels, rois.cells, rois.convs, rois.hidden),
                    predictor=BoxPredictor(rois.hidden[-1], len(self.names), class_agnostic=True),
                )
            )
            for _ in config.heads
        )

    @property
    def pyramid(self) -> RPN:
        """See :attr:`Detector.pyramid`."""
        return self.rpn

    @property
    def class_rows(self) -> Mapping[str, ClassRows]:
        """See :attr:`Detector.class_rows`; boxes have no classes."""
        return {
            f"heads.{number}.predictor.scores.{leaf}": ClassRows(background=True)
            for number in range(len(self.heads))
            for leaf in ("weight", "bias")
        }

    def probes(self) -> Iterator[tuple[nn.Module, tuple[Any, ...]]]:
        """See :meth:`Detector.probes`."""
        yield from self.rpn.probes()
        pooled = pooled_probe(self.config.rpn.fpn_channels, self.config.rois, self.rpn.dtype)
        for head in self.heads:
            yield head, (pooled,)

    def loss_terms(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """``objectness``, ``proposal_boxes``, and ``classes_1``, ``boxes_1`` and so on, of every head.

        The first head's RoIs are drawn as those of Faster R-CNN; each later head has all RoIs of the one
        before, where that one moved them.
        """
        scaled = targets_at_network_size(targets, raw.images)
        config, heads = self.config, self.config.heads
        settings = config.rpn.proposals
        losses = proposal_losses(raw, scaled, settings, generator)
        with torch.no_grad():
            proposals = run([proposal_stage(settings.in_training)], raw)[-1].kept
        rois = sample_rois(proposals, scaled, len(self.names), heads[0], generator)
        for t, (head, own, weight) in enumerate(zip(self.heads, heads, config.loss_weights, strict=True)):
            logits, deltas = (x.to(rois.boxes) for x in head(pool(raw, rois.boxes, rois.image, own)))
            classes, regression = roi_losses(logits, deltas, rois, own)
            losses[f"classes_{t + 1}"], losses[f"boxes_{t + 1}"] = weight * classes, weight * regression
            if t + 1 < len(heads):
                boxes = decode(deltas[:, 0].detach(), rois.boxes, own.box_weights)
                boxes = clip(boxes, raw.images.sizes[rois.image])
                rois = assign_rois(rois, boxes, scaled, len(self.names), heads[t + 1].fg_iou_thresh)
        return losses

    @property
    def network_stages(self) -> tuple[Stage, ...]:
        """Proposals; every head but the last moves them; the last moves them and all classify them."""
        heads = self.config.heads
        final = detection_stage(self._classify, self.config.rois, heads[-1].box_weights)
        refinements = (self._refinement(t, own) for t, own in enumerate(heads[:-1]))
        return proposal_stage(self.config.rpn.proposals), *refinements, final

    def _refinement(self, t: int, settings: RoISettings) -> Stage:
        name, meaning = f"refinement_{t + 1}", f"head {t + 1} moves the boxes that reach it away"
        return Stage(
            name=name,
            look=partial(self._move, t),
            decode=partial(decode, weights=settings.box_weights),
            reasons={"regression": Reason(name, meaning)},
            by_class=False,
            ranks_logits=False,
            reaching=True,
        )

    def _move(self, t: int, raw: Raw, given: Kept | None) -> list[Rows]:
        """The boxes of head ``t`` under the scores that the proposals have."""
        assert given is not None
        rows = look(raw, given, [self.heads[t]], self.config.rois)
        scores = torch.where(given.there, given.scores, ABSENT)
        return [Rows(rows.boxes, scores[..., None], rows.deltas)]

    def _classify(self, raw: Raw, given: Kept | None) -> list[Rows]:
        """The mean of what all heads say of the last head's RoIs (the paper's "ensemble")."""
        return [look(raw, given, list(self.heads), self.config.rois)]

    def assignment(self, anchors: Tensor, target: Target) -> Assignment:
        """See :meth:`Detector.assignment`."""
        return self.rpn.assignment(anchors, target)
