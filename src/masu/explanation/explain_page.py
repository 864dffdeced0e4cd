"""A photograph on its way through a detector, as the page of ``masu explain`` reads it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from masu.data.bands import displayable
from masu.detectors.build import pyramid_detector
from masu.detectors.detector import Detector
from masu.detectors.proposals import Raw, label
from masu.detectors.trace import Filtered, Trace
from masu.explanation.fates import STAGES, Fate, matching
from masu.ops.anchors import level_strides
from masu.ops.geometry import iou, resize
from masu.ops.images import InputPolicy
from masu.pages.page import render
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
    first, rois = traced.anchors, traced.rois
    height, width = (int(side) for side in traced.size)
    scaled = None
    if target is not None:
        boxes = resize(target.boxes, traced.original_size, traced.size)
        scaled = Target._trusted(boxes, target.labels, target.ignored)
    tables = [_table(first.filtered, first.filtered.candidates.ranking.sigmoid())]
    if rois is not None:
        tables.append(_table(rois.filtered, rois.filtered.candidates.ranking))
    return {
        "name": path.name,
        "width": width,
        "height": height,
        "canvas": list(raw.images.pixels.shape[2:]),
        "given": [int(side) for side in traced.original_size],
        "picture": _jpeg(raw, detector.input, height, width),
        "levels": _levels(detector, raw, first.logits, scaled),
        "positive": [] if scaled is None else _positive(detector, raw, scaled),
        "tables": tables,
        "classes": None if rois is None else _classes(rois.scores),
        "proposals": None if rois is None else _rounded(rois.proposals),
        "objects": [_object(fate, traced) for fate in own],
        "ignored": [] if scaled is None else _rounded(scaled.boxes[scaled.ignored]),
    }


def write_page(values: dict[str, Any], file: Path) -> None:
    """Write the page, one HTML file that needs nothing else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        render("explain.html.j2", stages=STAGES, **values), encoding="utf-8", errors="backslashreplace"
    )


def _rounded(boxes: Tensor) -> list[list[float]]:
    return [[round(side, 1) for side in box] for box in boxes.tolist()]


def _table(filtered: Filtered, scores: Tensor) -> dict[str, Any]:
    """Candidates as columns, best first; ``by`` and ``kept`` point into the rows of this table."""
    c = filtered.candidates
    order = c.ranking.argsort(descending=True, stable=True)
    shown = torch.zeros(len(order), dtype=torch.bool)
    shown[order[:MOST_BOXES]] = True
    shown[filtered.kept] = True
    shown[filtered.suppressor[shown & (filtered.suppressor >= 0)]] = True
    order = order[shown[order]]
    place = torch.full((len(shown) + 1,), -1, dtype=torch.int64)  # the last is that of suppressor −1
    place[order] = torch.arange(len(order))
    states = torch.where(filtered.small, 1, torch.where(c.usable, 0, 2))
    return {
        "count": len(shown),
        "limit": filtered.limit,
        "box": _rounded(c.boxes[order]),
        "row": c.row[order].tolist(),
        "group": c.group[order].tolist(),
        "score": [round(score, 4) for score in scores[order].tolist()],
        "state": states[order].tolist(),
        "rank": filtered.rank[order].tolist(),
        "by": place[filtered.suppressor[order]].tolist(),
        "kept": place[filtered.kept].tolist(),
    }


def _classes(scores: Tensor) -> list[list[list[float]]]:
    """Of each proposal its three best classes and scores; the class K is background."""
    best = scores.topk(min(3, scores.shape[1]), dim=1)
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [[[k, round(s, 3)] for k, s in zip(*row, strict=True)] for row in rows]


def _levels(detector: Detector, raw: Raw, logits: Tensor, target: Target | None) -> list[dict[str, Any]]:
    """Per level its grid, its map of scores, and how its anchors are labelled in training."""
    counts: list[Any] = [None] * len(raw.levels)
    if target is not None:
        labels = label(raw.anchors, target, *matching(detector), restore=True)[1]
        counts = [
            [int((of_level == value).sum()) for value in (OBJECT, IGNORE, BACKGROUND)]
            for of_level in torch.split(labels, list(raw.levels))
        ]
    best = logits if logits.ndim == 1 else logits.amax(1)
    levels, offset = [], 0
    grids = [(feature.shape[2], feature.shape[3]) for feature in raw.features]
    steps = level_strides((raw.images.pixels.shape[2], raw.images.pixels.shape[3]), grids)
    cells = pyramid_detector(detector).cells
    for i, of_level in enumerate(torch.split(best, list(raw.levels))):
        grid, size, count = grids[i], raw.levels[i], counts[i]
        levels.append(
            {
                "grid": list(grid),
                "steps": list(steps[i]),
                "cell": cells[i].tolist(),
                "first": offset,
                "anchors": size,
                "best": round(float(of_level.max().sigmoid()), 3),
                "heat": _heat(of_level.view(*grid, -1).amax(2).sigmoid()),
                "labels": count,
            }
        )
        offset += size
    return levels


def _positive(detector: Detector, raw: Raw, target: Target) -> list[list[Any]]:
    """Anchors that stand for objects in training: box, IoU, and whether only as a low-quality match."""
    high, low = matching(detector)
    index, labels, objects = label(raw.anchors, target, high, low, restore=True)
    rows = torch.where(labels == OBJECT)[0]
    if len(rows) == 0:
        return []
    overlap = iou(raw.anchors[rows, None], objects.boxes[index[rows], None])[:, 0, 0]
    best = overlap.argsort(descending=True)[:MOST_ANCHORS]
    restored = (overlap[best] < high).tolist()
    values = [round(value, 2) for value in overlap[best].tolist()]
    return [list(row) for row in zip(_rounded(raw.anchors[rows[best]]), values, restored, strict=True)]


def _object(fate: Fate, traced: Trace) -> dict[str, Any]:
    first = traced.anchors

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
        "anchorBox": _rounded(first.anchors[[fate.anchor]])[0],
        "level": int(first.level[fate.anchor]),
        "rank": int(first.rank[fate.anchor]),
        "decoded": _rounded(first.boxes[[fate.anchor]])[0],
    }


def _jpeg(raw: Raw, policy: InputPolicy, height: int, width: int) -> str:
    """The network's input, without its normalisation and padding."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (policy.mean, policy.std))
    pixels = raw.images.pixels[0, :, :height, :width].float().cpu() * std + mean
    if policy.channels is None:
        pixels = pixels.clamp(0, 1)
    return embedded(Image.fromarray(displayable(pixels).permute(1, 2, 0).contiguous().numpy()), "JPEG")


def _heat(scores: Tensor) -> str:
    """A map of scores 0..1 as an orange picture, opaque where they are high."""
    alpha = (scores.float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    pixels = np.empty((*alpha.shape, 4), dtype=np.uint8)
    pixels[..., :3] = (255, 120, 0)
    pixels[..., 3] = alpha
    return embedded(Image.fromarray(pixels), "PNG")


def embedded(picture: Image.Image, form: Literal["JPEG", "PNG"]) -> str:
    """A picture as an address that holds it."""
    buffer = io.BytesIO()
    picture.save(buffer, format=form, quality=85, optimize=True)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
