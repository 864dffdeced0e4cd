"""What other settings would bring back: computed anew from the same outputs of the network, not guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from masu.detectors.detector import Detector, in_given_pixels
from masu.detectors.raw import Raw
from masu.detectors.stage_settings import Setting, settings_of
from masu.detectors.stages import Stage, run, step
from masu.detectors.trace import Trace
from masu.explanation.fates import names_of
from masu.records import Detections


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
        stage: with the milder setting.
        setting: as it was.
    """

    stage: Stage
    setting: Setting


def milder(detector: Detector, place: str) -> Milder | None:
    """The setting that decides at a place where objects are lost, milder; None where no setting does."""
    for setting in settings_of(detector.stages):
        if place in names_of(setting.reason):
            changed: Any = {setting.attribute: setting.milder}
            stage = replace(detector.stages[setting.number], **changed)
            return Milder(stage, setting)
    return None


def detections(detector: Detector, change: Milder, raw: Raw, traced: Trace) -> Detections:
    """What the detector finds with a milder setting in the image of a trace.

    Args:
        detector: that made the trace.
        change: from :func:`milder`.
        raw: the network's outputs for this image alone.
        traced: their trace under the settings as they were; what stages before this one did, and what the
            network said to it, is taken from there.
    """
    number = change.setting.number
    before = traced.steps[:number]
    anew = step(change.stage, traced.steps[number].rows, raw.images.sizes)
    steps = run(detector.stages, raw, [*before, anew])
    return detector.named(in_given_pixels(steps[-1].kept, raw.images))[0]
