"""Calibrate: what a model's scores are worth, and thresholds that keep a promise, measured and stored.

In order: a line from scores to their worth, the calibrated detections, thresholds for these, the model file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, get_args

from masu.data.dataset import Dataset
from masu.detectors.build import load, store_calibration, store_margins, store_thresholds
from masu.detectors.calibration import Calibration
from masu.detectors.detector import Detector
from masu.detectors.sizing import with_image_size
from masu.detectors.tta import with_tta
from masu.errors import bad_input, counted, listed
from masu.evaluation.box_margins import box_margins
from masu.evaluation.calibration import Fitted, calibrated, fit
from masu.evaluation.error_report import ErrorReport, error_report, refuse
from masu.evaluation.evaluate import Scored, score
from masu.evaluation.guarantees import images_of_classes, recall_thresholds, refuse_recall
from masu.evaluation.matches import match_image
from masu.evaluation.metrics import Metrics
from masu.evaluation.promised_precision import precision_thresholds, refuse_precision
from masu.model_path import model_file
from masu.ranges import SHARE
from masu.verbs.reading import IN_MEMORY, Counter, quiet, refuse_beside, to_calibrate_on, warn_of_faults
from masu.way import Way, refuse_mixed
from masu.words import CALIBRATIONS, CalibratedScores, Meaning

OF_ONE_LOOK = "with --calibrate right or overlap, whose line is of the scores of one look"
"""What two looks are refused beside: the line is applied to each look, before both become one score."""

FEW = 10
"""Objects of a class under which a threshold that is chosen with them is little more than chance."""


@dataclass(frozen=True)
class Wanted:
    """What is to be measured and stored.

    Attributes:
        scores: what calibrated scores are to say, ``"none"`` for the network's own; None: as they are.
        recall: that the thresholds promise.
        precision: likewise. Without either the thresholds have the largest F1.
        margins: share of the found objects that enlarged boxes promise to hold whole.
        thresholds: choose some; else the model's own stay.

    Raises:
        InputError: for an unknown word, a share outside 0..1, or both promises.
    """

    scores: CalibratedScores | None = None
    recall: float | None = None
    precision: float | None = None
    margins: float | None = None
    thresholds: bool = True

    def __post_init__(self) -> None:
        if self.scores is not None and self.scores not in CALIBRATIONS:
            wanted = f"one of {', '.join(CALIBRATIONS)}"
            raise bad_input("scores", f"{self.scores!r}", wanted, code="unknown-name")
        for name in ("recall", "precision", "margins"):
            if getattr(self, name) is not None:
                SHARE.check(name, getattr(self, name))
        if self.recall is not None and self.precision is not None:
            raise bad_input(
                "--precision",
                "together with --recall",
                "one of them: no threshold of these images promises both",
                "see the other figure at the thresholds",
            )

    @property
    def meaning(self) -> Meaning | None:
        """Of the line that is to be fitted; None: none is."""
        return self.scores if self.scores in get_args(Meaning) else None  # type: ignore[return-value]

    def refuse_for(self, data: Dataset) -> None:
        """Refuse, before the network runs, a promise for which there are too few images.

        Raises:
            InputError: naming the class.
        """
        if self.recall is not None:
            refuse_recall(self.recall, images_of_classes(data))
        if self.precision is not None:
            refuse_precision(self.precision, len(data))
        if self.margins is not None:
            refuse_recall(self.margins, images_of_classes(data), "--store-margins")

    def refuse_way(self, detector: Detector, way: Way) -> None:
        """Refuse, before the network runs, a way of looking of which the model file cannot hold the result.

        Args:
            detector: with the thresholds and the calibration of its file.
            way: in which it is to be measured.

        Raises:
            InputError: for a line of two looks, and for what stays in the file and was measured otherwise.
        """
        if self.meaning is not None and way.looks != 1:
            raise bad_input(
                "--tta",
                OF_ONE_LOOK,
                "--store-thresholds, or --calibrate none",
                "leave --tta out",
            )
        if self.scores is None:  # what the file has stays, but for what is chosen anew
            thing = "--store-thresholds" if self.thresholds else "--store-margins"
            staying = ["calibrated scores"] * (detector.calibration is not None)
            staying += ["thresholds"] * (bool(detector.thresholds) and not self.thresholds)
            refuse_mixed(thing, staying, detector.measured or detector.way, way)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What was measured.

    Attributes:
        wanted: what was asked for.
        scored: figures and detections, with calibrated scores where a line was fitted.
        fitted: the lines and the errors before and after; None where none were asked for.
        thresholds: class name → smallest score to show.
        margins: class name → how far a box is enlarged, as a share of its size; None where none were asked
            for.
        report: errors at these thresholds.
        measured: the way of looking in which all this was measured; None: the model's own.
    """

    wanted: Wanted
    scored: Scored = field(repr=False)
    fitted: Fitted | None = field(repr=False)
    thresholds: Mapping[str, float]
    margins: Mapping[str, float] | None
    report: ErrorReport = field(repr=False)
    measured: Way | None = None

    def as_dict(self) -> dict[str, Any]:
        """``thresholds``, ``errors``, where they were asked for ``calibration`` and ``margins``, for JSON."""
        own = self.report.as_dict()
        if self.margins is not None:
            own["margins"] = {"hold": self.wanted.margins, "of_size": dict(self.margins)}
        return own if self.fitted is None else own | {"calibration": self.fitted.as_dict()}

    @property
    def said_of_few(self) -> str | None:
        """That thresholds of some classes are of few objects, and how few; None where all are of enough."""
        if not self.wanted.thresholds:
            return None
        assert isinstance(self.scored.metrics, Metrics)
        of_class = self.scored.metrics.per_class
        counts = {name: of_class[name].objects for name in self.thresholds if name in of_class}
        few = [f"{name} of {counted(count, 'object')}" for name, count in counts.items() if count < FEW]
        if not few:
            return None
        them = "that of" if len(few) == 1 else "those of"
        return (
            f"few objects to choose thresholds from: {them} {listed(few, 8)}; with other images they may be "
            f"quite different ones, so label at least {FEW} objects of each class"
        )

    def store(self, model: str | os.PathLike[str]) -> None:
        """Write calibration, thresholds and margins into a model file at once, in place of its own.

        Raises:
            InputError: for a file that is no model of masu or of other classes.
        """
        line = None if self.fitted is None else self.fitted.calibration
        margins = self.margins or {}
        if self.wanted.scores is not None:
            store_calibration(model, line, self.thresholds, margins, self.measured)
        elif self.wanted.thresholds:
            store_thresholds(model, self.thresholds, margins, self.measured)
        elif margins:
            store_margins(model, margins, self.measured)


def calibrate(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str] | Dataset,
    scores: CalibratedScores | None = None,
    *,
    recall: float | None = None,
    precision: float | None = None,
    margins: float | None = None,
    split: str | None = None,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    tta: bool = False,
    batch_size: int = 1,
    device: str = "auto",
    store: bool = True,
    counter: Counter = quiet,
) -> Calibrated:
    """Measure on labelled images what scores are worth and which to show, and write it into the model file.

    The images must be none that the model was trained on, and others than those that will judge it: a
    validation split.

    Args:
        model: a model file that masu wrote, or a run.
        data: where the labelled images are, in any format that masu reads, or a data set from
            :func:`masu.read_dataset`.
        scores: ``"right"``: a score of 0.9 is to say that nine of ten such boxes are right; ``"overlap"``: it
            is to be the mean IoU; ``"none"``: the network's own scores again; None: the scores stay as they
            are and only thresholds are chosen.
        recall: mean share of an image's objects that the thresholds promise to find, see
            :mod:`masu.evaluation.guarantees`.
        precision: mean share of an image's shown boxes that the thresholds promise to be right, with a
            probability of 0.9, see :mod:`masu.evaluation.promised_precision`. Without either promise the
            thresholds have the largest F1.
        margins: mean share of an image's found objects that boxes enlarged by ``detector.margins`` promise
            to hold whole, see :mod:`masu.evaluation.box_margins`. With this alone the thresholds stay.
        split: of a path; default: val, where it has splits.
        form: format of the data at a path; default: found by looking.
        images: another folder that holds the images of a path.
        image_size: shorter side that the network is to see; default: the model's own. The file keeps with
            what it was measured, here and with ``tta``.
        tta: look at each image mirrored, too, see :func:`masu.with_tta`; not with ``"right"`` or
            ``"overlap"``, whose line is of one look.
        batch_size: images per prediction.
        device: see ``masu evaluate --device``.
        store: write the result into ``model``; else its ``store(model)`` does it later.
        counter: shows how far the evaluation is.

    Returns:
        ``thresholds``, ``margins``, ``fitted`` (with the errors ``before`` and ``after``) and ``report``.

    Raises:
        TypeError: for options of a path beside a data set.
        InputError: for a model or data that cannot be read, an exported file, a proposal generator, an
            unknown word, a share outside 0..1, a promise that these images cannot support, and where the file
            has and keeps what was measured in another way of looking.
    """
    chosen = margins is None or any(one is not None for one in (scores, recall, precision))
    wanted = Wanted(scores, recall, precision, margins, thresholds=chosen)
    model = model_file(model)
    detector = load(model, device)
    refuse(detector, model, "calibrate")
    if wanted.scores is not None:
        detector.calibration = None  # a line is of the network's own scores
    sized = detector if image_size is None else with_image_size(detector, image_size)
    looking = with_tta(sized) if tta else sized
    wanted.refuse_way(detector, looking.way)
    if isinstance(data, Dataset):
        refuse_beside(IN_MEMORY, "calibrate", split=split, form=form, images=images)
    else:
        channels = detector.input.channels
        data = to_calibrate_on(data, split, form=form, images=images, channels=channels, counter=counter)
        warn_of_faults(data)
    wanted.refuse_for(data)
    with counter("evaluating") as progress:
        scored = score(looking, data, batch_size=batch_size, progress=progress)
    found = settle(scored, wanted, detector.calibration, detector.thresholds, looking.way)
    if store:
        found.store(model)
    return found


def settle(
    scored: Scored,
    wanted: Wanted,
    calibration: Calibration | None = None,
    thresholds: Mapping[str, float] = MappingProxyType({}),
    measured: Way | None = None,
) -> Calibrated:
    """Fit, calibrate, choose thresholds and margins, of what was found already.

    Args:
        scored: what a detector found in labelled images; the network's own scores where ``wanted.scores`` is
            given.
        wanted: what is to be measured.
        calibration: what these scores were made with; None: they are the network's own.
        thresholds: the model's own.
        measured: the way in which the detector looked; None: the model's own.

    Raises:
        InputError: for a promise that these images cannot support.
    """
    fitted = None if wanted.meaning is None else fit(scored, wanted.meaning)
    if fitted is not None:
        calibration = fitted.calibration
        scored = calibrated(scored, calibration)
    scored = scored.with_intervals()
    report = error_report(scored, None if wanted.thresholds else thresholds)
    if wanted.thresholds:
        thresholds = report.best_thresholds()
    matches = [match_image(t, d, scored.limit) for t, d in zip(scored.targets, scored.found, strict=True)]
    promised: Mapping[str, float] = {}
    if wanted.recall is not None:
        promised = recall_thresholds(matches, scored.names, wanted.recall)
    if wanted.precision is not None:
        promised = precision_thresholds(matches, scored.names, wanted.precision, calibration)
    if promised:
        thresholds = {**thresholds, **promised}
        report = error_report(scored, thresholds)
    margins = None
    if wanted.margins is not None:
        margins = box_margins(matches, scored.names, wanted.margins, thresholds)
    if fitted is not None:  # its own images would flatter a line
        report = replace(report, calibration=fitted.after, reliability=fitted.reliability())
    return Calibrated(wanted, scored, fitted, thresholds, margins, report, measured)
