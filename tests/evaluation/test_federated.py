"""Images that were checked for some classes only: pycocotools with LVIS's two rules, hotcoco's LVIS, by hand."""

import contextlib
import io
import json
from dataclasses import replace

import hotcoco
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from masu.data.class_lists import ClassLists, Lists
from masu.data.dataset import Dataset, Sample
from masu.evaluation.evaluate import evaluate, score
from masu.evaluation.federated import as_checked
from masu.evaluation.matches import match_image
from masu.evaluation.metrics import coco_metrics
from masu.evaluation.resampling import Figure, judged
from masu.ops.images import InputPolicy
from masu.records import Detections, Target
from tests.data.formats.minimal import picture
from tests.evaluation.test_metrics import NAMES, TWELVE, as_coco, found, mean, random_case


class Federated(COCOeval):
    """pycocotools where what finds nothing of a class that is labelled in part is neither right nor wrong."""

    def evaluateImg(self, image, category, sizes, limit):
        result = super().evaluateImg(image, category, sizes, limit)
        if result and category in self.cocoGt.imgs[image]["not_exhaustive_category_ids"]:
            result["dtIgnore"] = np.logical_or(result["dtIgnore"], result["dtMatches"] == 0)
        return result


def listed(seed, targets, every=True):
    """Lists of classes for each image; without ``every`` some images have none."""
    rng = np.random.default_rng(1000 + seed)
    has = np.array([every or rng.random() < 0.6 for _ in targets])
    absent, partial = [], []
    for t in targets:
        own = set(t.labels.tolist())
        absent.append([k for k in range(4) if k not in own and rng.random() < 0.4])
        partial.append([k for k in range(4) if rng.random() < 0.4])
    return has, [mine if there else [] for mine, there in zip(absent, has, strict=True)], partial


def lists_of(has, absent, partial):
    rows = [
        (
            np.repeat(np.arange(len(has)), [len(one) for one in lists]),
            np.array([k for one in lists for k in one], np.int64),
        )
        for lists in (absent, partial)
    ]
    return ClassLists(has, *(Lists.of(*pair, len(has)) for pair in rows))


def data_with(targets, known, names=NAMES):
    samples = [Sample(f"{i}.png", target) for i, target in enumerate(targets)]
    return replace(Dataset.of(samples, names), class_lists=known)


def files(targets, detections, absent, partial):
    """The same as COCO's JSON."""
    images = [
        {
            "id": i,
            "width": 0,
            "height": 0,
            "file_name": "",
            "neg_category_ids": [k + 1 for k in no],
            "not_exhaustive_category_ids": [k + 1 for k in some],
        }
        for i, (no, some) in enumerate(zip(absent, partial, strict=True), 1)
    ]
    annotations, results = [], []
    for i, (t, d) in enumerate(zip(targets, detections, strict=True), 1):
        sides = (t.boxes[:, 2:].double() - t.boxes[:, :2].double()).tolist()
        for (x, y, *_), side, label, crowd, area in zip(
            t.boxes.tolist(), sides, t.labels.tolist(), t.ignored.tolist(), t.areas.tolist(), strict=True
        ):
            entry = {"id": len(annotations) + 1, "image_id": i, "category_id": label + 1, "area": area}
            annotations.append(entry | {"bbox": [x, y, *side], "iscrowd": int(crowd)})
        sides = (d.boxes[:, 2:].double() - d.boxes[:, :2].double()).tolist()
        for (x, y, *_), side, label, sure in zip(
            d.boxes.tolist(), sides, d.labels.tolist(), d.scores.double().tolist(), strict=True
        ):
            results.append({"image_id": i, "category_id": label + 1, "bbox": [x, y, *side], "score": sure})
    categories = [{"id": k, "name": name, "frequency": "f"} for k, name in enumerate(NAMES, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def without_unchecked(has, absent, targets, results):
    kept = []
    for one in results:
        image, label = one["image_id"] - 1, one["category_id"] - 1
        if not has[image] or label in absent[image] or label in targets[image].labels.tolist():
            kept.append(one)
    return kept


def summary(page, results):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = page | {"info": {}}
        truth.createIndex()
        loaded = truth.loadRes(results) if results else COCO()
        if not results:
            loaded.dataset = truth.dataset | {"annotations": []}
            loaded.createIndex()
        evaluation = Federated(truth, loaded, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_equals_pycocotools_with_both_rules(seed, every):
    targets, detections = random_case(seed)
    has, absent, partial = listed(seed, targets, every)
    data = data_with(targets, lists_of(has, absent, partial))
    counted, own = as_checked(data, range(len(data)), targets, detections)
    metrics = coco_metrics(counted, own, NAMES)
    page, results = files(targets, detections, absent, partial)
    theirs = summary(page, without_unchecked(has, absent, targets, results))
    wanted = theirs.stats.tolist()
    assert [as_coco(getattr(metrics, n)) for n in TWELVE] == pytest.approx(wanted, abs=1e-9)
    assert metrics.objects == sum(int((~t.ignored).sum()) for t in targets)
    for k, name in enumerate(NAMES):
        ap = mean(theirs.eval["precision"][:, :, k, 0, 2])
        assert as_coco(metrics.per_class[name].ap) == pytest.approx(ap, abs=1e-9)
    figures = judged(counted, own, NAMES).figures(np.ones((1, len(targets)))) if metrics.objects else {}
    for name in ("ap", "ap50", "ar100", "ap_small", "ap_medium", "ap_large"):
        of = figures.get(Figure(name))
        assert (None if of is None else pytest.approx(of[0], abs=1e-9)) == getattr(metrics, name)


@pytest.mark.parametrize("seed", range(20))
def test_equals_hotcoco_in_the_style_of_lvis(seed, tmp_path):
    targets, detections = random_case(seed)
    targets = [Target(t.boxes, t.labels, None, t.areas) for t in targets]  # LVIS has no crowds
    has, absent, partial = listed(seed, targets)
    data = data_with(targets, lists_of(has, absent, partial))
    metrics = coco_metrics(*as_checked(data, range(len(data)), targets, detections), NAMES)
    page, results = files(targets, detections, absent, partial)
    if not results:
        pytest.skip("hotcoco wants a result")
    (tmp_path / "lvis.json").write_text(json.dumps(page))
    truth = hotcoco.COCO(str(tmp_path / "lvis.json"))
    theirs = hotcoco.COCOeval(truth, truth.load_res(results), "bbox", lvis_style=True)
    theirs.evaluate()
    theirs.accumulate()
    precision, recall = (np.asarray(theirs.eval[key]) for key in ("precision", "recall"))
    wanted = [mean(precision[..., 0, 0]), mean(precision[0, :, :, 0, 0]), mean(precision[5, :, :, 0, 0])]
    wanted += [mean(precision[..., size, 0]) for size in (1, 2, 3)] + [mean(recall[..., 0, 0])]
    ours = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100")
    assert [as_coco(getattr(metrics, name)) for name in ours] == pytest.approx(wanted, abs=1e-9)


BOX, OTHER, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60]


def figures_of(target, detections, has, absent, partial, names=("a", "b", "c")):
    data = data_with([target], lists_of(np.array([has]), [absent], [partial]), names)
    return as_checked(data, [0], [target], [detections])


def ap50(*args):
    return coco_metrics(*figures_of(*args), ("a", "b", "c")).ap50


def test_a_class_counts_where_it_was_looked_for_and_nowhere_else():
    # one object a, and a better "a" beside it in a second image without one
    one, none = Target([BOX], [0]), Target([], [])
    hits = [found([BOX], [0.5]), found([FAR], [0.9])]
    wanted = {
        "looked for": (True, [0], 0.5),
        "not looked for": (True, [1], 1.0),
        "no lists": (False, [], 0.5),
    }
    for has, absent, ap in wanted.values():
        data = data_with([one, none], lists_of(np.array([True, has]), [[], absent], [[], []]), ("a", "b"))
        metrics = coco_metrics(*as_checked(data, [0, 1], [one, none], hits), ("a", "b"))
        assert metrics.ap50 == pytest.approx(ap)


def test_what_finds_nothing_counts_only_where_every_object_is_labelled():
    hits = found([FAR, BOX], [0.9, 0.5])
    assert ap50(Target([BOX], [0]), hits, True, [], []) == pytest.approx(0.5)
    assert ap50(Target([BOX], [0]), hits, True, [], [0]) == pytest.approx(1)
    assert ap50(Target([BOX], [0]), hits, False, [], [0]) == pytest.approx(1)
    assert ap50(Target([BOX], [0]), hits, True, [], [1]) == pytest.approx(0.5)


def test_an_object_of_a_class_that_is_labelled_in_part_is_missed_as_any_other():
    # recall 1/2 at precision 1: 51 of 101 points
    assert ap50(Target([BOX, OTHER], [0, 0]), found([FAR, BOX]), True, [], [0]) == pytest.approx(51 / 101)


def test_a_second_detection_of_an_object_is_left_out_where_the_labels_are_in_part():
    hits = found([BOX, BOX, OTHER], [0.9, 0.8, 0.7])
    counted, own = figures_of(Target([BOX, OTHER], [0, 0]), hits, True, [], [0])
    match = match_image(counted[0], own[0])
    assert (match.right.tolist(), match.left_out.tolist()) == ([True, False, True], [False, True, False])
    assert coco_metrics(counted, own, ("a",)).ap == pytest.approx(1)


def test_a_box_without_area_or_outside_the_image_is_left_out_too():
    hits = found([[5, 5, 5, 9], [-30, -30, -20, -10], [1e5, 0, 2e5, 10], BOX], [0.9, 0.8, 0.7, 0.6])
    assert ap50(Target([BOX], [0]), hits, True, [], [0]) == pytest.approx(1)
    assert ap50(Target([BOX], [0]), hits, True, [], []) == pytest.approx(1 / 4)


def test_a_limit_of_detections_counts_those_that_are_judged():
    # the hundred better ones are of a class that the image was not checked for
    hits = found([FAR] * 100 + [BOX], [0.9] * 100 + [0.1], [1] * 100 + [0])
    counted, own = figures_of(Target([BOX], [0]), hits, True, [], [])
    assert len(own[0]) == 1
    assert coco_metrics(counted, own, ("a", "b", "c"), (1, 2, 3)).ar1 == 1


def test_two_models_have_the_same_objects():
    target = Target([BOX], [0])
    many, none = (
        figures_of(target, hits, True, [], [0, 1]) for hits in (found([FAR] * 3, labels=[0, 1, 2]), found([]))
    )
    assert [t.labels.tolist() for (t,) in (many[0], none[0])] == [[0, 0], [0, 0]]  # b was not checked for
    assert [len(d) for (d,) in (many[1], none[1])] == [1, 0]


def test_the_region_of_a_class_that_is_labelled_in_part_is_the_image():
    target = Target([BOX, OTHER], [0, 1])
    data = data_with([target], lists_of(np.array([True]), [[2]], [[0, 2]]), ("a", "b", "c"))
    data = replace(data, sizes=np.array([[48, 64]], np.int32))
    (counted,), (own,) = as_checked(data, [0], [target], [found([BOX])])
    assert counted.boxes[2:].tolist() == [[0, 0, 64, 48]] * 2
    assert (counted.labels.tolist(), counted.ignored.tolist()) == ([0, 1, 0, 2], [False, False, True, True])
    assert len(own) == 1
    (counted,), _ = as_checked(data, [0], [target], [found([[-2, 40, 10, 50]])])
    assert counted.boxes[2:].tolist() == [[-2, 0, 64, 50]] * 2


def test_data_that_know_no_lists_stay_as_they_are():
    targets, hits = [Target([BOX], [0])], [found([FAR])]
    for data in ([("a.png", targets[0])], Dataset.of([Sample("a.png", targets[0])], ("a",))):
        assert as_checked(data, [0], targets, hits) == (targets, hits)


class Stub:
    """Finds a better ``a``, ``b`` and ``c`` where nothing is, and the object."""

    names, kind, input = ("c", "b", "a"), "detector", InputPolicy()

    def predict(self, images, threshold=None, batch_size=1):
        boxes, labels = [[0, 0, 9, 9]] * 3 + [[20, 20, 30, 30]], [0, 1, 2, 2]
        one = Detections(boxes, [0.9, 0.8, 0.7, 0.6], labels, [self.names[k] for k in labels])
        return [one] * len(images)


def test_evaluate_honours_the_lists_of_images_that_can_be_read(tmp_path):
    paths = [picture(tmp_path / f"{name}.png") for name in "xyz"]
    paths[0].write_bytes(b"no picture")
    target = Target([[20, 20, 30, 30]], [0])
    data = Dataset.of([Sample(path, target) for path in paths], ("a", "b", "c"))
    plain = evaluate(Stub(), data).ap
    assert plain == pytest.approx(0.5)
    # y: b was looked for, a is labelled in part; z: nothing but a was looked for
    known = lists_of(np.array([True, True, True]), [[0, 1, 2], [1], []], [[], [0], []])
    scored = score(Stub(), replace(data, class_lists=known))
    assert [found.names for found in scored.found] == [("b", "a", "a"), ("a", "a")]
    # left out, wrong, right, right: precision 2/3 at both recalls
    assert scored.metrics.ap == pytest.approx(2 / 3)
    assert scored.metrics.objects == 2
    assert scored.with_intervals().metrics.intervals["ap"].low <= 2 / 3
