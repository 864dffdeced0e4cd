"""The kinds of errors and what they cost, on scenes worked by hand; laws on random ones."""

import numpy as np
import pytest

from masu.evaluation.errors import KINDS, ap50_costs, confusion, fixed, image_errors
from masu.evaluation.matches import match_image
from masu.evaluation.metrics import coco_metrics
from masu.records import Target
from tests.evaluation.test_matches import found
from tests.evaluation.test_metrics import NAMES, random_case

A, B = [0, 0, 10, 10], [100, 100, 110, 110]  # places of two objects
A4, B4 = [0, 0, 10, 4], [100, 100, 110, 104]  # IoU 0.4 with them
FAR = [50, 50, 60, 60]


def analysed(targets, detections, names=NAMES):
    """Kinds of the errors of all images, and what each kind costs over the classes with objects."""
    matches = [match_image(t, d) for t, d in zip(targets, detections, strict=True)]
    errors = [image_errors(match) for match in matches]
    ap50 = {name: row.ap50 for name, row in coco_metrics(targets, detections, names).per_class.items()}
    costs = ap50_costs(matches, errors, names, ap50)
    return [[error.kind for error in of_image] for of_image in errors], costs


def one(objects, object_labels, boxes, labels, scores=None, ignored=None):
    return [Target(objects, object_labels, ignored)], [found(boxes, scores, labels)]


@pytest.mark.parametrize(
    ("scene", "kinds", "costs"),
    [
        # precision 1/1 is never reached: AP50 0; the box put right: 1
        (one([A], [0], [A4], [0]), ["localisation"], {"localisation": {"a": 1}}),
        # class b has no objects and is out of the mean
        (one([A], [0], [A], [1]), ["classification"], {"classification": {"a": 1}}),
        # a: wrong 0.9, right 0.5: AP50 0.5. b is missed: AP50 0, and nothing of it is left after the fix
        (
            one([A, B], [0, 1], [B4, A], [0, 0], [0.9, 0.5]),
            ["both", "missed"],
            {"both": {"a": 0.5, "b": 0}, "missed": {"a": 0, "b": 1}},
        ),
        # precision 1 up to recall 0.5 (51 of 101 points), then 2/3
        (
            one([A, B], [0, 0], [A, A, B], [0, 0, 0]),
            ["duplicate"],
            {"duplicate": {"a": 1 - (51 + 50 * 2 / 3) / 101}},
        ),
        (one([A], [0], [FAR, A], [0, 0]), ["background"], {"background": {"a": 0.5}}),
        # recall 0.5, 51 of 101 points; without the missed object 1
        (one([A, B], [0, 0], [A], [0]), ["missed"], {"missed": {"a": 50 / 101}}),
        # nothing found at all
        (one([A], [0], [], []), ["missed"], {"missed": {"a": 1}}),
        # the object of the bad box is found by another: the fix leaves the box out, AP50 0.5 → 1
        (one([A], [0], [A4, A], [0, 0]), ["localisation"], {"localisation": {"a": 0.5}}),
        # the same for a class
        (
            one([A, B], [0, 1], [A, A, B], [1, 0, 1]),
            ["classification"],
            {"classification": {"a": 0, "b": 0.5}},
        ),
        # two bad boxes mean one object: one is put right, the other left out
        (one([A], [0], [A4, A4], [0, 0]), ["localisation"] * 2, {"localisation": {"a": 1}}),
        # an error of every kind hides nothing: a region to ignore
        (one([A], [0], [A, [2, 2, 4, 4]], [0, 0], ignored=[True]), [], {}),
        # found in an image without objects
        (one([], [], [A], [0]), ["background"], {}),
    ],
)
def test_scenes_of_each_kind(scene, kinds, costs):
    seen, cost = analysed(*scene)
    assert seen == [kinds]
    for kind in KINDS:
        assert cost[kind] == pytest.approx(costs.get(kind, dict.fromkeys(cost[kind], 0)), abs=1e-9), kind


@pytest.mark.parametrize(
    ("box", "label", "kind"),
    [
        ([0, 0, 1, 10], 0, "localisation"),  # IoU 0.1 exactly
        ([0, 0, 0.9, 10], 0, "background"),
        ([0, 0, 1, 10], 1, "background"),  # up to 0.1
        ([0, 0, 1.5, 10], 1, "both"),
        ([0, 0, 5, 10], 1, "classification"),  # IoU 0.5 exactly
        ([0, 0, 5, 10], 0, "duplicate"),
        ([0, 0, 4.9, 10], 0, "localisation"),
    ],
)
def test_bounds_of_the_kinds_beside_a_found_object(box, label, kind):
    seen, _ = analysed(*one([A], [0], [A, box], [0, label]))
    assert seen == [[kind]]


def test_a_bad_box_of_its_class_comes_before_another_class_in_the_right_place():
    # IoU 0.4 with an object of its class, 1 with one of another: the order of the reference
    seen, _ = analysed(*one([A, A4], [0, 1], [A4], [0]))
    assert seen == [["localisation", "missed"]]
    # an object of its class found already, one of another class there too
    seen, _ = analysed(*one([A, A], [0, 1], [A, A], [0, 0]))
    assert seen == [["classification"]]


def test_the_class_that_is_put_right_is_not_cut_at_the_limit_of_detections():
    boxes = [[x, y, x + 10, y + 10] for x in range(0, 400, 20) for y in range(0, 120, 20)]  # 120 objects
    seen, cost = analysed(*one(boxes, [0] * 120, boxes, [0] * 60 + [1] * 60))
    assert seen == [["classification"] * 60]
    assert cost["classification"] == {"a": pytest.approx(1 - 51 / 101)}


@pytest.mark.parametrize("seed", range(15))
def test_laws(seed):
    targets, detections = random_case(seed)
    matches = [match_image(t, d) for t, d in zip(targets, detections, strict=True)]
    errors = [image_errors(match) for match in matches]
    for match, of_image in zip(matches, errors, strict=True):
        # each wrong detection is one error; a missed object is one that nothing found
        rows = [error.detection for error in of_image if error.detection is not None]
        assert rows == np.flatnonzero(match.wrong).tolist()
        missed = [error.object for error in of_image if error.kind == "missed"]
        assert not match.found[missed].any()
        for kind in KINDS:
            target, left = fixed(match, of_image, kind)
            again = match_image(target, left)
            assert kind not in [error.kind for error in image_errors(again)]
            meant = {
                e.object for e in of_image if e.kind == kind and e.object is not None and kind != "missed"
            }
            gained = sum(not match.found[at] for at in meant)
            assert again.right.sum() == match.right.sum() + gained
    ap50 = {name: row.ap50 for name, row in coco_metrics(targets, detections, NAMES).per_class.items()}
    for of_kind in ap50_costs(matches, errors, NAMES, ap50).values():
        assert of_kind.keys() == {name for name, value in ap50.items() if value is not None}
        assert min([0, *of_kind.values()]) > -1e-9


def test_confusions_worked_by_hand():
    # a found; a seen as b; b found twice; a b in the void; an a not found
    target = Target([A, FAR, B, [200, 0, 210, 10]], [0, 0, 1, 0])
    boxes = [A, FAR, B, B, [300, 0, 310, 10]]
    table = confusion([match_image(target, found(boxes, labels=[0, 1, 1, 1, 1]))], 2)
    assert table.tolist() == [[1, 0, 0], [1, 1, 2], [1, 0, 0]]


def test_an_object_is_confused_once():
    table = confusion([match_image(Target([A], [0]), found([A, A], labels=[1, 2]))], 3)
    assert table.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize("seed", range(15))
def test_rows_sum_to_detections_and_columns_to_objects(seed):
    targets, detections = random_case(seed)
    matches = [match_image(t, d) for t, d in zip(targets, detections, strict=True)]
    table = confusion(matches, len(NAMES))
    for k in range(len(NAMES)):
        assert table[k].sum() == sum(((m.labels == k) & ~m.left_out).sum() for m in matches)
        assert table[:, k].sum() == sum(((m.object_labels == k) & ~m.ignored).sum() for m in matches)
        assert table[k, k] == sum((m.right & (m.labels == k)).sum() for m in matches)
    assert table[-1, -1] == 0


def test_no_image_no_confusion():
    assert confusion([], 2).tolist() == [[0] * 3] * 3
