"""COCO's average precision beside pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.measure import Case, Pair
from masu.evaluation.metrics import Metrics, coco_metrics
from masu.records import Detections, Target

IMAGES, FOUND, CLASSES = 5000, 100, 80


def evaluate_coco() -> Pair:
    """From boxes in memory to the figures; some detections lie near objects, most do not."""
    g = torch.Generator().manual_seed(0)
    names = [f"class {i}" for i in range(CLASSES)]
    targets, detections = [], []
    for _ in range(IMAGES):
        corner = torch.rand(FOUND + 7, 2, generator=g) * 500
        boxes = torch.cat([corner, corner + 5 + torch.rand(FOUND + 7, 2, generator=g) * 200], dim=1)
        labels = torch.randint(0, CLASSES, (FOUND + 7,), generator=g)
        targets.append(Target(boxes[:7], labels[:7]))
        found = boxes[7:].clone()
        found[:14] = boxes[:7].repeat(2, 1) + torch.randn(14, 4, generator=g) * 4
        labels[7:21] = labels[:7].repeat(2)
        scores = torch.rand(FOUND, generator=g).sort(descending=True).values
        detections.append(Detections(found, scores, labels[7:], tuple(names[i] for i in labels[7:].tolist())))
    truth, rows = _for_pycocotools(targets, detections)

    def theirs() -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return evaluation.stats

    def check(ours: Metrics, stats: np.ndarray) -> None:
        figures = [
            *(ours.ap, ours.ap50, ours.ap75, ours.ap_small, ours.ap_medium, ours.ap_large),
            *(ours.ar1, ours.ar10, ours.ar100, ours.ar_small, ours.ar_medium, ours.ar_large),
        ]
        np.testing.assert_allclose([-1 if f is None else f for f in figures], stats, atol=1e-9)

    return Pair(lambda: coco_metrics(targets, detections, names), theirs, check)


def _for_pycocotools(targets: list[Target], detections: list[Detections]) -> tuple[COCO, np.ndarray]:
    def xywh(boxes: torch.Tensor) -> np.ndarray:
        wide = boxes.double().numpy()
        return np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1)

    annotations = []
    for i, target in enumerate(targets):
        for box, label in zip(xywh(target.boxes).tolist(), target.labels.tolist(), strict=True):
            own = {"id": len(annotations) + 1, "image_id": i + 1, "category_id": label + 1, "iscrowd": 0}
            annotations.append({**own, "bbox": box, "area": box[2] * box[3]})
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i + 1} for i in range(len(targets))],
        "categories": [{"id": k + 1} for k in range(CLASSES)],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    rows = [
        np.column_stack([np.full(len(d), i + 1), xywh(d.boxes), d.scores.double(), d.labels + 1])
        for i, d in enumerate(detections)
    ]
    return truth, np.concatenate(rows)


CASES = [Case("evaluate_coco", f"AP of {IMAGES} images × {FOUND} detections", evaluate_coco, 10)]
