"""Precision, recall and F1 of a class at every threshold, and the threshold with the largest F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from masu.evaluation.matches import ImageMatch
from masu.evaluation.metrics import Interval, jsonable
from masu.evaluation.overlaps import Array
from masu.evaluation.resampling import Z, image_weights


@dataclass(frozen=True)
class Point:
    """A class at one threshold.

    Attributes:
        threshold: smallest score that counts.
        precision: share of right detections; None without any detection.
        recall: share of objects found; None without any object.
        f1: harmonic mean of both; None without objects.
        right: detections that found an object.
        wrong: detections that found none.
        missed: objects that were not found.
        precision_interval: 95 % over other images of the same kind, where it was computed.
        recall_interval: likewise.
    """

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    right: int
    wrong: int
    missed: int
    precision_interval: Interval | None = None
    recall_interval: Interval | None = None

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them."""
        return {name: jsonable(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class Curve:
    """A class at each of its ``n`` different scores as threshold, largest first, at IoU 0.5.

    Detections and objects in ignored regions do not count.

    Attributes:
        scores: ``(n,)`` float64.
        right: ``(n,)`` int64, detections from that score on that found an object.
        wrong: ``(n,)`` int64, those that found none.
        objects: labelled objects of the class.
    """

    scores: Array
    right: Array
    wrong: Array
    objects: int

    @property
    def precision(self) -> Array:
        """``(n,)`` share of right detections."""
        shares: Array = self.right / (self.right + self.wrong)
        return shares

    @property
    def recall(self) -> Array:
        """``(n,)`` share of objects found; zeros without objects."""
        shares: Array = self.right / max(self.objects, 1)
        return shares

    @property
    def f1(self) -> Array:
        """``(n,)`` 2·right / (detections + objects), the harmonic mean of precision and recall."""
        means: Array = 2 * self.right / (self.right + self.wrong + self.objects)
        return means

    def at(self, threshold: float) -> Point:
        """The class with only the scores from ``threshold`` on."""
        n = int((self.scores >= np.float32(threshold)).sum())  # as Detections.above compares
        right, wrong = (int(self.right[n - 1]), int(self.wrong[n - 1])) if n else (0, 0)
        return Point(
            threshold=threshold,
            precision=right / (right + wrong) if right + wrong else None,
            recall=right / self.objects if self.objects else None,
            f1=2 * right / (right + wrong + self.objects) if self.objects else None,
            right=right,
            wrong=wrong,
            missed=self.objects - right,
        )

    def best(self) -> Point | None:
        """The threshold of the largest F1, of equal ones the largest; None where nothing is ever right.

        It lies midway between the last score that counts and the next smaller one (0 where there is none),
        so that rounding in another runtime changes nothing.
        """
        if not self.right.any():
            return None
        n = int(self.f1.argmax())
        below = float(self.scores[n + 1]) if n + 1 < len(self.scores) else 0.0
        return self.at((float(self.scores[n]) + below) / 2)


def class_curves(matches: Sequence[ImageMatch], classes: int) -> list[Curve]:
    """The curve of each of the classes ``0..K-1`` over all images.

    Args:
        matches: of each image.
        classes: ``K``.
    """
    empty = [np.zeros(0)]
    score = np.concatenate([*empty, *(m.detections.scores.double().cpu().numpy() for m in matches)])
    label = np.concatenate([*empty, *(m.labels for m in matches)])
    right = np.concatenate([*empty, *(m.right for m in matches)]).astype(np.bool_)
    counts = np.concatenate([*empty, *(~m.left_out for m in matches)]).astype(np.bool_)
    object_labels = np.concatenate([*empty, *(m.object_labels[~m.ignored] for m in matches)])
    return [
        _curve(score[own], right[own], int((object_labels == k).sum()))
        for k in range(classes)
        for own in (counts & (label == k),)
    ]


def with_intervals(points: Sequence[Point], matches: Sequence[ImageMatch]) -> list[Point]:
    """Points with the intervals of their precision and recall.

    Wilson's interval (1927), for as many independent detections or objects as vary like these do when images
    are weighted; where none varies, since all or none are right, for as many as there are images with any.

    Args:
        points: of each class.
        matches: of each image, of the detections from the thresholds on.
    """
    if len(matches) < 2:
        return list(points)
    weights = image_weights(len(matches))
    drawn = []
    for k, point in enumerate(points):
        right, wrong, objects = (
            np.array([count(match, k) for match in matches], float) for count in (_right, _wrong, _objects)
        )
        drawn.append(
            replace(
                point,
                precision_interval=_wilson(right, right + wrong, weights),
                recall_interval=_wilson(right, objects, weights),
            )
        )
    return drawn


def _right(match: ImageMatch, k: int) -> int:
    return int((match.right & (match.labels == k)).sum())


def _wrong(match: ImageMatch, k: int) -> int:
    return int((match.wrong & (match.labels == k)).sum())


def _objects(match: ImageMatch, k: int) -> int:
    return int((~match.ignored & (match.object_labels == k)).sum())


def _wilson(part: Array, whole: Array, weights: Array) -> Interval | None:
    """Of the share of a part in a whole, both ``(N,)`` by image; None without any."""
    images = int((whole > 0).sum())
    if not images:
        return None
    share = float(part.sum() / whole.sum())
    drawn = (weights @ part) / (weights @ whole)
    variance = float(drawn.var(ddof=1)) * (images + 1) / max(images - 1, 1)
    count = min(share * (1 - share) / variance, float(whole.sum())) if variance > 1e-12 else images
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    reach = Z * (share * (1 - share) / count + Z**2 / (4 * count**2)) ** 0.5 / (1 + Z**2 / count)
    return Interval(max(middle - reach, 0.0), min(middle + reach, 1.0))


def _curve(score: Array, right: Array, objects: int) -> Curve:
    order = np.argsort(-score, kind="stable")
    score, right = score[order], right[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], np.ones(min(len(score), 1), np.bool_)))
    return Curve(score[last], np.cumsum(right)[last], np.cumsum(~right)[last], objects)
