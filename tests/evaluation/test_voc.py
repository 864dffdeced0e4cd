"""VOC's average precision: against the challenge's rule step by step, and worked by hand."""

import numpy as np
import pytest

from masu.evaluation.metrics import coco_metrics
from masu.records import Target
from tests.evaluation.test_metrics import NAMES, found, random_case


def by_the_rule(targets, detections, k):
    """Recall and precision of a class as the challenge describes it, detection by detection.

    None without objects.
    """
    rows = [
        (float(score), image, box.double().numpy())
        for image, d in enumerate(detections)
        for box, score, label in zip(d.boxes, d.scores.double(), d.labels.tolist(), strict=True)
        if label == k
    ]
    rows.sort(key=lambda row: -row[0])
    npos = sum(int(((t.labels == k) & ~t.difficult).sum()) for t in targets)
    if not npos:
        return None
    detected, tp, fp = set(), [], []
    for _, image, bb in rows:
        t = targets[image]
        ovmax, jmax = -np.inf, None
        for j, bbgt in enumerate(t.boxes.double().numpy()):
            if t.labels[j] != k:
                continue
            iw = min(bb[2], bbgt[2]) - max(bb[0], bbgt[0])
            ih = min(bb[3], bbgt[3]) - max(bb[1], bbgt[1])
            if iw > 0 and ih > 0:
                ua = (bb[2] - bb[0]) * (bb[3] - bb[1]) + (bbgt[2] - bbgt[0]) * (bbgt[3] - bbgt[1]) - iw * ih
                if iw * ih / ua > ovmax:
                    ovmax, jmax = iw * ih / ua, j
        right = wrong = 0
        if ovmax >= 0.5:
            if not t.difficult[jmax]:
                right, wrong = (0, 1) if (image, jmax) in detected else (1, 0)
                detected.add((image, jmax))
        else:
            wrong = 1
        tp.append(right)
        fp.append(wrong)
    tp, fp = np.cumsum(tp), np.cumsum(fp)
    return tp / npos, tp / np.maximum(tp + fp, 1e-300)


def all_points(recall, precision):
    """The kit of 2010: the area under the curve."""
    mrec, mpre = np.concatenate([[0], recall, [1]]), np.concatenate([[0], precision, [0]])
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    i = np.flatnonzero(mrec[1:] != mrec[:-1]) + 1
    return float(((mrec[i] - mrec[i - 1]) * mpre[i]).sum())


def eleven_points(recall, precision):
    """The kit of 2007: ``ap = 0; for t = 0:0.1:1, p = max(prec(rec >= t)), 0 if empty, ap = ap + p / 11``.

    Matlab's ``0:0.1:1`` counts up from 0 and down from 1 to the middle, so it holds 3 * 0.1 and 1 - 3 * 0.1.
    """
    ap = 0
    for t in [0, 0.1, 2 * 0.1, 3 * 0.1, 4 * 0.1, 0.5, 1 - 4 * 0.1, 1 - 3 * 0.1, 1 - 2 * 0.1, 1 - 0.1, 1]:
        ap += max([p for r, p in zip(recall, precision, strict=True) if r >= t], default=0) / 11
    return ap


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_rule(seed):
    targets, detections = random_case(seed, difficult=0.3)
    targets = [Target(t.boxes, t.labels, None, None, t.difficult) for t in targets]
    curves = [c for k in range(len(NAMES)) if (c := by_the_rule(targets, detections, k)) is not None]
    ours = coco_metrics(targets, detections, NAMES, voc=True)
    for figure, rule in ((ours.voc_ap50, all_points), (ours.voc07_ap50, eleven_points)):
        wanted = pytest.approx(np.mean([rule(*c) for c in curves]), abs=1e-12) if curves else None
        assert figure == wanted


def test_a_second_detection_of_an_object_is_wrong_though_another_object_is_free():
    # the second detection fits the first object best; COCO would give it the second one, at IoU 8/9
    target = Target([[0, 0, 10, 10], [0, 0, 8, 10]], [0, 0])
    hits = [found([[0, 0, 10, 10], [0, 0, 9.5, 10]])]
    metrics = coco_metrics([target], hits, ["a"], voc=True)
    assert (metrics.ap50, metrics.voc_ap50) == (pytest.approx(1), 0.5)


@pytest.mark.parametrize(("difficult", "ap"), [([False, True], 1), ([True, False], 0)])
def test_of_two_objects_that_fit_equally_well_the_first_is_meant(difficult, ap):
    target = Target([[0, 0, 10, 10]] * 2, [0, 0], difficult=difficult)
    assert coco_metrics([target], [found([[0, 0, 10, 10]])], ["a"]).voc_ap50 == ap


def test_the_area_goes_over_every_point_of_the_curve():
    # right, wrong, right of 4 objects: precision 1 to recall 1/4, 2/3 to 1/2, then 0
    target = Target([[20 * i, 0, 20 * i + 10, 10] for i in range(4)], [0] * 4)
    hits = found([[0, 0, 10, 10], [0, 50, 10, 60], [20, 0, 30, 10]])
    assert coco_metrics([target], [hits], ["a"], voc=True).voc_ap50 == pytest.approx((1 + 2 / 3) / 4)


def test_the_mean_of_eleven_points_takes_the_best_precision_from_each_on():
    # recall 1/4 reaches 0, 0.1 and 0.2 at precision 1; recall 1/2 reaches 0.3, 0.4 and 0.5 at 2/3
    target = Target([[20 * i, 0, 20 * i + 10, 10] for i in range(4)], [0] * 4)
    hits = found([[0, 0, 10, 10], [0, 50, 10, 60], [20, 0, 30, 10]])
    ap = coco_metrics([target], [hits], ["a"], voc=True).voc07_ap50
    assert ap == pytest.approx((3 * 1 + 3 * 2 / 3) / 11, abs=1e-15)


def test_eleven_points_of_all_and_of_nothing_found():
    target = Target([[0, 0, 10, 10]], [0])
    aps = [
        coco_metrics([target], [found(boxes)], ["a"], voc=True).voc07_ap50
        for boxes in ([[0, 0, 10, 10]], [[50, 50, 60, 60]], [])
    ]
    assert aps == [1, 0, 0]


@pytest.mark.parametrize(("right", "points"), [(1, 2), (2, 3), (3, 3), (4, 5), (6, 7), (7, 8), (9, 10)])
def test_a_recall_of_just_three_tenths_is_below_the_fourth_point_as_in_the_kit(right, points):
    # of ten objects; 3 · 0.1 in floating point is above 3 / 10, no other point is off
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(10)]
    metrics = coco_metrics([Target(boxes, [0] * 10)], [found(boxes[:right])], ["a"], voc=True)
    assert metrics.voc07_ap50 == pytest.approx(points / 11, abs=1e-15)


def test_eleven_points_leave_difficult_objects_and_second_detections_as_the_other_rule_does():
    # right, left out, wrong (a second one), right: recall 1/2 at precision 1, recall 1 at 2/3
    target = Target([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], [0] * 3, difficult=[0, 1, 0])
    hits = found([[0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 9], [40, 0, 50, 10]])
    metrics = coco_metrics([target], [hits], ["a"])
    assert metrics.voc07_ap50 == pytest.approx((6 * 1 + 5 * 2 / 3) / 11, abs=1e-15)
    assert metrics.voc_ap50 == pytest.approx((1 + 2 / 3) / 2, abs=1e-15)


def test_an_overlap_of_just_a_half_is_right():
    assert (
        coco_metrics([Target([[0, 0, 10, 10]], [0])], [found([[0, 0, 5, 10]])], ["a"], voc=True).voc_ap50 == 1
    )


def test_what_lies_in_a_crowd_region_is_left_out():
    target = Target([[0, 0, 100, 100], [200, 0, 210, 10]], [0, 0], [True, False])
    hits = found([[10, 10, 20, 20], [200, 0, 210, 10]])
    assert coco_metrics([target], [hits], ["a"], voc=True).voc_ap50 == 1
