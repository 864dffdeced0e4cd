"""The Region Proposal Network on feature pyramid levels: boxes that may hold an object, without a class.

Ren et al. 2015 (Faster R-CNN), section 3; Lin et al. 2017 (FPN), section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from masu.detectors.detector import Detector
from masu.detectors.proposals import ProposalSettings, Raw, proposal_losses, propose, targets_at_network_size
from masu.nets.backbones import BACKBONES
from masu.nets.folding import fold_norms, join_norms
from masu.nets.fpn import FPN
from masu.nets.norm import freeze_norms, set_norm_eps
from masu.nets.rpn import RPNHead
from masu.ops.anchors import cell_anchors, grid_anchors, level_strides
from masu.ops.geometry import resize
from masu.ops.images import InputPolicy, batch_images
from masu.records import Detections, Target

Size = tuple[int, int]


@dataclass(frozen=True)
class RPNConfig:
    """Everything that makes a Region Proposal Network; stored in the model file.

    Attributes:
        backbone: a name of ``masu.nets.backbones.BACKBONES``.
        frozen_norms: keep the backbone's normalisation constant, as one does with pretrained weights.
        norm_eps: epsilon of the backbone's normalisation.
        trained_from: first backbone stage that is trained; None trains all.
        fpn_channels: channels of every pyramid level.
        fpn_norm: batch normalisation in the pyramid.
        head_depth: 3×3 convolutions of the RPN's head.
        anchor_sizes: per level, square roots of the anchors' areas in pixels of the network's input.
        anchor_ratios: heights over widths, the same on every level.
        input: how images are resized and normalised.
        proposals: matching, sampling and filtering.
    """

    backbone: str
    frozen_norms: bool = False
    norm_eps: float = 1e-5
    trained_from: str | None = None
    fpn_channels: int = 256
    fpn_norm: bool = False
    head_depth: int = 1
    anchor_sizes: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    input: InputPolicy = field(default_factory=InputPolicy)
    proposals: ProposalSettings = field(default_factory=ProposalSettings)

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone: found {self.backbone!r}, wanted one of {', '.join(BACKBONES)}")
        if len({len(sizes) for sizes in self.anchor_sizes}) != 1:
            raise ValueError(
                f"anchor_sizes: found {[len(s) for s in self.anchor_sizes]} sizes per level, "
                "wanted the same number on every level, since all levels share one head"
            )


class RPN(Detector):
    """Backbone, pyramid and RPN head; on its own a trainable, class-agnostic proposal generator."""

    kind: ClassVar[Literal["detector", "proposals"]] = "proposals"
    names = ("object",)

    def __init__(self, config: RPNConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = BACKBONES[config.backbone]()
        set_norm_eps(self.backbone, config.norm_eps)
        if config.frozen_norms:
            freeze_norms(self.backbone)
            join_norms(self.backbone, torch.zeros((1, 3, 64, 64)))
        if config.trained_from is not None:
            self.backbone.freeze_before(config.trained_from)
        self.fpn = FPN(self.backbone.channels, config.fpn_channels, config.fpn_norm)
        if len(config.anchor_sizes) != len(self.backbone.channels) + 1:
            raise ValueError(
                f"anchor_sizes: found {len(config.anchor_sizes)} levels, wanted "
                f"{len(self.backbone.channels) + 1} with {config.backbone}"
            )
        self._last_anchors: tuple[object, Tensor, tuple[int, ...]] | None = None
        self.cells = [cell_anchors(sizes, config.anchor_ratios) for sizes in config.anchor_sizes]
        self.head = RPNHead(config.fpn_channels, len(self.cells[0]), config.head_depth)

    def forward(self, images: Sequence[Tensor]) -> Raw:
        """Steps 1 to 3: features, head, anchors."""
        batch = batch_images(images, self.config.input, self.head.deltas.weight.dtype)
        features = self.fpn(self.backbone(batch.pixels))
        objectness, deltas = self.head(features)
        grids = tuple((f.shape[2], f.shape[3]) for f in features)
        size = (batch.pixels.shape[2], batch.pixels.shape[3])
        anchors, levels = self.anchors(size, grids, batch.pixels)
        return Raw(
            images=batch,
            features=tuple(features),
            objectness=objectness,
            deltas=deltas,
            anchors=anchors,
            levels=levels,
        )

    def anchors(self, image: Size, grids: tuple[Size, ...], like: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Anchors of all levels ``(R, 4)`` and their number per level; those of the last shape are kept."""
        key = (image, grids, like.dtype, like.device)
        if self._last_anchors is None or self._last_anchors[0] != key:
            levels = [
                grid_anchors(cell.to(like), grid, stride)
                for cell, grid, stride in zip(self.cells, grids, level_strides(image, grids), strict=True)
            ]
            self._last_anchors = (key, torch.cat(levels), tuple(len(level) for level in levels))
        return self._last_anchors[1:]

    def fold_norms(self) -> None:
        """See :meth:`Detector.fold_norms`."""
        pixels = next(self.parameters()).new_zeros((1, 3, 64, 64))
        fold_norms(self.backbone, pixels)
        fold_norms(self.fpn, self.backbone(pixels))

    def losses(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Steps 4 to 7: ``objectness`` and ``proposal_boxes``; classes are not looked at."""
        scaled = targets_at_network_size(targets, raw.images)
        return proposal_losses(raw, scaled, self.config.proposals, generator)

    def detections(self, raw: Raw) -> list[Detections]:
        """Step 8: the proposals, as detections of the one class ``object``."""
        settings = self.config.proposals
        proposals = propose(raw, settings, settings.top_per_level, settings.kept)
        found = []
        for i, count in enumerate(proposals.count.tolist()):
            boxes = resize(proposals.boxes[i, :count], raw.images.sizes[i], raw.images.original_sizes[i])
            labels = torch.zeros(count, dtype=torch.int64, device=boxes.device)
            found.append(Detections(boxes, proposals.scores[i, :count], labels, self.names * count))
        return found
