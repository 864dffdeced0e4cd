"""May a score be believed? How far scores are from what they are worth, and lines that mend it.

What a detection is worth: 1 where it is right (IoU ≥ 0.5), else 0; or its IoU with the object that it found,
0 where it found none. Errors: D-ECE (Küppers et al. 2020) of the first, LaECE₀ (Kuzucu et al. 2024, "On
Calibration of Object Detectors") of the second. The line is a centred isotonic regression (Oron & Flournoy
2017): it rises everywhere, so that scores keep their order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, get_args

import numpy as np

from masu.detectors.calibration import SAME, Calibration, Points
from masu.evaluation.evaluate import Scored
from masu.evaluation.matches import ImageMatch, match_image
from masu.evaluation.overlaps import Array
from masu.words import Meaning

BINS = 25
"""Equal parts of 0..1 in which scores are compared with what they are worth."""

FOLDS = 5
"""Parts of the images, each judged by lines of the others."""

MOST_POINTS = 32
"""Points of a line."""

_NEAR = 1e-3
"""Least distance of the points of a line."""

_TILT = 2e-3
"""Share of the score itself in a line, so that it rises where the regression is level."""


@dataclass(frozen=True, eq=False)
class Judgements:
    """Detections and what they were worth, ``D`` of them, those in ignored regions aside.

    Attributes:
        image: ``(D,)`` int64.
        label: ``(D,)`` int64.
        score: ``(D,)`` float64.
        right: ``(D,)`` float64, 1 where it found an object at IoU 0.5, else 0.
        overlap: ``(D,)`` float64, IoU with the object of its class that it found, at any IoU above 0; else 0.
    """

    image: Array
    label: Array
    score: Array
    right: Array
    overlap: Array

    def worth(self, meaning: Meaning) -> Array:
        """``(D,)`` what a score of this meaning should have been."""
        return self.right if meaning == "right" else self.overlap


def judgements(scored: Scored) -> Judgements:
    """What each detection of a data set was worth."""
    rows: list[tuple[Array, ...]] = []
    for i, (target, found) in enumerate(zip(scored.targets, scored.found, strict=True)):
        match = match_image(target, found, scored.limit)
        kept = np.flatnonzero(~match.left_out)
        score = match.detections.scores.double().cpu().numpy()
        overlap = _overlaps(match)
        rows.append(
            (np.full(len(kept), i), match.labels[kept], score[kept], match.right[kept], overlap[kept])
        )
    image, label, score, right, overlap = (
        np.concatenate([np.zeros(0), *(row[k] for row in rows)]) for k in range(5)
    )
    return Judgements(image.astype(np.int64), label.astype(np.int64), score, right * 1.0, overlap)


def _overlaps(match: ImageMatch) -> Array:
    """``(D,)`` IoU of each detection with the free object of its class that it overlaps most, best first."""
    same = (match.labels[:, None] == match.object_labels) & ~match.ignored
    iou = np.where(same, match.iou, 0.0)
    free, overlap = np.ones(iou.shape[1], np.bool_), np.zeros(len(iou))
    for row in range(len(iou)):
        candidates = np.where(free, iou[row], 0.0)
        if candidates.any():
            best = int(candidates.argmax())
            overlap[row], free[best] = candidates[best], False
    return overlap


@dataclass(frozen=True)
class Bin:
    """Detections of nearly the same score.

    Attributes:
        score: their mean score.
        worth: mean of what they were worth.
        count: how many.
    """

    score: float
    worth: float
    count: int


def bins(score: Array, worth: Array) -> list[Bin]:
    """The detections in each of the ``BINS`` parts of 0..1 that has any."""
    part = np.minimum((score * BINS).astype(np.int64), BINS - 1)
    return [
        Bin(float(score[part == k].mean()), float(worth[part == k].mean()), int((part == k).sum()))
        for k in np.unique(part).tolist()
    ]


def calibration_error(label: Array, score: Array, worth: Array) -> float:
    """Mean distance of scores from what they are worth: by counts within a class, then over classes."""
    errors = []
    for k in np.unique(label).tolist():
        own = bins(score[label == k], worth[label == k])
        total = sum(one.count for one in own)
        errors.append(sum(abs(one.score - one.worth) * one.count for one in own) / total)
    return float(np.mean(errors)) if errors else 0.0


@dataclass(frozen=True)
class CalibrationErrors:
    """How far scores are from what they are worth, 0..1.

    Attributes:
        d_ece: from the share of right boxes (IoU ≥ 0.5).
        laece0: from the mean IoU with the objects.
    """

    d_ece: float
    laece0: float

    @classmethod
    def of(cls, judged: Judgements, score: Array | None = None) -> CalibrationErrors:
        """Of the detections' scores, or of others for the same detections."""
        given = judged.score if score is None else score
        return cls(
            calibration_error(judged.label, given, judged.right),
            calibration_error(judged.label, given, judged.overlap),
        )

    def as_dict(self) -> dict[str, float]:
        """The attributes as JSON knows them."""
        return vars(self).copy()


@dataclass(frozen=True, eq=False)
class Fitted:
    """Lines fitted to the detections in a data set.

    Attributes:
        calibration: of each class that is better with one.
        before: errors of the scores as they were.
        after: errors of images that the lines which judge them have not seen.
        kept: class names whose scores stay as they were, since no line was better on images it had not seen.
        judged: the detections.
        held_out: ``(D,)`` their calibrated scores, by lines of other images.
    """

    calibration: Calibration
    before: CalibrationErrors
    after: CalibrationErrors
    kept: tuple[str, ...]
    judged: Judgements = field(repr=False)
    held_out: Array = field(repr=False)

    def reliability(self) -> dict[Meaning, list[Bin]]:
        """Calibrated scores, by lines of other images, beside what they were worth."""
        return {meaning: bins(self.held_out, self.judged.worth(meaning)) for meaning in get_args(Meaning)}

    def as_dict(self) -> dict[str, Any]:
        """The key ``calibration`` as JSON knows it."""
        return {
            "meaning": self.calibration.meaning,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "points": {name: [list(p) for p in points] for name, points in self.calibration.points.items()},
            "kept": list(self.kept),
        }


def fit(scored: Scored, meaning: Meaning) -> Fitted:
    """Fit a line for each class, chosen by images that it has not seen.

    The images are cut into five parts. For each class there are three ways: the scores as they are, a line
    of all classes together, a line of its own; that with the least mean squared error on held-out parts is
    taken (a proper score: Brier 1950).

    Args:
        scored: network's own scores on labelled images that the detector was not trained on.
        meaning: what calibrated scores are to say.
    """
    judged = judgements(scored)
    worth = judged.worth(meaning)
    fold = np.random.default_rng(0).permutation(len(scored.paths))[judged.image] % FOLDS
    held_out, points, kept = judged.score.copy(), {}, []
    every = np.ones(len(fold), np.bool_)
    together = _cross_fitted(judged.score, worth, fold, every)
    for k, name in enumerate(scored.names):
        own = judged.label == k
        alone = _cross_fitted(judged.score, worth, fold, own)
        ways = [(judged.score[own], None), (together[own], every), (alone[own], own)]
        errors = [float(((score - worth[own]) ** 2).mean()) if own.any() else 0.0 for score, _ in ways]
        best, rows = ways[int(np.argmin(errors))]
        if rows is None:
            kept.append(name)
        else:
            points[name] = line(judged.score[rows], worth[rows])
            held_out[own] = best
    return Fitted(
        Calibration(meaning, points),
        CalibrationErrors.of(judged),
        CalibrationErrors.of(judged, held_out),
        tuple(kept),
        judged,
        held_out,
    )


def _cross_fitted(score: Array, worth: Array, fold: Array, own: Array) -> Array:
    """``(D,)`` scores, those of the detections ``own`` calibrated by a line of those in other folds."""
    found = score.copy()
    for k in range(FOLDS):
        here, others = own & (fold == k), own & (fold != k)
        x, y = zip(*line(score[others], worth[others]), strict=True)
        found[here] = np.interp(score[here], x, y)
    return found


def line(score: Array, worth: Array) -> Points:
    """A line that rises from a score of 0 to one of 1, by centred isotonic regression.

    Args:
        score: ``(D,)`` 0..1.
        worth: ``(D,)`` 0..1, what each was worth.
    """
    from scipy.optimize import isotonic_regression

    if not len(score):
        return SAME
    order = np.lexsort((-worth, score))  # of equal scores the best first, so that they stay together
    x, y = score[order], worth[order]
    found = isotonic_regression(y)
    ends = list(pairwise(found.blocks.tolist()))
    centres = np.array([x[a:b].mean() for a, b in ends])
    counts = np.array([b - a for a, b in ends])
    # one more detection of mean worth in each block: a few that were all right do not make a score of 1
    levels = np.maximum.accumulate((found.x[[a for a, _ in ends]] * counts + y.mean()) / (counts + 1))
    top = centres > 1 - _NEAR
    apart = _apart(centres)
    if top.any():
        end = float(np.average(levels[top], weights=counts[top]))
    else:
        end = min(float(levels[-1] + 1 - centres[-1]), 1.0)
    xs = np.concatenate([[0.0], centres[apart], [1.0]])
    ys = np.concatenate([[0.0], levels[apart], [end]])
    ys = (1 - _TILT) * ys + _TILT * xs
    return tuple(zip(xs.tolist(), ys.tolist(), strict=True))


def _apart(centres: Array) -> list[int]:
    """At most as many rising centres as a line may have, none near another or an end."""
    kept: list[int] = []
    for i, centre in enumerate(centres.tolist()):
        if centre - (centres[kept[-1]] if kept else 0.0) >= _NEAR and centre <= 1 - _NEAR:
            kept.append(i)
    if len(kept) <= MOST_POINTS - 2:
        return kept
    return [kept[k] for k in np.linspace(0, len(kept) - 1, MOST_POINTS - 2).round().astype(int)]


def calibrated(scored: Scored, calibration: Calibration) -> Scored:
    """The same detections with calibrated scores, best first."""
    found = []
    for one in scored.found:
        scores = calibration.scores(one.scores, one.labels, scored.names)
        found.append(replace(one, scores=scores)[scores.argsort(descending=True, stable=True)])
    return replace(scored, found=tuple(found))


def reliability(judged: Judgements) -> dict[Meaning, list[Bin]]:
    """Scores beside what they were worth, all classes together."""
    return {meaning: bins(judged.score, judged.worth(meaning)) for meaning in get_args(Meaning)}
