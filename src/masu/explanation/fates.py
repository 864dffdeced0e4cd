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
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.proposals import Raw, label
from masu.detectors.retinanet import RetinaNet, logit
from masu.detectors.trace import Filtered, Trace
from masu.ops.geometry import area, iou, resize
from masu.records import IGNORE, OBJECT, Target

STAGES = {
    "unknown_class": "the detector does not know its class",
    "anchors": "no anchor is near enough to learn from, and no decoded box reaches it",
    "regression": "an anchor is near enough, but no decoded box reaches it",
    "top_k": "its boxes are not among the best of their level",
    "small": "its proposals are smaller than the smallest allowed",
    "score": "its proposals score too low",
    "proposal_nms": "its proposals gave way to better ones beside it",
    "kept": "its proposals come after the last one kept",
    "box_regression": "no box that the second stage gives its class reaches it",
    "other_class": "another class wins on its best box",
    "background": "its class scores too low, background wins on its best box",
    "small_box": "its boxes are smaller than the smallest allowed",
    "class_nms": "its boxes gave way to better ones of its class",
    "max_detections": "its boxes come after the last detection allowed",
    "taken": "its boxes count for other objects, which they fit better or first",
    "found": "a final box of its class is matched to it",
}
"""Every stage that can lose an object, and what that means."""

_RPN = ("anchors", "regression", "top_k", "small", "score", "proposal_nms", "kept")
_LAST = ("small_box", "class_nms", "max_detections", "taken", "found")

SIZES = ("small", "medium", "large")
"""COCO's sizes: areas up to 32² px, up to 96², and above."""

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
        stage: where it was lost, one of ``STAGES``, or ``"found"``.
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


def stages_of(detector: Detector) -> tuple[str, ...]:
    """The stages that this detector has, in order, with ``"found"`` last."""
    if isinstance(detector, FasterRCNN):
        return ("unknown_class", *_RPN, "box_regression", "other_class", "background", *_LAST)
    if isinstance(detector, RetinaNet):
        return ("unknown_class", "anchors", "regression", "other_class", "background", "top_k", *_LAST)
    return (*_RPN, "taken", "found")


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


@dataclass(eq=False)
class _Walk:
    """After each stage, by name, the pair that leads for each object: −1 for those that no box serves."""

    objects: int
    names: list[str] = field(default_factory=list)
    pairs: list[_Pairs] = field(default_factory=list)
    leads: list[_Ints] = field(default_factory=list)

    def step(self, name: str, pairs: _Pairs) -> _Pairs:
        lead = np.full(self.objects, -1, dtype=np.int64)
        order = pairs.ranking.argsort(kind="stable")
        lead[pairs.object[order]] = order  # of several the last, which ranks highest, stays
        self.names.append(name)
        self.pairs.append(pairs)
        self.leads.append(lead)
        return pairs

    def lost(self, m: int) -> tuple[str | None, int]:
        """The stage that lost object ``m``, None where none did, and the last step that served it, or −1."""
        last = max((s for s, lead in enumerate(self.leads) if lead[m] >= 0), default=-1)
        return (self.names[last + 1] if last + 1 < len(self.names) else None), last


def fates(
    detector: Detector,
    raw: Raw,
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
        raw: its outputs for this image alone.
        traced: their trace.
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
    in_network = resize(target.boxes, traced.original_size, traced.size)
    scaled = Target._trusted(in_network, target.labels, target.ignored)
    first = traced.anchors
    anchor_iou, anchor, _ = _overlaps(scaled.boxes[numbers], first.anchors, 2.0)
    box_iou, box, reach = _overlaps(boxes, _given(first.boxes, traced), threshold)
    labels = _training_labels(detector, first.anchors, scaled, len(numbers))
    walk = _walk(detector, traced, boxes, own, reach, threshold)
    overlap = iou(boxes.double(), traced.detections.boxes.double()).numpy()
    same = own[:, None] == traced.detections.labels
    match = matched(overlap, same.numpy(), threshold)
    sizes = area(boxes)
    found: list[Fate] = []
    for m, number in enumerate(numbers.tolist()):
        stage, last = walk.lost(m)
        lead = walk.leads[last][m] if last >= 0 else -1
        more: dict[str, Any] = {"anchor": int(box[m])}
        if lead >= 0:
            pairs = walk.pairs[last]
            more["anchor"] = int(pairs.anchor[lead])
            if traced.rois is not None and walk.names[last] not in _RPN:
                more["score"] = float(pairs.ranking[lead])
            elif isinstance(detector, RetinaNet) and last >= 0:
                more["score"] = float(torch.tensor(pairs.ranking[lead]).sigmoid())
        if own[m] < 0:
            stage = "unknown_class"
        elif match[m] >= 0:
            stage = "found"
            more["detection"] = int(match[m])
            more["score"] = float(traced.detections.scores[match[m]])
        elif stage is None:
            stage = "taken"
            kept = traced.last.kept.numpy()
            detection = int(np.flatnonzero(kept == walk.pairs[last].candidate[lead])[0])
            more["detection"] = detection
            more["by_object"] = int(numbers[np.flatnonzero(match == detection)[0]])
        elif stage == "regression" and anchor_iou[m] < matching(detector)[0]:
            stage = "anchors"
            more["anchor"] = int(anchor[m])
        elif stage == "class_score":
            winner = _winner(detector, traced, int(walk.pairs[last].row[lead]), int(own[m]))
            stage = "background" if winner is None else "other_class"
            more["instead"] = winner
        elif stage in ("proposal_nms", "class_nms"):
            filtered = first.filtered if stage == "proposal_nms" else traced.last
            strong = filtered.suppressor[int(walk.pairs[last].candidate[lead])]
            by = _given(filtered.candidates.boxes[strong][None], traced)
            served = iou(boxes.double(), by.double())[:, 0]
            if stage == "class_nms":
                served = served.masked_fill(own != own[m], 0)
            more["by_box"] = tuple(by[0].tolist())
            more["by_object"] = int(numbers[served.argmax()]) if served.max() >= threshold else None
        found.append(
            Fate(
                image=image,
                object=number,
                name=names[number],
                box=tuple(boxes[m].tolist()),
                size=SIZES[int(sizes[m] > 32**2) + int(sizes[m] > 96**2)],
                stage=stage,
                anchor_iou=float(anchor_iou[m]),
                anchor_level=int(first.level[anchor[m]]),
                label=labels[m],
                box_iou=float(box_iou[m]),
                rank=int(first.rank[box[m]]),
                **more,
            )
        )
    return found


def _walk(
    detector: Detector,
    traced: Trace,
    boxes: Tensor,
    own: Tensor,
    reach: tuple[_Ints, _Ints],
    threshold: float,
) -> _Walk:
    """The stages in order; ``class_score`` stands for ``other_class`` and ``background``."""
    first, walk, classes = traced.anchors, _Walk(len(boxes)), own.numpy()
    objects, anchors = reach
    known = np.flatnonzero(classes[objects] >= 0)
    objects, anchors = objects[known], anchors[known]
    nothing = np.full(len(objects), -1, dtype=np.int64)
    logits = first.logits.numpy()
    if isinstance(detector, RetinaNet):
        ranking = logits[anchors, classes[objects]]
        pairs = walk.step("regression", _Pairs(objects, anchors, anchors, nothing, ranking))
        above = pairs.ranking > np.float32(logit(detector.config.min_score))
        pairs = walk.step("class_score", pairs.where(above))
        pairs = _enter(walk, "top_k", pairs, traced.last, classes[pairs.object], len(detector.names))
        _leave(walk, pairs, traced.last, "small_box", None, "class_nms", "max_detections")
        return walk
    pairs = walk.step("regression", _Pairs(objects, anchors, anchors, nothing, logits[anchors]))
    pairs = _enter(walk, "top_k", pairs, first.filtered, None, 1)
    _leave(walk, pairs, first.filtered, "small", "score", "proposal_nms", "kept")
    if traced.rois is None:
        return walk
    rois = traced.rois
    of_class = rois.boxes[:, own.clamp(min=0)].transpose(0, 1)  # (P, M, 4) → (M, P, 4)
    serves = iou(boxes[:, None].double(), _given(of_class, traced).double())[:, 0] >= threshold
    objects, row = (x.numpy() for x in torch.where(serves & (own >= 0)[:, None]))
    anchors = first.filtered.candidates.row[first.filtered.kept].numpy()[row]
    nothing = np.full(len(objects), -1, dtype=np.int64)
    ranking = rois.scores.numpy()[row, classes[objects]]
    pairs = walk.step("box_regression", _Pairs(objects, anchors, row, nothing, ranking))
    pairs = _enter(walk, "class_score", pairs, rois.filtered, classes[pairs.object], len(detector.names))
    _leave(walk, pairs, rois.filtered, "small_box", None, "class_nms", "max_detections")
    return walk


def _enter(
    walk: _Walk, name: str, pairs: _Pairs, filtered: Filtered, classes: _Ints | None, count: int
) -> _Pairs:
    """Only the pairs whose box, of that class where there are classes, is a candidate."""
    candidates = filtered.candidates
    key = (candidates.row * count + (0 if classes is None else candidates.group)).numpy()
    wanted = pairs.row * count + (0 if classes is None else classes)
    order = key.argsort()
    place = np.searchsorted(key[order], wanted).clip(max=max(len(key) - 1, 0))
    there = key[order[place]] == wanted if len(key) else np.zeros(len(wanted), dtype=np.bool_)
    candidate = order[place] if len(key) else np.zeros(len(wanted), dtype=np.int64)
    entered = _Pairs(pairs.object, pairs.anchor, pairs.row, candidate, pairs.ranking)
    return walk.step(name, entered.where(there))


def _leave(
    walk: _Walk, pairs: _Pairs, filtered: Filtered, small: str, score: str | None, nms: str, limit: str
) -> None:
    """The filters of candidates, in order."""
    rank, usable = filtered.rank.numpy(), filtered.candidates.usable.numpy()
    pairs = walk.step(small, pairs.where(~filtered.small.numpy()[pairs.candidate]))
    if score is not None:
        pairs = walk.step(score, pairs.where(usable[pairs.candidate]))
    pairs = walk.step(nms, pairs.where(rank[pairs.candidate] >= 0))
    walk.step(limit, pairs.where(rank[pairs.candidate] < filtered.limit))


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


def matching(detector: Detector) -> tuple[float, float]:
    """IoU from which an anchor stands for an object, and under which it is background."""
    config = detector.config
    if isinstance(detector, RetinaNet):
        return config.match_high, config.match_low
    settings = config.rpn.proposals if isinstance(detector, FasterRCNN) else config.proposals
    return settings.match_high, settings.match_low


def _training_labels(detector: Detector, anchors: Tensor, scaled: Target, objects: int) -> list[str]:
    """What each object is in the loss of the anchors."""
    high, low = matching(detector)
    index, plain, kept = label(anchors, scaled, high, low, restore=False)
    restored = label(anchors, scaled, high, low, restore=True)[1]
    between = torch.where(plain == IGNORE)[0]  # by overlap, or hidden by an ignored region
    overlap = iou(anchors[between, None], kept.boxes[index[between], None])[:, 0, 0]
    words = ["background"] * objects
    for rows, word in (
        (between[overlap >= low], "ignored"),
        (restored == OBJECT, "restored"),
        (plain == OBJECT, "positive"),
    ):
        for m in set(index[rows].tolist()):
            words[m] = word
    return words


def _winner(detector: Detector, traced: Trace, row: int, own: int) -> str | None:
    """The other class that wins on an anchor or proposal; None where background does."""
    if traced.rois is None:
        values = traced.anchors.logits[row].clone()
        values[own] = -torch.inf
        best = int(values.argmax())
        return detector.names[best] if values[best] > logit(detector.config.min_score) else None
    scores = traced.rois.scores[row].clone()
    scores[own] = -1
    best = int(scores.argmax())
    return detector.names[best] if best < len(detector.names) else None
