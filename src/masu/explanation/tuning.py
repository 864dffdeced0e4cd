"""Settings that need no training: which of them gain AP on labelled images beyond chance.

The funnel says at which settings objects are lost. Each of these is a ladder: one step from the model's own
value, and where that is kept, the next. Every try is compared with what is kept so far on the same weighted
images, and must be beyond an interval of level ``1 - 0.05 / ladders`` (Bonferroni). Where nothing gains, each
ladder is tried once against the model as it is, so that any is kept in one of twenty cases at most.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from masu.data.dataset import Dataset
from masu.detectors.calibration import Calibration
from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector
from masu.errors import bad_input, counted
from masu.evaluation.comparison import Difference
from masu.evaluation.findings import Findings
from masu.explanation.funnel import funnel
from masu.explanation.ladders import Ladder, fewer_boxes, ladders
from masu.explanation.replay import Replay

CHANCE = 0.05
"""Of keeping any setting where none gains anything, over all ladders."""

MOST_STEPS = 4
"""Of one ladder."""

MOST_FOLLOWED = 200
"""Images that the funnel follows."""

MARGIN = 0.002
"""AP that a faster setting may lose, at the lower end of its 95 % interval."""

Counter: TypeAlias = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Shows under a title how many images of how many are done."""

MEASURED: Mapping[str, Callable[[], Any]] = {"thresholds": dict, "calibration": lambda: None, "margins": dict}
"""What a detector was given for its scores and boxes, and what it has without: other settings make others."""

Preference: TypeAlias = Literal["ap", "speed"]
PREFERENCES = ("ap", "speed")


@dataclass(frozen=True)
class Try:
    """One setting with another value.

    Attributes:
        stage: ``"proposals"`` or ``"detections"``; ``"input"`` for the image's size.
        setting: as the model's configuration calls it; ``"min_size"`` of the input is the image's shorter
            side in pixels.
        before: the value that was kept so far.
        after: the value that was tried.
        ap: AP of what was kept so far (``a``) and of the try (``b``), with the corrected interval.
        milliseconds: of an image with the try, mean.
        kept: whether it is.
    """

    stage: str
    setting: str
    before: float
    after: float
    ap: Difference
    milliseconds: float
    kept: bool

    @property
    def name(self) -> str:
        """Stage and setting."""
        return f"{self.stage}.{self.setting}"


@dataclass(frozen=True, eq=False)
class Tuning:
    """What :func:`tune` found.

    Attributes:
        detector: a copy with the settings that are kept; where any is kept, without :data:`MEASURED`.
        milliseconds: of an image before, mean.
        tries: in the order in which they were made.
        left_out: settings for which the time did not suffice.
        level: of the interval of each try.
        places: where the detector can lose an object, in order, and what that means.
        lost: objects per place with the model as it is, ``"found"`` last.
        lost_after: the same with the copy; None where nothing is kept.
        faster: settings that cost less and lose less than :data:`MARGIN`, each against the copy alone (with
            ``prefer="speed"``: against what is kept); level 0.95.
        dropped: names in :data:`MEASURED` of what the detector had and the copy has no more.
        thresholds: class name → score with the largest F1 on these images, where they were asked for.
    """

    detector: Detector
    milliseconds: float
    tries: tuple[Try, ...]
    left_out: tuple[str, ...]
    level: float
    places: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    lost_after: Mapping[str, int] | None = None
    faster: tuple[Try, ...] = ()
    dropped: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[Try, ...]:
        """The tries that are kept, in order."""
        return tuple(one for one in (*self.tries, *self.faster) if one.kept)

    @property
    def gained(self) -> bool:
        """Whether any setting is kept."""
        return bool(self.kept)


@contextmanager
def _quiet(_title: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda _done, _total: None


class _Search:
    """What is kept so far, and what comes of each try."""

    def __init__(self, detector: Detector, data: Dataset, over: Callable[[], bool], counter: Counter) -> None:
        self.data, self.over, self.counter = data, over, counter
        self.detector = copy.copy(detector)  # its weights are the detector's own
        self.detector.calibration = None  # which would be dropped: it is of other scores
        self.replay = Replay(self.detector.prediction_network().detector, data)
        self.own = self.measured(detector.config, "as it is")

    def measured(self, config: DetectorConfig, title: str) -> Findings:
        with self.counter(f"evaluating {title}") as progress:
            replayed = self.replay.under(config, progress)
        return Findings(self.data, replayed.found, 1000 * replayed.seconds)

    def of_calibrated(self, calibration: Calibration | None) -> Findings:
        """What is kept, with the scores that a calibration makes."""
        if calibration is None:
            return self.own
        other = copy.copy(self.detector)
        other.calibration = calibration
        network = other.prediction_network().detector
        return Findings(self.data, Replay(network, self.data, most_bytes=0).under(other.config).found, 0.0)

    def keep(self, config: DetectorConfig, found: Findings) -> None:
        self.detector.config, self.own = config, found
        self.replay.settle(config)

    def tried(self, ladder: Ladder, value: float) -> tuple[DetectorConfig, Findings]:
        config = ladder.changed(self.detector.config, value)
        return config, self.measured(config, f"{ladder.name} {value:g}")

    def climb(self, todo: Sequence[Ladder], level: float) -> tuple[list[Try], list[str]]:
        """Each ladder as far as it gains, and what the time did not suffice for."""
        tries: list[Try] = []
        rest, steps = list(todo), 0
        while rest and not self.over():
            ladder, steps = rest[0], steps + 1
            before, value = ladder.at(self.detector)
            config, theirs = self.tried(ladder, value)
            ap = self.own.ap_beside(theirs, level)
            kept = ap.low > 0
            tries.append(Try(ladder.stage, ladder.setting, before, value, ap, theirs.milliseconds, kept))
            if kept:
                self.keep(config, theirs)
                rest = [one for one in rest if not one.is_back(ladder)]
            now, further = ladder.at(self.detector)
            if not kept or steps == MOST_STEPS or now == further:
                rest, steps = rest[1:], 0
        return tries, [f"{one.name} {one.at(self.detector)[1]:g}" for one in rest]

    def quicken(self, keep: bool) -> list[Try]:
        """Of each number of boxes the smallest that saves time and costs less AP than :data:`MARGIN`."""
        found: list[Try] = []
        for ladder in fewer_boxes(self.detector):
            before, value = ladder.at(self.detector)
            best: tuple[DetectorConfig, Findings, Try] | None = None
            while value != before and not self.over():
                config, theirs = self.tried(ladder, value)
                ap = self.own.ap_beside(theirs, 1 - CHANCE)
                if ap.low < -MARGIN:
                    break
                if theirs.milliseconds < (best[1] if best else self.own).milliseconds:
                    one = Try(ladder.stage, ladder.setting, before, value, ap, theirs.milliseconds, keep)
                    best = config, theirs, one
                value = max(int(value) // 2, 1)
                if value == 1:
                    break
            if best is not None:
                found.append(best[2])
                if keep:
                    self.keep(*best[:2])
        return found


def tune(
    detector: Detector,
    data: Dataset,
    *,
    seconds: float = 60.0,
    prefer: Preference = "ap",
    thresholds: bool = False,
    clock: Callable[[], float] = time.monotonic,
    counter: Counter = _quiet,
) -> Tuning:
    """Try other settings on labelled images and keep those whose gain in AP is beyond chance.

    Args:
        detector: left as it is.
        data: that nothing was trained on, and that is not the test split.
        seconds: after which no further try is begun.
        prefer: ``"ap"``; or ``"speed"``, which also keeps what is faster and loses less than :data:`MARGIN`.
        thresholds: give the copy the thresholds with the largest F1 on these images.
        clock: seconds from some moment on.
        counter: shows how far an evaluation is.

    Returns:
        The tries, what is kept, where objects were lost, and what would be faster.

    Raises:
        InputError: for a proposal generator, an exported file, fewer than two images or no labelled object.
    """
    if not isinstance(detector, Detector) or detector.kind == "proposals":
        raise bad_input("tune", "what has no settings to tune", "a detector of masu with classes")
    if len(data) < 2:
        raise bad_input("data", counted(len(data), "image"), "at least 2")
    started = clock()
    followed = data.take(np.unique(np.linspace(0, len(data) - 1, MOST_FOLLOWED).astype(int)))
    with counter("following objects") as progress:
        report = funnel(detector, followed, progress=progress)
    todo = ladders(detector, report.counts())
    level = 1 - CHANCE / len(todo)
    search = _Search(detector, data, lambda: clock() - started > seconds, counter)
    milliseconds = search.own.milliseconds
    tries, left_out = search.climb(todo, level)
    faster = search.quicken(prefer == "speed")
    tuned = copy.deepcopy(detector)
    tuned.config = search.detector.config
    lost_after: Mapping[str, int] | None = None
    dropped: tuple[str, ...] = ()
    if tuned.config != detector.config:
        dropped = _drop_measured(tuned)
        with counter("following objects again") as progress:
            lost_after = funnel(tuned, followed, progress=progress).counts()
    mixed = bool(tuned.otherwise)  # thresholds of these images would be of another way of looking
    line = None if mixed else tuned.calibration
    best = search.of_calibrated(line).thresholds() if thresholds else {}
    if best:  # none where nothing is ever right
        if mixed:
            dropped = _drop_measured(tuned)
        if tuned.margins:  # they are of the boxes that other thresholds let pass
            tuned.margins, dropped = {}, ("margins",)
        tuned.thresholds = best
        dropped = tuple(name for name in dropped if name != "thresholds")
    return Tuning(
        detector=tuned,
        milliseconds=milliseconds,
        tries=tuple(tries),
        left_out=tuple(left_out),
        level=level,
        places=report.places,
        lost=report.counts(),
        lost_after=lost_after,
        faster=tuple(faster),
        dropped=dropped,
        thresholds=best,
    )


def _drop_measured(detector: Detector) -> tuple[str, ...]:
    """Take away what was of other scores and boxes; the names of what was there."""
    had = tuple(name for name in MEASURED if getattr(detector, name, None))
    for name in had:
        setattr(detector, name, MEASURED[name]())
    detector.measured = None
    return had
