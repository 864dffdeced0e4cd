"""Scenes built by hand, each of which loses its object at one stage; matching against pycocotools."""

import contextlib
import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from masu.detectors.build import build, make
from masu.detectors.faster_rcnn import FasterRCNNConfig
from masu.detectors.raw import Level, Raw
from masu.detectors.rois import RoIRows, RoISettings
from masu.detectors.rpn import ProposalSettings
from masu.detectors.trace import trace
from masu.explanation.fates import fates, matched, places_of
from masu.explanation.what_if import detections, milder
from masu.ops.coder import encode
from masu.ops.geometry import iou
from masu.records import ImageBatch, Target
from tests.detectors.test_detectors import SMALL_FCOS, SMALL_RETINANET, SMALL_RPN, photographs
from tests.networks import spread, spread_points

NAMES = ("cat", "dog")
OBJECT = [0, 0, 20, 20]
FAR = [60, 60, 80, 80]
HALF = [0, 0, 20, 9]  # IoU 0.45 with OBJECT
LOW = [0, 0, 20, 11]
MOST = [0, 0, 20, 14]  # IoU 0.7 with OBJECT, 0.64 with HALF
PROPOSALS = ProposalSettings(pre_nms_top_n=3, post_nms_top_n=3, nms_thresh=0.6, min_size=1, score_thresh=0.1)


def raw_of(anchors, logits, boxes, counts=None):
    """Outputs of a network for one image of 100 × 100 px: of each anchor its logit and decoded box."""
    anchors, boxes = torch.tensor(anchors).float(), torch.tensor(boxes).float()
    size = torch.tensor([[100, 100]])
    batch = ImageBatch(torch.zeros(1, 3, 128, 128), size, 2 * size)
    logits = torch.tensor(logits).float().reshape(len(anchors), -1)
    parts = (torch.split(x, counts or [len(anchors)]) for x in (anchors, logits, encode(boxes, anchors)))
    levels = [Level(a, x[None], d[None]) for a, x, d in zip(*parts, strict=True)]
    return Raw(batch, (), tuple(levels))


def follow(detector, raw, boxes, labels=None, ignored=None, difficult=None):
    """Fates of objects, given in pixels of the network's input: the image itself has twice the size."""
    labels = [0] * len(boxes) if labels is None else labels
    labels_known = [max(k, 0) for k in labels]
    target = Target(2 * torch.tensor(boxes).float(), labels_known, ignored, None, difficult)
    with torch.no_grad():
        traced = trace(detector, raw)[0]
        names = tuple("unknown" if k < 0 else detector.names[k] for k in labels)
        return fates(detector, traced, target, torch.tensor(labels), names, image=5)


@pytest.fixture(scope="module")
def rpn():
    return make(replace(SMALL_RPN, proposals=PROPOSALS), ())


@pytest.fixture(scope="module")
def retinanet():
    config = replace(SMALL_RETINANET, pre_nms_top_n=3, detections_per_img=2, min_size=1.0, nms_thresh=0.6)
    return make(config, NAMES)


@pytest.fixture
def faster():
    """A Faster R-CNN whose second stage is given: for each proposal, in order, its scores and boxes."""
    settings = RoISettings((8, 16, 32), detections_per_img=2, min_size=1.0, nms_thresh=0.6)
    detector = make(FasterRCNNConfig(replace(SMALL_RPN, proposals=PROPOSALS), settings), NAMES)

    def answer(scores, boxes):
        def classify(raw, given):
            count = int(given.count)
            assert count == len(scores)
            of_class = torch.tensor(boxes).float().expand(len(NAMES), -1, -1).transpose(0, 1)
            ranking, background = torch.tensor(scores).float().split([len(NAMES), 1], dim=1)
            deltas = encode(of_class, given.boxes[0, :count, None], detector.config.rois.box_weights)
            absent = given.boxes.shape[1] - count
            rows = torch.nn.functional.pad(ranking, (0, 0, 0, absent), value=-torch.inf)
            deltas = torch.nn.functional.pad(deltas, (0, 0, 0, 0, 0, absent))
            background = torch.nn.functional.pad(background[:, 0], (0, absent))
            return [RoIRows(given.boxes, rows[None], deltas[None], background[None], logits=rows)]

        detector._classify = classify
        return detector

    return answer


@pytest.mark.parametrize(
    ("stage", "changes", "anchors", "logits", "boxes"),
    [
        ("found", {}, [OBJECT], [3], [OBJECT]),
        ("anchors", {}, [FAR], [3], [FAR]),
        ("anchors", {}, [[0, 0, 20, 13.9]], [3], [HALF]),  # IoU 0.695, under 0.7
        ("regression", {}, [OBJECT], [3], [HALF]),
        ("found", {}, [FAR], [3], [OBJECT]),  # no anchor, but a box
        ("top_k", {"pre_nms_top_n": 1}, [FAR, OBJECT], [3, 2], [FAR, OBJECT]),
        ("small", {"min_size": 21.0}, [OBJECT], [3], [OBJECT]),
        ("score", {}, [OBJECT], [-3], [OBJECT]),  # 0.047
        ("proposal_nms", {}, [OBJECT, OBJECT], [3, 2], [HALF, MOST]),
        ("found", {}, [OBJECT, OBJECT], [2, 3], [HALF, MOST]),
        ("kept", {"post_nms_top_n": 1}, [FAR, OBJECT], [3, 2], [FAR, OBJECT]),
    ],
)
def test_an_rpn_loses_the_object_there(rpn, stage, changes, anchors, logits, boxes):
    rpn.config = replace(SMALL_RPN, proposals=replace(PROPOSALS, **changes))
    (fate,) = follow(rpn, raw_of(anchors, logits, boxes), [OBJECT])
    assert fate.stage == stage
    assert (fate.image, fate.object, fate.size, fate.box) == (5, 0, "medium", (0, 0, 40, 40))


def test_a_box_that_means_a_difficult_object_finds_no_other(rpn):
    rpn.config = replace(SMALL_RPN, proposals=PROPOSALS)
    raw = raw_of([OBJECT], [3], [MOST])  # IoU 0.7 with OBJECT
    (fate,) = follow(rpn, raw, [OBJECT, FAR, MOST], difficult=[False, True, True])
    assert (fate.object, fate.stage, fate.by_object, fate.detection) == (0, "taken", 2, 0)
    (fate,) = follow(rpn, raw, [OBJECT, FAR], difficult=[False, True])
    assert fate.stage == "found"


def test_the_size_is_told_by_the_area_of_the_annotation(rpn):
    rpn.config = replace(SMALL_RPN, proposals=PROPOSALS)
    with torch.no_grad():
        traced = trace(rpn, raw_of([OBJECT], [3], [OBJECT]))[0]
        target = Target([[0, 0, 40, 40]], [0], areas=[1000])
        (fate,) = fates(rpn, traced, target, torch.tensor([0]), ("object",), image=0)
    assert fate.size == "small"


DOG, CAT, NOTHING = [-4, 2], [2, -4], [-4, -4]


@pytest.mark.parametrize(
    ("stage", "changes", "anchors", "logits", "boxes"),
    [
        ("found", {}, [OBJECT], [CAT], [OBJECT]),
        ("anchors", {}, [FAR], [CAT], [FAR]),
        ("regression", {}, [OBJECT], [CAT], [HALF]),
        ("other_class", {}, [OBJECT], [DOG], [OBJECT]),
        ("background", {}, [OBJECT], [NOTHING], [OBJECT]),
        ("top_k", {"pre_nms_top_n": 1}, [FAR, OBJECT], [[3, -4], CAT], [FAR, OBJECT]),
        ("small_box", {"min_size": 21.0}, [OBJECT], [CAT], [OBJECT]),
        ("class_nms", {}, [OBJECT, OBJECT], [[3, -4], CAT], [HALF, MOST]),
        ("found", {}, [OBJECT, OBJECT], [[-4, 3], CAT], [HALF, MOST]),  # of another class
        ("max_detections", {"detections_per_img": 1}, [FAR, OBJECT], [[-4, 3], CAT], [FAR, OBJECT]),
    ],
)
def test_a_one_stage_detector_loses_the_object_there(retinanet, stage, changes, anchors, logits, boxes):
    config = retinanet.config
    retinanet.config = replace(config, **changes)
    try:
        (fate,) = follow(retinanet, raw_of(anchors, logits, boxes), [OBJECT])
    finally:
        retinanet.config = config
    assert fate.stage == stage
    assert fate.instead == ("dog" if stage == "other_class" else None)


IS_CAT, IS_DOG, IS_NOTHING = [0.8, 0.1, 0.1], [0.01, 0.9, 0.09], [0.02, 0.08, 0.9]


@pytest.mark.parametrize(
    ("stage", "changes", "first", "scores", "boxes"),
    [
        ("found", {}, [OBJECT], [IS_CAT], [OBJECT]),
        ("box_regression", {}, [OBJECT], [IS_CAT], [HALF]),
        ("other_class", {}, [OBJECT], [IS_DOG], [OBJECT]),
        ("background", {}, [OBJECT], [IS_NOTHING], [OBJECT]),
        ("small_box", {"min_size": 21.0}, [OBJECT], [IS_CAT], [OBJECT]),
        ("class_nms", {}, [OBJECT, FAR], [[0.7, 0.0, 0.3], IS_CAT], [MOST, HALF]),
        ("found", {}, [OBJECT, FAR], [IS_CAT, [0.7, 0.0, 0.3]], [MOST, HALF]),
        ("max_detections", {"detections_per_img": 1}, [OBJECT, FAR], [[0.7, 0, 0.3], IS_CAT], [OBJECT, FAR]),
        # HALF is kept and voted to [0, 0, 20, 11.2] by MOST; LOW, of IoU 0.55, to [0, 0, 20, 8.8] by one of 0.3
        ("found", {"vote_sigma": 1.0}, [OBJECT, FAR], [[0.7, 0.0, 0.3], IS_CAT], [MOST, HALF]),
        ("box_voting", {"vote_sigma": 1.0}, [OBJECT, FAR], [IS_CAT, [0.75, 0, 0.25]], [LOW, [0, 0, 20, 6]]),
        # no proposal reaches the object; the second stage moves one there, or would have
        ("found", {}, [HALF], [IS_CAT], [OBJECT]),
        ("background", {}, [HALF], [IS_NOTHING], [OBJECT]),
        ("anchors", {}, [HALF], [IS_CAT], [FAR]),
    ],
)
def test_a_two_stage_detector_loses_the_object_there(faster, stage, changes, first, scores, boxes):
    detector = faster(scores, boxes)
    detector.config = replace(detector.config, rois=replace(detector.config.rois, **changes))
    logits = list(range(len(first), 0, -1))
    (fate,) = follow(detector, raw_of(first, logits, first), [OBJECT])
    assert fate.stage == stage
    assert fate.instead == ("dog" if stage == "other_class" else None)
    assert fate.stage in places_of(detector)


def test_a_two_stage_detector_loses_proposals_as_its_rpn_does(faster):
    detector = faster([IS_CAT], [FAR])
    raw = raw_of([OBJECT, OBJECT], [3, 2], [HALF, MOST])
    (fate,) = follow(detector, raw, [OBJECT])
    assert (fate.stage, fate.anchor, fate.by_object) == ("proposal_nms", 1, None)
    assert fate.by_box == pytest.approx([0, 0, 40, 18], abs=1e-3)


def test_what_took_the_place_of_a_box_is_named(rpn, retinanet):
    rpn.config = replace(SMALL_RPN, proposals=PROPOSALS)
    raw = raw_of([OBJECT, OBJECT], [3, 2], [HALF, MOST])
    first, second = follow(rpn, raw, [OBJECT, [0, 0, 20, 8]])
    assert (first.stage, first.by_object) == ("proposal_nms", 1)
    assert second.stage == "found"
    raw = raw_of([OBJECT, OBJECT], [[3, -4], CAT], [HALF, MOST])
    first, second, third = follow(retinanet, raw, [OBJECT, [0, 0, 20, 8], HALF], [0, 1, 0])
    assert (first.stage, first.by_object) == ("class_nms", 2)  # the dog that is nearer as well does not count
    assert (second.stage, third.stage) == ("other_class", "found")


def test_one_box_cannot_be_two_objects(rpn):
    rpn.config = replace(SMALL_RPN, proposals=PROPOSALS)
    raw = raw_of([OBJECT], [3], [OBJECT])
    first, second = follow(rpn, raw, [[0, 0, 20, 16], OBJECT])
    assert (first.stage, first.by_object, first.score) == ("taken", 1, None)
    assert (second.stage, second.by_object) == ("found", None)
    assert second.score == pytest.approx(1 / (1 + math.exp(-3)))


def test_a_class_that_the_detector_does_not_know(retinanet):
    first, second = follow(retinanet, raw_of([OBJECT], [CAT], [OBJECT]), [OBJECT, OBJECT], [-1, 0])
    assert (first.stage, first.name, second.stage) == ("unknown_class", "unknown", "found")


def test_ignored_objects_are_left_out_and_numbers_stay(rpn):
    rpn.config = replace(SMALL_RPN, proposals=PROPOSALS)
    raw = raw_of([OBJECT], [3], [OBJECT])
    (fate,) = follow(rpn, raw, [FAR, OBJECT], ignored=[True, False])
    assert (fate.object, fate.stage) == (1, "found")
    assert follow(rpn, raw, [OBJECT], ignored=[True]) == []
    assert follow(rpn, raw, []) == []


@pytest.mark.parametrize(
    ("word", "anchors"),
    [
        ("positive", [OBJECT, MOST]),
        ("positive", [FAR, MOST]),  # IoU 0.7 exactly
        ("restored", [FAR, [0, 0, 20, 13.9]]),
        ("restored", [FAR, [0, 0, 20, 1]]),
        ("background", [FAR]),
    ],
)
def test_labels_in_training(rpn, word, anchors):
    rpn.config = replace(SMALL_RPN, proposals=PROPOSALS)
    (fate,) = follow(rpn, raw_of(anchors, [1] * len(anchors), anchors), [OBJECT])
    assert fate.label == word
    assert fate.anchor_iou == pytest.approx(
        float(iou(torch.tensor([OBJECT]).float(), torch.tensor(anchors).float()).max())
    )


def test_an_anchor_stands_for_the_object_it_overlaps_most(rpn):
    """The second object's best anchor stands for the first: the second is only ignored, or background."""
    rpn.config = replace(SMALL_RPN, proposals=PROPOSALS)
    raw = raw_of([OBJECT, [0, 0, 20, 8]], [1, 1], [OBJECT, [0, 0, 20, 8]])
    first, second = follow(rpn, raw, [OBJECT, [0, 0, 20, 17]])
    assert (first.label, second.label) == ("positive", "ignored")  # the second anchor is at 8/17
    first, second = follow(rpn, raw, [OBJECT, [0, 0, 19, 20]])
    assert (first.label, second.label) == ("positive", "background")  # at 0.40 with the first, 0.39 with it


def test_level_and_rank(rpn):
    rpn.config = replace(SMALL_RPN, proposals=PROPOSALS)
    raw = raw_of([FAR, OBJECT, FAR, OBJECT], [3, 2, 1, 0], [FAR, FAR, FAR, OBJECT], counts=[2, 2])
    (fate,) = follow(rpn, raw, [OBJECT])
    assert (fate.anchor_level, fate.rank, fate.anchor) == (0, 1, 3)
    assert (fate.anchor_iou, fate.box_iou) == (1, pytest.approx(1, abs=1e-5))


@pytest.mark.parametrize(("side", "size"), [(16, "small"), (16.1, "medium"), (48, "medium"), (48.1, "large")])
def test_sizes_are_those_of_the_image(rpn, side, size):
    (fate,) = follow(rpn, raw_of([FAR], [1], [FAR]), [[0, 0, side, side]])
    assert fate.size == size


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    two = spread(build("faster_rcnn_lite0_fpn", NAMES, image_size=128))
    cascade = spread(build("cascade_rcnn_lite0_fpn", NAMES, image_size=128))
    one = make(replace(SMALL_RETINANET, detections_per_img=60), NAMES)
    torch.nn.init.normal_(one.head.classes.output.weight, std=0.5)
    rpn = make(SMALL_RPN, ())
    torch.nn.init.normal_(rpn.head.objectness.weight, std=0.5)
    points = spread_points(make(replace(SMALL_FCOS, detections_per_img=60), NAMES))
    one_stage = {"retinanet": one.eval(), "rpn": rpn.eval(), "fcos": points}
    return {"faster_rcnn": two, "cascade_rcnn": cascade, **one_stage}


@pytest.mark.parametrize("name", ["faster_rcnn", "cascade_rcnn", "retinanet", "rpn", "fcos"])
def test_found_are_those_that_pycocotools_matches(networks, name):
    detector = networks[name]
    g = torch.Generator().manual_seed(1)
    seen = set()
    for image in photographs(3):
        with torch.no_grad():
            raw = detector([image])
            (traced,) = trace(detector, raw)
        found = traced.detections
        # objects near detections, several to one, some of another class, one ignored
        rows = torch.randint(0, len(found), (40,), generator=g)
        sides = (found.boxes[rows, 2:] - found.boxes[rows, :2]).repeat(1, 2)
        boxes = found.boxes[rows] + torch.randn(40, 4, generator=g) * 0.1 * sides
        boxes = torch.cat([boxes[:, :2], torch.maximum(boxes[:, 2:], boxes[:, :2] + 2)], 1)
        labels = found.labels[rows]
        labels[::7] = len(detector.names) - 1 - labels[::7]
        ignored = torch.zeros(40, dtype=torch.bool)
        ignored[3] = True
        target = Target(boxes, labels, ignored)
        names = tuple(detector.names[k] for k in labels.tolist())
        own = fates(detector, traced, target, labels, names, 0)
        assert [fate.object for fate in own] == [m for m in range(40) if m != 3]
        assert {fate.stage for fate in own} <= set(places_of(detector))
        wanted = matched_by_pycocotools(target, found)
        assert {fate.object for fate in own if fate.stage == "found"} == wanted - {3}
        for fate in own:
            served = iou(target.boxes[[fate.object]].double(), found.boxes.double())[0] >= 0.5
            served &= found.labels == target.labels[fate.object]
            assert (fate.stage in ("found", "taken")) == bool(served.any())
        seen |= {fate.stage for fate in own}
    assert {"found", "taken"} < seen


def matched_by_pycocotools(target, found):
    annotations = [
        {"id": m + 1, "image_id": 1, "category_id": int(k) + 1, "bbox": xywh(b), "area": 1, "iscrowd": int(i)}
        for m, (b, k, i) in enumerate(zip(target.boxes, target.labels, target.ignored, strict=True))
    ]
    results = [
        {"image_id": 1, "category_id": int(k) + 1, "bbox": xywh(b), "score": float(s)}
        for b, k, s in zip(found.boxes, found.labels, found.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": 1}],
            "annotations": annotations,
            "categories": [{"id": 1}, {"id": 2}],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.maxDets = [1, 10, 10_000]
        evaluation.evaluate()
    every = [e for e in evaluation.evalImgs if e and e["aRng"] == [0, 1e10]]
    return {g - 1 for e in every for g, d in zip(e["gtIds"], e["gtMatches"][0], strict=True) if d > 0}


def xywh(box):
    x1, y1, x2, y2 = box.double().tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def test_matching_by_hand():
    overlap = np.array([[0.6, 0.9, 0.0], [0.7, 0.6, 0.5], [0.7, 0.2, 0.0]])
    every = np.ones((3, 3), dtype=bool)
    assert matched(overlap, every, 0.5).tolist() == [1, 2, 0]  # of equals the last, as pycocotools
    every[2, 0] = False
    assert matched(overlap, every, 0.5).tolist() == [1, 0, -1]
    assert matched(overlap, every, 0.65).tolist() == [1, 0, -1]
    assert matched(np.zeros((2, 0)), np.zeros((2, 0), dtype=bool), 0.5).tolist() == [-1, -1]


@pytest.mark.parametrize("name", ["faster_rcnn", "cascade_rcnn", "retinanet", "rpn", "fcos"])
def test_without_a_change_a_second_look_finds_the_same(networks, name):
    detector = networks[name]
    with torch.no_grad():
        raw = detector(photographs(1))
        (traced,) = trace(detector, raw)
        for place in places_of(detector):
            change = milder(detector, place)
            if change is not None:
                same = replace(change, stage=detector.stages[change.setting.number])
                found = detections(detector, same, raw, traced)
                assert torch.equal(found.boxes, traced.detections.boxes)
                assert torch.equal(found.scores, traced.detections.scores)


def test_each_milder_setting_brings_its_object_back(rpn, retinanet, faster):
    two = faster([[0.7, 0.0, 0.3], IS_CAT], [MOST, HALF])
    assert setting_of(two, "class_nms") == ("nms_thresh", 0.6, 0.7)
    assert found_at(two, "class_nms", raw_of([OBJECT, FAR], [2, 1], [OBJECT, FAR])) == ["class_nms", "found"]
    rpn.config = replace(SMALL_RPN, proposals=replace(PROPOSALS, post_nms_top_n=1))
    raw = raw_of([FAR, OBJECT], [3, 2], [FAR, OBJECT])
    assert setting_of(rpn, "kept") == ("post_nms_top_n", 1, 2)
    assert found_at(rpn, "kept", raw) == ["kept", "found"]
    assert rpn.config.proposals.post_nms_top_n == 1
    logits = [[-3.5, -4]]  # 0.029: above 0.01, under 0.05
    assert setting_of(retinanet, "background") == ("score_thresh", 0.05, 0.01)
    assert found_at(retinanet, "background", raw_of([OBJECT], logits, [OBJECT])) == ["background", "found"]
    for stage in ("anchors", "regression", "taken", "found", "unknown_class"):
        assert milder(two, stage) is None


def found_at(detector, stage, raw):
    (fate,) = follow(detector, raw, [OBJECT])
    with torch.no_grad():
        traced = trace(detector, raw)[0]
        found = detections(detector, milder(detector, stage), raw, traced)
    again = iou(2 * torch.tensor([OBJECT]).float(), found.boxes[found.labels == 0]).amax() >= 0.5
    return [fate.stage, "found" if again else stage]


def setting_of(detector, stage):
    setting = milder(detector, stage).setting
    return setting.name, setting.value, setting.milder
