"""What became of every anchor and proposal of an image, from the head's outputs to the final boxes.

The trace keeps what ``detections(raw)`` throws away. It is made from the very steps that ``detections``
takes, so that its final boxes are the detector's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from masu.detectors.detector import Detector, in_given_pixels
from masu.detectors.raw import Raw
from masu.detectors.stages import Rows, Stage, Step
from masu.ops.geometry import clip
from masu.ops.nms import ABSENT, suppressors
from masu.records import Detections


@dataclass(frozen=True, eq=False)
class StageTrace:
    """One image's boxes in one stage. Boxes are xyxy in pixels of the network's input.

    Attributes:
        stage: its description.
        started: ``(R, 4)`` the boxes it started from: anchors, or what the stage before kept, best first.
        ranking: ``(R, C)`` of each class, or of objectness (``C`` is 1).
        background: ``(R,)`` score of background; None where the stage has none.
        level: ``(R,)`` int64 feature level, finest 0; 0 for proposals.
        decoded: ``(R, C or 1, 4)`` boxes as the head moved them; 1 where classes share a box.
        boxes: the same cut to the image.
        row: ``(C,)`` int64, of each candidate the box it is from.
        group: ``(C,)`` int64 its class, or feature level.
        candidate_ranking: ``(C,)``.
        candidate_boxes: ``(C, 4)``.
        small: ``(C,)`` booleans, too small a box.
        suppressor: ``(C,)`` int64 index of the candidate that a box gave way to, else −1.
        rank: ``(C,)`` int64 place among the survivors of suppression, best 0; −1 for all others.
        kept: ``(D,)`` int64 candidates that remain, best first.
        kept_boxes: ``(D, 4)`` where these are in the end: where they have voted, else where they were.
    """

    stage: Stage
    started: Tensor
    ranking: Tensor
    background: Tensor | None
    level: Tensor
    decoded: Tensor
    boxes: Tensor
    row: Tensor
    group: Tensor
    candidate_ranking: Tensor
    candidate_boxes: Tensor
    small: Tensor
    suppressor: Tensor
    rank: Tensor
    kept: Tensor
    kept_boxes: Tensor

    @property
    def limit(self) -> int:
        """Survivors of this rank and beyond are cut off."""
        return len(self.row) if self.stage.limit is None else self.stage.limit

    @property
    def scores(self) -> Tensor:
        """``(C,)`` scores of the candidates, 0..1."""
        return self.stage.score(self.candidate_ranking)

    @property
    def rank_in_level(self) -> Tensor:
        """``(R,)`` int64 place of each box's best ranking within its level, best 0."""
        best, ranks = self.ranking.amax(1), torch.empty_like(self.level)
        for level in range(int(self.level.max()) + 1 if len(self.level) else 0):
            own = torch.where(self.level == level)[0]
            order = own[best[own].argsort(descending=True, stable=True)]
            ranks[order] = torch.arange(len(own), device=ranks.device)
        return ranks


@dataclass(frozen=True, eq=False)
class Trace:
    """One image's way through a detector.

    Attributes:
        stages: in order; the first starts from all anchors.
        size: ``(2,)`` int64 height and width of the image within the network's input.
        original_size: ``(2,)`` int64 height and width of the image as it was given.
        detections: the final boxes, in pixels of the image as it was given.
        steps: what the stages were made of, for all images of the batch.
    """

    stages: tuple[StageTrace, ...]
    size: Tensor
    original_size: Tensor
    detections: Detections
    steps: tuple[Step, ...]

    @property
    def first(self) -> StageTrace:
        """The stage that starts from all anchors."""
        return self.stages[0]

    @property
    def last(self) -> StageTrace:
        """The stage that the final boxes came out of; detection ``k`` is number ``k`` of its ``kept``."""
        return self.stages[-1]


def trace(detector: Detector, raw: Raw) -> list[Trace]:
    """Follow every anchor of a batch to the final boxes; one trace per image.

    Args:
        detector: any of masu's.
        raw: result of its ``forward``; no gradient flows back through it.
    """
    with torch.no_grad():
        steps = detector.process(raw)
        found = detector.named(in_given_pixels(steps[-1].kept, raw.images))
        sizes, original = raw.images.sizes, raw.images.original_sizes
        return [
            Trace(tuple(_of_image(s, i, sizes[i]) for s in steps), sizes[i], original[i], found[i], steps)
            for i in range(len(found))
        ]


def _of_image(step: Step, i: int, size: Tensor) -> StageTrace:
    c, stage = step.candidates, step.stage
    there = torch.where(c.ranking[i] > ABSENT)[0]
    boxes, group, ranking = c.boxes[i, there], c.group[i, there], c.ranking[i, there]
    small, survived = c.small[i, there], step.survived[i, there]
    left = torch.where(survived)[0]
    left = left[ranking[left].argsort(descending=True, stable=True)]
    rank = torch.full_like(there, -1)
    rank[left] = torch.arange(len(left), device=rank.device)
    suppressor = torch.full_like(there, -1)
    if stage.nms_thresh is not None:
        suppressor = suppressors(boxes, group, ~small, left, stage.nms_thresh)
    place = torch.full_like(c.row[i], -1)
    place[there] = torch.arange(len(there), device=place.device)
    of_kept = step.kept.there[i]
    return StageTrace(
        stage,
        *_rows_of(step, i, size),
        row=c.row[i, there],
        group=group,
        candidate_ranking=ranking,
        candidate_boxes=boxes,
        small=small,
        suppressor=suppressor,
        rank=rank,
        kept=place[step.kept.index[i]][of_kept],
        kept_boxes=step.kept.boxes[i][of_kept],
    )


def _rows_of(
    step: Step, i: int, size: Tensor
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor, Tensor]:
    """Of one image: boxes started from, ranking, background, level, decoded boxes, and these when cut."""
    started, ranking, deltas, level = [], [], [], []
    for number, rows in enumerate(step.rows):
        own, there = _own(rows, i)
        started.append(own[there])
        ranking.append(rows.ranking[i][there])
        deltas.append(rows.deltas[i][there])
        level.append(torch.full((len(started[-1]),), number, device=own.device))
    background = step.rows[0].background
    if background is not None:
        background = background[i][_own(step.rows[0], i)[1]]
    all_started = torch.cat(started)
    decoded = step.stage.decode(torch.cat(deltas), all_started[:, None])
    return all_started, torch.cat(ranking), background, torch.cat(level), decoded, clip(decoded, size)


def _own(rows: Rows, i: int) -> tuple[Tensor, Tensor]:
    """Boxes ``(R, 4)`` of one image, and which of them are there."""
    if rows.boxes.ndim == 2:
        return rows.boxes, torch.ones(len(rows.boxes), dtype=torch.bool, device=rows.boxes.device)
    return rows.boxes[i], (rows.ranking[i] > ABSENT).any(1)
