import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from masu.evaluation.curves import Curve, class_curves
from masu.evaluation.matches import match_image
from masu.records import Detections, Target
from tests.evaluation.test_matches import found
from tests.evaluation.test_metrics import NAMES, oracle, random_case


def curves_of(targets, detections, classes=4):
    return class_curves([match_image(t, d) for t, d in zip(targets, detections, strict=True)], classes)


def untied(detections, seed):
    rng = np.random.default_rng(seed)
    scores = [rng.permutation(len(d)) / 1000 + rng.uniform(0, 0.9) for d in detections]
    return [Detections(d.boxes, s, d.labels, d.names) for d, s in zip(detections, scores, strict=True)]


@pytest.mark.parametrize("seed", range(25))
def test_precision_at_each_recall_is_that_of_pycocotools(seed):
    targets, detections = random_case(seed)
    detections = untied(detections, seed)
    precision = oracle(targets, detections, NAMES).eval["precision"][0, :, :, 0, 2]
    for k, curve in enumerate(curves_of(targets, detections)):
        if not curve.objects:
            assert (precision[:, k] == -1).all()
            continue
        # the best precision from each of the 101 recalls on
        reached = [curve.precision[curve.recall >= r] for r in np.linspace(0, 1, 101)]
        ours = [p.max() if len(p) else 0.0 for p in reached]
        assert ours == pytest.approx(precision[:, k].tolist(), abs=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_every_threshold_is_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.uniform(0, 1, 60), 2).astype(np.float32)  # tied ones among them
    right = rng.random(60) < scores
    # every object lies alone; a right detection covers one, a wrong one is far away
    objects = [[20 * i, 0, 20 * i + 10, 10] for i in range(60)]
    boxes = [b if hit else [b[0], 100, b[2], 110] for b, hit in zip(objects, right, strict=True)]
    (curve,) = curves_of([Target(objects, [0] * 60)], [found(boxes, scores)], 1)
    precision, recall, thresholds = precision_recall_curve(right, scores)
    assert curve.scores[::-1].tolist() == pytest.approx(thresholds.tolist())
    assert curve.precision[::-1].tolist() == pytest.approx(precision[:-1].tolist())
    assert curve.recall[::-1].tolist() == pytest.approx((recall[:-1] * right.sum() / 60).tolist())
    assert curve.f1.tolist() == pytest.approx(
        (2 * curve.precision * curve.recall / np.maximum(curve.precision + curve.recall, 1e-12)).tolist()
    )
    point = curve.at(0.5)
    assert (point.right, point.wrong) == (right[scores >= 0.5].sum(), (~right)[scores >= 0.5].sum())


def test_a_curve_worked_by_hand():
    # right 0.9, wrong 0.8, right 0.6 of three objects: F1 2/4, 2/5, 4/6
    curve = Curve(np.array([0.9, 0.8, 0.6]), np.array([1, 1, 2]), np.array([0, 1, 1]), 3)
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert curve.recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert curve.f1.tolist() == pytest.approx([2 / 4, 2 / 5, 4 / 6])
    best = curve.best()
    assert (best.threshold, best.precision, best.recall, best.f1) == pytest.approx((0.3, 2 / 3, 2 / 3, 2 / 3))
    assert (best.right, best.wrong, best.missed) == (2, 1, 1)
    none = curve.at(0.95)
    assert (none.precision, none.recall, none.f1, none.missed) == (None, 0, 0, 3)


def test_of_equal_f1_the_larger_threshold_is_best_and_it_lies_between_two_scores():
    # right 0.8; then one wrong 0.5 and one right 0.4: F1 2/3, 2/4, 4/6 with two objects... 1: 2/(1+2)
    curve = Curve(np.array([0.8, 0.5, 0.4]), np.array([1, 1, 2]), np.array([0, 1, 2]), 2)
    assert curve.f1.tolist() == pytest.approx([2 / 3, 2 / 4, 4 / 6])
    assert curve.best().threshold == pytest.approx(0.65)


def test_a_class_without_objects_or_detections_has_no_best_threshold():
    targets = [Target([[0, 0, 10, 10]], [0])]
    one, two, three = curves_of(targets, [found([[0, 0, 10, 10]], labels=[1])], 3)
    assert (one.objects, len(one.scores), one.best()) == (1, 0, None)
    assert (two.objects, two.wrong.tolist(), two.best()) == (0, [1], None)
    assert two.recall.tolist() == [0]
    assert two.at(0.5).recall is two.at(0.5).f1 is None
    assert two.at(0.5).precision == 0
    assert (three.objects, len(three.precision), three.best()) == (0, 0, None)
    assert curves_of([], [], 1)[0].objects == 0


def test_what_is_ignored_does_not_count():
    target = Target([[0, 0, 100, 100], [200, 0, 210, 10]], [0, 0], [True, False])
    (curve,) = curves_of([target], [found([[0, 0, 10, 10], [200, 0, 210, 10]])], 1)
    assert (curve.objects, curve.right.tolist(), curve.wrong.tolist()) == (1, [1], [0])
