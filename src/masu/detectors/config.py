"""A detector as settings: what a model file stores beside the weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, ClassVar, Self, TypeAlias

from masu.nets.fpn import Extra
from masu.ops.images import InputPolicy
from masu.settings import Length, Within, check_fields
from masu.tiles import Tiles

AnchorSizes: TypeAlias = Annotated[
    tuple[Annotated[tuple[Annotated[float, Within(1e-3, 65_536.0)], ...], Length(1, 16)], ...], Length(1, 16)
]
AnchorRatios: TypeAlias = Annotated[tuple[Annotated[float, Within(1e-3, 1e3)], ...], Length(1, 16)]
Depth: TypeAlias = Annotated[int, Within(0, 64)]
Stride: TypeAlias = Annotated[int, Within(0, 65_536)]


@dataclass(frozen=True)
class DetectorConfig(ABC):
    """What every configuration of a detector can say of itself.

    Attributes:
        fits_anchors: anchor sizes and ratios are free to be fitted to objects.
    """

    fits_anchors: ClassVar[bool] = True

    @property
    @abstractmethod
    def pyramid(self) -> PyramidConfig:
        """Backbone, pyramid, anchors and input."""

    @abstractmethod
    def with_pyramid(self, pyramid: PyramidConfig) -> Self:
        """The same with another backbone, pyramid, anchors or input."""

    @abstractmethod
    def with_box_loss(self, name: str) -> Self:
        """The same with another loss on boxes, in every stage."""

    @abstractmethod
    def with_setting(self, stage: str, name: str, value: float) -> Self:
        """The same with another value of one of a stage's settings, see :mod:`masu.detectors.stage_settings`.

        Raises:
            InputError: for a value of another type or out of its range.
        """

    def with_tiles(self, tiles: Tiles | None) -> Self:
        """The same that cuts large pictures into tiles, or cuts none."""
        own = self.pyramid
        return self.with_pyramid(replace(own, input=replace(own.input, tiles=tiles)))

    def with_image_size(self, size: int) -> Self:
        """The same with another shorter side of the network's input, the longer one in proportion."""
        own = self.pyramid
        return self.with_pyramid(replace(own, input=own.input.of_size(size)))

    @property
    @abstractmethod
    def fg_iou_thresh(self) -> float:
        """IoU from which an anchor stands for an object."""

    @property
    def pretrained(self) -> str:
        """The kind of detector whose installed weights go with this one."""
        return type(self).__name__.removesuffix("Config")


@dataclass(frozen=True)
class PyramidConfig(DetectorConfig):
    """Backbone, pyramid and anchors.

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

    backbone: Annotated[str, Length(1, 100)]
    frozen_norms: bool = False
    norm_eps: Annotated[float, Within(0.0, 1.0)] | None = None
    frozen_stride: Stride = 0
    frozen_depthwise: bool = False
    from_stride: Stride = 1
    fpn_channels: Annotated[int, Within(1, 4096)] = 256
    fpn_norm: bool = False
    extra: Extra = "subsampled"
    anchor_sizes: AnchorSizes = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    anchor_ratios: AnchorRatios = (0.5, 1.0, 2.0)
    input: InputPolicy = field(default_factory=InputPolicy)

    def __post_init__(self) -> None:
        check_fields(self)
        if len({len(sizes) for sizes in self.anchor_sizes}) != 1:
            raise ValueError(
                f"anchor_sizes: found {[len(s) for s in self.anchor_sizes]} sizes per level, "
                "wanted the same number on every level, since all levels share one head"
            )

    @property
    def pyramid(self) -> PyramidConfig:
        """See :attr:`DetectorConfig.pyramid`."""
        return self

    def with_pyramid(self, pyramid: PyramidConfig) -> Self:
        """See :meth:`DetectorConfig.with_pyramid`."""
        return replace(self, **{f.name: getattr(pyramid, f.name) for f in fields(PyramidConfig)})
