"""What all detectors here share: images to feature pyramid levels, and a head on the anchors of each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from masu.detectors.config import PyramidConfig
from masu.detectors.detector import Detector
from masu.detectors.raw import Level, Raw
from masu.nets.backbones import PROBE, backbone
from masu.nets.conv import freeze_depthwise
from masu.nets.folding import join_norms
from masu.nets.fpn import FPN
from masu.nets.norm import freeze_norms, set_norm_eps
from masu.ops.anchors import cell_anchors, grid_anchors, level_strides
from masu.records import ImageBatch


class PyramidDetector(Detector):
    """Base of the detectors on feature pyramid levels: backbone, FPN, anchors, and one head for all levels.

    Args:
        config: architecture and settings.
        names: class names, without background.
    """

    config: PyramidConfig

    def __init__(self, config: PyramidConfig, names: Sequence[str]) -> None:
        super().__init__(config, names)
        channels = len(config.input.mean)
        self.backbone = backbone(config.backbone, channels)
        self.backbone.use_from_stride(config.from_stride)
        if config.norm_eps is not None:
            set_norm_eps(self.backbone, config.norm_eps)
        if config.frozen_norms:
            freeze_norms(self.backbone)
            join_norms(self.backbone, torch.zeros((1, channels, PROBE, PROBE)))
        self.backbone.freeze_to_stride(config.frozen_stride)
        if config.frozen_depthwise:
            freeze_depthwise(self.backbone)
        self.fpn = FPN(self.backbone.channels, config.fpn_channels, config.fpn_norm, config.extra)
        if len(config.anchor_sizes) != self.fpn.levels:
            raise ValueError(
                f"anchor_sizes: found {len(config.anchor_sizes)} levels, wanted "
                f"{self.fpn.levels} with {config.backbone}"
            )
        self.cells = [cell_anchors(sizes, config.anchor_ratios) for sizes in config.anchor_sizes]

    @abstractmethod
    def level(self, features: Tensor, anchors: Tensor) -> Level:
        """The head on one level: features ``(N, C, H, W)`` and its anchors ``(H·W·A, 4)``."""

    @property
    def pyramid(self) -> PyramidDetector:
        """See :attr:`Detector.pyramid`."""
        return self

    @property
    def dtype(self) -> torch.dtype:
        """Of the network's input."""
        return next(self.fpn.parameters()).dtype

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels per cell of each level."""
        strides = list(self.backbone.strides)
        while len(strides) < self.fpn.levels:
            strides.append(2 * strides[-1])
        return tuple(strides)

    def features(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Steps 1 and 2: the network's input ``(N, C, H, W)`` to its levels ``(N, C, H_l, W_l)``."""
        return tuple(self.fpn(self.backbone(pixels)))

    def read(self, batch: ImageBatch, features: Sequence[Tensor]) -> Raw:
        """Step 3: the head on the anchors of every level."""
        image = (batch.pixels.shape[2], batch.pixels.shape[3])
        strides = level_strides(image, [(x.shape[2], x.shape[3]) for x in features])
        levels = [
            self.level(x, grid_anchors(cell.to(batch.pixels), (x.shape[2], x.shape[3]), stride))
            for x, cell, stride in zip(features, self.cells, strides, strict=True)
        ]
        return Raw(batch, tuple(features), tuple(levels))

    def probes(self) -> Iterator[tuple[nn.Module, tuple[Any, ...]]]:
        """See :meth:`Detector.probes`: backbone and pyramid."""
        generator = torch.Generator().manual_seed(0)
        like = next(self.parameters())
        pixels = torch.rand((1, self.backbone.in_channels, PROBE, PROBE), generator=generator).to(like)
        yield self.backbone, (pixels,)
        yield self.fpn, (self.backbone(pixels),)
