import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from masu.errors import InputError
from masu.evaluation.metrics import ClassMetrics, coco_metrics, proposal_metrics
from masu.records import Detections, Target

TWELVE = [
    "ap",
    "ap50",
    "ap75",
    "ap_small",
    "ap_medium",
    "ap_large",
    "ar1",
    "ar10",
    "ar100",
    "ar_small",
    "ar_medium",
    "ar_large",
]
NAMES = ("a", "b", "c", "d")


def target(boxes, labels=None, ignored=None):
    return Target(boxes, [0] * len(boxes) if labels is None else labels, ignored)


def found(boxes, scores=None, labels=None):
    labels = [0] * len(boxes) if labels is None else labels
    scores = [1 - 0.01 * i for i in range(len(boxes))] if scores is None else scores
    return Detections(boxes, scores, labels, ["?"] * len(boxes))


def random_case(seed, most_found=30, difficult=0.0):
    """Jittered copies, duplicates and noise; tied scores, crowds, empty images, a class without objects.

    Areas are parts of the boxes' own; ``difficult`` is the share of these objects.
    """
    rng = np.random.default_rng(seed)
    targets, detections = [], []
    for image in range(int(rng.integers(1, 7))):
        m = 0 if rng.random() < 0.2 else int(rng.integers(1, 9))
        corner, side = rng.uniform(0, 300, (m, 2)), rng.choice([8, 20, 32, 50, 96, 150], (m, 2))
        boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
        labels = rng.integers(0, 3, m)
        crowd = rng.random(m) < 0.2
        hard = ~crowd & (rng.random(m) < difficult)
        areas = rng.uniform(0.2, 1, m) * side.prod(1)
        targets.append(Target(boxes, labels, crowd, areas, hard))
        k = 0 if rng.random() < 0.2 else int(rng.integers(1, most_found))
        if m and image % 3:
            source = rng.integers(0, m, k)
            near = boxes[source] + rng.normal(0, 1, (k, 4)) * rng.choice([0, 1, 4, 10], (k, 1))
            guess = np.where(rng.random(k) < 0.8, labels[source], rng.integers(0, 4, k))
        else:
            start = rng.uniform(0, 300, (k, 2))
            near, guess = (
                np.concatenate([start, start + rng.uniform(1, 120, (k, 2))], 1),
                rng.integers(0, 4, k),
            )
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 0.5)
        scores = np.round(rng.uniform(0, 1, k), int(rng.integers(1, 4)))
        detections.append(Detections(near, scores, guess, [NAMES[g] for g in guess]))
    return targets, detections


def oracle(targets, detections, names, limits=(1, 10, 100), use_cats=True):
    """pycocotools' evaluation after accumulate(), its printing silenced."""
    annotations, results = [], []
    for i, (t, d) in enumerate(zip(targets, detections, strict=True), 1):
        for box, label, crowd, area in zip(
            t.boxes.double().numpy(), t.labels.tolist(), t.ignored.tolist(), t.areas.tolist(), strict=True
        ):
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            entry = {"id": len(annotations) + 1, "image_id": i, "category_id": label + 1}
            annotations.append(entry | {"bbox": [x, y, w, h], "area": area, "iscrowd": int(crowd)})
        for box, label, score in zip(
            d.boxes.double().numpy(), d.labels.tolist(), d.scores.double().tolist(), strict=True
        ):
            bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            results.append({"image_id": i, "category_id": label + 1, "bbox": bbox, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(1, len(targets) + 1)],
            "categories": [{"id": k, "name": n} for k, n in enumerate(names, 1)],
            "annotations": annotations,
        }
        truth.createIndex()
        if results:
            loaded = truth.loadRes(results)
        else:
            loaded = COCO()
            loaded.dataset = truth.dataset | {"annotations": []}
            loaded.createIndex()
        evaluation = COCOeval(truth, loaded, "bbox")
        evaluation.params.maxDets = list(limits)
        evaluation.params.useCats = int(use_cats)
        evaluation.evaluate()
        evaluation.accumulate()
        if len(limits) == 3 and use_cats:
            evaluation.summarize()
    return evaluation


def as_coco(value):
    return -1.0 if value is None else value


def mean(values):
    values = values[values > -1]
    return values.mean() if values.size else -1.0


@pytest.mark.parametrize("seed", range(40))
def test_equals_pycocotools(seed):
    targets, detections = random_case(seed)
    ours = coco_metrics(targets, detections, NAMES)
    theirs = oracle(targets, detections, NAMES)
    assert [as_coco(getattr(ours, n)) for n in TWELVE] == pytest.approx(theirs.stats.tolist(), abs=1e-6)
    precision, recall = theirs.eval["precision"], theirs.eval["recall"]
    for k, name in enumerate(NAMES):
        mine = ours.per_class[name]
        assert as_coco(mine.ap) == pytest.approx(mean(precision[:, :, k, 0, 2]), abs=1e-6)
        assert as_coco(mine.ap50) == pytest.approx(mean(precision[0, :, k, 0, 2]), abs=1e-6)
        assert as_coco(mine.ar100) == pytest.approx(mean(recall[:, k, 0, 2]), abs=1e-6)
        assert mine.objects == sum(int((t.labels[~t.ignored] == k).sum()) for t in targets)


@pytest.mark.parametrize("limits", [(2, 5, 7), (1, 3, 4), (10, 100, 1000)])
@pytest.mark.parametrize("seed", range(8))
def test_limits_of_detections_equal_pycocotools(seed, limits):
    targets, detections = random_case(seed, most_found=400)
    ours = coco_metrics(targets, detections, NAMES, max_detections=limits)
    theirs = oracle(targets, detections, NAMES, limits=limits)
    precision, recall = theirs.eval["precision"], theirs.eval["recall"]
    figures = [mean(precision[..., 0, 2]), mean(precision[0, :, :, 0, 2]), mean(precision[5, :, :, 0, 2])]
    figures += [mean(precision[..., size, 2]) for size in (1, 2, 3)]
    figures += [mean(recall[..., 0, limit]) for limit in range(3)]
    figures += [mean(recall[..., size, 2]) for size in (1, 2, 3)]
    assert [as_coco(getattr(ours, n)) for n in TWELVE] == pytest.approx(figures, abs=1e-6)
    assert ours.max_detections == limits


def test_the_limit_is_of_a_class_in_an_image():
    # three of each of two classes, the right one last: the limit of two hides it
    t = target([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 1])
    wrong = [[50, 50, 60, 60]] * 2
    hits = found([*wrong, [0, 0, 10, 10], *wrong, [20, 0, 30, 10]], labels=[0, 0, 0, 1, 1, 1])
    metrics = coco_metrics([t], [hits], ["a", "b"], (1, 2, 3))
    assert (metrics.ap50, metrics.ar10, metrics.ar100) == (pytest.approx(1 / 3), 0, 1)


@pytest.mark.parametrize("limits", [(1, 2), (5, 50)])
@pytest.mark.parametrize("seed", range(8))
def test_proposals_with_other_limits_equal_pycocotools(seed, limits):
    targets, proposals = random_case(seed, most_found=60)
    ours = proposal_metrics(targets, proposals, limits)
    single = [Detections(p.boxes, p.scores, p.labels * 0, p.names) for p in proposals]
    recall = oracle(targets, single, NAMES, limits=(*limits, 1000), use_cats=False).eval["recall"]
    figures = [mean(recall[..., 0, 0]), mean(recall[..., 0, 1])]
    figures += [mean(recall[0, ..., 0, 0]), mean(recall[0, ..., 0, 1])]
    mine = [ours.ar100, ours.ar1000, ours.recall50_at_100, ours.recall50_at_1000]
    assert [as_coco(v) for v in mine] == pytest.approx(figures, abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_proposals_equal_pycocotools_without_categories(seed):
    targets, proposals = random_case(seed, most_found=400)
    ours = proposal_metrics(targets, proposals)
    single = [Detections(p.boxes, p.scores, p.labels * 0, p.names) for p in proposals]
    recall = oracle(targets, single, NAMES, limits=(1, 100, 1000), use_cats=False).eval["recall"]
    figures = [
        mean(recall[..., 0, 1]),
        mean(recall[..., 0, 2]),
        mean(recall[0, ..., 0, 1]),
        mean(recall[0, ..., 0, 2]),
    ]
    mine = [ours.ar100, ours.ar1000, ours.recall50_at_100, ours.recall50_at_1000]
    assert [as_coco(v) for v in mine] == pytest.approx(figures, abs=1e-6)


def test_a_perfect_detector_has_one_everywhere_that_objects_are():
    t = target([[0, 0, 10, 10], [0, 0, 50, 50], [0, 0, 200, 200]], [0, 1, 1])
    metrics = coco_metrics([t], [found(t.boxes, labels=[0, 1, 1])], ["a", "b"])
    figures = [getattr(metrics, name) for name in TWELVE]
    # of class b only one of two objects fits into one detection per image: (1 + 1/2) / 2
    assert figures == pytest.approx([1, 1, 1, 1, 1, 1, 0.75, 1, 1, 1, 1, 1])
    assert metrics.objects == 3


def test_one_object_of_two_found():
    # recall reaches 0.5: precision 1 at the recalls 0.00 to 0.50, that is at 51 of 101 points
    t = target([[0, 0, 10, 10], [50, 50, 60, 60]])
    metrics = coco_metrics([t], [found([[0, 0, 10, 10]])], ["a"])
    assert metrics.ap50 == pytest.approx(51 / 101)
    assert metrics.ar100 == pytest.approx(0.5)


def test_a_false_detection_with_a_better_score_halves_the_precision():
    t = target([[0, 0, 10, 10]])
    metrics = coco_metrics([t], [found([[50, 50, 60, 60], [0, 0, 10, 10]])], ["a"])
    assert metrics.ap50 == pytest.approx(0.5)
    assert metrics.ar100 == pytest.approx(1)
    assert metrics.ar1 == pytest.approx(0)


def test_iou_thresholds_count_one_by_one():
    # IoU 0.8: 8 of 10 pixels wide; right at 0.50 … 0.80, wrong at 0.85, 0.90, 0.95
    metrics = coco_metrics([target([[0, 0, 10, 10]])], [found([[0, 0, 8, 10]])], ["a"])
    assert (metrics.ap, metrics.ap50, metrics.ap75) == pytest.approx((0.7, 1, 1))


def test_sizes_are_told_apart_by_box_area():
    t = target([[0, 0, 32, 32], [100, 100, 196, 196]])
    metrics = coco_metrics([t], [found([[100, 100, 196, 196]])], ["a"])
    # 32² belongs to small and medium, 96² to medium and large
    figures = (metrics.ar_small, metrics.ar_medium, metrics.ar_large)
    assert figures == pytest.approx((0, 0.5, 1))


def test_an_ignored_object_neither_helps_nor_harms():
    t = target([[0, 0, 10, 10], [50, 50, 90, 90]], ignored=[False, True])
    hit = found([[0, 0, 10, 10], [50, 50, 90, 90], [60, 60, 70, 70]], [0.5, 0.9, 0.8])
    metrics = coco_metrics([t], [hit], ["a"])
    assert metrics.ap == pytest.approx(1)
    assert metrics.objects == metrics.per_class["a"].objects == 1
    assert metrics.ap_medium is None


def test_a_class_without_objects_is_none_and_out_of_the_mean():
    metrics = coco_metrics(
        [target([[0, 0, 10, 10]])], [found([[0, 0, 10, 10]] * 2, labels=[0, 1])], ["a", "b"]
    )
    assert metrics.ap == pytest.approx(1)
    assert metrics.per_class == {"a": ClassMetrics(1.0, 1.0, 1.0, 1), "b": ClassMetrics(None, None, None, 0)}


def test_classes_of_one_name_are_one_class():
    t = target([[0, 0, 10, 10]], [2])
    metrics = coco_metrics([t], [found([[0, 0, 10, 10]], labels=[0])], ["a", "b", "a"])
    assert metrics.per_class["a"] == ClassMetrics(1.0, 1.0, 1.0, 1)


@pytest.mark.parametrize(
    ("targets", "detections", "names", "wanted"),
    [
        ([], [], ["a"], None),
        ([], [], [], None),
        ([target([])], [found([])], [], None),
        ([target([])], [found([])], ["a"], None),
        ([target([])], [found([[0, 0, 5, 5]])], ["a"], None),
        ([target([[0, 0, 5, 5]], ignored=[True])], [found([[0, 0, 5, 5]])], ["a"], None),
        ([target([[0, 0, 5, 5]])], [found([])], ["a"], 0.0),
    ],
)
def test_nothing_to_find_is_none_and_nothing_found_is_zero(targets, detections, names, wanted, capfd):
    metrics = coco_metrics(targets, detections, names)
    assert metrics.ap == metrics.ap50 == metrics.ar100 == wanted
    assert metrics.ap_large is None
    proposals = proposal_metrics(targets, detections)
    assert proposals.ar1000 == proposals.recall50_at_100 == wanted
    assert tuple(capfd.readouterr()) == ("", "")


def test_proposals_are_cut_at_one_hundred_and_one_thousand():
    # the first object is proposal 100, the second is 101, the third 1001: recalls 1/3 and 2/3
    t = target([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], [0, 1, 2])
    boxes = np.tile([200.0, 200, 210, 210], (1001, 1))
    boxes[[99, 100, 1000]] = t.boxes
    metrics = proposal_metrics([t], [found(boxes, np.linspace(1, 0, 1001))])
    figures = (metrics.recall50_at_100, metrics.recall50_at_1000, metrics.ar100, metrics.ar1000)
    assert figures == pytest.approx((1 / 3, 2 / 3, 1 / 3, 2 / 3))
    assert metrics.objects == 3


def test_proposal_recall_depends_on_iou():
    # IoU 0.6: right at 0.50, 0.55, 0.60 of the ten thresholds
    metrics = proposal_metrics([target([[0, 0, 10, 10]])], [found([[0, 0, 6, 10]])])
    assert (metrics.recall50_at_100, metrics.ar100) == pytest.approx((1, 0.3))


def test_as_dict_is_json():
    metrics = coco_metrics([target([[0, 0, 10, 10]])], [found([[0, 0, 10, 10]])], ["a", "b"])
    read = json.loads(json.dumps(metrics.as_dict(), allow_nan=False))
    assert read == metrics.as_dict()
    assert read["ap"] == 1
    assert read["ap_large"] is None
    assert read["per_class"]["b"] == {"ap": None, "ap50": None, "ar100": None, "objects": 0, "intervals": {}}
    assert json.loads(json.dumps(proposal_metrics([], []).as_dict()))["ar1000"] is None


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"results of 0 images, wanted 1"):
        coco_metrics([target([])], [], ["a"])
    with pytest.raises(InputError, match=r"detections: found label 1, wanted 0 to 0"):
        coco_metrics([target([])], [found([[0, 0, 1, 1]], labels=[1])], ["a"])
    with pytest.raises(InputError, match=r"found \(10, 1, 100\), wanted 3 rising"):
        coco_metrics([], [], ["a"], max_detections=(10, 1, 100))
    with pytest.raises(InputError, match="wanted 2 rising"):
        proposal_metrics([], [], max_detections=(0, 5))
