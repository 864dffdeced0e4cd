"""A closer look at an evaluation: thresholds, errors and what they cost, confusions, the worst images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from masu.detectors.detector import Detector
from masu.errors import bad_input
from masu.evaluation.calibration import Bin, CalibrationErrors, judgements, reliability
from masu.evaluation.curves import Curve, Point, class_curves, with_intervals
from masu.evaluation.errors import KINDS, Error, Kind, ap50_costs, confusion, image_errors
from masu.evaluation.evaluate import Scored
from masu.evaluation.matches import ImageMatch, match_image
from masu.evaluation.metrics import Metrics
from masu.evaluation.overlaps import Array
from masu.evaluation.predictions import AnyDetector
from masu.exports.exported import ExportedDetector
from masu.thresholds import DEFAULT_THRESHOLD
from masu.words import Meaning

SMALL_AREA, LARGE_AREA = 32.0**2, 96.0**2
"""Square pixels below which an object is small, and from which it is large."""


@dataclass(frozen=True)
class ErrorCount:
    """Errors of one kind, of one class or of all.

    Attributes:
        cost: AP50 that would be gained if only these were put right; None for a class without objects.
        count: how many there are at the thresholds.
        count_all: how many among all detections, down to the model's own low score.
    """

    cost: float | None
    count: int
    count_all: int


@dataclass(frozen=True, eq=False)
class ImageErrors:
    """The errors of one image at the thresholds.

    Attributes:
        path: the image.
        cost: its share of the AP50 lost: what a kind of error costs a class is shared equally among the
            errors of that kind and class that are shown.
        match: its objects and its detections from the thresholds on.
        errors: what is wrong.
    """

    path: Path
    cost: float
    match: ImageMatch
    errors: tuple[Error, ...]

    def counts(self) -> dict[Kind, int]:
        """Errors of each kind that occurs."""
        counts = {kind: sum(error.kind == kind for error in self.errors) for kind in KINDS}
        return {kind: count for kind, count in counts.items() if count}


@dataclass(frozen=True, eq=False)
class ErrorReport:
    """What :func:`error_report` found.

    Attributes:
        metrics: COCO's figures.
        names: ``K`` class names of the data.
        stored: whether the thresholds came with the model; else they are the best on this data.
        curves: class name → precision, recall and F1 at every threshold.
        best: class name → the threshold with the largest F1 on this data; None where nothing is ever right.
        used: class name → the threshold at which errors and confusions are counted.
        kinds: kind → its errors in all classes.
        per_class: class name → kind → its errors. A wrong detection counts for the class it names.
        confusion: ``(K + 1, K + 1)``, see :func:`masu.evaluation.errors.confusion`.
        images: those with errors, most costly first.
        calibration: how far scores are from what they are worth.
        reliability: scores beside the share of right boxes and beside the mean IoU, all classes together.
        sizes: objects that are ``small``, ``medium`` and ``large`` as COCO means it, without ignored ones.
    """

    metrics: Metrics
    names: tuple[str, ...]
    stored: bool
    curves: dict[str, Curve] = field(repr=False)
    best: dict[str, Point | None]
    used: dict[str, Point]
    kinds: dict[Kind, ErrorCount]
    per_class: dict[str, dict[Kind, ErrorCount]]
    confusion: Array
    images: tuple[ImageErrors, ...] = field(repr=False)
    calibration: CalibrationErrors
    reliability: dict[Meaning, list[Bin]] = field(repr=False)
    sizes: dict[str, int]

    @property
    def missed(self) -> int:
        """Objects that no detection at the thresholds finds."""
        return sum(int((~one.match.ignored & ~one.match.found).sum()) for one in self.images)

    @property
    def too_many(self) -> int:
        """Detections at the thresholds that find no object."""
        return sum(int(one.match.wrong.sum()) for one in self.images)

    def best_thresholds(self) -> dict[str, float]:
        """Class name → threshold with the largest F1, of the classes that have one."""
        return {name: point.threshold for name, point in self.best.items() if point is not None}

    def as_dict(self, most_images: int = 20) -> dict[str, Any]:
        """The keys ``thresholds`` and ``errors`` as JSON knows them."""
        return {
            "thresholds": {
                name: None if point is None else point.as_dict() for name, point in self.best.items()
            },
            "errors": {
                "thresholds_from": "model" if self.stored else "this data",
                "at": {name: point.as_dict() for name, point in self.used.items()},
                "kinds": {kind: vars(count) for kind, count in self.kinds.items()},
                "per_class": {
                    name: {kind: vars(count) for kind, count in kinds.items()}
                    for name, kinds in self.per_class.items()
                },
                "calibration": self.calibration.as_dict(),
                "reliability": {
                    meaning: [vars(one) for one in bins] for meaning, bins in self.reliability.items()
                },
                "confusion": {"predicted_by_true": self.confusion.tolist(), "names": [*self.names, None]},
                "worst_images": [
                    {"file": str(image.path), "cost": image.cost, "errors": image.counts()}
                    for image in self.images[:most_images]
                ],
            },
        }


def refuse_proposals(detector: AnyDetector, model: object) -> None:
    """Refuse, before the network runs, a detector without classes to be right or wrong about.

    Args:
        detector: that is to be evaluated.
        model: its file, or another name of it.

    Raises:
        InputError: for a proposal generator.
    """
    if detector.kind == "proposals":
        raise bad_input(
            model,
            "a proposal generator",
            "a detector with classes",
            "evaluate it without --report, --by, --save-predictions, --store-thresholds and --calibrate",
        )


def refuse(detector: Detector | ExportedDetector, model: Path, storing: str | None) -> None:
    """Refuse, before the network runs, what cannot be looked at or written to.

    Args:
        detector: that is to be evaluated.
        model: its file.
        storing: the option that would write into ``model``, if any.

    Raises:
        InputError: for a proposal generator, or a file that is no model of masu.
    """
    refuse_proposals(detector, model)
    if storing and not (isinstance(detector, Detector) and model.is_file()):
        raise bad_input(
            storing,
            str(model),
            "a model file that masu wrote (RUN/best.safetensors)",
            "an exported file has what its model has: store it there and export again",
        )


def error_report(scored: Scored, stored: Mapping[str, float] | None = None) -> ErrorReport:
    """Look at the errors behind an evaluation.

    Args:
        scored: from :func:`masu.evaluation.evaluate.score`.
        stored: thresholds to count errors at, by class name; default: the best on this data. A class
            without one is counted from 0.5.

    Raises:
        TypeError: for proposals, which have no classes to be wrong about.
    """
    if not isinstance(scored.metrics, Metrics):
        raise TypeError("scored: found proposals, wanted what a detector with classes found")
    names, classes = scored.names, len(scored.names)
    matches = [match_image(t, d, scored.limit) for t, d in zip(scored.targets, scored.found, strict=True)]
    curves = dict(zip(names, class_curves(matches, classes), strict=True))
    best = {name: curve.best() for name, curve in curves.items()}
    chosen = stored or {name: point.threshold for name, point in best.items() if point is not None}
    least = {name: chosen.get(name, DEFAULT_THRESHOLD) for name in names}

    errors = [image_errors(match) for match in matches]
    shown = [match_image(m.target, m.detections.above(least), scored.limit) for m in matches]
    shown_errors = [image_errors(match) for match in shown]
    ap50 = {name: row.ap50 for name, row in scored.metrics.per_class.items()}
    costs = ap50_costs(matches, errors, names, ap50)
    judged = judgements(scored)
    used = [curve.at(least[name]) for name, curve in curves.items()]
    counts, counts_all = _counts(shown, shown_errors), _counts(matches, errors)
    per_class = {
        name: {
            kind: ErrorCount(costs[kind].get(name), counts.get((kind, k), 0), counts_all.get((kind, k), 0))
            for kind in KINDS
        }
        for k, name in enumerate(names)
    }
    return ErrorReport(
        metrics=scored.metrics,
        names=names,
        stored=bool(stored),
        curves=curves,
        best=best,
        used=dict(zip(names, with_intervals(used, shown), strict=True)),
        kinds={kind: _total([of_class[kind] for of_class in per_class.values()]) for kind in KINDS},
        per_class=per_class,
        confusion=confusion(shown, classes),
        images=_ranked(scored, shown, shown_errors, per_class),
        calibration=CalibrationErrors.of(judged),
        reliability=reliability(judged),
        sizes=_sizes(shown),
    )


def _sizes(matches: list[ImageMatch]) -> dict[str, int]:
    areas = np.concatenate(
        [np.zeros(0), *(match.target.areas.double().numpy()[~match.ignored] for match in matches)]
    )
    small, large = areas < SMALL_AREA, areas >= LARGE_AREA
    return {
        "small": int(small.sum()),
        "medium": int((~small & ~large).sum()),
        "large": int(large.sum()),
    }


def _class_of(error: Error, match: ImageMatch) -> int:
    """The class that an error counts for."""
    if error.detection is not None:
        return int(match.labels[error.detection])
    return int(match.object_labels[error.object])


def _counts(matches: list[ImageMatch], errors: list[list[Error]]) -> dict[tuple[Kind, int], int]:
    counts: dict[tuple[Kind, int], int] = {}
    for match, of_image in zip(matches, errors, strict=True):
        for error in of_image:
            key = (error.kind, _class_of(error, match))
            counts[key] = counts.get(key, 0) + 1
    return counts


def _total(of_classes: list[ErrorCount]) -> ErrorCount:
    """Over all classes; the AP50 of all is the mean over the classes that have objects."""
    costs = [count.cost for count in of_classes if count.cost is not None]
    return ErrorCount(
        cost=sum(costs) / len(costs) if costs else None,
        count=sum(count.count for count in of_classes),
        count_all=sum(count.count_all for count in of_classes),
    )


def _ranked(
    scored: Scored,
    shown: list[ImageMatch],
    errors: list[list[Error]],
    per_class: dict[str, dict[Kind, ErrorCount]],
) -> tuple[ImageErrors, ...]:
    """Images with errors, those first that cost most AP50, then those with most errors."""
    counted = sum(count.cost is not None for kinds in per_class.values() for count in [kinds["missed"]])
    images = []
    for path, match, of_image in zip(scored.paths, shown, errors, strict=True):
        cost = 0.0
        for error in of_image:
            of_kind = per_class[scored.names[_class_of(error, match)]][error.kind]
            cost += (of_kind.cost or 0.0) / of_kind.count / max(counted, 1)
        if of_image:
            images.append(ImageErrors(path, cost, match, tuple(of_image)))
    return tuple(sorted(images, key=lambda image: (-image.cost, -len(image.errors))))
