"""One detection as a function of the image: its class logit and its box, anchor or RoI held fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from masu.detectors.detector import Detector
from masu.detectors.raw import Raw
from masu.detectors.stages import Kept, Rows, Step
from masu.ops.geometry import clip, iou, resize
from masu.records import ImageBatch

Answer = Callable[[Tensor], Tensor]
"""Pixels as the network sees them ``(N, C, H, W)`` → ``(N, 2)``: log odds of the detection's class, and the
IoU of the box that the network gives with the detection's own."""


def evidence(detector: Detector, image: Tensor, box: Tensor, label: int) -> tuple[Tensor, Answer]:
    """The image as the network sees it, and what the network says of one detection in it.

    The anchor (RoI of a detector with several stages) is chosen once, as the one that the nearest final box
    came from, or whose decoded box is nearer still; from then on it stays where it is, whatever the pixels.
    Its logit is the log odds of the class, so that the sigmoid of it is the detection's score; in the image
    itself the IoU is 1.

    Args:
        detector: any of masu's.
        image: ``(C, H, W)`` on the detector's device.
        box: ``(4,)`` xyxy in pixels of the image.
        label: class id.

    Returns:
        Pixels ``(1, C, H', W')``, and the function; both of its values can be differentiated.
    """
    with torch.no_grad():
        raw = detector([image])
        steps = detector.process(raw)
        wanted = resize(box.to(raw.images.pixels), raw.images.original_sizes[0], raw.images.sizes[0])
        level, row, own = _nearest(steps[-1], raw.images.sizes[0], wanted, label)
    stage = detector.stages[-1]
    roi = steps[-2].kept if len(steps) > 1 else None

    def answer(pixels: Tensor) -> Tensor:
        count = len(pixels)
        batch = ImageBatch(
            pixels, raw.images.sizes.expand(count, -1), raw.images.original_sizes.expand(count, -1)
        )
        features = detector.pyramid.features(pixels)
        if roi is None:
            rows, place = stage.look(detector.pyramid.read(batch, features), None)[level], row
        else:
            rows, place = stage.look(Raw(batch, features, ()), _only(roi, row, count))[level], 0
        found = _boxes(rows, detector, label, slice(place, place + 1))[:, 0]
        found = clip(found, raw.images.sizes[0])
        return torch.stack([rows.log_odds(label)[:, place], iou(found, own)[:, 0]], dim=1)

    return raw.images.pixels, answer


def _only(kept: Kept, row: int, images: int) -> Kept:
    """One box of the first image, as the only one of so many images."""
    one = {name: getattr(kept, name)[:1, row : row + 1] for name in ("boxes", "scores", "labels", "index")}
    one = {name: value.expand(images, *value.shape[1:]) for name, value in one.items()}
    return replace(kept, count=torch.ones_like(kept.count[:1]).expand(images), **one)


def _boxes(rows: Rows, detector: Detector, label: int, chosen: slice) -> Tensor:
    """Decoded boxes ``(N, R, 4)`` of the class, of some rows."""
    column = label if rows.deltas.shape[2] > 1 else 0
    boxes = rows.boxes[chosen] if rows.boxes.ndim == 2 else rows.boxes[:, chosen]
    return detector.stages[-1].decode(rows.deltas[:, chosen, column], boxes)


def _nearest(step: Step, size: Tensor, wanted: Tensor, label: int) -> tuple[int, int, Tensor]:
    """Level and row that ``(4,)`` came from, or whose box lies nearest, and its box of the class, ``(1, 4)``.

    A final box that has voted lies elsewhere than what was decoded from its row.
    """
    best, before = [], 0
    of_class = step.kept.there[0] & (step.kept.labels[0] == label)
    final = _overlap(step.kept.boxes[0, of_class], wanted)
    came_from = step.candidates.row[0, step.kept.index[0, of_class]]
    for number, rows in enumerate(step.rows):
        column = label if rows.deltas.shape[2] > 1 else 0
        started = rows.boxes if rows.boxes.ndim == 2 else rows.boxes[0]
        boxes = clip(step.stage.decode(rows.deltas[0, :, column], started), size)
        nearest = _overlap(boxes, wanted)
        own = (came_from >= before) & (came_from < before + len(boxes))
        nearest[came_from[own] - before] = torch.maximum(nearest[came_from[own] - before], final[own])
        row = int(nearest.argmax())
        best.append((float(nearest[row]), -number, row, boxes[row : row + 1]))
        before += len(boxes)
    _, number, row, decoded = max(best, key=lambda found: found[:2])
    return -number, row, decoded


def _overlap(boxes: Tensor, wanted: Tensor) -> Tensor:
    return torch.nan_to_num(iou(boxes, wanted[None])[:, 0])
