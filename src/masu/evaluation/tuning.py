"""Settings that need no training: which of them gain AP on labelled images beyond chance.

Each try is compared with what is kept so far on the same weighted images. As several are tried, each must be
beyond an interval of level ``1 - 0.05 / tries`` (Bonferroni), so that all together raise a false alarm in one
of twenty cases at most.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector
from masu.errors import bad_input, counted
from masu.evaluation.comparison import Difference, difference_of
from masu.evaluation.evaluate import LabelledImages, Scored, score
from masu.evaluation.matches import LIMIT
from masu.evaluation.resampling import Figure, image_weights, judged

CHANCE = 0.05
"""Of keeping any setting that gains nothing, over all tries."""

Counter: TypeAlias = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Shows under a title how many images of how many are done."""

MEASURED: Mapping[str, Callable[[], Any]] = {"thresholds": dict, "calibration": lambda: None, "margins": dict}
"""What a detector was given for its scores and boxes, and what it has without: other settings make others."""

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
        detector: a copy with the settings that are kept; where any is kept, without :data:`MEASURED`.
        milliseconds: of an image before, mean.
        tries: in the order in which they were made.
        left_out: settings for which the time did not suffice.
        level: of the interval of each try.
        dropped: names in :data:`MEASURED` of what the detector had and the copy has no more.
    """

    detector: Detector
    milliseconds: float
    tries: tuple[Try, ...]
    left_out: tuple[str, ...]
    level: float
    dropped: tuple[str, ...] = ()

    @property
    def gained(self) -> bool:
        """Whether any setting is kept."""
        return any(one.kept for one in self.tries)


def changes(config: DetectorConfig, iou: float, most: int, full: bool) -> Iterator[tuple[str, float]]:
    """Settings and the values to try.

    Args:
        config: of a detector.
        iou: of its last suppression.
        most: detections of an image.
        full: whether an image has so many, and more could count.
    """
    for step in (-0.1, 0.1):
        if 0 < (value := round(iou + step, 3)) < 1:
            yield "nms_thresh", value
    if full:
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


@contextmanager
def _quiet(_title: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda _done, _total: None


def tune(
    detector: Detector,
    data: LabelledImages,
    *,
    seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    counter: Counter = _quiet,
) -> Tuning:
    """Try other settings on labelled images and keep those whose gain in AP is beyond chance.

    Args:
        detector: left as it is.
        data: that nothing was trained on, and that is not the test split.
        seconds: after which no further try is begun.
        clock: seconds from some moment on.
        counter: shows how far an evaluation is.

    Raises:
        InputError: for a proposal generator, an exported file, fewer than two images or no labelled object.
    """
    if not isinstance(detector, Detector) or detector.kind == "proposals":
        raise bad_input("tune", "what has no settings to tune", "a detector of masu with classes")
    if len(data) < 2:
        raise bad_input("data", counted(len(data), "image"), "at least 2")
    started = clock()
    last = detector.stages[-1]
    assert last.nms_thresh is not None
    assert last.limit is not None
    best = detector
    own, first, most = _measured(detector, data, "as it is", counter)
    full = most >= last.limit and (len(detector.names) > 1 or last.limit < LIMIT)
    todo = list(changes(detector.config, last.nms_thresh, last.limit, full))
    level = 1 - CHANCE / len(todo)
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
        theirs, milliseconds, _ = _measured(other, data, f"{setting} {value:g}", counter)
        ap = _ap_of(own, theirs, level)
        tries.append(Try(setting, kept_values[setting], value, ap, milliseconds, ap.low > 0))
        if ap.low > 0:
            best, own = other, theirs
            kept_values[setting] = value
    best = copy.deepcopy(best)
    dropped = _drop_measured(best) if any(one.kept for one in tries) else ()
    left_out = tuple(f"{setting} {value:g}" for setting, value in todo[len(tries) :])
    return Tuning(best, first, tuple(tries), left_out, level, dropped)


def _measured(
    detector: Detector, data: LabelledImages, title: str, counter: Counter
) -> tuple[Scored, float, int]:
    """What was found, milliseconds of an image, and most detections of one."""
    counts = [0]
    with counter(f"evaluating {title}") as progress:
        scored = score(
            detector, data, progress=progress, each=lambda one, _: counts.append(len(one.detections))
        )
    return scored, 1000 * (scored.metrics.seconds_per_image or 0.0), max(counts)


def _ap_of(ours: Scored, theirs: Scored, level: float) -> Difference:
    """The difference of AP on the images that both could read."""
    common = set(ours.paths) & set(theirs.paths)
    pair = [one.of(common) for one in (ours, theirs)]
    count = len(pair[0].paths)
    if count < 2:
        raise bad_input("data", counted(count, "image"), "at least 2 that can be read")
    both = [judged(one.targets, one.found, one.names) for one in pair]
    if not both[0].objects:
        raise bad_input(
            "data", "no labelled object", "at least one", "choose another split", code="no-objects"
        )
    weights = np.concatenate([np.ones((1, count)), image_weights(count)])
    a, b = ({_AP: one.of_size("all").figures(weights)[_AP]} for one in both)
    return difference_of(_AP, [a], [b], both[0].images_with(_AP), level)


def _drop_measured(detector: Detector) -> tuple[str, ...]:
    """Take away what was of other scores and boxes; the names of what was there."""
    had = tuple(name for name in MEASURED if getattr(detector, name, None))
    for name in had:
        setattr(detector, name, MEASURED[name]())
    return had
