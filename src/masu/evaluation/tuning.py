"""Settings that need no training: which of them gain AP on labelled images beyond chance.

Each try is compared with what is kept so far on the same weighted images. As several are tried, each must be
beyond an interval of level ``1 - 0.05 / tries`` (Bonferroni), so that all together raise a false alarm in one
of twenty cases at most.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector
from masu.errors import bad_input
from masu.evaluation.comparison import Difference, difference_of
from masu.evaluation.evaluate import LabelledImages, score
from masu.evaluation.resampling import Figure, image_weights, judged

CHANCE = 0.05
"""Of keeping any setting that gains nothing, over all tries."""

_AP = Figure("ap")


@dataclass(frozen=True)
class Try:
    """One setting with another value.

    Attributes:
        setting: ``"nms_thresh"``, ``"detections_per_img"`` or ``"min_size"`` (shorter side in pixels).
        before: the value that was kept so far.
        after: the value that was tried.
        ap: AP of what was kept so far (``a``) and of the try (``b``), with the corrected interval.
        milliseconds: of an image with the try, mean.
        kept: whether the gain is beyond the interval.
    """

    setting: str
    before: float
    after: float
    ap: Difference
    milliseconds: float
    kept: bool


@dataclass(frozen=True, eq=False)
class Tuning:
    """What :func:`tune` found.

    Attributes:
        detector: a copy with the settings that are kept; without thresholds and calibration, which were of
            other scores, where any is kept.
        tries: in the order in which they were made.
        left_out: settings for which the time did not suffice.
    """

    detector: Detector
    tries: tuple[Try, ...]
    left_out: tuple[str, ...]

    @property
    def gained(self) -> bool:
        """Whether any setting is kept."""
        return any(one.kept for one in self.tries)


def changes(config: DetectorConfig, iou: float, most: int) -> Iterator[tuple[str, float]]:
    """Settings and the values to try.

    Args:
        config: of a detector.
        iou: of its last suppression.
        most: detections of an image.
    """
    for step in (-0.1, 0.1):
        if 0 < (value := round(iou + step, 3)) < 1:
            yield "nms_thresh", value
    yield "detections_per_img", 2 * most
    for factor in (1.25, 1.5, 0.75):
        yield "min_size", round(config.pyramid.input.min_size * factor)


def changed(detector: Detector, setting: str, value: float) -> Detector:
    """A copy of the detector with one setting of :func:`changes`."""
    other, last = copy.deepcopy(detector), detector.stages[-1]
    config = detector.config
    assert last.nms_thresh is not None
    assert last.limit is not None
    if setting == "nms_thresh":
        other.config = config.with_suppression(value, last.limit)
    elif setting == "detections_per_img":
        other.config = config.with_suppression(last.nms_thresh, int(value))
    else:
        policy = config.pyramid.input.of_size(int(value))
        other.config = config.with_pyramid(replace(config.pyramid, input=policy))
    return other


def tune(
    detector: Detector,
    data: LabelledImages,
    *,
    seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
) -> Tuning:
    """Try other settings on labelled images and keep those whose gain in AP is beyond chance.

    Args:
        detector: left as it is.
        data: that nothing was trained on, and that is not the test split.
        seconds: after which no further try is begun.
        clock: seconds from some moment on.

    Raises:
        InputError: for a proposal generator, an exported file, fewer than two images or no labelled object.
    """
    if not isinstance(detector, Detector) or detector.kind == "proposals":
        raise bad_input("tune", "what has no settings to tune", "a detector of masu with classes")
    if len(data) < 2:
        raise bad_input("data", f"{len(data)} images", "at least 2")
    started = clock()
    last = detector.stages[-1]
    assert last.nms_thresh is not None
    assert last.limit is not None
    best, own, images, _ = _measured(detector, data)
    todo = list(changes(detector.config, last.nms_thresh, last.limit))
    kept_values: dict[str, float] = {
        "nms_thresh": last.nms_thresh,
        "detections_per_img": last.limit,
        "min_size": detector.input.min_size,
    }
    tries: list[Try] = []
    for setting, value in todo:
        if clock() - started > seconds:
            break
        other = changed(best, setting, value)
        other, theirs, _, milliseconds = _measured(other, data)
        ap = difference_of(_AP, [own], [theirs], images, 1 - CHANCE / len(todo))
        tries.append(Try(setting, kept_values[setting], value, ap, milliseconds, ap.low > 0))
        if ap.low > 0:
            best, own = other, theirs
            kept_values[setting] = value
    best = copy.deepcopy(best)
    if any(one.kept for one in tries):
        best.thresholds, best.calibration = {}, None
    left_out = tuple(f"{setting} {value:g}" for setting, value in todo[len(tries) :])
    return Tuning(best, tuple(tries), left_out)


def _measured(
    detector: Detector, data: LabelledImages
) -> tuple[Detector, dict[Figure, np.ndarray[tuple[int, ...], np.dtype[np.float64]]], int, float]:
    """The detector, its AP with weighted images, images with objects, and milliseconds of an image."""
    scored = score(detector, data)
    whole = judged(scored.targets, scored.found, scored.names)
    if not whole.objects:
        raise bad_input("data", "no labelled object", "at least one", code="no-objects")
    count = len(scored.paths)
    weights = np.concatenate([np.ones((1, count)), image_weights(count)])
    figures = whole.of_size("all").figures(weights)
    seconds = scored.metrics.seconds_per_image or 0.0
    return detector, {_AP: figures[_AP]}, whole.images_with(_AP), 1000 * seconds
