"""The architectures by name: each a function that returns its configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

from masu.detectors.faster_rcnn import FasterRCNNConfig, RoISettings
from masu.detectors.proposals import ProposalSettings
from masu.detectors.pyramid import PyramidConfig
from masu.detectors.retinanet import RetinaNetConfig
from masu.detectors.rpn import RPNConfig
from masu.nets.imagenet import pretraining_pixels
from masu.ops.images import InputPolicy

Config = FasterRCNNConfig | RetinaNetConfig | RPNConfig


def pyramid_of(config: Config) -> PyramidConfig:
    """The part of a configuration that says backbone, pyramid and input."""
    return config.rpn if isinstance(config, FasterRCNNConfig) else config


def with_pyramid(config: Config, pyramid: PyramidConfig) -> Config:
    """The configuration with another backbone, pyramid or input."""
    changes = {field.name: getattr(pyramid, field.name) for field in fields(PyramidConfig)}
    if isinstance(config, FasterRCNNConfig):
        return replace(config, rpn=replace(config.rpn, **changes))
    return replace(config, **changes)


def with_backbone(config: Config, backbone: str) -> Config:
    """The configuration on another backbone, with the pixel statistics that one was pretrained with."""
    pyramid = pyramid_of(config)
    mean, std = pretraining_pixels(backbone)
    changed = replace(
        pyramid, backbone=backbone, norm_eps=None, input=replace(pyramid.input, mean=mean, std=std)
    )
    return with_pyramid(config, changed)


DEFAULT = "faster_rcnn_lite0_fpn"
"""The architecture for a computer without GPU; its ImageNet weights are installed with masu."""


def rpn_resnet50_fpn() -> RPNConfig:
    """RPN on ResNet-50 with FPN (Lin et al. 2017, section 4.1): proposals only."""
    return RPNConfig(backbone="resnet50", frozen_stride=4, frozen_norms=True, from_stride=4)


def faster_rcnn_resnet50_fpn() -> FasterRCNNConfig:
    """Faster R-CNN on ResNet-50 with FPN (Lin et al. 2017), as in torchvision."""
    return FasterRCNNConfig(rpn=rpn_resnet50_fpn())


def faster_rcnn_resnet50_fpn_v2() -> FasterRCNNConfig:
    """The same with the heads of Li et al. 2021 (ViT detection, section 2.1), as in torchvision."""
    rpn = RPNConfig(backbone="resnet50", frozen_stride=4, from_stride=4, fpn_norm=True, head_depth=2)
    return FasterRCNNConfig(rpn=rpn, rois=RoISettings(convs=4, hidden=(1024,)))


def faster_rcnn_mobilenet_v3_large_fpn() -> FasterRCNNConfig:
    """Faster R-CNN on MobileNetV3-Large with FPN, as in torchvision."""
    rpn = RPNConfig(
        backbone="mobilenet_v3_large",
        frozen_norms=True,
        frozen_stride=8,
        anchor_sizes=((32.0, 64.0, 128.0, 256.0, 512.0),) * 3,
        proposals=ProposalSettings(min_score=0.05),
    )
    return FasterRCNNConfig(rpn=rpn, rois=RoISettings(strides=(32, 32)))


def faster_rcnn_mobilenet_v3_large_320_fpn() -> FasterRCNNConfig:
    """The same for small images and few proposals, as in torchvision."""
    config = faster_rcnn_mobilenet_v3_large_fpn()
    rpn = replace(
        config.rpn,
        input=InputPolicy(min_size=320, max_size=640),
        proposals=ProposalSettings(min_score=0.05, top_per_level=150, kept=150),
    )
    return replace(config, rpn=rpn)


def faster_rcnn_lite0_fpn() -> FasterRCNNConfig:
    """Small two-stage detector for a laptop: EfficientNet-Lite0 with a narrow FPN at 320 px."""
    rpn = RPNConfig(
        backbone="efficientnet_lite0",
        frozen_norms=True,
        from_stride=8,
        frozen_stride=8,
        frozen_depthwise=True,
        fpn_channels=96,
        anchor_sizes=((24.0,), (48.0,), (112.0,), (224.0,)),
        input=InputPolicy(min_size=320, max_size=640, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        proposals=ProposalSettings(
            top_per_level_training=500, top_per_level=300, kept_training=300, kept=150
        ),
    )
    rois = RoISettings(strides=(8, 16, 32), samples=128, hidden=(256, 256), min_score=0.02)
    return FasterRCNNConfig(rpn=rpn, rois=rois)


def retinanet_lite0_fpn() -> RetinaNetConfig:
    """Small one-stage detector for a laptop: the small two-stage one's backbone, pyramid and anchors."""
    pyramid = faster_rcnn_lite0_fpn().rpn
    shared = {field.name: getattr(pyramid, field.name) for field in fields(PyramidConfig)}
    return RetinaNetConfig(
        **shared, head_depth=2, box_loss="giou", min_score=0.02, top_per_level=300, max_detections=100
    )


_RETINA_SIZES = tuple(
    tuple(float(int(size * 2 ** (step / 3))) for step in range(3)) for size in (32, 64, 128, 256, 512)
)
"""Three anchor sizes a level, an octave in thirds, cut to whole pixels as in torchvision."""


def retinanet_resnet50_fpn() -> RetinaNetConfig:
    """RetinaNet on ResNet-50 with FPN (Lin et al. 2017, focal loss), as in torchvision."""
    return RetinaNetConfig(
        backbone="resnet50",
        frozen_stride=4,
        frozen_norms=True,
        from_stride=8,
        extra="convolved",
        anchor_sizes=_RETINA_SIZES,
    )


def retinanet_resnet50_fpn_v2() -> RetinaNetConfig:
    """The same with group normalisation and GIoU (after Zhang et al. 2020, ATSS), as in torchvision."""
    return RetinaNetConfig(
        backbone="resnet50",
        frozen_stride=4,
        from_stride=8,
        extra="convolved_backbone",
        anchor_sizes=_RETINA_SIZES,
        head_norm=True,
        box_loss="giou",
    )


ARCHITECTURES: dict[str, Callable[[], Config]] = {
    function.__name__: function
    for function in (
        faster_rcnn_lite0_fpn,
        retinanet_lite0_fpn,
        faster_rcnn_mobilenet_v3_large_320_fpn,
        faster_rcnn_mobilenet_v3_large_fpn,
        faster_rcnn_resnet50_fpn,
        faster_rcnn_resnet50_fpn_v2,
        retinanet_resnet50_fpn,
        retinanet_resnet50_fpn_v2,
        rpn_resnet50_fpn,
    )
}
"""Every architecture by name, smallest first."""

SMALL = (DEFAULT, "retinanet_lite0_fpn")
"""Architectures for a computer without GPU; they are trained otherwise, see ``masu.training.recipe``."""
