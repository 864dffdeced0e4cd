"""How far figures would lie elsewhere with other images: COCO's average precision with weighted images.

The Bayesian bootstrap (Rubin 1981): every image gets a random weight and the figures are computed again. No
image ever vanishes, so that a rare class keeps its objects in every draw, which drawing images with
replacement would not do. With equal weights the figures are pycocotools'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from masu.errors import counted
from masu.evaluation.metrics import Interval, Metrics, ProposalMetrics, matched, tables
from masu.evaluation.overlaps import Array
from masu.records import Detections, Target

DRAWS = 1000
"""Weightings of the images."""

SIZES = ("all", "small", "medium", "large")

_RECALLS = np.linspace(0, 1, 101)
"""COCO's points of the curve."""

Z = 1.96
"""Standard deviations of a normal distribution on either side of its middle 95 %."""

_NEXT = np.append(_RECALLS[1:], np.inf)

_CELLS = 200_000
"""Numbers of an array in memory at once."""


class Figure(NamedTuple):
    """Which figure is meant.

    Attributes:
        name: as :class:`masu.evaluation.metrics.Metrics` calls it.
        of: its class; None: the mean over classes.
    """

    name: str
    of: str | None = None


@dataclass(frozen=True, eq=False)
class Ranking:
    """The detections of one class and size in all images, best score first, as COCO's evaluation judged them.

    ``D`` detections, ``N`` images, ten IoU thresholds 0.50 … 0.95.

    Attributes:
        image: ``(D,)`` int64, from 0.
        right: ``(10, D)`` bool, it found an object.
        counts: ``(10, D)`` bool, right or wrong; the others are left out.
        objects: ``(N,)`` float64, objects that count.
    """

    image: Array
    right: Array
    counts: Array
    objects: Array

    def of(self, images: Array, count: int) -> Ranking:
        """Only some of ``count`` images, rising indices, numbered anew."""
        place = np.full(count, -1)
        place[images] = np.arange(len(images))
        kept = place[self.image] >= 0
        return Ranking(
            place[self.image[kept]], self.right[:, kept], self.counts[:, kept], self.objects[images]
        )

    def average_precision(self, weights: Array) -> Array:
        """``(B, 10)`` average precision for image weights ``(B, N)``; nan where no object has a weight."""
        total = (weights @ self.objects)[:, None]
        areas = np.zeros((len(weights), len(self.right)))
        counted, seen = None, weights
        for t, (right, counts) in enumerate(zip(self.right, self.counts, strict=True)):
            at = np.flatnonzero(right)
            if not len(at):
                continue
            if counted is None or not np.array_equal(counted, counts):
                counted, seen = counts, np.cumsum(np.take(weights, self.image, axis=1) * counts, axis=1)
            found = np.cumsum(np.take(weights, self.image[at], axis=1), axis=1)
            areas[:, t] = _area(_share(found, seen[:, at]), _share(found, total))
        return np.where(total > 0, areas, np.nan)

    def recall(self, weights: Array) -> Array:
        """``(B, 10)`` recall of all detections, likewise."""
        total = (weights @ self.objects)[:, None]
        shares = _share(np.take(weights, self.image, axis=1) @ self.right.T, total)
        return np.where(total > 0, shares, np.nan)


def _share(part: Array, whole: Array) -> Array:
    shares: Array = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return shares


def _area(precision: Array, recall: Array) -> Array:
    """``(B,)`` mean over COCO's points of recall of the largest precision from there on.

    Args:
        precision: ``(B, R)`` at each right detection, best score first.
        recall: ``(B, R)`` likewise.
    """
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    whole = np.where(recall > 1 - 1e-9, 1.0, recall)  # two sums of the same weights may differ by rounding
    points = np.diff(_passed(whole), axis=1, prepend=0)
    area: Array = (best * points).sum(axis=1) / len(_RECALLS)
    return area


def _passed(recall: Array) -> Array:
    """How many of COCO's points are at most ``recall``; ``np.searchsorted`` takes five times as long."""
    near = (recall * 100).astype(np.int64)
    passed: Array = near + (_RECALLS[near] <= recall) + (_NEXT[near] <= recall)
    return passed


@dataclass(frozen=True, eq=False)
class Judged:
    """Detections of a data set that are matched with its objects, ready to be weighted.

    Attributes:
        images: number of images.
        names: class names.
        rankings: by class name and size, where there are objects.
    """

    images: int
    names: tuple[str, ...]
    rankings: dict[tuple[str, str], Ranking]

    def images_with(self, figure: Figure) -> int:
        """Images with objects that a figure is about."""
        size = figure.name.removeprefix("ap_") if figure.name.startswith("ap_") else "all"
        return self.of_size(size).images_of(figure.of)

    @property
    def objects(self) -> int:
        """Labelled objects that count."""
        return int(sum(one.objects.sum() for (_, of), one in self.rankings.items() if of == "all"))

    def images_of(self, name: str | None) -> int:
        """Images with objects, of a class or of any."""
        mine = [
            one.objects for (own, of), one in self.rankings.items() if of == "all" and name in (own, None)
        ]
        return int((np.sum(mine, axis=0) > 0).sum()) if mine else 0

    def of(self, images: Array) -> Judged:
        """Only some of the images, rising indices, numbered anew."""
        parts = {place: ranking.of(images, self.images) for place, ranking in self.rankings.items()}
        return Judged(len(images), self.names, {k: one for k, one in parts.items() if one.objects.any()})

    def of_size(self, size: str) -> Judged:
        """Only the objects of a size, and of the detections what is judged with them."""
        parts = {(name, "all"): one for (name, of), one in self.rankings.items() if of == size}
        return Judged(self.images, self.names, parts)

    def figures(self, weights: Array) -> dict[Figure, Array]:
        """Each figure that is defined, ``(B,)`` for image weights ``(B, N)``."""
        parts = [self._figures(part) for part in self._parts(weights)]
        return {figure: np.concatenate([part[figure] for part in parts]) for figure in parts[0]}

    def _figures(self, weights: Array) -> dict[Figure, Array]:
        found: dict[Figure, Array] = {}
        for size in SIZES:
            kept = {name: ranking for (name, of), ranking in self.rankings.items() if of == size}
            areas = {name: ranking.average_precision(weights) for name, ranking in kept.items()}
            if not areas:
                continue
            mean = _mean(list(areas.values()))
            if size != "all":
                found[Figure(f"ap_{size}")] = mean.mean(axis=1)
                continue
            found |= _at_ious(None, mean)
            for name, area in areas.items():
                found |= _at_ious(name, area)
                found[Figure("ar100", name)] = kept[name].recall(weights).mean(axis=1)
            recalls = [found[Figure("ar100", name)] for name in kept]
            found[Figure("ar100")] = _mean(recalls)
        return found

    def _parts(self, weights: Array) -> Iterator[Array]:
        longest = max((len(ranking.image) for ranking in self.rankings.values()), default=0)
        rows = max(_CELLS // max(longest, 1), 1)
        return (weights[start : start + rows] for start in range(0, len(weights), rows))


def _mean(of_classes: Sequence[Array]) -> Array:
    """Mean over the classes that have objects, which of all images each has."""
    stacked = np.stack(of_classes)
    there = ~np.isnan(stacked)
    return _share(np.where(there, stacked, 0.0).sum(axis=0), there.sum(axis=0) * 1.0)


def _at_ious(of: str | None, areas: Array) -> dict[Figure, Array]:
    return {
        Figure("ap", of): areas.mean(axis=1),
        Figure("ap50", of): areas[:, 0],
        Figure("ap75", of): areas[:, 5],
    }


def judged(
    targets: Sequence[Target],
    detections: Sequence[Detections],
    names: Sequence[str],
    max_detections: Sequence[int] = (1, 10, 100),
) -> Judged:
    """Match the detections of at least one image as COCO does.

    Args:
        targets: as for :func:`masu.evaluation.metrics.coco_metrics`.
        detections: likewise.
        names: likewise.
        max_detections: likewise.
    """
    unique, objects, found = tables(targets, detections, names)
    evaluation = matched(unique, objects, found, max_detections)
    sizes = dict(zip(map(tuple, evaluation.params.area_rng), SIZES, strict=True))
    parts: dict[tuple[str, str], list[dict[str, Array]]] = {}
    for one in evaluation.eval_imgs:
        if one is not None:
            place = unique[one["category_id"] - 1], sizes[tuple(one["aRng"])]
            parts.setdefault(place, []).append(one)
    rankings = {}
    for place, images in parts.items():
        counts = np.zeros(len(targets))
        for one in images:
            counts[one["image_id"] - 1] = np.count_nonzero(~np.asarray(one["gtIgnore"], bool))
        if not counts.any():
            continue
        score = np.concatenate([np.asarray(one["dtScores"], float) for one in images])
        order = np.argsort(-score, kind="stable")
        image = np.repeat([one["image_id"] - 1 for one in images], [len(one["dtScores"]) for one in images])
        right, left_out = (
            np.concatenate([np.asarray(one[key], bool).reshape(10, -1) for one in images], axis=1)[:, order]
            for key in ("dtMatched", "dtIgnore")
        )
        rankings[place] = Ranking(image[order], right & ~left_out, ~left_out, counts)
    return Judged(len(targets), tuple(unique), rankings)


def image_weights(images: int, draws: int = DRAWS) -> Array:
    """``(draws, images)`` weights of mean 1, the same for the same numbers."""
    drawn = np.random.default_rng(0).exponential(size=(draws, images))
    weights: Array = drawn / drawn.mean(axis=1, keepdims=True)
    return weights


def interval(values: Array, point: float, images: int) -> Interval | None:
    """The middle 95 % of drawn values, wider where there are few images; None for fewer than two.

    Weights vary a mean less than other images would, by ``(m − 1) / (m + 1)``, and few images say little of
    how much they vary: Student's t. Where nothing varies, it is Wilson's interval (1927) of so many images.

    Args:
        values: ``(B,)`` the figure for each weighting.
        point: the figure itself.
        images: those with objects that the figure is about.
    """
    from scipy import stats

    if images < 2:
        return None
    low, high = (float(end) for end in np.quantile(values, [0.025, 0.975]))
    low, high = min(low, point), max(high, point)
    if high - low < 1e-9:
        return Interval(point * images / (images + Z**2), (point * images + Z**2) / (images + Z**2))
    wider = float(stats.t.ppf(0.975, images - 1)) / Z * ((images + 1) / (images - 1)) ** 0.5
    return Interval(max(point - (point - low) * wider, 0.0), min(point + (high - point) * wider, 1.0))


def with_intervals(
    metrics: Metrics, targets: Sequence[Target], detections: Sequence[Detections], names: Sequence[str]
) -> Metrics:
    """The figures with their intervals over other images of the same kind.

    Args:
        metrics: of the same targets and detections.
        targets: as for :func:`masu.evaluation.metrics.coco_metrics`.
        detections: likewise.
        names: likewise.
    """
    if len(targets) < 2:
        return metrics
    whole = judged(targets, detections, names, metrics.max_detections)
    of: dict[str | None, dict[str, Interval]] = {}
    for figure, values in whole.figures(image_weights(len(targets))).items():
        owner = metrics if figure.of is None else metrics.per_class[figure.of]
        point = getattr(owner, figure.name, None)
        ends = None if point is None else interval(values, point, whole.images_with(figure))
        if ends is not None:
            of.setdefault(figure.of, {})[figure.name] = ends
    per_class = {name: replace(row, intervals=of.get(name, {})) for name, row in metrics.per_class.items()}
    return replace(metrics, intervals=of.get(None, {}), per_class=per_class)


UNCERTAIN = 0.02
"""Half of an interval of AP from which a test set is called small."""


def said_of(metrics: Metrics | ProposalMetrics) -> str | None:
    """What the size of the test set means for the figures; None where it is large enough."""
    if not isinstance(metrics, Metrics) or "ap" not in metrics.intervals:
        return None
    low, high = metrics.intervals["ap"]
    reach = (high - low) / 2
    if reach < UNCERTAIN:
        return None
    return (
        f"{counted(metrics.images, 'image')} say AP to ±{reach:.2f} only: two models that are closer cannot "
        "be told apart by their AP alone; masu compare looks at the same images and sees more"
    )
