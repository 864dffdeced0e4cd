"""A photograph on its way through a detector, as the page of ``masu explain`` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from masu.data.pixels.images import displayable
from masu.detectors.detector import Detector
from masu.detectors.raw import Raw
from masu.detectors.targets import Assignment
from masu.detectors.trace import StageTrace, Trace
from masu.explanation.fates import Fate
from masu.ops.anchors import level_strides
from masu.ops.geometry import iou, resize
from masu.ops.images import InputPolicy
from masu.pages.page import put_page, render
from masu.pages.pictures import embedded
from masu.records import BACKGROUND, IGNORE, OBJECT, Target

MOST_BOXES = 1500
"""Candidates of one stage on the page: the best, and those they gave way to."""

MOST_ANCHORS = 400
"""Anchors that stand for objects, on the page."""


def photograph(
    detector: Detector,
    raw: Raw,
    traced: Trace,
    path: Path,
    target: Target | None,
    own: Sequence[Fate],
) -> dict[str, Any]:
    """Everything the page shows of one photograph; boxes in pixels of the network's input.

    Args:
        detector: that was run.
        raw: its outputs for this image alone.
        traced: their trace.
        path: the file, for its name.
        target: labelled objects in pixels of the image as it was given; None without labels.
        own: the fates of those that are not ignored.
    """
    height, width = (int(side) for side in traced.size)
    scaled = assigned = None
    if target is not None:
        scaled = target.with_boxes(resize(target.boxes, traced.original_size, traced.size))
        assigned = detector.assignment(raw.anchors, scaled)
    return {
        "name": path.name,
        "width": width,
        "height": height,
        "canvas": list(raw.images.pixels.shape[2:]),
        "given": [int(side) for side in traced.original_size],
        "picture": _jpeg(raw, detector.input, height, width),
        "levels": _levels(detector, raw, traced.first, assigned),
        "positive": [] if assigned is None else _positive(raw.anchors, assigned),
        "tables": [_table(stage, first=stage is traced.first) for stage in traced.stages],
        "objects": [_object(fate, traced) for fate in own],
        "ignored": [] if scaled is None else _rounded(scaled.boxes[scaled.ignored]),
    }


def write_page(values: dict[str, Any], file: Path) -> None:
    """Write the page, one HTML file that needs nothing else."""
    put_page(file, render("explain.html.j2", **values))


def _rounded(boxes: Tensor) -> list[list[float]]:
    return [[round(side, 1) for side in box] for box in boxes.tolist()]


def _table(trace: StageTrace, first: bool) -> dict[str, Any]:
    """Candidates of a stage as columns, best first; ``by`` and ``kept`` point into the rows of this table."""
    order = trace.candidate_ranking.argsort(descending=True, stable=True)
    shown = torch.zeros(len(order), dtype=torch.bool)
    shown[order[:MOST_BOXES]] = True
    shown[trace.kept] = True
    shown[trace.suppressor[shown & (trace.suppressor >= 0)]] = True
    order = order[shown[order]]
    place = torch.full((len(shown) + 1,), -1, dtype=torch.int64)  # the last is that of suppressor −1
    place[order] = torch.arange(len(order))
    return {
        "name": trace.stage.name,
        "byClass": trace.stage.by_class,
        "suppresses": trace.stage.nms_thresh is not None,
        "count": len(shown),
        "limit": trace.limit,
        "box": _rounded(trace.candidate_boxes[order]),
        "row": trace.row[order].tolist(),
        "group": trace.group[order].tolist(),
        "score": [round(score, 4) for score in trace.scores[order].tolist()],
        "small": trace.small[order].tolist(),
        "rank": trace.rank[order].tolist(),
        "by": place[trace.suppressor[order]].tolist(),
        "kept": place[trace.kept].tolist(),
        "voted": _rounded(trace.kept_boxes) if trace.stage.vote_sigma > 0 else None,
        "started": None if first else _rounded(trace.started),
        "classes": None if trace.background is None else _classes(trace),
    }


def _classes(trace: StageTrace) -> list[list[list[float]]]:
    """Of each proposal its three best classes and scores; the class K is background."""
    assert trace.background is not None
    scores = torch.cat([trace.ranking, trace.background[:, None]], dim=1)
    best = scores.topk(min(3, scores.shape[1]), dim=1)
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [[[k, round(s, 3)] for k, s in zip(*row, strict=True)] for row in rows]


def _levels(
    detector: Detector, raw: Raw, first: StageTrace, assigned: Assignment | None
) -> list[dict[str, Any]]:
    """Per level its grid, its map of scores, and how its anchors are labelled in training."""
    counts: list[Any] = [None] * len(raw.levels)
    if assigned is not None:
        counts = [
            [int((of_level == value).sum()) for value in (OBJECT, IGNORE, BACKGROUND)]
            for of_level in torch.split(assigned.label, list(raw.counts))
        ]
    scores = first.stage.score(first.ranking.amax(1))
    levels, offset = [], 0
    grids = [(feature.shape[2], feature.shape[3]) for feature in raw.features]
    steps = level_strides((raw.images.pixels.shape[2], raw.images.pixels.shape[3]), grids)
    for i, of_level in enumerate(torch.split(scores, list(raw.counts))):
        grid, size, count = grids[i], raw.counts[i], counts[i]
        levels.append(
            {
                "grid": list(grid),
                "steps": list(steps[i]),
                "cell": detector.pyramid.cells[i].tolist(),
                "first": offset,
                "anchors": size,
                "best": round(float(of_level.max()), 3),
                "heat": _heat(of_level.view(*grid, -1).amax(2)),
                "labels": count,
            }
        )
        offset += size
    return levels


def _positive(anchors: Tensor, assigned: Assignment) -> list[list[Any]]:
    """Anchors that stand for objects in training: box, IoU, and whether only as a low-quality match."""
    rows = torch.where(assigned.label == OBJECT)[0]
    if len(rows) == 0:
        return []
    overlap = iou(anchors[rows, None], assigned.objects.boxes[assigned.index[rows], None])[:, 0, 0]
    best = overlap.argsort(descending=True)[:MOST_ANCHORS]
    restored = assigned.low_quality[rows[best]].tolist()
    values = [round(value, 2) for value in overlap[best].tolist()]
    return [list(row) for row in zip(_rounded(anchors[rows[best]]), values, restored, strict=True)]


def _object(fate: Fate, traced: Trace) -> dict[str, Any]:
    first = traced.first
    rank = first.rank_in_level

    def scaled(box: tuple[float, ...]) -> list[float]:
        return _rounded(resize(torch.tensor([box]), traced.original_size, traced.size))[0]

    return {
        "number": fate.object,
        "name": fate.name,
        "box": scaled(fate.box),
        "stage": fate.stage,
        "label": fate.label,
        "anchorIou": round(fate.anchor_iou, 2),
        "boxIou": round(fate.box_iou, 2),
        "score": None if fate.score is None else round(fate.score, 3),
        "instead": fate.instead,
        "by": None if fate.by_box is None else scaled(fate.by_box),
        "byObject": fate.by_object,
        "detection": fate.detection,
        "anchor": fate.anchor,
        "anchorBox": _rounded(first.started[[fate.anchor]])[0],
        "level": int(first.level[fate.anchor]),
        "rank": int(rank[fate.anchor]),
        "decoded": _rounded(first.boxes[[fate.anchor], 0])[0],
    }


def _jpeg(raw: Raw, policy: InputPolicy, height: int, width: int) -> str:
    """The network's input, without its normalisation and padding."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (policy.mean, policy.std))
    pixels = raw.images.pixels[0, :, :height, :width].float().cpu() * std + mean
    if policy.channels is None:
        pixels = pixels.clamp(0, 1)
    return embedded(Image.fromarray(displayable(pixels).permute(1, 2, 0).contiguous().numpy()), quality=85)


def _heat(scores: Tensor) -> str:
    """A map of scores 0..1 as an orange picture, opaque where they are high."""
    alpha = (scores.float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    pixels = np.empty((*alpha.shape, 4), dtype=np.uint8)
    pixels[..., :3] = (255, 120, 0)
    pixels[..., 3] = alpha
    return embedded(Image.fromarray(pixels), "PNG")
