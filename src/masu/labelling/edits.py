"""What it takes to correct drafts: boxes that are accepted, moved, given another class, deleted, drawn.

Pure arithmetic, so that the page, the choice of what is shown and the study count alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from masu.errors import bad_input
from masu.evaluation.overlaps import Array, overlaps

STANDS = 0.8
"""IoU from which a person leaves a box where it is."""

NEAR = 0.5
"""IoU from which a box is moved; below, it is quicker to draw another."""


@dataclass(frozen=True)
class Costs:
    """Seconds of a person for one box.

    Drawing is measured: Papadopoulos et al. 2017, "Extreme clicking for efficient object annotation". The
    others are reckoned by the keystroke-level model of Card, Moran and Newell 1980: 1.35 s for a look, 1.1 s
    for pointing, 0.1 s for pressing a button or letting it go, 0.28 s for a key. (The four clicks of a drawn
    box would take 6.6 s.)

    Attributes:
        draw: a box where there is none.
        move: a look, and one corner of a box or two: 1.5 times pointing, pressing, pointing, letting go.
        relabel: a look, pointing, a click, a key.
        delete: a look, pointing, a click, a key.
        accept: a look; all of a photograph are accepted with one key.
    """

    draw: float = 7.0
    move: float = 5.0
    relabel: float = 2.9
    delete: float = 2.9
    accept: float = 1.4


COSTS = Costs()
"""What masu reckons with."""


@dataclass(frozen=True)
class Edits:
    """How drafts became labels, in boxes.

    Attributes:
        accepted: drafts that stayed as they were.
        moved: drafts whose box was corrected.
        relabelled: drafts whose class was corrected; one that was also moved counts in both.
        deleted: drafts of nothing.
        drawn: labels without a draft.
    """

    accepted: int = 0
    moved: int = 0
    relabelled: int = 0
    deleted: int = 0
    drawn: int = 0

    def __add__(self, other: Edits) -> Edits:
        return Edits(
            self.accepted + other.accepted,
            self.moved + other.moved,
            self.relabelled + other.relabelled,
            self.deleted + other.deleted,
            self.drawn + other.drawn,
        )

    @property
    def count(self) -> int:
        """Corrections that a person made: all but what was accepted."""
        return self.moved + self.relabelled + self.deleted + self.drawn

    def seconds(self, costs: Costs = COSTS) -> float:
        """Time of a person for all of them."""
        return (
            costs.accept * self.accepted
            + costs.move * self.moved
            + costs.relabel * self.relabelled
            + costs.delete * self.deleted
            + costs.draw * self.drawn
        )


def edits_between(
    drafts: Array, draft_names: Sequence[str], labels: Array, label_names: Sequence[str]
) -> Edits:
    """The edits that turn the drafts of a photograph into its labels.

    A draft and a label become partners where that saves most: first those of the same class that stand
    (IoU of at least 0.8), then those of another class that stand, then those that are moved (IoU from 0.5);
    of equals the largest IoU first.

    Args:
        drafts: ``(D, 4)`` xyxy in pixels.
        draft_names: ``D`` class names.
        labels: ``(M, 4)`` xyxy in pixels.
        label_names: ``M`` class names.

    Raises:
        InputError: for not as many names as boxes.
    """
    drafts, labels = _boxes("drafts", drafts, draft_names), _boxes("labels", labels, label_names)
    iou = overlaps(drafts, labels, np.zeros(len(labels), np.bool_))
    rows, columns = np.nonzero(iou >= NEAR)
    close = iou[rows, columns]
    stands = close >= STANDS
    same = np.array(
        [draft_names[i] == label_names[j] for i, j in zip(rows.tolist(), columns.tolist(), strict=True)],
        np.bool_,
    )
    saved = np.where(stands, 0.0, COSTS.move) + np.where(same, 0.0, COSTS.relabel)
    drafts_left, labels_left = np.ones(len(drafts), np.bool_), np.ones(len(labels), np.bool_)
    accepted = moved = relabelled = 0
    for at in np.lexsort((-close, saved)):
        row, column = rows[at], columns[at]
        if drafts_left[row] and labels_left[column]:
            drafts_left[row] = labels_left[column] = False
            accepted += int(stands[at] and same[at])
            moved += int(not stands[at])
            relabelled += int(not same[at])
    return Edits(accepted, moved, relabelled, int(drafts_left.sum()), int(labels_left.sum()))


def _boxes(thing: str, boxes: Array, names: Sequence[str]) -> Array:
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if len(boxes) != len(names):
        raise bad_input(thing, f"{len(boxes)} boxes and {len(names)} names", "a name for each box")
    return boxes


@dataclass(frozen=True, eq=False)
class Judged:
    """A labelled photograph, and what a model that has not learnt from it finds there.

    Attributes:
        boxes: ``(D, 4)`` xyxy in pixels, of the detections.
        scores: ``(D,)``.
        names: ``D`` class names.
        labels: ``(M, 4)`` xyxy in pixels.
        label_names: ``M`` class names.
    """

    boxes: Array
    scores: Array
    names: tuple[str, ...]
    labels: Array
    label_names: tuple[str, ...]

    def seconds(self, thresholds: Mapping[str, float]) -> float:
        """Time to correct the detections from these scores on."""
        kept = self.scores >= np.array([thresholds[name] for name in self.names])
        names = [name for name, mine in zip(self.names, kept, strict=True) if mine]
        return edits_between(self.boxes[kept], names, self.labels, self.label_names).seconds()


USUAL = 0.5
"""Score from which drafts are shown where nothing says another."""

FEWEST = 10
"""Labels from which a score is chosen; of a class, or of all together."""

_TRIED = tuple(round(0.05 * step, 2) for step in range(2, 19))


def cheapest_thresholds(photographs: Sequence[Judged], names: Sequence[str]) -> dict[str, float]:
    """The scores from which drafts cost least to correct, of each class.

    First one score for all classes, then one for each class with enough labels, the others staying as they
    are. Of equally good ones the nearest to 0.5; one below 0.5 only as far as the photographs agree on it.
    With fewer than ten labels it is 0.5.

    Args:
        photographs: labelled ones that the model has not learnt from.
        names: the model's classes.
    """
    labelled = [name for one in photographs for name in one.label_names]
    thresholds = dict.fromkeys(names, USUAL)
    if len(labelled) < FEWEST:
        return thresholds
    thresholds = _cheapest(photographs, thresholds, names)
    for name in names:
        if labelled.count(name) >= FEWEST:
            concerned = [one for one in photographs if name in one.names]
            thresholds = _cheapest(concerned, thresholds, [name])
    return thresholds


def _cheapest(
    photographs: Sequence[Judged], thresholds: Mapping[str, float], changed: Sequence[str]
) -> dict[str, float]:
    """The thresholds with the best score for some classes, in the place of theirs."""
    tried = [{**thresholds, **dict.fromkeys(changed, score)} for score in _TRIED]
    cost = np.array([[one.seconds(each) for each in tried] for one in photographs]).reshape(-1, len(tried))
    total = cost.sum(axis=0)
    order = sorted(range(len(tried)), key=lambda at: (round(total[at], 6), abs(_TRIED[at] - USUAL), -at))
    return tried[_raised(cost, order[0])]


def _raised(cost: Array, best: int) -> int:
    """A score below 0.5 only where the photographs agree on it.

    The highest up to 0.5 whose cost is within one standard error of the best one's (Breiman et al. 1984,
    "Classification and Regression Trees", section 3.4.3): of few photographs one with a lucky box would have
    many be shown that are wrong.

    Args:
        cost: ``(N, T)`` seconds of each photograph at each score that was tried.
        best: the cheapest of the scores.
    """
    if len(cost) < 2 or _TRIED[best] >= USUAL:
        return best
    more = cost - cost[:, [best]]
    error = more.std(axis=0, ddof=1) * len(cost) ** 0.5
    within = more.sum(axis=0) <= error + 1e-9
    return max(at for at in range(best, len(_TRIED)) if within[at] and _TRIED[at] <= USUAL)
