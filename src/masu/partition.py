"""A graph that is partitioned where boxes are suppressed, for runtimes whose graphs have fixed sizes.

Its parts are networks of one image on a canvas of one size. What comes before, between and after them is
NumPy here: an image onto the canvas, the best boxes of each level or class, suppression, calibrated scores.
It is what :mod:`masu.detectors.stages` and :mod:`masu.ops.images` do, on arrays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

RunPart = Callable[[int, Sequence[Array]], Sequence[Array]]
"""Number of a part and its inputs → its outputs: ranking, boxes and, of the first, the maps."""


LONGEST = 1 << 14
"""Pixels of a side of a canvas."""


@dataclass(frozen=True)
class Step:
    """What becomes of the boxes of one part; see :class:`masu.detectors.stages.Stage`.

    Attributes:
        rows: of each level.
        by_class: boxes of different classes do not suppress each other; else those of different levels.
        ranks_logits: the ranking is a logit; else it is the score.
        least: a ranking must be above this; None: any is.
        pre_nms_top_n: best rankings of each level that are looked at; None: all.
        min_size: shortest side in pixels of the canvas.
        nms_thresh: IoU above which the weaker of two is dropped; None: none is.
        limit: the most boxes kept.
        vote_sigma: a box that is kept becomes the mean of those of its class around it; 0: it does not.
        moves: the part moves boxes before it looks, and is told the image's size after them.
    """

    rows: tuple[int, ...]
    by_class: bool
    ranks_logits: bool
    least: float | None
    pre_nms_top_n: int | None
    min_size: float
    nms_thresh: float | None
    limit: int
    vote_sigma: float = 0.0
    moves: bool = False


@dataclass(frozen=True)
class Partition:
    """What a runtime has to know besides the parts.

    Attributes:
        canvas: height and width of the network's input in pixels.
        min_size: length to which the shorter side is brought.
        max_size: largest length of the longer side.
        padding: value of each channel beside the image.
        steps: one after each part.
        calibration: of each class the points that its scores go through, see
            :class:`masu.detectors.calibration.Calibration`; None: scores stay the network's.
    """

    canvas: tuple[int, int]
    min_size: int
    max_size: int
    padding: tuple[float, ...]
    steps: tuple[Step, ...]
    calibration: tuple[tuple[tuple[float, float], ...], ...] | None

    def to_json(self) -> str:
        """As an exported file holds it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Partition:
        """What :meth:`to_json` wrote.

        Raises:
            ValueError: for anything else.
        """
        try:
            values = json.loads(text)
            steps = tuple(Step(**step | {"rows": tuple(step["rows"])}) for step in values["steps"])
            lines = values["calibration"]
            points = None if lines is None else tuple(tuple(map(tuple, line)) for line in lines)
            read = {"canvas": tuple(values["canvas"]), "padding": tuple(values["padding"])}
            made = cls(**values | read | {"steps": steps, "calibration": points})
            height, width = made.canvas
            if not (steps and 0 < height <= LONGEST and 0 < width <= LONGEST):
                raise ValueError("no steps, or no canvas")
        except (KeyError, TypeError) as error:
            raise ValueError(f"the entry {error}") from None
        return made


def fitted_size(height: int, width: int, partition: Partition) -> tuple[int, int]:
    """Height and width of an image on the canvas: as the model wants it, or smaller where it would not fit.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        partition: sizes.

    Returns:
        Whole pixels, at least 1.
    """
    wanted = min(partition.min_size / min(height, width), partition.max_size / max(height, width))
    scale = min(wanted, partition.canvas[0] / height, partition.canvas[1] / width)
    return max(int(height * scale), 1), max(int(width * scale), 1)


def on_canvas(image: Array, partition: Partition) -> tuple[Array, tuple[int, int]]:
    """An image in the upper left of the canvas, resized bilinearly.

    Args:
        image: ``(H, W, C)`` uint8 or float32.
        partition: sizes and padding.

    Returns:
        ``(1, h, w, C)`` float32, and height and width of the image in it.
    """
    size = fitted_size(image.shape[0], image.shape[1], partition)
    made = np.empty((1, *partition.canvas, image.shape[2]), np.float32)
    made[:] = np.array(partition.padding, np.float32)
    made[0, : size[0], : size[1]] = _resized(image, size)
    return made, size


def _resized(image: Array, size: tuple[int, int]) -> Array:
    top, bottom, down = _neighbours(image.shape[0], size[0])
    left, right, across = _neighbours(image.shape[1], size[1])
    down, across = down[:, None, None], across[None, :, None]
    upper, lower = image[top].astype(np.float32), image[bottom].astype(np.float32)
    rows = upper + (lower - upper) * down
    made: Array = rows[:, left] + (rows[:, right] - rows[:, left]) * across
    return made


def _neighbours(length: int, wanted: int) -> tuple[Array, Array, Array]:
    """For each of ``wanted`` pixels those before and after its middle, and the share of the one after."""
    at = np.clip((np.arange(wanted) + 0.5) * (length / wanted) - 0.5, 0, length - 1)
    first = at.astype(np.int64)
    return first, np.minimum(first + 1, length - 1), (at - first).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Kept:
    """Boxes that a step keeps, best first.

    Attributes:
        boxes: ``(k, 4)`` xyxy in pixels of the canvas.
        ranking: ``(k,)``.
        labels: ``(k,)`` int64, 0 without classes.
    """

    boxes: Array
    ranking: Array
    labels: Array


def keep(step: Step, ranking: Array, boxes: Array, size: tuple[int, int]) -> Kept:
    """The best boxes of each level, cut to the image, suppressed, the best of them.

    Args:
        step: settings.
        ranking: ``(R, C)``.
        boxes: ``(R, C or 1, 4)`` xyxy in pixels of the canvas.
        size: height and width of the image on the canvas.
    """
    classes, rows, groups, firsts = ranking.shape[1], [], [], np.cumsum([0, *step.rows])
    for level, (start, end) in enumerate(pairwise(firsts)):
        flat = ranking[start:end].reshape(-1)
        chosen = np.flatnonzero(flat > (-np.inf if step.least is None else np.float32(step.least)))
        if step.pre_nms_top_n is not None and len(chosen) > step.pre_nms_top_n:
            chosen = chosen[np.argsort(-flat[chosen], kind="stable")[: step.pre_nms_top_n]]
        rows.append(chosen + start * classes)
        groups.append(chosen % classes if step.by_class else np.full_like(chosen, level))
    row, group = np.concatenate(rows), np.concatenate(groups)
    value = ranking.reshape(-1)[row]
    found = boxes.reshape(-1, 4)[row] if boxes.shape[1] > 1 else boxes[row // classes, 0]
    found = np.clip(found, 0, np.array([size[1], size[0]] * 2, np.float32))
    large = ((found[:, 2:] - found[:, :2]) >= step.min_size).all(1)
    order = np.flatnonzero(large)[np.argsort(-value[large], kind="stable")]
    if step.nms_thresh is not None:
        order = order[_survive(found[order], group[order], step.nms_thresh)]
    order = order[: step.limit]
    labels = group[order] if step.by_class else np.zeros(len(order), np.int64)
    kept = Kept(found[order], value[order], labels)
    if step.vote_sigma == 0:
        return kept
    score = 1 / (1 + np.exp(-value)) if step.ranks_logits else value
    return _voted(kept, found[large], score[large], group[large], step.vote_sigma)


def _voted(kept: Kept, boxes: Array, scores: Array, groups: Array, sigma: float) -> Kept:
    """The boxes where those of their class around them vote them to be, see :mod:`masu.ops.voting`."""
    low = np.maximum(kept.boxes[:, None, :2], boxes[:, :2])
    sides = np.clip(np.minimum(kept.boxes[:, None, 2:], boxes[:, 2:]) - low, 0, None)
    own, others = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (kept.boxes, boxes))
    shared = sides[..., 0] * sides[..., 1]
    away = 1 - shared / np.maximum(own[:, None] + others - shared, np.finfo(np.float32).tiny)
    weights = np.exp(-(away**2) / sigma) * scores * (kept.labels[:, None] == groups)
    mean = (weights @ boxes) / weights.sum(1, keepdims=True)
    return Kept(np.where(own[:, None] > 0, mean, kept.boxes), kept.ranking, kept.labels)


def _survive(boxes: Array, groups: Array, threshold: float) -> Array:
    """Which boxes, best first, no better one of their group that survives overlaps by more: ``(k,)`` bool."""
    left = np.ones(len(boxes), bool)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in range(len(boxes)):
        if not left[i]:
            continue
        others = np.flatnonzero(left[i + 1 :] & (groups[i + 1 :] == groups[i])) + i + 1
        low = np.maximum(boxes[others, :2], boxes[i, :2])
        sides = np.clip(np.minimum(boxes[others, 2:], boxes[i, 2:]) - low, 0, None)
        shared = sides[:, 0] * sides[:, 1]
        left[others[shared > threshold * (area[others] + area[i] - shared)]] = False
    return left


class PartitionedGraph:
    """The whole detector: parts of another runtime with :func:`keep` after each.

    Args:
        partition: what is known besides the parts.
        run: runs a part.
        channels: as of the file's description.
    """

    def __init__(self, partition: Partition, run: RunPart, channels: int | None) -> None:
        self.partition, self._run, self._channels = partition, run, channels

    def __call__(self, images: Array) -> tuple[Array, Array, Array, Array]:
        """Images as :meth:`masu.runtime.Model.run` takes them, one after the other → its answer."""
        most = self.partition.steps[-1].limit
        boxes, scores = (
            np.zeros((len(images), most, 4), np.float32),
            np.zeros((len(images), most), np.float32),
        )
        labels, count = np.zeros((len(images), most), np.int64), np.zeros(len(images), np.int64)
        for i, image in enumerate(images):
            pixels = image if self._channels is None else image.transpose(1, 2, 0)
            kept, size = self._one(pixels)
            score, order = self._scores(kept)
            k = count[i] = len(order)
            ratio = np.array([pixels.shape[1] / size[1], pixels.shape[0] / size[0]] * 2, np.float32)
            boxes[i, :k], scores[i, :k] = kept.boxes[order] * ratio, score[order]
            labels[i, :k] = kept.labels[order]
        return boxes, scores, labels, count

    def _one(self, image: Array) -> tuple[Kept, tuple[int, int]]:
        given, size = on_canvas(image, self.partition)
        ranking, boxes, *maps = self._run(0, [given])
        kept = keep(self.partition.steps[0], ranking[0], boxes[0], size)
        for number, step in enumerate(self.partition.steps[1:], 1):
            padded = np.zeros((1, *step.rows, 4), np.float32)
            there = len(kept.boxes)
            padded[0, :there] = kept.boxes
            told = [np.array([size], np.float32)] if step.moves else []
            ranking, boxes = self._run(number, [padded, *told, *maps])
            ranking = np.where(np.arange(step.rows[0])[:, None] < there, ranking[0], -np.inf)
            kept = keep(step, ranking, boxes[0], size)
        return kept, size

    def _scores(self, kept: Kept) -> tuple[Array, Array]:
        """Scores, and the rows in their order, which calibration may change."""
        score: Array = kept.ranking.astype(np.float32)
        if self.partition.steps[-1].ranks_logits:
            score = 1 / (1 + np.exp(-score))
        if self.partition.calibration is not None:
            lines = [np.array(self.partition.calibration[label]) for label in kept.labels]
            worth = [np.interp(s, line[:, 0], line[:, 1]) for s, line in zip(score, lines, strict=True)]
            score = np.array(worth, np.float32)
        return score, np.argsort(-score, kind="stable")
