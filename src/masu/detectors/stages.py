"""The one post-processing: from the boxes that a stage starts from to the boxes that it keeps.

Every detector is a sequence of stages, and every stage the same steps: the scores above a threshold, of
these the best of each level, decoded and cut to the image; small ones dropped; suppression within a level or
a class; the best kept; where a detector wants it, each where the boxes around it vote it to be. All of it on
tensors whose sizes do not depend on what is found, with a ranking of minus infinity for what is not there.
``detections``, the trace, what-if, saliency and the exported graph are derived from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from masu.detectors.raw import Raw
from masu.ops.geometry import clip, degenerate
from masu.ops.nms import ABSENT, best_first, suppress, top_k
from masu.ops.voting import vote_boxes


@dataclass(frozen=True)
class Reason:
    """A place where a stage can lose a box.

    Attributes:
        name: as the funnel prints it.
        meaning: in words, of an object that is lost there.
    """

    name: str
    meaning: str


Reasons = Mapping[str, Reason]
"""By what loses a box, in the order in which it happens: ``"regression"``, then names of :class:`Stage`'s
settings."""

PROPOSAL_REASONS: Reasons = {
    "regression": Reason("regression", "an anchor is near enough, but no decoded box reaches it"),
    "score_thresh": Reason("score", "its proposals score too low"),
    "pre_nms_top_n": Reason("top_k", "its boxes are not among the best of their level"),
    "min_size": Reason("small", "its proposals are smaller than the smallest allowed"),
    "nms_thresh": Reason("proposal_nms", "its proposals gave way to better ones beside it"),
    "limit": Reason("kept", "its proposals come after the last one kept"),
}
"""Of a stage without classes."""

_LAST: Reasons = {
    "min_size": Reason("small_box", "its boxes are smaller than the smallest allowed"),
    "nms_thresh": Reason("class_nms", "its boxes gave way to better ones of its class"),
    "limit": Reason("max_detections", "its boxes come after the last detection allowed"),
}

CLASS_SCORE = Reason("class_score", "the score of its class is too low: another class or background wins")
"""Of a stage with classes; the funnel tells apart which of the two it was."""

ONE_STAGE_REASONS: Reasons = {
    "regression": PROPOSAL_REASONS["regression"],
    "score_thresh": CLASS_SCORE,
    "pre_nms_top_n": PROPOSAL_REASONS["pre_nms_top_n"],
    **_LAST,
}
"""Of a stage that finds classes for anchors."""

ROI_REASONS: Reasons = {
    "regression": Reason("box_regression", "no box that the last stage gives its class reaches it"),
    "score_thresh": CLASS_SCORE,
    **_LAST,
    "vote_sigma": Reason("box_voting", "the boxes around its box have voted it away from the object"),
}
"""Of a stage that finds classes for proposals."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The boxes that a stage starts from on one feature level (of all, where it has no levels).

    Attributes:
        boxes: ``(R, 4)``, or ``(N, R, 4)`` where images differ: anchors or proposals.
        ranking: ``(N, R, C)`` of each class (or of objectness): the higher, the better; minus infinity where
            there is no box.
        deltas: ``(N, R, C, 4)``, or ``(N, R, 1, 4)`` where classes share a box.
        background: ``(N, R)`` score of background, where the stage has one.
    """

    boxes: Tensor
    ranking: Tensor
    deltas: Tensor
    background: Tensor | None = None

    def log_odds(self, label: int) -> Tensor:
        """``(N, R)``: the sigmoid of it is the score of class ``label``; here the ranking is just that."""
        return self.ranking[..., label]


Look: TypeAlias = "Callable[[Raw, Kept | None], Sequence[Rows]]"
"""Network outputs and, but for the first stage, what the stage before kept → rows per level.

Only the first stage may read ``raw.levels``; later ones have the images and features."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One ranking and suppression of boxes, as data: the network that it asks, and its settings.

    Attributes:
        name: ``"proposals"``, ``"detections"`` …
        look: the network, asked for its rows.
        decode: deltas and boxes → boxes.
        reasons: where the stage loses boxes.
        by_class: boxes of different classes do not suppress each other; else those of different levels.
        ranks_logits: the ranking is a logit; else it is the score itself.
        score_thresh: a score is above this.
        reaching: a score of just ``score_thresh`` counts as well.
        pre_nms_top_n: best rankings of each level that are decoded; None: all.
        min_size: shortest side of a box in pixels of the network's input.
        nms_thresh: IoU above which the weaker of two boxes is dropped; None: none is.
        limit: the most boxes kept; None: all of them.
        limit_name: what the model's configuration calls the limit.
        vote_sigma: a box that is kept becomes the mean of the boxes of its class around it, see
            :func:`masu.ops.vote_boxes`; 0: it stays as it is.
        calibrate: scores and labels → scores, rising within a class; None: they stay the network's.
    """

    name: str
    look: Look
    decode: Callable[[Tensor, Tensor], Tensor]
    reasons: Reasons
    by_class: bool
    ranks_logits: bool = True
    score_thresh: float = 0.0
    reaching: bool = False
    pre_nms_top_n: int | None = None
    min_size: float = 0.0
    nms_thresh: float | None = None
    limit: int | None = None
    limit_name: str = "detections_per_img"
    vote_sigma: float = 0.0
    calibrate: Callable[[Tensor, Tensor], Tensor] | None = None

    def score(self, ranking: Tensor) -> Tensor:
        """Scores in 0..1 of a ranking."""
        return ranking.sigmoid() if self.ranks_logits else ranking

    @property
    def least(self) -> float:
        """A ranking must be above this."""
        bound = np.float32(_logit(self.score_thresh) if self.ranks_logits else self.score_thresh)
        return float(np.nextafter(bound, np.float32(ABSENT)) if self.reaching else bound)


def _logit(score: float) -> float:
    if 0 < score < 1:
        return math.log(score / (1 - score))
    return ABSENT if score <= 0 else math.inf


@dataclass(frozen=True, eq=False)
class Candidates:
    """Decoded boxes on their way into suppression, ``S`` rows per image.

    Attributes:
        row: ``(N, S)`` int64, the anchor or proposal that each box is from, counted over all levels.
        group: ``(N, S)`` int64 class or feature level; boxes of different groups do not suppress each other.
        ranking: ``(N, S)``, minus infinity where there is no box or its score is too low.
        boxes: ``(N, S, 4)`` xyxy in pixels of the network's input, cut to the image.
        small: ``(N, S)`` booleans, true for boxes that are too small.
        lists: the rows are that many lists of one length, and lists never meet.
    """

    row: Tensor
    group: Tensor
    ranking: Tensor
    boxes: Tensor
    small: Tensor
    lists: int


@dataclass(frozen=True, eq=False)
class Kept:
    """What a stage keeps: a fixed number of boxes per image, best first.

    Attributes:
        boxes: ``(N, D, 4)`` xyxy, where they have voted; zeros beyond ``count``.
        scores: ``(N, D)`` in 0..1; zeros beyond ``count``.
        labels: ``(N, D)`` int64 class ids, 0 of a stage without classes; zeros beyond ``count``.
        count: ``(N,)`` int64, how many rows of each image are boxes.
        index: ``(N, D)`` int64, the candidate that each box was; 0 beyond ``count``.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    count: Tensor
    index: Tensor

    @property
    def there(self) -> Tensor:
        """``(N, D)`` booleans, true where a row is a box."""
        return torch.arange(self.boxes.shape[1], device=self.count.device) < self.count[:, None]

    def with_boxes(self, boxes: Tensor) -> Kept:
        """The same with the boxes elsewhere."""
        return replace(self, boxes=boxes)


@dataclass(frozen=True, eq=False)
class Step:
    """One stage that was run: what it started from, what it made of it and what it kept.

    Attributes:
        stage: its description.
        rows: per level.
        candidates: those among the best of their level that score enough.
        survived: ``(N, S)`` booleans, the candidates that are left after suppression.
        kept: the best of these.
    """

    stage: Stage
    rows: tuple[Rows, ...]
    candidates: Candidates
    survived: Tensor
    kept: Kept


def run(stages: Sequence[Stage], raw: Raw, known: Sequence[Step] = ()) -> tuple[Step, ...]:
    """Run stages one after the other.

    Args:
        stages: of a detector, in order.
        raw: outputs of its network.
        known: the first steps, where they were run before; the stages after them follow.
    """
    steps = list(known)
    for stage in stages[len(known) :]:
        given = steps[-1].kept if steps else None
        steps.append(step(stage, stage.look(raw, given), raw.images.sizes))
    return tuple(steps)


def step(stage: Stage, rows: Sequence[Rows], sizes: Tensor) -> Step:
    """The five steps of one stage.

    Args:
        stage: its settings.
        rows: per level, from ``stage.look``.
        sizes: ``(N, 2)`` height and width of each image within the network's input.
    """
    of_level = _all_by_class if stage.pre_nms_top_n is None else _best_of_level
    found = _together(stage, [of_level(stage, level, sizes) for level in rows], rows)
    ranking = torch.where(found.small, ABSENT, found.ranking)
    survived = ranking > ABSENT
    if stage.nms_thresh is not None:
        images, length = found.boxes.shape[0] * found.lists, found.boxes.shape[1] // found.lists
        survived = suppress(
            found.boxes.reshape(images, length, 4),
            ranking.reshape(images, length),
            found.group if found.lists == 1 else None,
            stage.nms_thresh,
            1 if found.lists > 1 else rows[0].ranking.shape[2] if stage.by_class else len(rows),
        ).reshape(ranking.shape)
    kept = _kept(stage, found, torch.where(survived, ranking, ABSENT))
    if stage.vote_sigma > 0:
        kept = kept.with_boxes(_voted(stage, found, ranking, kept))
    return Step(stage, tuple(rows), found, survived, kept)


def _best_of_level(stage: Stage, rows: Rows, sizes: Tensor) -> Candidates:
    """The best ``pre_nms_top_n`` pairs of row and class, only those decoded."""
    assert stage.pre_nms_top_n is not None
    classes = rows.ranking.shape[2]
    ranking, index = top_k(rows.ranking.flatten(1), stage.pre_nms_top_n, stage.least)
    row, group = index // classes, index % classes
    shared = rows.deltas.shape[2] == 1
    deltas = take(rows.deltas.flatten(1, 2), row if shared else index)
    boxes = clip(stage.decode(deltas, take(rows.boxes, row)), sizes[:, None])
    return Candidates(row, group, ranking, boxes, degenerate(boxes, stage.min_size), 1)


def _all_by_class(stage: Stage, rows: Rows, sizes: Tensor) -> Candidates:
    """All pairs of row and class, the rows of one class together."""
    images, count, classes = rows.ranking.shape
    ranking = rows.ranking.transpose(1, 2)  # (N, R, C) → (N, C, R)
    ranking = torch.where(ranking > stage.least, ranking, ABSENT).flatten(1)
    own = rows.boxes[:, None] if rows.boxes.ndim == 3 else rows.boxes
    boxes = clip(stage.decode(rows.deltas.transpose(1, 2), own), sizes[:, None, None])  # (N, C or 1, R, 4)
    boxes = boxes.expand(images, classes, count, 4).flatten(1, 2)
    number = torch.arange(classes * count, device=boxes.device).expand(images, -1)
    small = degenerate(boxes, stage.min_size)
    return Candidates(number % count, number // count, ranking, boxes, small, classes)


def _together(stage: Stage, parts: Sequence[Candidates], rows: Sequence[Rows]) -> Candidates:
    """The candidates of all levels, rows counted on; without classes the group is the level."""
    before, row, group = 0, [], []
    for number, (part, level) in enumerate(zip(parts, rows, strict=True)):
        row.append(part.row + before)
        group.append(part.group if stage.by_class else torch.full_like(part.group, number))
        before += level.ranking.shape[1]
    ranking, boxes, small = (
        torch.cat([getattr(part, name) for part in parts], dim=1) for name in ("ranking", "boxes", "small")
    )
    alike = len({part.boxes.shape[1] for part in parts}) == 1
    lists = parts[0].lists if len(parts) == 1 else len(parts) if alike and not stage.by_class else 1
    return Candidates(torch.cat(row, 1), torch.cat(group, 1), ranking, boxes, small, lists)


def _kept(stage: Stage, found: Candidates, ranking: Tensor) -> Kept:
    ranking, index = best_first(ranking, ranking.shape[1] if stage.limit is None else stage.limit)
    there = ranking > ABSENT
    labels = found.group.gather(1, index) if stage.by_class else torch.zeros_like(index)
    scores = stage.score(ranking)
    if stage.calibrate is not None:  # classes may change places
        calibrated = torch.where(there, stage.calibrate(scores, labels), ABSENT)
        scores, order = best_first(calibrated, calibrated.shape[1])
        index, labels = index.gather(1, order), labels.gather(1, order)
    return Kept(
        boxes=torch.where(there[..., None], take(found.boxes, index), 0.0),
        scores=torch.where(there, scores, 0.0),
        labels=torch.where(there, labels, 0),
        count=there.sum(dim=1),
        index=index,
    )


def _voted(stage: Stage, found: Candidates, ranking: Tensor, kept: Kept) -> Tensor:
    """Where the boxes that took part in suppression vote those of their class to be."""
    taking_part = ranking > ABSENT
    scores = torch.where(taking_part, stage.score(ranking), 0.0)
    if found.lists > 1:  # a list for each class: each box meets those of its own
        images = scores.shape[0]  # len() would be a constant of the exported graph
        boxes = found.boxes.reshape(images, found.lists, -1, 4)
        scores = scores.reshape(images, found.lists, -1)
        image = torch.arange(images, device=boxes.device)[:, None]
        boxes, scores = boxes[image, kept.labels], scores[image, kept.labels]
    else:
        own = found.group[:, None] == kept.labels[..., None]
        boxes, scores = found.boxes[:, None], torch.where(own, scores[:, None], 0.0)
    return vote_boxes(kept.boxes, boxes, scores, stage.vote_sigma)


def take(table: Tensor, index: Tensor) -> Tensor:
    """Rows ``index (N, k)`` of ``(N, R, 4)``, or of ``(R, 4)`` that all images share: ``(N, k, 4)``."""
    if table.ndim == 2:
        return table[index]
    return table.gather(1, index[..., None].expand(-1, -1, table.shape[2]))
