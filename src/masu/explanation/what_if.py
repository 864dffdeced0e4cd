"""What other settings would bring back: computed anew from the same outputs of the network, not guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from masu.detectors.detector import Detector, in_given_pixels
from masu.detectors.raw import Raw
from masu.detectors.stages import CLASS_SCORE, Stage, run, step
from masu.detectors.trace import Trace
from masu.explanation.fates import OF_CLASS_SCORE
from masu.records import Detections


def _doubled(value: int) -> int:
    return 2 * value


def _raised(value: float) -> float:
    return round(min(value + 0.1, 0.95), 3)


def _lowered(value: float) -> float:
    return value / 5


def _none(value: float) -> float:
    return 0.0


@dataclass(frozen=True)
class Remedy:
    """One setting changed, and what that does to the images that lost objects at a place.

    Attributes:
        stage: where objects were lost, one of :func:`masu.explanation.fates.places_of`.
        setting: the setting's name in the model's configuration.
        before: its value.
        after: the milder value.
        lost: objects lost there.
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


@dataclass(frozen=True)
class Milder:
    """A stage of a detector with one setting milder.

    Attributes:
        number: of the stage.
        stage: with the milder setting.
        setting: its name in the model's configuration.
        before: the value.
        after: the milder value.
    """

    number: int
    stage: Stage
    setting: str
    before: float
    after: float


def milder(detector: Detector, place: str) -> Milder | None:
    """The setting that decides at a place where objects are lost, milder; None where no setting does."""
    for number, stage in enumerate(detector.stages):
        for what, reason in stage.reasons.items():
            names = OF_CLASS_SCORE if reason is CLASS_SCORE else (reason.name,)
            if place in names and what != "regression":
                before = getattr(stage, what)
                after = _milder_value(stage, what)(before)
                setting = stage.limit_name if what == "limit" else what
                changed: Any = {what: after}
                return Milder(number, replace(stage, **changed), setting, before, after)
    return None


def _milder_value(stage: Stage, what: str) -> Callable[[Any], Any]:
    if what == "score_thresh":
        return _lowered if stage.by_class else _none
    return {"pre_nms_top_n": _doubled, "min_size": _none, "nms_thresh": _raised, "limit": _doubled}[what]


def detections(detector: Detector, change: Milder, raw: Raw, traced: Trace) -> Detections:
    """What the detector finds with a milder setting in the image of a trace.

    Args:
        detector: that made the trace.
        change: from :func:`milder`.
        raw: the network's outputs for this image alone.
        traced: their trace under the settings as they were; what stages before this one did, and what the
            network said to it, is taken from there.
    """
    before = traced.steps[: change.number]
    anew = step(change.stage, traced.steps[change.number].rows, raw.images.sizes)
    steps = run(detector.stages, raw, [*before, anew])
    return detector.named(in_given_pixels(steps[-1].kept, raw.images))[0]
