"""The Region Proposal Network on feature pyramid levels: boxes that may hold an object, without a class.

Ren et al. 2015 (Faster R-CNN), section 3; Lin et al. 2017 (FPN), section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from masu.detectors.candidates import Candidates
from masu.detectors.proposals import ProposalSettings, Raw, proposal_losses, ranked, targets_at_network_size
from masu.detectors.pyramid import PyramidConfig, PyramidDetector
from masu.nets.rpn import RPNHead
from masu.ops.geometry import resize
from masu.ops.images import InputPolicy
from masu.records import Detections, Target


@dataclass(frozen=True)
class RPNConfig(PyramidConfig):
    """Everything that makes a Region Proposal Network; stored in the model file.

    Attributes:
        head_depth: 3×3 convolutions of the RPN's head.
        proposals: matching, sampling and filtering.
    """

    head_depth: int = 1
    proposals: ProposalSettings = field(default_factory=ProposalSettings)


class RPN(PyramidDetector):
    """Backbone, pyramid and RPN head; on its own a trainable, class-agnostic proposal generator."""

    config: RPNConfig
    kind: ClassVar[Literal["detector", "proposals"]] = "proposals"
    names = ("object",)

    def __init__(self, config: RPNConfig) -> None:
        super().__init__(config)
        self.head = RPNHead(config.fpn_channels, len(self.cells[0]), config.head_depth)

    def forward(self, images: Sequence[Tensor], policy: InputPolicy | None = None) -> Raw:
        """Steps 1 to 3: features, head, anchors."""
        batch, features = self.features(images, policy)
        objectness, deltas = self.head(features)
        anchors, levels = self.anchors_of(batch, features)
        return Raw(batch, tuple(features), objectness.to(anchors), deltas.to(anchors), anchors, levels)

    def losses(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Steps 4 to 7: ``objectness`` and ``proposal_boxes``; classes are not looked at."""
        scaled = targets_at_network_size(targets, raw.images)
        return proposal_losses(raw, scaled, self.config.proposals, generator)

    def detections(self, raw: Raw) -> list[Detections]:
        """Step 8: the proposals, as detections of the one class ``object``."""
        settings = self.config.proposals
        return [
            self.final(raw, i, candidates, candidates.survivors(settings.nms_threshold, settings.kept))
            for i, candidates in enumerate(ranked(raw, settings, settings.top_per_level))
        ]

    def final(self, raw: Raw, i: int, candidates: Candidates, keep: Tensor) -> Detections:
        """Candidates ``keep (k,)`` of image ``i`` as detections, in pixels of the image as it was given."""
        boxes = resize(candidates.boxes[keep], raw.images.sizes[i], raw.images.original_sizes[i])
        scores, labels = candidates.ranking[keep].sigmoid(), torch.zeros_like(keep)
        return Detections(boxes, scores, labels, self.names * len(keep))
