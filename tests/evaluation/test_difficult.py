"""Difficult objects: COCO's figures against pycocotools with the rule built in, and single cases."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from masu.evaluation.errors import KINDS, fixed, image_errors
from masu.evaluation.matches import match_image
from masu.evaluation.metrics import coco_metrics, proposal_metrics
from masu.ops.geometry import iou
from masu.records import Detections, Target
from tests.evaluation.test_metrics import NAMES, TWELVE, as_coco, found, mean, random_case


class WithDifficult(COCOeval):
    """pycocotools at one IoU threshold; detections with an id in ``out`` match nothing and are ignored."""

    out: frozenset = frozenset()

    def computeIoU(self, image, category):
        ious = super().computeIoU(image, category)
        if len(ious):
            of = self._dts[image, category] if self.params.useCats else self.everything(image)
            order = np.argsort([-d["score"] for d in of], kind="mergesort")[: self.params.maxDets[-1]]
            ious[[of[i]["id"] in self.out for i in order]] = 0
        return ious

    def everything(self, image):
        return [d for k in self.params.catIds for d in self._dts[image, k]]

    def evaluateImg(self, image, category, sizes, most):
        result = super().evaluateImg(image, category, sizes, most)
        if result is not None:
            out = [number in self.out for number in result["dtIds"]]
            result["dtIgnore"][:, out] = True
        return result


def difficult_iou(target, detections):
    """Literally: IoU with the best object of the class, crowd regions aside, if that is a difficult one."""
    overlap = iou(detections.boxes.double(), target.boxes.double()).tolist()
    ious = []
    for row, label in zip(overlap, detections.labels.tolist(), strict=True):
        best, hard = 0.0, False
        for m, value in enumerate(row):
            if int(target.labels[m]) != label or (target.ignored[m] and not target.difficult[m]):
                continue
            if value > best or (value == best and not target.difficult[m]):
                best, hard = value, bool(target.difficult[m])
        ious.append(best if hard else 0.0)
    return np.array(ious)


def oracle(targets, detections, limits=(1, 10, 100), use_cats=True):
    """Precision and recall of pycocotools at each threshold, a run for every one."""
    annotations, results = [], []
    for image, (t, d) in enumerate(zip(targets, detections, strict=True), 1):
        for box, label, crowd, area, hard in zip(
            t.boxes.double().numpy(),
            t.labels.tolist(),
            t.ignored.tolist(),
            t.areas.tolist(),
            t.difficult.tolist(),
            strict=True,
        ):
            entry = {"id": len(annotations) + 1, "image_id": image, "category_id": label + 1, "area": area}
            if not hard:
                annotations.append(entry | {"bbox": [*box[:2], *(box[2:] - box[:2])], "iscrowd": int(crowd)})
        for box, label, score in zip(
            d.boxes.double().numpy(), d.labels.tolist(), d.scores.double().tolist(), strict=True
        ):
            bbox = [*box[:2], *(box[2:] - box[:2])]
            results.append({"image_id": image, "category_id": label + 1, "bbox": bbox, "score": score})
    precision, recall = [], []
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(1, len(targets) + 1)],
            "categories": [{"id": k, "name": n} for k, n in enumerate(NAMES, 1)],
            "annotations": annotations,
        }
        truth.createIndex()
        loaded = truth.loadRes(results) if results else truth.loadRes(np.zeros((0, 7)))
        means = np.concatenate([difficult_iou(t, d) for t, d in zip(targets, detections, strict=True)])
        for threshold in np.linspace(0.5, 0.95, 10):
            evaluation = WithDifficult(truth, loaded, "bbox")
            evaluation.params.iouThrs = np.array([threshold])
            evaluation.params.maxDets = list(limits)
            evaluation.params.useCats = int(use_cats)
            evaluation.out = frozenset((np.flatnonzero(means >= threshold) + 1).tolist())
            evaluation.evaluate()
            evaluation.accumulate()
            precision.append(evaluation.eval["precision"][0])
            recall.append(evaluation.eval["recall"][0])
    return np.stack(precision), np.stack(recall)


@pytest.mark.parametrize("seed", range(15))
def test_the_figures_are_those_of_pycocotools_with_the_rule_built_in(seed):
    targets, detections = random_case(seed, difficult=0.4)
    precision, recall = oracle(targets, detections)
    metrics = coco_metrics(targets, detections, NAMES)
    theirs = [mean(precision[:, ..., 0, 2]), mean(precision[0, ..., 0, 2]), mean(precision[5, ..., 0, 2])]
    theirs += [mean(precision[..., size, 2]) for size in (1, 2, 3)]
    theirs += [mean(recall[:, :, 0, limit]) for limit in (0, 1, 2)]
    theirs += [mean(recall[:, :, size, 2]) for size in (1, 2, 3)]
    assert [as_coco(getattr(metrics, name)) for name in TWELVE] == pytest.approx(theirs, abs=1e-6)
    for match in (match_image(t, d) for t, d in zip(targets, detections, strict=True)):
        out = difficult_iou(match.target, match.detections) >= 0.5
        assert (match.left_out >= out).all()


@pytest.mark.parametrize("seed", range(8))
def test_proposals_too(seed):
    targets, proposals = random_case(seed, most_found=150, difficult=0.4)
    targets = [Target(t.boxes, t.labels * 0, t.ignored, t.areas, t.difficult) for t in targets]
    proposals = [Detections(p.boxes, p.scores, p.labels * 0, p.names) for p in proposals]
    _, recall = oracle(targets, proposals, (1, 20, 100), use_cats=False)
    metrics = proposal_metrics(targets, proposals, (20, 100))
    assert as_coco(metrics.ar100) == pytest.approx(mean(recall[..., 0, 1]), abs=1e-6)
    assert as_coco(metrics.recall50_at_1000) == pytest.approx(mean(recall[0, ..., 0, 2]), abs=1e-6)


HARD = [0, 0, 40, 40]
EASY = [100, 100, 140, 140]


def scene(*labels):
    return Target([HARD, EASY], labels or [0, 0], difficult=[True, False])


def test_what_is_found_on_a_difficult_object_is_neither_right_nor_wrong_however_often():
    hits = [HARD, [0, 0, 40, 38], [0, 0, 38, 40], EASY]
    metrics = coco_metrics([scene()], [found(hits)], ["a"])
    assert (metrics.ap50, metrics.ar100, metrics.objects) == (pytest.approx(1), 1, 1)
    match = match_image(scene(), found(hits))
    assert match.left_out.tolist() == [True, True, True, False]
    assert match.partner.tolist() == [-1, -1, -1, 1]
    assert image_errors(match) == []


def test_it_is_no_miss_when_nothing_is_found_there():
    metrics = coco_metrics([scene()], [found([EASY])], ["a"])
    assert (metrics.ap, metrics.ar100) == (pytest.approx(1), 1)
    assert image_errors(match_image(scene(), found([EASY]))) == []


def test_the_share_within_a_difficult_object_does_not_count():
    # a quarter of it: as a crowd region it would hold the detection
    hits = found([[0, 0, 20, 20], EASY])
    assert coco_metrics([scene()], [hits], ["a"]).ap50 == pytest.approx(0.5)
    crowd = Target([HARD, EASY], [0, 0], [True, False])
    assert coco_metrics([crowd], [hits], ["a"]).ap50 == pytest.approx(1)
    (error,) = image_errors(match_image(scene(), hits))
    assert (error.kind, error.object) == ("localisation", 0)


def test_left_out_only_at_the_thresholds_that_it_reaches():
    # IoU 0.8 with the difficult object: wrong at 0.85, 0.90 and 0.95, where precision is 1/2
    metrics = coco_metrics([scene()], [found([[0, 0, 32, 40], EASY])], ["a"])
    assert (metrics.ap, metrics.ap75) == (pytest.approx(0.7 + 0.3 / 2), pytest.approx(1))


def test_a_crowd_region_around_it_leaves_out_at_the_other_thresholds():
    target = Target([HARD, EASY, [0, 0, 60, 60]], [0, 0, 0], [True, False, True], None, [True, False, False])
    metrics = coco_metrics([target], [found([[0, 0, 24, 40], EASY])], ["a"])  # IoU 0.6
    assert metrics.ap == pytest.approx(1)
    metrics = coco_metrics([scene()], [found([[0, 0, 24, 40], EASY])], ["a"])
    assert metrics.ap == pytest.approx(0.3 + 0.7 / 2)


def test_a_detection_that_is_left_out_keeps_its_place_among_the_best():
    metrics = coco_metrics([scene()], [found([HARD, EASY])], ["a"])
    assert (metrics.ar1, metrics.ar10) == (0, 1)


def test_an_object_beside_is_not_found_by_what_means_the_difficult_one():
    target = Target([[0, 0, 10, 10], [0, 0, 10, 8]], [0, 0], difficult=[False, True])
    metrics = coco_metrics([target], [found([[0, 0, 10, 8]])], ["a"])
    assert (metrics.ap50, metrics.ar100) == (0, 0)
    # of two that fit equally well the other one is meant
    target = Target([[0, 0, 10, 10]] * 2, [0, 0], difficult=[True, False])
    assert coco_metrics([target], [found([[0, 0, 10, 10]])], ["a"]).ar100 == 1


def test_another_class_on_a_difficult_object_is_wrong_and_named_so():
    match = match_image(scene(1, 0), found([HARD, EASY]))
    (error,) = image_errors(match)
    assert (error.kind, error.detection, error.object) == ("classification", 0, 0)
    target, rest = fixed(match, [error], "classification")
    assert (len(target), rest.boxes.tolist()) == (2, [EASY])
    assert all(len(fixed(match, [error], kind)[1]) == 2 for kind in KINDS if kind != "classification")


def test_the_voc_figure_is_there_where_an_object_is_difficult_or_it_is_asked_for():
    hits = [found([HARD, EASY])]
    assert coco_metrics([scene()], hits, ["a"]).voc_ap50 == 1
    plain = Target([HARD, EASY], [0, 0])
    assert coco_metrics([plain], hits, ["a"]).voc_ap50 is None
    assert coco_metrics([plain], hits, ["a"], voc=True).voc_ap50 == 1
    assert coco_metrics([Target([HARD], [0], difficult=[True])], [found([])], ["a"]).voc_ap50 is None
