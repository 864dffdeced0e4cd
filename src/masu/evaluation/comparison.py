"""Is one model better than another? Differences of their figures on the same images, with 95 % intervals.

The images are weighted alike for both (a paired bootstrap, :mod:`masu.evaluation.resampling`), so that what
makes an image hard for both cancels. Where a model was trained several times, how much its figures change
with the seed is in the interval too; without that, it tells these two files apart and not two recipes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from masu.errors import bad_input, counted
from masu.evaluation.curves import class_curves
from masu.evaluation.evaluate import Scored
from masu.evaluation.matches import ImageMatch, match_image
from masu.evaluation.metrics import Metrics
from masu.evaluation.overlaps import Array
from masu.evaluation.resampling import Figure, image_weights, judged
from masu.thresholds import DEFAULT_THRESHOLD
from masu.way import Way

SHOWN = ("ap", "ap50", "ap75", "ar100", "ap_small", "ap_medium", "ap_large")
"""Figures that are compared, as :class:`masu.evaluation.metrics.Metrics` calls them."""

OF_CLASSES = ("ap", "ap50", "ar100")
"""Those of each class."""


@dataclass(frozen=True)
class Run:
    """One trained model of a side.

    Attributes:
        file: the model, or its saved predictions.
        scored: its figures on the images.
        thresholds: class name → score, as the model has them.
        size: bytes of the model; None for saved predictions.
        channels: of the images that it looks at; None for RGB photographs.
        way: how it looked at the images; None for saved predictions.
    """

    file: Path
    scored: Scored = field(repr=False)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    size: int | None = None
    channels: int | None = None
    way: Way | None = None

    @property
    def milliseconds(self) -> float | None:
        """Of an image, mean over the images; None for saved predictions."""
        seconds = self.scored.metrics.seconds_per_image
        return None if seconds is None else 1000 * seconds


@dataclass(frozen=True)
class Difference:
    """One figure of both sides.

    Attributes:
        a: of the first, mean over its runs.
        b: of the second.
        difference: ``b − a``.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``"better"`` or ``"worse"`` (of ``b``), or ``"not told apart"`` where the interval holds 0."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not told apart"

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them, with the verdict."""
        return asdict(self) | {"verdict": self.verdict}


@dataclass(frozen=True, eq=False)
class Change:
    """What the first run of either side does differently in an image, at their thresholds and IoU 0.5.

    Attributes:
        path: the image.
        a: objects and detections of the first.
        b: likewise of the second.
    """

    path: Path
    a: ImageMatch
    b: ImageMatch

    @property
    def won(self) -> Array:
        """``(M,)`` bool, objects that only ``b`` finds."""
        won: Array = self.b.found & ~self.a.found & ~self.a.ignored
        return won

    @property
    def lost(self) -> Array:
        """``(M,)`` bool, objects that only ``a`` finds."""
        lost: Array = self.a.found & ~self.b.found & ~self.a.ignored
        return lost

    @property
    def weight(self) -> int:
        """Objects and wrong detections that changed."""
        wrong = abs(int(self.b.wrong.sum()) - int(self.a.wrong.sum()))
        return int(self.won.sum() + self.lost.sum()) + wrong


@dataclass(frozen=True, eq=False)
class Comparison:
    """What :func:`compare` found.

    Attributes:
        a: runs of the first side.
        b: of the second.
        images: number of images.
        objects: labelled objects in them, without ignored ones.
        names: class names of the data.
        figures: name → difference, means over classes.
        per_class: class name → figure → difference.
        seeds: whether the noise of training is in the intervals: where a side has several runs.
        changes: images with changes, most first.
        faults: what was left out.
    """

    a: tuple[Run, ...]
    b: tuple[Run, ...]
    images: int
    objects: int
    names: tuple[str, ...]
    figures: dict[str, Difference]
    per_class: dict[str, dict[str, Difference]]
    seeds: bool
    changes: tuple[Change, ...] = field(repr=False)
    faults: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The answer in a sentence or two."""
        ap = self.figures["ap"]
        band = f"AP {ap.difference:+.3f}, 95 % interval {ap.low:+.3f} to {ap.high:+.3f}"
        if ap.verdict == "not told apart":
            said = f"A and B cannot be told apart on {counted(self.images, 'image')}: {band}."
            needed = self._needed(ap)
            if needed is not None:
                said += f" If the difference is what it seems, about {needed} images would show it."
        else:
            said = f"B is {ap.verdict} than A: {band}, on {counted(self.images, 'image')}."
        if not self.seeds:
            said += (
                " This is about these two models: how much each would change if it were trained again is not "
                "in the interval. Give several runs of each to compare two ways of training."
            )
        elif min(len(self.a), len(self.b)) == 1:
            said += " One side is a single run: it is taken to depend on its seed as much as the other does."
        return said

    def _needed(self, ap: Difference) -> int | None:
        """Images from which a difference of this size would be seen; None where other seeds decide too."""
        if self.seeds or abs(ap.difference) < 0.001:
            return None
        reach = (ap.high - ap.low) / 2
        return int(np.ceil(self.images * (reach / ap.difference) ** 2 / 10) * 10)

    def objects_changed(self) -> dict[str, tuple[int, int]]:
        """Class name → objects won and lost."""
        rows = {}
        for k, name in enumerate(self.names):
            of = [(change, change.a.object_labels == k) for change in self.changes]
            rows[name] = (
                sum(int((change.won & mine).sum()) for change, mine in of),
                sum(int((change.lost & mine).sum()) for change, mine in of),
            )
        return rows

    def as_dict(self, most_images: int = 20) -> dict[str, Any]:
        """The comparison as JSON knows it."""
        return {
            "a": [_side(run) for run in self.a],
            "b": [_side(run) for run in self.b],
            "images": self.images,
            "objects": self.objects,
            "said": self.said,
            "seeds_counted": self.seeds,
            "figures": {name: one.as_dict() for name, one in self.figures.items()},
            "per_class": {
                name: {figure: one.as_dict() for figure, one in of.items()}
                for name, of in self.per_class.items()
            },
            "objects_changed": {
                name: {"won": won, "lost": lost} for name, (won, lost) in self.objects_changed().items()
            },
            "changed_images": [
                {
                    "file": str(change.path),
                    "won": int(change.won.sum()),
                    "lost": int(change.lost.sum()),
                    "wrong_a": int(change.a.wrong.sum()),
                    "wrong_b": int(change.b.wrong.sum()),
                }
                for change in self.changes[:most_images]
            ],
            "faults": list(self.faults),
        }


def _side(run: Run) -> dict[str, Any]:
    metrics = run.scored.metrics
    assert isinstance(metrics, Metrics)
    return {
        "file": str(run.file),
        "ap": metrics.ap,
        "ap50": metrics.ap50,
        "milliseconds": run.milliseconds,
        "bytes": run.size,
        "image_size": None if run.way is None else run.way.image_size,
        "looks": None if run.way is None else run.way.looks,
    }


def compare(a: Sequence[Run], b: Sequence[Run]) -> Comparison:
    """Compare two models, or two ways of training with several runs of each.

    Args:
        a: at least one run of the first, scored on the same data as all others.
        b: of the second.

    Raises:
        InputError: for proposals, fewer than two images that all could read, or no labelled object in them.
    """
    runs = [*a, *b]
    for run in runs:
        if not isinstance(run.scored.metrics, Metrics):
            raise bad_input(run.file, "a proposal generator", "a detector with classes")
    common = set.intersection(*(set(run.scored.paths) for run in runs))
    scored = [run.scored.of(common) for run in runs]
    images, names = len(scored[0].paths), scored[0].names
    if images < 2:
        raise bad_input("data", counted(images, "image"), "at least 2 that can be read")
    objects = sum(int((~target.ignored).sum()) for target in scored[0].targets)
    if not objects:
        raise bad_input(
            "data", "no labelled object", "at least one", "choose another split", code="no-objects"
        )
    weights = np.concatenate([np.ones((1, images)), image_weights(images)])
    whole = [judged(one.targets, one.found, names) for one in scored]
    drawn = [one.figures(weights) for one in whole]
    of_a, of_b = drawn[: len(a)], drawn[len(a) :]
    differences = {
        figure: difference_of(figure, of_a, of_b, whole[0].images_with(figure)) for figure in drawn[0]
    }
    runs = [
        replace(run, scored=_with_ap(one, figures))
        for run, one, figures in zip(runs, scored, drawn, strict=True)
    ]
    a, b = runs[: len(a)], runs[len(a) :]
    return Comparison(
        a=tuple(a),
        b=tuple(b),
        images=images,
        objects=objects,
        names=names,
        figures={name: differences[Figure(name)] for name in SHOWN if Figure(name) in differences},
        per_class={
            name: {figure: differences[Figure(figure, name)] for figure in OF_CLASSES}
            for name in dict.fromkeys(names)
            if Figure("ap", name) in differences
        },
        seeds=len(a) > 1 or len(b) > 1,
        changes=_changes(a[0], b[0]),
        faults=tuple(dict.fromkeys(fault for run in runs for fault in run.scored.metrics.faults)),
    )


def difference_of(
    figure: Figure,
    a: Sequence[Mapping[Figure, Array]],
    b: Sequence[Mapping[Figure, Array]],
    images: int,
    level: float = 0.95,
) -> Difference:
    """The difference of a figure.

    Two sources of noise add up, as independent ones do: which images were looked at, from the draws; and
    which seeds were drawn, from the spread of the runs, the same for both sides. What a seed changes in
    single images is in both; it is seen in how the runs of a side differ from draw to draw, and counted once.
    Student's t, with degrees of freedom after Welch and Satterthwaite.

    Args:
        figure: which.
        a: for each run, its figures with weighted images; of equal weights first, then of drawn ones.
        b: of the other side, with the same weights.
        images: those with objects that the figure is about.
        level: how often the interval holds the true difference.
    """
    from scipy import stats

    ours, theirs = (np.stack([run[figure] for run in side]) for side in (a, b))
    moved = theirs.mean(axis=0) - ours.mean(axis=0)
    middle = float(moved[0])
    means = float(ours[:, 0].mean()), float(theirs[:, 0].mean())
    if images < 2:
        return Difference(*means, middle, -1.0, 1.0)
    unbiased = (images + 1) / (images - 1)  # of a mean, the draws vary less than other images would by this
    # at least as if there were one more image, in which they do not differ
    drawn = max(float(moved[1:].var(ddof=1)) * unbiased, (middle / images) ** 2)
    sources = [(drawn, images - 1)]
    free = len(ours) + len(theirs) - 2
    if free:
        apart = [side - side.mean(axis=0) for side in (ours, theirs)]
        spread = sum(float((side[:, 0] ** 2).sum()) for side in apart) / free
        in_images = sum(float(side[:, 1:].var(axis=1, ddof=1).sum()) for side in apart) / free * unbiased
        sources.append((max(spread - in_images, 0.0) * (1 / len(ours) + 1 / len(theirs)), free))
    variance = sum(part for part, _ in sources)
    reach = 0.0
    if variance > 0:
        freedom = variance**2 / sum(part**2 / degrees for part, degrees in sources)
        reach = float(stats.t.ppf((1 + level) / 2, freedom)) * variance**0.5
    return Difference(*means, middle, max(middle - reach, -1.0), min(middle + reach, 1.0))


def _with_ap(scored: Scored, figures: Mapping[Figure, Array]) -> Scored:
    """Results with AP and AP50 of these images."""
    assert isinstance(scored.metrics, Metrics)
    ap, ap50 = (float(figures[Figure(name)][0]) for name in ("ap", "ap50"))
    return replace(scored, metrics=replace(scored.metrics, ap=ap, ap50=ap50))


def _changes(a: Run, b: Run) -> tuple[Change, ...]:
    stored = bool(a.thresholds and b.thresholds)
    shown = [_at_thresholds(run, stored) for run in (a, b)]
    changes = [Change(path, *pair) for path, *pair in zip(a.scored.paths, *shown, strict=True)]
    return tuple(sorted((c for c in changes if c.weight), key=lambda change: -change.weight))


def _at_thresholds(run: Run, stored: bool) -> list[ImageMatch]:
    """Matches of the detections from the model's thresholds on, or from those with the largest F1 here."""
    scored, least = run.scored, dict(run.thresholds)
    if not stored:
        matches = [match_image(t, d, scored.limit) for t, d in zip(scored.targets, scored.found, strict=True)]
        for name, curve in zip(scored.names, class_curves(matches, len(scored.names)), strict=True):
            best = curve.best()
            least[name] = DEFAULT_THRESHOLD if best is None else best.threshold
    return [
        match_image(t, d.above(least), scored.limit)
        for t, d in zip(scored.targets, scored.found, strict=True)
    ]
