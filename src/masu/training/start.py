"""The detector that a training starts from: architecture, input, anchors and first weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, get_args

import torch

from masu.data.audit.small_objects import advice_on_tiles
from masu.data.formats import Dataset
from masu.data.loading.network_scale import scaled_objects
from masu.data.loading.statistics import pixel_statistics
from masu.detectors.build import build, configuration, load, make, warm_start
from masu.detectors.config import DetectorConfig, PyramidConfig
from masu.detectors.detector import Detector
from masu.detectors.zoo import with_backbone
from masu.errors import bad_input
from masu.evaluation.anchors import check_has_anchors, coverage, fitted, level_steps
from masu.model_path import model_file
from masu.training.image_size import advice_on_size, fitting_size
from masu.training.recipe import TrainSettings
from masu.words import Start


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
        detector = make(_as_trained(config, settings, source.config.pyramid), data.names)
        taken = warm_start(detector, source)
        report({"event": "start", "said": f"{settings.weights}: {taken}"})
        return detector


def refuse_start(settings: TrainSettings) -> None:
    """Refuse, before any image is read, a detector that cannot be built or weights that are not there.

    Raises:
        InputError: for an unknown backbone, anchors or a loss that the architecture does not have, or no such
            file of weights.
    """
    config = configuration(settings.architecture)
    if settings.backbone is not None:
        config = with_backbone(config, settings.backbone)
    if settings.anchors == "auto":
        check_has_anchors(config, settings.architecture)
    if settings.box_loss is not None:
        config.with_box_loss(settings.box_loss)
    weights = settings.weights
    named = weights in get_args(Start) or weights.startswith("torchvision/")
    if not (named or model_file(weights).is_file()):
        raise bad_input(
            "--weights",
            f"no file {weights}",
            "a model file, auto, imagenet or none",
            "check the path",
            code="missing-file",
        )


def backbone_of(settings: TrainSettings) -> str:
    """The backbone's name."""
    return settings.backbone or configuration(settings.architecture).pyramid.backbone


def _as_trained(config: DetectorConfig, settings: TrainSettings, source: PyramidConfig) -> DetectorConfig:
    """What a backbone's weights were trained with goes with them, where the settings do not say otherwise."""
    pyramid = config.pyramid
    policy = pyramid.input
    if settings.channels is None and source.input.channels is None:
        policy = replace(policy, mean=source.input.mean, std=source.input.std)
    return config.with_pyramid(
        replace(
            pyramid,
            input=policy,
            norm_eps=source.norm_eps,
            frozen_norms=source.frozen_norms if settings.frozen_norms is None else settings.frozen_norms,
            frozen_stride=source.frozen_stride if settings.frozen_stride is None else settings.frozen_stride,
            frozen_depthwise=source.frozen_depthwise and settings.frozen_stride != 0,
        ),
    )


def _configured(
    settings: TrainSettings, data: Dataset, report: Callable[[dict[str, Any]], None]
) -> DetectorConfig:
    config = configuration(settings.architecture)
    if settings.backbone is not None:
        config = with_backbone(config, settings.backbone)
    pyramid = config.pyramid
    if settings.frozen_stride is not None:
        depthwise = pyramid.frozen_depthwise and settings.frozen_stride > 0  # 0 trains everything
        pyramid = replace(pyramid, frozen_stride=settings.frozen_stride, frozen_depthwise=depthwise)
    if settings.frozen_norms is not None:
        pyramid = replace(pyramid, frozen_norms=settings.frozen_norms)
    if settings.image_size in ("auto", None) and settings.tiling is None:
        own = pyramid.input
        fitting = fitting_size(scaled_objects(data, own), own.min_size, level_steps(config)[0])
        if settings.image_size == "auto":
            pyramid = replace(pyramid, input=own.of_size(fitting.size))
            report({"event": "start", "said": str(fitting)})
        elif advice_on_tiles(data, own) is None and (advice := advice_on_size(fitting)):
            report({"event": "start", "said": advice})
    elif isinstance(settings.image_size, int):
        pyramid = replace(pyramid, input=pyramid.input.of_size(settings.image_size))
    if settings.tiling is not None:
        policy = replace(pyramid.input, tiles=settings.tiling)
        if settings.image_size is None:  # a pixel of the picture is one of the network's input
            policy = replace(policy, min_size=settings.tiling.side, max_size=settings.tiling.side)
        pyramid = replace(pyramid, input=policy)
    if settings.channels is not None:
        mean, std = pixel_statistics(data, settings.channels, settings.tiling)
        policy = replace(pyramid.input, channels=settings.channels, mean=mean, std=std)
        pyramid = replace(pyramid, input=policy)
        report({"event": "start", "said": f"mean {_figures(mean)}, deviation {_figures(std)} of the pixels"})
    if settings.anchors == "auto":
        check_has_anchors(config, settings.architecture)
        config = config.with_pyramid(pyramid)
        objects = scaled_objects(data, pyramid.input)
        pyramid = fitted(config, objects)
        before, after = (coverage(c, objects) for c in (config, config.with_pyramid(pyramid)))
        sizes = "; ".join(_figures(level) for level in pyramid.anchor_sizes)
        said = (
            f"anchors fitted to the data: sizes {sizes} px, ratios {_figures(pyramid.anchor_ratios)}; "
            f"objects without an anchor at IoU 0.5: {before.share(before.under_50):.1%} before, "
            f"{after.share(after.under_50):.1%} now"
        )
        report({"event": "start", "said": said})
    config = config.with_pyramid(pyramid)
    return config if settings.box_loss is None else config.with_box_loss(settings.box_loss)


def _figures(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
