"""The detector that a training starts from: architecture, input, anchors and first weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from torch import Tensor

from masu.data.bands import image_size, pixel_statistics
from masu.data.formats import Dataset
from masu.data.pictures import UnreadableImageError
from masu.detectors.build import Start, build, configuration, load, make, pyramid_detector, warm_start
from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNNConfig
from masu.detectors.pyramid import PyramidConfig
from masu.detectors.rpn import RPNConfig
from masu.detectors.zoo import Config, pyramid_of, with_backbone, with_pyramid
from masu.ops.anchors import fit_anchors
from masu.ops.images import InputPolicy, resized_size
from masu.verbs.recipe import TrainSettings

MOST_READ = 1000
"""Images whose objects anchors are fitted to."""


def starting_detector(
    settings: TrainSettings, data: Dataset, report: Callable[[dict[str, Any]], None]
) -> Detector:
    """Build the detector for a data set.

    Args:
        settings: resolved ones.
        data: class names; with ``channels`` or fitted anchors also images and objects.
        report: told ``{"event": "start", "said": …}`` of what was measured or taken over.
    """
    config = _configured(settings, data, report)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if settings.weights in get_args(Start):
            start: Any = settings.weights
            return build(config, data.names, start)
        source = load(settings.weights)
        detector = make(_as_trained(config, settings, pyramid_of(source.config)), data.names)
        taken = warm_start(detector, source)
        report({"event": "start", "said": f"{settings.weights}: {taken}"})
        return detector


def backbone_of(settings: TrainSettings) -> str:
    """The backbone's name."""
    return settings.backbone or pyramid_of(configuration(settings.architecture)).backbone


def _as_trained(config: Config, settings: TrainSettings, source: PyramidConfig) -> Config:
    """What a backbone's weights were trained with goes with them, where the settings do not say otherwise."""
    pyramid = pyramid_of(config)
    policy = pyramid.input
    if settings.channels is None and source.input.channels is None:
        policy = replace(policy, mean=source.input.mean, std=source.input.std)
    return with_pyramid(
        config,
        replace(
            pyramid,
            input=policy,
            norm_eps=source.norm_eps,
            frozen_norms=source.frozen_norms if settings.frozen_norms is None else settings.frozen_norms,
            frozen_stride=source.frozen_stride if settings.frozen_stride is None else settings.frozen_stride,
            frozen_depthwise=source.frozen_depthwise,
        ),
    )


def _configured(settings: TrainSettings, data: Dataset, report: Callable[[dict[str, Any]], None]) -> Config:
    config = configuration(settings.architecture)
    if settings.backbone is not None:
        config = with_backbone(config, settings.backbone)
    pyramid = pyramid_of(config)
    if settings.frozen_stride is not None:
        pyramid = replace(pyramid, frozen_stride=settings.frozen_stride)
    if settings.frozen_norms is not None:
        pyramid = replace(pyramid, frozen_norms=settings.frozen_norms)
    if settings.image_size is not None:
        pyramid = replace(pyramid, input=pyramid.input.of_size(settings.image_size))
    if settings.channels is not None:
        mean, std = pixel_statistics(data, settings.channels)
        policy = replace(pyramid.input, channels=settings.channels, mean=mean, std=std)
        pyramid = replace(pyramid, input=policy)
        report({"event": "start", "said": f"mean {_figures(mean)}, deviation {_figures(std)} of the pixels"})
    if settings.anchors == "auto":
        pyramid = _with_fitted_anchors(with_pyramid(config, pyramid), data)
        sizes = "; ".join(_figures(level) for level in pyramid.anchor_sizes)
        said = f"anchors fitted to the data: sizes {sizes} px, ratios {_figures(pyramid.anchor_ratios)}"
        report({"event": "start", "said": said})
    config = with_pyramid(config, pyramid)
    return config if settings.box_loss is None else _with_box_loss(config, settings.box_loss)


def _with_box_loss(config: Config, name: str) -> Config:
    """Both stages of a two-stage detector get the loss."""
    if isinstance(config, FasterRCNNConfig):
        proposals = replace(config.rpn.proposals, box_loss=name)
        rpn = replace(config.rpn, proposals=proposals)
        return replace(config, rpn=rpn, rois=replace(config.rois, box_loss=name))
    if isinstance(config, RPNConfig):
        return replace(config, proposals=replace(config.proposals, box_loss=name))
    return replace(config, box_loss=name)


def _with_fitted_anchors(config: Config, data: Dataset) -> PyramidConfig:
    pyramid = pyramid_of(config)
    with torch.device("meta"):
        strides = pyramid_detector(make(config, data.names)).strides
    shapes = network_shapes(data, pyramid.input)
    sizes, ratios = fit_anchors(shapes, pyramid.anchor_sizes, pyramid.anchor_ratios, strides)
    return replace(pyramid, anchor_sizes=sizes, anchor_ratios=ratios)


def network_shapes(data: Dataset, policy: InputPolicy) -> Tensor:
    """Heights and widths ``(M, 2)`` of a data set's objects in pixels of the network's input.

    Images whose size cannot be read are left out; of many, ``MOST_READ`` evenly spread ones are taken.
    """
    shapes = []
    for index in range(0, len(data), -(-len(data) // MOST_READ)):
        path, target = data[index]
        try:
            height, width = image_size(path, policy.channels)
        except UnreadableImageError:
            continue
        boxes = target.boxes[~target.ignored]
        scale = resized_size(height, width, policy)[0] / height
        shapes.append((boxes[:, 2:] - boxes[:, :2]).flip(1) * scale)
    return torch.cat(shapes) if shapes else torch.zeros((0, 2))


def _figures(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
