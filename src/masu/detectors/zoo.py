"""The kinds of detectors, and the architectures by name: each a function that returns its configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import torch

from masu.detectors.cascade_rcnn import CascadeRCNN, CascadeRCNNConfig
from masu.detectors.config import DetectorConfig, PyramidConfig
from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNN, FasterRCNNConfig
from masu.detectors.fcos import FCOS, FCOSConfig
from masu.detectors.retinanet import RetinaNet, RetinaNetConfig
from masu.detectors.rois import RoISettings
from masu.detectors.rpn import RPN, ProposalSettings, RPNConfig
from masu.errors import bad_input
from masu.nets.imagenet import pretraining_pixels
from masu.ops.images import InputPolicy
from masu.ops.voting import SIGMA

DETECTORS: dict[str, tuple[type[Detector], type[DetectorConfig]]] = {
    "FasterRCNN": (FasterRCNN, FasterRCNNConfig),
    "CascadeRCNN": (CascadeRCNN, CascadeRCNNConfig),
    "RetinaNet": (RetinaNet, RetinaNetConfig),
    "FCOS": (FCOS, FCOSConfig),
    "RPN": (RPN, RPNConfig),
}
"""Each kind of detector and its configuration, by the name that model files carry."""


def make(config: DetectorConfig, names: Sequence[str]) -> Detector:
    """The detector of a configuration, with random weights, channels-last in memory.

    Raises:
        InputError: for names that are repeated, missing or no strings.
    """
    kinds = {config_of_kind: kind for kind, config_of_kind in DETECTORS.values()}
    if type(config) not in kinds:
        wanted = ", ".join(known.__name__ for known in kinds)
        raise TypeError(f"config: found {type(config).__name__}, wanted one of {wanted}")
    kind = kinds[type(config)]
    given = checked_names(names) if kind.kind == "detector" else names
    return kind(config, given).to(memory_format=torch.channels_last)


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Class names as a tuple, each of them once.

    Raises:
        InputError: for anything else.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise bad_input("names", f"{names!r}", "a list of class names")
    if not names:
        raise bad_input("names", "none", "at least one class name")
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise bad_input("names", f"{repeated[0]!r} more than once", "each class name once")
    return tuple(names)


def with_backbone(config: DetectorConfig, backbone: str) -> DetectorConfig:
    """The configuration on another backbone, with the pixel statistics that one was pretrained with."""
    pyramid = config.pyramid
    mean, std = pretraining_pixels(backbone)
    changed = replace(
        pyramid, backbone=backbone, norm_eps=None, input=replace(pyramid.input, mean=mean, std=std)
    )
    return config.with_pyramid(changed)


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
        proposals=ProposalSettings(score_thresh=0.05),
    )
    return FasterRCNNConfig(rpn=rpn, rois=RoISettings(strides=(32, 32)))


def faster_rcnn_mobilenet_v3_large_320_fpn() -> FasterRCNNConfig:
    """The same for small images and few proposals, as in torchvision."""
    config = faster_rcnn_mobilenet_v3_large_fpn()
    rpn = replace(
        config.rpn,
        input=InputPolicy(min_size=320, max_size=640),
        proposals=ProposalSettings(score_thresh=0.05, pre_nms_top_n=150, post_nms_top_n=150),
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
            pre_nms_top_n_training=500,
            pre_nms_top_n=300,
            post_nms_top_n_training=300,
            post_nms_top_n=150,
        ),
    )
    rois = RoISettings(
        strides=(8, 16, 32),
        batch_size_per_image=128,
        hidden=(512, 512),
        score_thresh=0.02,
        vote_sigma=SIGMA,
    )
    return FasterRCNNConfig(rpn=rpn, rois=rois)


def cascade_rcnn_lite0_fpn() -> CascadeRCNNConfig:
    """The small two-stage detector with three heads in a row: boxes that fit more closely."""
    small = faster_rcnn_lite0_fpn()
    return CascadeRCNNConfig(rpn=small.rpn, rois=replace(small.rois, hidden=(256, 256)))


def cascade_rcnn_resnet50_fpn() -> CascadeRCNNConfig:
    """Cascade R-CNN on ResNet-50 with FPN (Cai & Vasconcelos 2018)."""
    return CascadeRCNNConfig(rpn=rpn_resnet50_fpn())


def retinanet_lite0_fpn() -> RetinaNetConfig:
    """Small one-stage detector for a laptop: the small two-stage one's backbone, pyramid and anchors."""
    pyramid = faster_rcnn_lite0_fpn().rpn
    shared = {field.name: getattr(pyramid, field.name) for field in fields(PyramidConfig)}
    return RetinaNetConfig(
        **shared, head_depth=2, box_loss="giou", score_thresh=0.02, pre_nms_top_n=300, detections_per_img=100
    )


def fcos_lite0_fpn() -> FCOSConfig:
    """Small one-stage detector without anchor shapes: the small default's backbone and pyramid."""
    pyramid = faster_rcnn_lite0_fpn().rpn
    shared = {field.name: getattr(pyramid, field.name) for field in fields(PyramidConfig)}
    points = {"anchor_sizes": ((8.0,), (16.0,), (32.0,), (64.0,)), "anchor_ratios": (1.0,)}
    return FCOSConfig(**shared | points, head_depth=2, head_norm=False, score_thresh=0.1, pre_nms_top_n=300)


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


def fcos_resnet50_fpn() -> FCOSConfig:
    """FCOS on ResNet-50 with FPN (Tian et al. 2019, second version), as in torchvision."""
    return FCOSConfig(
        backbone="resnet50", frozen_stride=4, frozen_norms=True, from_stride=8, extra="convolved"
    )


ARCHITECTURES: dict[str, Callable[[], DetectorConfig]] = {
    function.__name__: function
    for function in (
        faster_rcnn_lite0_fpn,
        retinanet_lite0_fpn,
        cascade_rcnn_lite0_fpn,
        fcos_lite0_fpn,
        faster_rcnn_mobilenet_v3_large_320_fpn,
        faster_rcnn_mobilenet_v3_large_fpn,
        faster_rcnn_resnet50_fpn,
        faster_rcnn_resnet50_fpn_v2,
        cascade_rcnn_resnet50_fpn,
        fcos_resnet50_fpn,
        retinanet_resnet50_fpn,
        retinanet_resnet50_fpn_v2,
        rpn_resnet50_fpn,
    )
}
"""Every architecture by name, smallest first."""

SMALL = (DEFAULT, "cascade_rcnn_lite0_fpn", "retinanet_lite0_fpn", "fcos_lite0_fpn")
"""Architectures for a computer without GPU; they are trained otherwise, see ``masu.training.recipe``."""
