"""What other settings would bring back: computed anew from the same outputs of the network, not guessed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from masu.detectors.candidates import Candidates
from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.proposals import Raw
from masu.detectors.retinanet import RetinaNet
from masu.detectors.trace import Trace
from masu.ops.geometry import degenerate
from masu.records import Detections

Change = tuple[str, Callable[[Any], Any]]
"""The name of a setting and what becomes of its value."""


def _doubled(value: int) -> int:
    return 2 * value


def _raised(value: float) -> float:
    return round(min(value + 0.1, 0.95), 3)


def _lowered(value: float) -> float:
    return value / 5


def _none(value: float) -> float:
    return 0.0


PROPOSALS: dict[str, Change] = {
    "top_k": ("top_per_level", _doubled),
    "small": ("min_size", _none),
    "score": ("min_score", _none),
    "proposal_nms": ("nms_threshold", _raised),
    "kept": ("kept", _doubled),
}
"""Per stage of the proposals the setting that decides there, and a milder value."""

LAST: dict[str, Change] = {
    "other_class": ("min_score", _lowered),
    "background": ("min_score", _lowered),
    "top_k": ("top_per_level", _doubled),
    "small_box": ("min_size", _none),
    "class_nms": ("nms_threshold", _raised),
    "max_detections": ("max_detections", _doubled),
}
"""The same for the last stage of a detector."""


@dataclass(frozen=True)
class Remedy:
    """One setting changed, and what that does to the images that lost objects at a stage.

    Attributes:
        stage: where objects were lost, one of :data:`masu.explanation.fates.STAGES`.
        setting: the setting's name in the model's configuration.
        before: its value.
        after: the milder value.
        lost: objects lost at the stage.
        regained: how many of them are found with the milder value.
        lost_instead: objects of the same images that were found and no longer are.
    """

    stage: str
    setting: str
    before: float
    after: float
    lost: int
    regained: int
    lost_instead: int


def settings_of(detector: Detector, stage: str) -> tuple[str, float, float] | None:
    """Name, value and milder value of the setting that decides at a stage; None where none does."""
    found = _section(detector, stage)
    if found is None:
        return None
    section, (name, milder) = found
    value = getattr(section, name)
    return name, value, milder(value)


def with_milder(detector: Detector, stage: str) -> Detector:
    """The same weights under a configuration with the milder setting of a stage."""
    found = _section(detector, stage)
    assert found is not None
    section, (name, milder) = found
    changed: Any = replace(section, **{name: milder(getattr(section, name))})
    config = detector.config
    if isinstance(detector, FasterRCNN) and stage in PROPOSALS:
        changed = replace(config, rpn=replace(config.rpn, proposals=changed))
    elif isinstance(detector, FasterRCNN):
        changed = replace(config, rois=changed)
    elif not isinstance(detector, RetinaNet):
        changed = replace(config, proposals=changed)
    varied = copy.copy(detector)
    varied.config = changed
    return varied


def detections(varied: Detector, stage: str, raw: Raw, traced: Trace) -> Detections:
    """What a detector from :func:`with_milder` finds in the image of a trace.

    Args:
        varied: the detector.
        stage: whose setting was changed.
        raw: the network's outputs for this image alone.
        traced: their trace under the settings as they were; the second stage is taken from it.
    """
    if not isinstance(varied, FasterRCNN) or stage in PROPOSALS or traced.rois is None:
        return varied.detections(raw)[0]
    settings, scores = varied.config.rois, traced.rois.scores[:, :-1]
    row, labels = torch.where(scores > settings.min_score)
    boxes: Tensor = traced.rois.boxes[row, labels]
    usable = ~degenerate(boxes, settings.min_size)
    candidates = Candidates(row, labels, scores[row, labels], boxes, usable)
    keep = candidates.survivors(settings.nms_threshold, settings.max_detections)
    return varied.final(raw, 0, candidates, keep)


def _section(detector: Detector, stage: str) -> tuple[Any, Change] | None:
    config = detector.config
    if isinstance(detector, RetinaNet):
        return (config, LAST[stage]) if stage in LAST else None
    if stage in PROPOSALS:
        first = config.rpn if isinstance(detector, FasterRCNN) else config
        return first.proposals, PROPOSALS[stage]
    return (config.rois, LAST[stage]) if isinstance(detector, FasterRCNN) and stage in LAST else None
