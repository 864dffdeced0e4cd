"""Labels that are probably wrong, from what detectors found that have not seen the images.

Four kinds of error leave traces in predictions: a missing box leaves a detection without a label; a wrong
class, a detection of another class on the box; a misplaced box, a detection beside it; a spurious box, no
detection at all. How strong a trace must be depends on the data: a detector that misses half of the small
objects says little about a small box that it does not see. So the traces are learnt from the data itself. Of
its labels some are spoilt on purpose, one at a time, while the predictions stay as they are; a logistic
regression tells the traces of spoilt labels from those of the labels as they stand. Its probability is the
likelihood, one scale for all four kinds.

Predictions from detectors that learnt the same labels say nothing; see :mod:`masu.training.cross_fitting`.
Others judge images (ObjectLab: Tkachenko, Thyagarajan & Mueller 2023) or boxes by fixed formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from masu.evaluation.matches import RIGHT_IOU
from masu.evaluation.overlaps import Array, overlaps
from masu.records import Detections, Target

KINDS = ("wrong-class", "misplaced", "spurious", "missing")
"""What can be wrong, as :class:`Doubt` says it."""

RATE = 0.05
"""Share of labels taken to be wrong in each way, before anything is looked at."""

TOUCHES = 0.1
"""IoU from which a detection has to do with a label."""

_SPOILT = 4000
"""Labels that are spoilt in each way, at most."""

_PENALTY = 1e-3
"""Weight of the squared coefficients beside the mean loss."""


@dataclass(frozen=True)
class Doubt:
    """A label that is probably wrong, or a place where one is probably missing.

    Attributes:
        kind: one of :data:`KINDS`.
        image: position among the images.
        object: position among the labels of the image; None for a missing one.
        box: xyxy pixels of the label; of a missing one, where it would be.
        label: its class; of a missing one that of the detection.
        instead: the class that was detected there, for ``wrong-class``.
        moved: xyxy pixels where it was detected, for ``misplaced``.
        score: of the detection that contradicts the label; for ``spurious`` the best of those at its place
            that no other label is nearer to, 0 for none.
        likelihood: probability from 0 to 1, if errors were as frequent as :data:`RATE`.
    """

    kind: str
    image: int
    object: int | None
    box: tuple[float, ...]
    label: int
    likelihood: float
    score: float
    instead: int | None = None
    moved: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class _Image:
    """One image: ``M`` labels that count, ``D`` detections, none of them in an ignored region."""

    height: int
    width: int
    boxes: Array
    labels: Array
    rows: Array
    found: Array
    scores: Array
    classes: Array
    iou: Array
    """``(D, M)``."""
    leads: Array
    """``(D,)`` bool: no detection of any class with a better score is around the same thing."""


def find_doubts(
    targets: Sequence[Target],
    detections: Sequence[Detections],
    sizes: Sequence[tuple[int, int]],
    *,
    seed: int = 0,
) -> list[Doubt]:
    """The labels of a data set that are probably wrong, the likeliest first; each place once.

    Args:
        targets: the labels of each image.
        detections: what was found in each image by a detector that has not seen it, weak ones too; labels in
            the numbering of the targets.
        sizes: height and width of each image.
        seed: of what is spoilt to learn from.
    """
    images = [_image(*one) for one in zip(targets, detections, sizes, strict=True)]
    if not any(len(one.labels) for one in images):
        return []
    seen = _Seen.of(images)
    labels, places = _labels_of(images, seen), _places_of(images, seen)
    spoilt, removed = _spoilt(images, seen, np.random.default_rng(seed)), _removed(images, seen)
    wrong, absent = labels.likelihoods(spoilt), places.likelihoods(removed)
    doubts = [
        *(_of_label(images, row, wrong[at]) for at, row in enumerate(labels.rows)),
        *(_of_place(images, row, absent[at]) for at, row in enumerate(places.rows)),
    ]
    return _each_once(doubts)


def _image(target: Target, detections: Detections, size: tuple[int, int]) -> _Image:
    counts = ~target.ignored.numpy()
    boxes, labels = target.boxes.double().numpy(), target.labels.numpy()
    found, scores = detections.boxes.double().cpu().numpy(), detections.scores.double().cpu().numpy()
    classes = detections.labels.cpu().numpy()
    regions = boxes[~counts]
    outside = np.ones(len(found), np.bool_)
    if len(regions):
        outside = overlaps(found, regions, np.ones(len(regions), np.bool_)).max(1) < RIGHT_IOU
    order = np.flatnonzero(outside)[np.argsort(-scores[outside], kind="stable")]
    found, scores, classes = found[order], scores[order], classes[order]
    near = overlaps(found, found, np.zeros(len(found), np.bool_)) >= RIGHT_IOU
    leads = np.ones(len(found), np.bool_)
    for row in range(len(found)):
        leads[row] = not (near[row, :row] & leads[:row]).any()
    rows = np.flatnonzero(counts)
    iou = overlaps(found, boxes[rows], np.zeros(len(rows), np.bool_))
    return _Image(*size, boxes[rows], labels[rows], rows, found, scores, classes, iou, leads)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is usual in this data: by class, the scores that labelled objects get, ascending."""

    of_class: dict[int, Array]

    @classmethod
    def of(cls, images: Sequence[_Image]) -> _Seen:
        scores: dict[int, list[float]] = {}
        for image in images:
            for m, label in enumerate(image.labels.tolist()):
                near = (image.iou[:, m] >= RIGHT_IOU) & (image.classes == label)
                scores.setdefault(label, []).append(float(image.scores[near].max(initial=0)))
        return cls({label: np.sort(values) for label, values in scores.items()})

    def rank(self, label: int, score: float) -> float:
        """Share of the labelled objects of a class that get a lower score; equal ones count half."""
        values = self.of_class.get(label, np.zeros(0))
        if not len(values):
            return 0.5
        below, above = (np.searchsorted(values, score, side) for side in ("left", "right"))
        return float(below + above) / (2 * len(values))


def _logit(score: float) -> float:
    return float(np.log((score + 1e-3) / (1 - score + 1e-3)))


def _trace(image: _Image, iou: Array, best: Array, label: int, seen: _Seen) -> tuple[Array, int, int]:
    """What the detections say of a label.

    Args:
        image: where it is.
        iou: ``(D,)`` with the label's box.
        best: ``(D,)`` bool: no other label is nearer to the detection.
        label: its class.
        seen: what is usual.

    Returns:
        ``(F,)`` traces; the detection of another class on it, and the one beside it, −1 for none.
    """
    on = iou >= RIGHT_IOU
    same = image.classes == label
    own = float(image.scores[on & same].max(initial=0))
    others = np.where(on & ~same & best, image.scores, 0)
    beside = np.where((iou >= TOUCHES) & best, image.scores, 0)
    other = int(others.argmax()) if others.any() else -1
    nearest = int((beside * (iou + 0.5)).argmax()) if beside.any() else -1
    apart = float(iou[nearest]) if nearest >= 0 else 0.0
    place = float(beside[nearest]) if nearest >= 0 else 0.0
    traces = np.array(
        [
            _logit(own),
            seen.rank(label, own),
            _logit(float(others[other]) if other >= 0 else 0.0),
            _logit(place),
            apart,
            seen.rank(int(image.classes[nearest]), place) if nearest >= 0 else 0.0,
            _logit(float((image.scores * iou).max(initial=0))),
        ]
    )
    return traces, other, nearest


@dataclass(frozen=True, eq=False)
class _Model:
    """A logistic regression on traces, their squares and products."""

    mean: Array
    deviation: Array
    weights: Array

    @classmethod
    def fitted(cls, traces: Array, kinds: Array, kind_weights: Array) -> _Model:
        """Fit it.

        Args:
            traces: ``(n, F)``.
            kinds: ``(n,)`` int, 0 for labels as they stand.
            kind_weights: ``(number of kinds,)`` the share of each kind before anything is looked at.
        """
        mean, deviation = traces.mean(0), traces.std(0) + 1e-6
        x = _expanded((traces - mean) / deviation)
        weight = (kind_weights / np.maximum(np.bincount(kinds, minlength=len(kind_weights)), 1))[kinds]
        one_hot = np.eye(len(kind_weights))[kinds]
        shape = (x.shape[1], len(kind_weights) - 1)

        def loss(flat: Array) -> tuple[float, Array]:
            w = flat.reshape(shape)
            z = np.concatenate([np.zeros((len(x), 1)), x @ w], 1)
            log = z - logsumexp(z, axis=1, keepdims=True)
            slope = x.T @ (weight[:, None] * (np.exp(log) - one_hot))[:, 1:]
            penalty = w.copy()
            penalty[0] = 0
            value = -(weight * (one_hot * log).sum(1)).sum() + _PENALTY * (penalty**2).sum()
            return float(value), (slope + 2 * _PENALTY * penalty).ravel()

        best = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B")
        return cls(mean, deviation, best.x.reshape(shape))

    def likelihoods(self, traces: Array) -> Array:
        """``(n, number of kinds)`` probabilities."""
        z = _expanded((traces - self.mean) / self.deviation) @ self.weights
        z = np.concatenate([np.zeros((len(z), 1)), z], 1)
        found: Array = np.exp(z - logsumexp(z, axis=1, keepdims=True))
        return found


def _expanded(x: Array) -> Array:
    """``(n, F)`` traces with a constant before them, their squares and products behind."""
    first, second = np.triu_indices(x.shape[1])
    return np.concatenate([np.ones((len(x), 1)), x, x[:, first] * x[:, second]], 1)


@dataclass(frozen=True, eq=False)
class _Traces:
    """What is to be judged, a row each.

    Attributes:
        rows: the image, the position in it, and the detections that speak against it, −1 for none.
        traces: ``(n, F)``.
        wrong: the number of kinds that it may be besides right.
        errors: rows that are taken to be wrong in each way, before anything is looked at.
    """

    rows: list[tuple[int, int, int, int]]
    traces: Array
    wrong: int
    errors: float

    def likelihoods(self, spoilt: tuple[Array, Array]) -> Array:
        """``(n, 1 + wrong)`` probabilities of right and of each kind.

        Args:
            spoilt: traces of what is wrong, and of which kind it is, from 1.
        """
        traces, kinds = spoilt
        if not len(traces) or not len(self.rows):
            return np.eye(1 + self.wrong)[np.zeros(len(self.rows), np.int64)]
        share = min(self.errors / len(self.rows), 0.2)
        shares = np.array([1 - self.wrong * share, *[share] * self.wrong])
        kinds = np.concatenate([np.zeros(len(self.rows), np.int64), kinds])
        return _Model.fitted(np.concatenate([self.traces, traces]), kinds, shares).likelihoods(self.traces)


def _stacked(traces: Sequence[Array]) -> Array:
    """``(n, F)``; without any ``(0, 0)``."""
    return np.stack(traces) if traces else np.zeros((0, 0))


def _labels_of(images: Sequence[_Image], seen: _Seen) -> _Traces:
    rows, traces = [], []
    for number, image in enumerate(images):
        best = (image.iou > 0) & (image.iou >= image.iou.max(1, keepdims=True, initial=0))
        for m, label in enumerate(image.labels.tolist()):
            trace, other, nearest = _trace(image, image.iou[:, m], best[:, m], label, seen)
            rows.append((number, m, other, nearest))
            traces.append(trace)
    return _Traces(rows, _stacked(traces), 3, RATE * len(rows))


def _spoilt(images: Sequence[_Image], seen: _Seen, draw: np.random.Generator) -> tuple[Array, Array]:
    """Traces of labels with another class, moved, and put where nothing is."""
    everything = [(image, m) for image in images for m in range(len(image.labels))]
    names = np.array(sorted(seen.of_class))
    boxes = np.concatenate([image.boxes for image in images])
    traces: list[Array] = []
    kinds: list[int] = []

    def add(kind: int, image: _Image, iou: Array, others: Array, label: int) -> None:
        best = (iou > 0) & (iou >= others.max(1, initial=0))
        traces.append(_trace(image, iou, best, label, seen)[0])
        kinds.append(kind)

    for at in draw.permutation(len(everything))[:_SPOILT].tolist():
        image, m = everything[at]
        others = np.delete(image.iou, m, 1)
        label = int(image.labels[m])
        if len(names) > 1:
            add(1, image, image.iou[:, m], others, int(draw.choice(names[names != label])))
        moved = _moved(draw, image.boxes[m], image)
        if moved is not None:
            add(2, image, _iou(image.found, moved), others, label)
        free = _free(draw, boxes[draw.integers(len(boxes))], image)
        if free is not None:
            add(3, image, _iou(image.found, free), image.iou, label)
    return _stacked(traces), np.array(kinds, np.int64)


def _iou(found: Array, box: Array) -> Array:
    one: Array = overlaps(found, box[None], np.zeros(1, np.bool_))[:, 0]
    return one


def _moved(draw: np.random.Generator, box: Array, image: _Image) -> Array | None:
    """The box with its sides shifted until its IoU with itself is from 0.2 to 0.65; None where none was."""
    sides, frame = np.tile(box[2:] - box[:2], 2), np.tile((image.width, image.height), 2)
    for reach in (0.3, 0.4, 0.2, 0.5, 0.3, 0.4, 0.2, 0.5):
        other: Array = np.clip(box + draw.uniform(-reach, reach, 4) * sides, 0, frame)
        if (other[2:] - other[:2] > 1).all() and 0.2 <= _iou(other[None], box)[0] <= 0.65:
            return other
    return None


def _free(draw: np.random.Generator, like: Array, image: _Image) -> Array | None:
    """A box of a size that occurs where no label is; None where none was found."""
    sides = np.minimum(like[2:] - like[:2], (image.width, image.height))
    for _ in range(8):
        corner = draw.uniform(0, 1, 2) * ((image.width, image.height) - sides)
        box = np.concatenate([corner, corner + sides])
        if not len(image.boxes) or _iou(image.boxes, box).max() < TOUCHES:
            return box
    return None


def _absence(image: _Image, row: int, iou: Array, seen: _Seen) -> Array:
    """``(F,)`` traces of a detection that may have no label.

    Args:
        image: where it is.
        row: which detection.
        iou: ``(M,)`` with the labels.
        seen: what is usual.
    """
    score, label = float(image.scores[row]), int(image.classes[row])
    nearest = float(iou.max(initial=0))
    return np.array([_logit(score), seen.rank(label, score), nearest, float((iou >= TOUCHES).sum())])


def _places_of(images: Sequence[_Image], seen: _Seen) -> _Traces:
    """Detections that no label is around."""
    rows, traces = [], []
    for number, image in enumerate(images):
        for row in np.flatnonzero(image.leads & (image.iou.max(1, initial=0) < RIGHT_IOU)).tolist():
            rows.append((number, row, row, row))
            traces.append(_absence(image, row, image.iou[row], seen))
    labels = sum(len(image.labels) for image in images)
    return _Traces(rows, _stacked(traces), 1, RATE * labels)


def _removed(images: Sequence[_Image], seen: _Seen) -> tuple[Array, Array]:
    """Traces of the detections of objects, each as if its label were gone."""
    traces = []
    for image in images:
        for m in range(len(image.labels)):
            on = np.flatnonzero(image.leads & (image.iou[:, m] >= RIGHT_IOU))
            rest = np.delete(image.iou, m, 1)
            if len(on) and rest[on[0]].max(initial=0) < RIGHT_IOU:
                traces.append(_absence(image, int(on[0]), rest[on[0]], seen))
    return _stacked(traces), np.ones(len(traces), np.int64)


def _of_label(images: Sequence[_Image], row: tuple[int, int, int, int], likely: Array) -> Doubt:
    number, m, other, nearest = row
    image = images[number]
    possible = likely * np.array([1.0, other >= 0, nearest >= 0, 1.0])
    possible /= possible.sum()
    kind = int(possible[1:].argmax()) + 1
    against = other if kind == 1 else nearest
    score = float(image.scores[against]) if against >= 0 else 0.0
    if KINDS[kind - 1] == "spurious":
        own = (image.iou[:, m] >= RIGHT_IOU) & (image.iou[:, m] >= image.iou.max(1, initial=0))
        score = float(image.scores[own].max(initial=0))
    return Doubt(
        KINDS[kind - 1],
        number,
        int(image.rows[m]),
        tuple(image.boxes[m].tolist()),
        int(image.labels[m]),
        float(1 - possible[0]),
        score,
        int(image.classes[other]) if kind == 1 else None,
        tuple(image.found[nearest].tolist()) if kind == 2 else None,
    )


def _of_place(images: Sequence[_Image], row: tuple[int, int, int, int], likely: Array) -> Doubt:
    number, at, _, _ = row
    image = images[number]
    box, label = tuple(image.found[at].tolist()), int(image.classes[at])
    return Doubt("missing", number, None, box, label, float(likely[1]), float(image.scores[at]))


def _each_once(doubts: Sequence[Doubt]) -> list[Doubt]:
    """The likeliest first; of two about the same place the likelier."""
    kept: dict[int, list[Doubt]] = {}
    told = []
    for doubt in sorted(doubts, key=lambda one: -one.likelihood):
        own = kept.setdefault(doubt.image, [])
        if not any(_same_place(doubt, other) for other in own):
            own.append(doubt)
            told.append(doubt)
    return told


def _same_place(a: Doubt, b: Doubt) -> bool:
    """Whether one of the two is a missing label where the other is about a label."""
    if (a.object is None) == (b.object is None):
        return False
    missing, label = (a, b) if a.object is None else (b, a)
    there = np.array([label.moved or label.box, label.box])
    return bool(_iou(there, np.array(missing.box)).max() >= RIGHT_IOU)
