"""Two answers of one detector compared as sets: near-ties may change rows, nothing else may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from masu.detectors.detector import Detector
from masu.ops.geometry import iou
from masu.records import Detections

PIXELS = 0.5
"""Largest difference of a box, in pixels of the image."""

SCORE = 2e-3
"""Largest difference of a score."""

NEAR_IOU = 0.02
"""IoU that near to the suppression's threshold may be on its other side in the other answer."""


@dataclass(frozen=True)
class Agreement:
    """How two answers differ.

    Attributes:
        images: compared.
        detections: of the first answer.
        matched: detections that both answers have.
        pixels: largest difference of a matched box.
        score: largest difference of a matched score.
        near_ties: detections of one answer that the other does not have, at a threshold; two where the
            answers chose differently.
        unmatched: detections of one answer that the other does not have and should.
    """

    images: int
    detections: int
    matched: int
    pixels: float
    score: float
    near_ties: int
    unmatched: int

    @property
    def equal(self) -> bool:
        """Whether the answers are the same but for near-ties.

        More than one exchange with nothing beside it that both have is no tie: all boxes have moved.
        """
        return self.unmatched == 0 and (self.matched > 0 or self.near_ties <= 2)

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.images + other.images,
            self.detections + other.detections,
            self.matched + other.matched,
            max(self.pixels, other.pixels),
            max(self.score, other.score),
            self.near_ties + other.near_ties,
            self.unmatched + other.unmatched,
        )


NOTHING = Agreement(0, 0, 0, 0.0, 0.0, 0, 0)


def agreement_of(detector: Detector, wanted: Sequence[Detections], found: Sequence[Detections]) -> Agreement:
    """:func:`compare` with the thresholds of the detector that gave one of the answers, of its own scores."""
    last = detector.stages[-1]
    assert last.limit is not None
    return compare(
        [_uncalibrated(detector, one) for one in wanted],
        [_uncalibrated(detector, one) for one in found],
        score_thresh=last.score_thresh,
        detections_per_img=last.limit,
        nms_thresh=1.0 if last.nms_thresh is None else last.nms_thresh,
    )


def _uncalibrated(detector: Detector, found: Detections) -> Detections:
    """Detections with the network's own scores, best first."""
    if detector.calibration is None:
        return found
    scores = detector.calibration.raw(found.scores.double(), found.labels, detector.names).clamp(0, 1)
    order = scores.argsort(descending=True, stable=True)
    return replace(found, scores=scores)[order]


def compare(
    wanted: Sequence[Detections],
    found: Sequence[Detections],
    *,
    score_thresh: float,
    detections_per_img: int,
    nms_thresh: float,
) -> Agreement:
    """Match the detections of two answers to the same images, one to one.

    A detection without partner counts as a near-tie where a small difference explains it: its score is within
    :data:`SCORE` of ``score_thresh`` or of the last of a full list, or the other answer has a box of its
    label that suppression could have chosen instead: one of nearly the same score that overlaps it, or one
    whose IoU with it is within :data:`NEAR_IOU` of the threshold.
    """
    total = NOTHING
    for a, b in zip(wanted, found, strict=True):
        pairs = _match(a, b)
        pixels = max((float((a.boxes[i] - b.boxes[j]).abs().max()) for i, j in pairs), default=0.0)
        score = max((float((a.scores[i] - b.scores[j]).abs()) for i, j in pairs), default=0.0)
        ties = missing = 0
        for one, other, matched in ((a, b, {i for i, _ in pairs}), (b, a, {j for _, j in pairs})):
            for i in sorted(set(range(len(one))) - matched):
                tie = _near_tie(one, other, i, score_thresh, detections_per_img, nms_thresh)
                ties, missing = ties + tie, missing + (not tie)
        total += Agreement(1, len(a), len(pairs), pixels, score, ties, missing)
    return total


def _match(a: Detections, b: Detections) -> list[tuple[int, int]]:
    """Pairs of rows with one label, boxes within ``PIXELS`` and scores within ``SCORE``, nearest first."""
    if not len(a) or not len(b):
        return []
    away = (a.boxes[:, None] - b.boxes[None]).abs().amax(-1)  # (a, b)
    allowed = (
        (away <= PIXELS)
        & ((a.scores[:, None] - b.scores[None]).abs() <= SCORE)
        & (a.labels[:, None] == b.labels[None])
    )
    rows, columns = torch.where(allowed)
    order = away[rows, columns].argsort()
    pairs: list[tuple[int, int]] = []
    taken_a, taken_b = set[int](), set[int]()
    for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if i not in taken_a and j not in taken_b:
            pairs.append((i, j))
            taken_a.add(i)
            taken_b.add(j)
    return pairs


def _near_tie(
    one: Detections, other: Detections, i: int, score_thresh: float, most: int, nms_thresh: float
) -> bool:
    score = float(one.scores[i])
    if score <= score_thresh + SCORE or (len(other) >= most and score <= float(other.scores[-1]) + SCORE):
        return True
    same: Tensor = other.labels == one.labels[i]
    overlap = iou(one.boxes[i : i + 1], other.boxes[same])[0]
    either = (overlap > nms_thresh) & ((other.scores[same] - score).abs() <= SCORE)
    return bool((either | ((overlap - nms_thresh).abs() <= NEAR_IOU)).any())
