"""The stage that lost an object: through which filters of a detector a labelled object's boxes came.

A box *serves* an object while its IoU with it is at least a threshold: up to the proposals the box that the
head decoded from an anchor, in the second stage the box decoded for the object's own class, each cut to the
image. An object is lost at the stage after the last one that left a box that serves it. It is found when
COCO's greedy one-to-one matching gives it a final box.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from masu.detectors.detector import Detector
from masu.detectors.stages import CLASS_SCORE, Reason
from masu.detectors.targets import Assignment
from masu.detectors.trace import StageTrace, Trace
from masu.evaluation.difficult import difficult_iou
from masu.ops.geometry import iou, resize
from masu.records import OBJECT, Detections, Target

BEFORE = {
    "unknown_class": "the detector does not know its class",
    "anchors": "no anchor is near enough to learn from, and no decoded box reaches it",
}
OF_CLASS_SCORE = {
    "other_class": "another class wins on its best box",
    "background": "its class scores too low, background wins on its best box",
}
AFTER = {
    "taken": "its boxes count for other objects, which they fit better or first",
    "found": "a final box of its class is matched to it",
}
"""Places where an object can be lost that are no filter of one stage, and what each means."""

SIZES = ("small", "medium", "large")
"""COCO's sizes: areas of objects up to 32² px, up to 96², and above."""

PAIRS = 2**22
"""Pairs of object and anchor whose overlaps are in memory at once."""

_Ints: TypeAlias = npt.NDArray[np.int64]
_Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Fate:
    """What became of one labelled object.

    Attributes:
        image: position of the image in the data set.
        object: position of the object in the image's target.
        name: its class.
        box: xyxy in pixels of the image.
        size: one of ``SIZES``.
        stage: where it was lost, one of :func:`places_of`; ``"found"`` where it was not.
        anchor_iou: IoU of its best anchor, at the network's scale.
        anchor_level: feature level of that anchor, finest 0.
        label: what it is in training: ``"positive"``; ``"restored"``, positive by low-quality matches
            only; ``"ignored"`` or ``"background"``, where no anchor stands for it.
        box_iou: IoU of the best box that the head decoded from any anchor.
        rank: place of that box's anchor within its level, best 0.
        anchor: the anchor of the box that came furthest.
        score: of the final box that is matched to it, or the best score of its class among the boxes that
            serve it; None where none got so far.
        by_box: the box that its own gave way to, at ``"proposal_nms"`` and ``"class_nms"``.
        by_object: the object that this box serves best, or that was matched in its place (``"taken"``).
        detection: the final box that is matched to it, or at ``"taken"`` to that other object.
        instead: the class that wins, at ``"other_class"``.
    """

    image: int
    object: int
    name: str
    box: tuple[float, float, float, float]
    size: str
    stage: str
    anchor_iou: float
    anchor_level: int
    label: str
    box_iou: float
    rank: int
    anchor: int
    score: float | None = None
    by_box: tuple[float, ...] | None = None
    by_object: int | None = None
    detection: int | None = None
    instead: str | None = None


def places_of(detector: Detector) -> dict[str, str]:
    """The places where this detector can lose an object, in order, and what each means; ``"found"`` last."""
    places = dict(BEFORE)
    if detector.kind == "proposals":
        del places["unknown_class"]
    for stage in detector.stages:
        for reason in stage.reasons.values():
            places |= names_of(reason)
    return places | AFTER


def names_of(reason: Reason) -> dict[str, str]:
    """What the funnel calls a place where a stage loses boxes, and what each name means."""
    return OF_CLASS_SCORE if reason is CLASS_SCORE else {reason.name: reason.meaning}


def matched(overlap: npt.NDArray[np.float64], same: _Bools, threshold: float) -> _Ints:
    """COCO's greedy one-to-one matching: each detection takes the free object that it overlaps most.

    Args:
        overlap: ``(M, D)`` IoU of objects and detections, best detection first.
        same: ``(M, D)`` true where both are of one class.
        threshold: smallest IoU of a match.

    Returns:
        ``(M,)`` the detection of each object, −1 without.
    """
    able = same & (overlap >= min(threshold, 1 - 1e-10))  # the guard is pycocotools'
    taken = np.full(len(overlap), -1, dtype=np.int64)
    for detection in np.flatnonzero(able.any(0)):
        free = np.flatnonzero(able[:, detection] & (taken < 0))
        if len(free):
            of_free = overlap[free, detection]
            taken[free[of_free == of_free.max()][-1]] = detection
    return taken


def left_out(target: Target, classes: Tensor, found: Detections, threshold: float) -> _Bools:
    """``(D,)`` detections that mean a difficult object, so that no other object is found by them.

    Args:
        target: the image's objects.
        classes: ``(M,)`` the detector's class of each.
        found: final boxes, in pixels of the image.
        threshold: smallest IoU of a match.
    """
    overlap = iou(found.boxes.double(), target.boxes.double()).numpy()
    same = (found.labels[:, None] == classes).numpy()
    out: _Bools = difficult_iou(overlap, same, target.ignored.numpy(), target.difficult.numpy()) >= threshold
    return out


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Objects and the boxes that serve them, a row per pair; ``ranking`` says which box leads."""

    object: _Ints
    anchor: _Ints
    row: _Ints
    candidate: _Ints
    ranking: npt.NDArray[np.floating[Any]]

    def where(self, mask: _Bools) -> _Pairs:
        return _Pairs(
            self.object[mask], self.anchor[mask], self.row[mask], self.candidate[mask], self.ranking[mask]
        )


@dataclass(frozen=True, eq=False)
class _Filter:
    """One filter of one stage: what loses boxes in it, and the name of that place."""

    trace: StageTrace
    what: str
    place: str


@dataclass(eq=False)
class _Walk:
    """After each filter the pair that leads for each object: −1 for those that no box serves."""

    objects: int
    filters: list[_Filter] = field(default_factory=list)
    pairs: list[_Pairs] = field(default_factory=list)
    leads: list[_Ints] = field(default_factory=list)

    def step(self, of: _Filter, pairs: _Pairs) -> _Pairs:
        lead = np.full(self.objects, -1, dtype=np.int64)
        order = pairs.ranking.argsort(kind="stable")
        lead[pairs.object[order]] = order  # of several the last, which ranks highest, stays
        self.filters.append(of)
        self.pairs.append(pairs)
        self.leads.append(lead)
        return pairs

    def lost(self, m: int) -> tuple[_Filter | None, int]:
        """The filter that lost object ``m``, None where none did, and the last one that served it, or −1."""
        last = max((s for s, lead in enumerate(self.leads) if lead[m] >= 0), default=-1)
        return (self.filters[last + 1] if last + 1 < len(self.filters) else None), last


def fates(
    detector: Detector,
    traced: Trace,
    target: Target,
    classes: Tensor,
    names: tuple[str, ...],
    image: int,
    threshold: float = 0.5,
) -> list[Fate]:
    """What became of each object of an image that is not ignored.

    Args:
        detector: that made the trace.
        traced: the trace of the image.
        target: the image's objects, in pixels of the image as it was given.
        classes: ``(M,)`` the detector's class of each object, −1 for one that it does not know.
        names: ``M`` class names of the objects.
        image: position of the image in the data set.
        threshold: IoU from which a box serves an object.
    """
    numbers = torch.where(~target.ignored)[0]
    if len(numbers) == 0:
        return []
    boxes, own = target.boxes[numbers], classes[numbers]
    first = traced.first
    scaled = target.with_boxes(resize(target.boxes, traced.original_size, traced.size))
    anchor_iou, anchor, _ = _overlaps(scaled.boxes[numbers], first.started, 2.0)
    box_iou, box, reach = _overlaps(boxes, _given(first.boxes[:, 0], traced), threshold)
    labels = _in_training(detector.assignment(first.started, scaled), len(numbers))
    level, rank = first.level, first.rank_in_level
    walk = _walk(traced, boxes, own, reach, threshold)
    fit = ~left_out(target, classes, traced.detections, threshold)
    overlap = iou(boxes.double(), traced.detections.boxes.double()).numpy()
    same = (own[:, None] == traced.detections.labels).numpy() & fit
    match = matched(overlap, same, threshold)
    sizes = target.areas[numbers]
    found: list[Fate] = []
    for m, number in enumerate(numbers.tolist()):
        lost, last = walk.lost(m)
        stage = None if lost is None else lost.place
        lead = walk.leads[last][m] if last >= 0 else -1
        more: dict[str, Any] = {"anchor": int(box[m])}
        if lead >= 0:
            pairs, reached = walk.pairs[last], walk.filters[last].trace
            more["anchor"] = int(pairs.anchor[lead])
            if reached.stage.by_class:
                ranking, label = torch.tensor(pairs.ranking[lead]), own[m].clamp(min=0)
                score = reached.stage.score(ranking)
                shown = reached.stage.calibrate or (lambda score, _: score)
                more["score"] = float(shown(score, label))
        if own[m] < 0:
            stage = "unknown_class"
        elif match[m] >= 0:
            stage = "found"
            more["detection"] = int(match[m])
            more["score"] = float(traced.detections.scores[match[m]])
        elif lost is None:
            stage = "taken"
            kept = traced.last.kept.numpy()
            detection = int(np.flatnonzero(kept == walk.pairs[last].candidate[lead])[0])
            more["detection"] = detection
            more["by_object"] = (
                int(numbers[np.flatnonzero(match == detection)[0]])
                if (match == detection).any()
                else _difficult(target, classes == own[m], traced.detections.boxes[detection])
            )
        elif last < 0 and labels[m] != "positive":
            stage = "anchors"
            more["anchor"] = int(anchor[m])
        elif stage == CLASS_SCORE.name:
            winner = _winner(detector, lost.trace, int(walk.pairs[last].row[lead]), int(own[m]))
            stage = "background" if winner is None else "other_class"
            more["instead"] = winner
        elif lost.what == "nms_thresh":
            strong = lost.trace.suppressor[int(walk.pairs[last].candidate[lead])]
            by = _given(lost.trace.candidate_boxes[strong][None], traced)
            served = iou(boxes.double(), by.double())[:, 0]
            if lost.trace.stage.by_class:
                served = served.masked_fill(own != own[m], 0)
            more["by_box"] = tuple(by[0].tolist())
            more["by_object"] = int(numbers[served.argmax()]) if served.max() >= threshold else None
        assert stage is not None
        found.append(
            Fate(
                image=image,
                object=number,
                name=names[number],
                box=tuple(boxes[m].tolist()),
                size=SIZES[int(sizes[m] > 32**2) + int(sizes[m] > 96**2)],
                stage=stage,
                anchor_iou=float(anchor_iou[m]),
                anchor_level=int(level[anchor[m]]),
                label=labels[m],
                box_iou=float(box_iou[m]),
                rank=int(rank[box[m]]),
                **more,
            )
        )
    return found


def _difficult(target: Target, same: Tensor, box: Tensor) -> int:
    """The difficult object among ``same (M,)`` that a final box means."""
    overlap = iou(target.boxes, box[None])[:, 0]
    return int(overlap.masked_fill(~(target.difficult & same), -1).argmax())


def _walk(traced: Trace, boxes: Tensor, own: Tensor, reach: tuple[_Ints, _Ints], threshold: float) -> _Walk:
    """Through the filters of every stage, in order."""
    walk, classes = _Walk(len(boxes)), own.numpy()
    origin = np.arange(len(traced.first.started))  # the anchor of each box that a stage starts from
    for number, stage in enumerate(traced.stages):
        if number:
            reach = _reached(stage, boxes, own, traced, threshold)
            before = traced.stages[number - 1]
            origin = origin[before.row[before.kept].numpy()]
        objects, row = reach
        known = classes[objects] >= 0
        objects, row = objects[known], row[known]
        column = classes[objects] if stage.stage.by_class else np.zeros_like(objects)
        ranking = stage.ranking.numpy()[row, column]
        nothing = np.full(len(objects), -1, dtype=np.int64)
        pairs = _Pairs(objects, origin[row], row, nothing, ranking)
        for what, reason in stage.stage.reasons.items():
            left = _passed(pairs, stage, what, classes)
            if what == "vote_sigma":
                left = left.where(_serves_voted(left, stage, boxes, traced, threshold))
            pairs = walk.step(_Filter(stage, what, reason.name), left)
    return walk


def _serves_voted(pairs: _Pairs, stage: StageTrace, boxes: Tensor, traced: Trace, threshold: float) -> _Bools:
    """Which pairs' boxes, all of them kept, serve their objects where they have voted."""
    place = np.empty(len(stage.row), dtype=np.int64)
    place[stage.kept.numpy()] = np.arange(len(stage.kept))
    own = _given(stage.kept_boxes[place[pairs.candidate]], traced).double()
    overlap = iou(boxes[pairs.object, None].double(), own[:, None])[:, 0, 0]
    return (overlap >= threshold).numpy()


def _passed(pairs: _Pairs, trace: StageTrace, what: str, classes: _Ints) -> _Pairs:
    """The pairs that a filter of a stage lets through, in the order of its reasons."""
    if what == "score_thresh":
        above = pairs.where(pairs.ranking > np.float32(trace.stage.least))
        return above if "pre_nms_top_n" in trace.stage.reasons else _entered(above, trace, classes)
    if what == "pre_nms_top_n":
        return _entered(pairs, trace, classes)
    if what == "min_size":
        return pairs.where(~trace.small.numpy()[pairs.candidate])
    if what == "nms_thresh":
        return pairs.where(trace.rank.numpy()[pairs.candidate] >= 0)
    if what == "limit":
        return pairs.where(trace.rank.numpy()[pairs.candidate] < trace.limit)
    return pairs


def _entered(pairs: _Pairs, trace: StageTrace, classes: _Ints) -> _Pairs:
    """Only the pairs whose box, of their class where the stage has classes, is a candidate."""
    by_class, count = trace.stage.by_class, trace.ranking.shape[1]
    key = (trace.row * count + (trace.group if by_class else 0)).numpy()
    wanted = pairs.row * count + (classes[pairs.object] if by_class else 0)
    order = key.argsort()
    place = np.searchsorted(key[order], wanted).clip(max=max(len(key) - 1, 0))
    there = key[order[place]] == wanted if len(key) else np.zeros(len(wanted), dtype=np.bool_)
    candidate = order[place] if len(key) else np.zeros(len(wanted), dtype=np.int64)
    return _Pairs(pairs.object, pairs.anchor, pairs.row, candidate, pairs.ranking).where(there)


def _reached(
    stage: StageTrace, boxes: Tensor, own: Tensor, traced: Trace, threshold: float
) -> tuple[_Ints, _Ints]:
    """Objects and the rows of a later stage whose box of the object's class serves them."""
    column = own.clamp(min=0) if stage.boxes.shape[1] > 1 else torch.zeros_like(own)
    of_class = stage.boxes[:, column].transpose(0, 1)  # (R, M, 4) → (M, R, 4)
    serves = iou(boxes[:, None].double(), _given(of_class, traced).double())[:, 0] >= threshold
    objects, row = torch.where(serves)
    return objects.numpy(), row.numpy()


def _given(boxes: Tensor, traced: Trace) -> Tensor:
    """Boxes of the network's input in pixels of the image as it was given."""
    return resize(boxes, traced.size, traced.original_size)


def _overlaps(objects: Tensor, boxes: Tensor, threshold: float) -> tuple[Tensor, Tensor, tuple[_Ints, _Ints]]:
    """Best IoU ``(M,)`` of each object, the box it is with, and all pairs with at least ``threshold``."""
    best, index, rows, columns = [], [], [], []
    at = 0
    for part in torch.split(objects.double(), max(PAIRS // max(len(boxes), 1), 1)):
        overlap = iou(part, boxes.double()).nan_to_num_(nan=0)
        values, places = overlap.max(1)
        row, column = torch.where(overlap >= threshold)
        best.append(values)
        index.append(places)
        rows.append(row.numpy() + at)
        columns.append(column.numpy())
        at += len(part)
    return torch.cat(best), torch.cat(index), (np.concatenate(rows), np.concatenate(columns))


def _in_training(assigned: Assignment, objects: int) -> list[str]:
    """What each object is in the loss of the anchors."""
    words = ["background"] * objects
    stands = assigned.label == OBJECT
    for rows, word in (
        (assigned.between, "ignored"),
        (stands & assigned.low_quality, "restored"),
        (stands & ~assigned.low_quality, "positive"),
    ):
        for m in set(assigned.index[rows].tolist()):
            words[m] = word
    return words


def _winner(detector: Detector, trace: StageTrace, row: int, own: int) -> str | None:
    """The other class that wins on an anchor or proposal; None where background does."""
    values = trace.ranking[row].clone()
    values[own] = -torch.inf
    best = int(values.argmax())
    background = trace.stage.least if trace.background is None else float(trace.background[row])
    return detector.names[best] if values[best] > background else None
