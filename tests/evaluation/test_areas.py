"""Sizes by the area of an annotation, and crowd regions with masks: the twelve figures of pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from masu.evaluation.metrics import coco_metrics
from masu.records import Detections, Target
from tests.evaluation.test_metrics import TWELVE, as_coco, found, mean

NAMES = ("a", "b")


def scene(rng, image):
    """Ellipses and crowds of several ellipses: annotations as COCO has them, boxes of whole pixels."""
    annotations = []
    rows, columns = np.mgrid[:160, :200]
    for _ in range(int(rng.integers(1, 7))):
        crowd = bool(rng.random() < 0.3)
        mask = np.zeros((160, 200), np.uint8)
        for _ in range(3 if crowd else 1):
            y, x = rng.integers(20, 140), rng.integers(20, 180)
            b, a = rng.integers(5, 60, 2)
            mask |= ((rows - y) / b) ** 2 + ((columns - x) / a) ** 2 <= 1
        rle = masks.encode(np.asfortranarray(mask))
        annotations.append(
            {
                "image_id": image,
                "category_id": int(rng.integers(1, 3)),
                "bbox": masks.toBbox(rle).tolist(),
                "area": float(masks.area(rle)),
                "iscrowd": int(crowd),
                "segmentation": {"size": [160, 200], "counts": rle["counts"].decode()},
            }
        )
    return annotations


def data(seed):
    """A COCO file's content, and results in pycocotools' form."""
    rng = np.random.default_rng(seed)
    annotations = [entry for image in (1, 2, 3) for entry in scene(rng, image)]
    results = []
    for entry in annotations:
        x, y, w, h = entry["bbox"]
        for _ in range(int(rng.integers(0, 4))):
            moved = np.array([x, y, w, h]) + rng.integers(-8, 9, 4) * 0.5
            part = moved if rng.random() < 0.6 else [x + w / 4, y + h / 4, w / 3, h / 3]
            box = [float(v) for v in [*part[:2], *np.maximum(part[2:], 1)]]
            score = float(np.float32(rng.random()))
            label = entry["category_id"] if rng.random() < 0.8 else int(rng.integers(1, 3))
            results.append({"image_id": entry["image_id"], "category_id": label, "bbox": box, "score": score})
    for number, entry in enumerate(annotations, 1):
        entry["id"] = number
    images = [{"id": i, "width": 200, "height": 160} for i in (1, 2, 3)]
    categories = [{"id": k, "name": name} for k, name in enumerate(NAMES, 1)]
    return {"images": images, "categories": categories, "annotations": annotations}, results


def corners(entries):
    return [[x, y, x + w, y + h] for x, y, w, h in (entry["bbox"] for entry in entries)]


def by_pycocotools(file, truth, results, limits=(1, 10, 100)):
    """pycocotools' evaluation of the file, accumulated."""
    file.write_text(json.dumps(truth))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(file))
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.maxDets = list(limits)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def records(truth, results, names=NAMES):
    """Targets and detections of the three images."""
    targets, detections = [], []
    for image in (1, 2, 3):
        own = [e for e in truth["annotations"] if e["image_id"] == image]
        targets.append(
            Target(
                corners(own),
                [e["category_id"] - 1 for e in own],
                [bool(e["iscrowd"]) for e in own],
                [e["area"] for e in own],
            )
        )
        hits = [r for r in results if r["image_id"] == image]
        labels = [r["category_id"] - 1 for r in hits]
        detections.append(
            Detections(corners(hits), [r["score"] for r in hits], labels, [names[k] for k in labels])
        )
    return targets, detections


@pytest.mark.parametrize("seed", range(30))
def test_the_twelve_figures_of_files_with_masks_equal_pycocotools(seed, tmp_path):
    truth, results = data(seed)
    evaluation = by_pycocotools(tmp_path / "truth.json", truth, results)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.summarize()
    metrics = coco_metrics(*records(truth, results), NAMES)
    assert [as_coco(getattr(metrics, n)) for n in TWELVE] == pytest.approx(
        evaluation.stats.tolist(), abs=1e-9
    )


@pytest.mark.parametrize("limits", [(1, 2, 3), (2, 3, 5), (1, 10, 300)])
@pytest.mark.parametrize("seed", range(10))
def test_masks_crowds_empty_classes_and_other_limits_of_detections_equal_pycocotools(seed, limits, tmp_path):
    truth, results = data(seed)
    # c has results and no object, d has neither, e has a crowd alone
    names = ("a", "b", "c", "d", "e")
    truth["categories"] = [{"id": k, "name": name} for k, name in enumerate(names, 1)]
    crowd = dict(truth["annotations"][0], id=len(truth["annotations"]) + 1, category_id=5, iscrowd=1)
    truth["annotations"].append(crowd)
    results += [dict(one, category_id=category) for one in results[:4] for category in (3, 5)]
    arrays = by_pycocotools(tmp_path / "truth.json", truth, results, limits).eval
    precision, recall = arrays["precision"], arrays["recall"]
    metrics = coco_metrics(*records(truth, results, names), names, limits)
    wanted = [mean(precision[..., 0, 2]), mean(precision[0, :, :, 0, 2]), mean(precision[5, :, :, 0, 2])]
    wanted += [mean(precision[..., size, 2]) for size in (1, 2, 3)]
    wanted += [mean(recall[..., 0, limit]) for limit in (0, 1, 2)]
    wanted += [mean(recall[..., size, 2]) for size in (1, 2, 3)]
    assert [as_coco(getattr(metrics, n)) for n in TWELVE] == pytest.approx(wanted, abs=1e-9)
    for k, name in enumerate(names):
        row = metrics.per_class[name]
        ours = [as_coco(value) for value in (row.ap, row.ap50, row.ar100)]
        theirs = [precision[:, :, k, 0, 2], precision[0, :, k, 0, 2], recall[:, k, 0, 2]]
        assert ours == pytest.approx([mean(values) for values in theirs], abs=1e-9)
    assert [metrics.per_class[name].ap for name in "cde"] == [None, None, None]


def test_an_object_is_as_large_as_its_annotation_says():
    # a box of 40² is medium, a ring of 900 px in it small
    ring = Target([[0, 0, 40, 40]], [0], areas=[900])
    metrics = coco_metrics([ring], [found([[0, 0, 40, 40]])], ["a"])
    assert (metrics.ap_small, metrics.ap_medium) == (pytest.approx(1), None)
    metrics = coco_metrics([Target(ring.boxes, [0])], [found([[0, 0, 40, 40]])], ["a"])
    assert (metrics.ap_small, metrics.ap_medium) == (None, pytest.approx(1))
