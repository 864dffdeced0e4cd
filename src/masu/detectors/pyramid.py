"""What all detectors here share: images to feature pyramid levels, and the anchors on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from masu.detectors.detector import Detector
from masu.nets.backbones import PROBE, backbone
from masu.nets.conv import freeze_depthwise
from masu.nets.folding import fold_norms, join_norms
from masu.nets.fpn import FPN, Extra
from masu.nets.norm import freeze_norms, set_norm_eps
from masu.ops.anchors import cell_anchors, grid_anchors, level_strides
from masu.ops.images import InputPolicy, batch_images
from masu.records import ImageBatch

Size = tuple[int, int]


@dataclass(frozen=True)
class PyramidConfig:
    """Backbone, pyramid and anchors; stored in the model file.

    Attributes:
        backbone: see :func:`masu.nets.backbones.backbone`.
        frozen_norms: keep the backbone's normalisation constant, as one does with pretrained weights.
        norm_eps: epsilon of the backbone's normalisation; None: its own.
        frozen_stride: backbone stages whose maps have at most this stride stay as they are; 0 trains all.
        frozen_depthwise: depthwise filters of the backbone stay as they are. Their gradient costs a sixth of
            a training step.
        from_stride: backbone maps of smaller stride are not used.
        fpn_channels: channels of every pyramid level.
        fpn_norm: batch normalisation in the pyramid.
        extra: levels above the backbone's coarsest, see :class:`masu.nets.fpn.FPN`.
        anchor_sizes: per level, square roots of the anchors' areas in pixels of the network's input.
        anchor_ratios: heights over widths, the same on every level.
        input: how images are resized and normalised.
    """

    backbone: str
    frozen_norms: bool = False
    norm_eps: float | None = None
    frozen_stride: int = 0
    frozen_depthwise: bool = False
    from_stride: int = 1
    fpn_channels: int = 256
    fpn_norm: bool = False
    extra: Extra = "subsampled"
    anchor_sizes: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    input: InputPolicy = field(default_factory=InputPolicy)

    def __post_init__(self) -> None:
        if len({len(sizes) for sizes in self.anchor_sizes}) != 1:
            raise ValueError(
                f"anchor_sizes: found {[len(s) for s in self.anchor_sizes]} sizes per level, "
                "wanted the same number on every level, since all levels share one head"
            )


class PyramidDetector(Detector):
    """Base of the detectors on feature pyramid levels: backbone, FPN and anchors."""

    config: PyramidConfig

    def __init__(self, config: PyramidConfig) -> None:
        super().__init__()
        self.config = config
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
        self._last_anchors: tuple[object, Tensor, tuple[int, ...]] | None = None
        self.cells = [cell_anchors(sizes, config.anchor_ratios) for sizes in config.anchor_sizes]

    @property
    def input(self) -> InputPolicy:
        """See :attr:`Detector.input`."""
        return self.config.input

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels per cell of each level."""
        strides = list(self.backbone.strides)
        while len(strides) < self.fpn.levels:
            strides.append(2 * strides[-1])
        return tuple(strides)

    def features(
        self, images: Sequence[Tensor], policy: InputPolicy | None
    ) -> tuple[ImageBatch, list[Tensor]]:
        """Steps 1 and 2: the batch as the network sees it, and its levels ``(N, C, H_l, W_l)``."""
        batch = batch_images(images, policy or self.config.input, next(self.fpn.parameters()).dtype)
        return batch, self.fpn(self.backbone(batch.pixels))

    def anchors_of(self, batch: ImageBatch, features: Sequence[Tensor]) -> tuple[Tensor, tuple[int, ...]]:
        """See :meth:`anchors`, for a batch and its levels."""
        grids = tuple((f.shape[2], f.shape[3]) for f in features)
        return self.anchors((batch.pixels.shape[2], batch.pixels.shape[3]), grids, batch.pixels)

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
        pixels = next(self.parameters()).new_zeros((1, self.backbone.in_channels, PROBE, PROBE))
        fold_norms(self.backbone, pixels)
        fold_norms(self.fpn, self.backbone(pixels))
