"""Faster R-CNN: proposals from the RPN, then a class and a finer box for each.

Ren et al. 2015; with feature pyramid: Lin et al. 2017, section 4.2; RoIAlign: He et al. 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from masu.detectors.config import DetectorConfig, PyramidConfig
from masu.detectors.detector import ClassRows, Detector
from masu.detectors.raw import Raw
from masu.detectors.rois import (
    RoISettings,
    detection_stage,
    look,
    pool,
    pooled_probe,
    roi_losses,
    sample_rois,
)
from masu.detectors.rpn import PROPOSALS, RPN, RPNConfig, proposal_losses, proposal_stage
from masu.detectors.stages import Kept, Rows, Stage, run
from masu.detectors.targets import Assignment, targets_at_network_size
from masu.nets.heads import BoxHead, BoxPredictor
from masu.records import Target
from masu.settings import check_fields


@dataclass(frozen=True)
class FasterRCNNConfig(DetectorConfig):
    """Everything that makes a Faster R-CNN but its class names; stored in the model file.

    Attributes:
        rpn: the first stage.
        rois: the second stage.
    """

    rpn: RPNConfig
    rois: RoISettings = field(default_factory=RoISettings)

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def pyramid(self) -> PyramidConfig:
        """See :attr:`DetectorConfig.pyramid`."""
        return self.rpn

    def with_pyramid(self, pyramid: PyramidConfig) -> FasterRCNNConfig:
        """See :meth:`DetectorConfig.with_pyramid`."""
        return replace(self, rpn=self.rpn.with_pyramid(pyramid))

    @property
    def fg_iou_thresh(self) -> float:
        """See :attr:`DetectorConfig.fg_iou_thresh`."""
        return self.rpn.fg_iou_thresh

    def with_box_loss(self, name: str) -> FasterRCNNConfig:
        """See :meth:`DetectorConfig.with_box_loss`."""
        return replace(self, rpn=self.rpn.with_box_loss(name), rois=replace(self.rois, box_loss=name))

    def with_setting(self, stage: str, name: str, value: float) -> FasterRCNNConfig:
        """See :meth:`DetectorConfig.with_setting`."""
        if stage == PROPOSALS:
            return replace(self, rpn=self.rpn.with_setting(stage, name, value))
        changed: dict[str, Any] = {name: value}
        return replace(self, rois=replace(self.rois, **changed))


class FasterRCNN(Detector):
    """Two-stage detector.

    Args:
        config: architecture and settings.
        names: class names, without background.
    """

    config: FasterRCNNConfig

    def __init__(self, config: FasterRCNNConfig, names: Sequence[str]) -> None:
        super().__init__(config, names)
        self.rpn = RPN(config.rpn)
        rois = config.rois
        rois.check_strides(self.rpn.strides)
        self.box_head = BoxHead(config.rpn.fpn_channels, rois.cells, rois.convs, rois.hidden)
        self.predictor = BoxPredictor(rois.hidden[-1], len(self.names))

    @property
    def pyramid(self) -> RPN:
        """See :attr:`Detector.pyramid`."""
        return self.rpn

    @property
    def class_rows(self) -> Mapping[str, ClassRows]:
        """See :attr:`Detector.class_rows`."""
        scores, deltas = ClassRows(background=True), ClassRows(values=4)
        return {
            f"predictor.{layer}.{leaf}": rows
            for layer, rows in (("scores", scores), ("deltas", deltas))
            for leaf in ("weight", "bias")
        }

    def probes(self) -> Iterator[tuple[nn.Module, tuple[Any, ...]]]:
        """See :meth:`Detector.probes`."""
        yield from self.rpn.probes()
        yield self.box_head, (pooled_probe(self.config.rpn.fpn_channels, self.config.rois, self.rpn.dtype),)

    def head(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled RoIs ``(R, C, cells, cells)`` → logits ``(R, K + 1)`` and deltas ``(R, K, 4)``."""
        logits, deltas = self.predictor(self.box_head(pooled))
        return logits, deltas

    def loss_terms(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Steps 4 to 9: ``objectness``, ``proposal_boxes``, ``classes`` and ``boxes``."""
        scaled = targets_at_network_size(targets, raw.images)
        settings, rois = self.config.rpn.proposals, self.config.rois
        losses = proposal_losses(raw, scaled, settings, generator)
        with torch.no_grad():
            proposals = run([proposal_stage(settings.in_training)], raw)[-1].kept
        sampled = sample_rois(proposals, scaled, len(self.names), rois, generator)
        logits, deltas = self.head(pool(raw, sampled.boxes, sampled.image, rois))
        losses["classes"], losses["boxes"] = roi_losses(
            logits.to(sampled.boxes), deltas.to(sampled.boxes), sampled, rois
        )
        return losses

    @property
    def network_stages(self) -> tuple[Stage, ...]:
        """Steps 8 to 10: proposals, second stage, final boxes."""
        final = detection_stage(self._classify, self.config.rois, self.config.rois.box_weights)
        return proposal_stage(self.config.rpn.proposals), final

    def _classify(self, raw: Raw, given: Kept | None) -> list[Rows]:
        return [look(raw, given, [self.head], self.config.rois)]

    def assignment(self, anchors: Tensor, target: Target) -> Assignment:
        """See :meth:`Detector.assignment`."""
        return self.rpn.assignment(anchors, target)
