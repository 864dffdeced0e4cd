"""FCOS by hand and by its laws; ``tests/test_parity_torchvision.py`` holds it beside torchvision's."""

import math
from dataclasses import replace

import pytest
import torch
import torchvision
from torch.testing import assert_close

import masu
from masu.detectors.build import build, configuration, make, warm_start
from masu.detectors.calibration import Calibration
from masu.detectors.fcos import FCOSConfig, PointLevel, PointRows
from masu.detectors.raw import Raw
from masu.errors import InputError
from masu.evaluation.anchors import anchor_report
from masu.explanation.explain import explain
from masu.explanation.fates import places_of
from masu.explanation.funnel import funnel
from masu.explanation.what_if import milder
from masu.exports.exported import ExportedDetector
from masu.ops.points import encode
from masu.records import BACKGROUND, IGNORE, OBJECT, ImageBatch, Target
from tests.detectors.test_detectors import SMALL_FCOS, photographs
from tests.explanation.test_fates import CAT, DOG, FAR, HALF, MOST, NOTHING, follow
from tests.explanation.test_fates import OBJECT as BOX
from tests.networks import assert_finds_the_same, exported_from_one_trace, spread_points

NAMES = ("cat", "dog")
SURE = 30.0
"""A logit of centre-ness whose sigmoid is 1."""


@pytest.fixture(scope="module")
def detector():
    config = replace(SMALL_FCOS, score_thresh=0.2, pre_nms_top_n=3, detections_per_img=2, min_size=1.0)
    torch.manual_seed(0)
    return spread_points(make(config, NAMES))


def raw_of(anchors, logits, boxes, centreness=None):
    """Outputs of a network for one image of 100 × 100 px: of each point its logits and decoded box."""
    anchors, boxes = torch.tensor(anchors).float(), torch.tensor(boxes).float()
    batch = ImageBatch(torch.zeros(1, 3, 128, 128), torch.tensor([[100, 100]]), torch.tensor([[200, 200]]))
    centre = torch.tensor([SURE] * len(anchors) if centreness is None else centreness).float()
    distances = encode(boxes, anchors)[None]
    level = PointLevel(anchors, torch.tensor(logits).float()[None], distances, centre[None, :, None])
    return Raw(batch, (), (level,))


def point(x, y, side=4):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def test_losses_by_hand(detector):
    """Three points on one level, of which one stands for the object: 20 × 20 px around (10, 10)."""
    anchors = [point(12, 10), point(60, 60), point(90, 60)]
    boxes = [[0, 0, 20, 10], FAR, FAR]
    raw = raw_of(anchors, [[0, -3], [-3, -3], [-3, 2]], boxes, [0.5, 9, 9])
    losses = detector.losses(raw, [Target(torch.tensor([BOX]).float() * 2, [0])])
    p = 1 / (1 + math.exp(3))  # of a logit of −3
    q = 1 / (1 + math.exp(-2))
    object_ = 0.25 * 0.5**2 * math.log(2)
    background = 0.75 * (4 * p**2 * -math.log(1 - p) + q**2 * -math.log(1 - q))
    assert losses["classes"].item() == pytest.approx(object_ + background, rel=1e-5)
    assert losses["boxes"].item() == pytest.approx(0.5, rel=1e-5)  # 1 − IoU, the hull is the object
    wanted = math.sqrt(8 / 12)  # 12 px to the left, 8 to the right
    entropy = -wanted * math.log(1 / (1 + math.exp(-0.5))) - (1 - wanted) * math.log(1 / (1 + math.exp(0.5)))
    assert losses["centreness"].item() == pytest.approx(entropy, rel=1e-5)


def test_the_losses_of_a_batch_are_divided_by_all_its_points_on_objects(detector):
    """Not image by image: two and none on objects give the same mean as the two alone, background added."""
    with torch.no_grad():
        raw = detector(photographs(2))
        target, empty = Target([[10, 12, 50, 60], [80, 30, 150, 110]], [0, 1]), Target([], [])
        both = detector.losses(raw, [target, target])
        first = detector.losses(raw, [target, empty])
        alone = detector.losses(detector(photographs(2)[:1]), [target])
    assert_close(first["boxes"], alone["boxes"])
    assert_close(first["centreness"], alone["centreness"])
    assert first["classes"] > alone["classes"]
    assert both["boxes"] != first["boxes"]


def test_points_in_ignored_regions_take_no_part(detector):
    with torch.no_grad():
        raw = detector(photographs(1))
        region = Target([[-64, -64, 224, 192]], [0], [True])
        assert all(value.item() == 0 for value in detector.losses(raw, [region]).values())
        assigned = detector.assignment(raw.anchors, Target([[0, 0, 80, 128]], [0], [True]))
    left = raw.anchors[:, 2] <= 80
    assert (assigned.label[left & (raw.anchors[:, :2] >= 0).all(1)] == IGNORE).all()
    assert (assigned.label[raw.anchors[:, 0] >= 80] == BACKGROUND).all()
    both = Target([[10, 12, 50, 60], [0, 0, 160, 128]], [1, 0], [False, True])
    assert (detector.assignment(raw.anchors, both).label == OBJECT).any()


def test_what_points_stand_for(detector):
    """Of the sides of its configuration, 4 to 64 px, the finest level looks up to 32 px, the next from there."""
    anchors = torch.tensor([point(30, 30), point(38, 30), point(30, 30, 8), point(30, 30, 64)]).float()
    target = Target([[0, 0, 1, 1], [20, 20, 40, 40], [0, 0, 64, 64]], [0, 0, 1], [True, False, False])
    found = detector.assignment(anchors, target)
    assert found.label.tolist() == [OBJECT, BACKGROUND, OBJECT, BACKGROUND]
    assert found.objects.boxes[found.index[[0, 2]]].tolist() == [[20, 20, 40, 40], [0, 0, 64, 64]]
    assert not found.low_quality.any()
    assert not found.between.any()


@pytest.mark.parametrize("p", [-200.0, -40.0, -3.0, 0.0, 2.0, 40.0, 200.0])
@pytest.mark.parametrize("c", [-200.0, -3.0, 0.5, 40.0, 200.0])
def test_the_sigmoid_of_the_log_odds_is_the_score(p, c):
    """Also where the score is 0 or 1 in numbers; the gradient is finite, and never 0 in both."""
    logits = torch.tensor([[[p]]], requires_grad=True)
    centre = torch.tensor([[[c]]], requires_grad=True)
    rows = PointRows(torch.zeros(1, 4), logits, torch.zeros(1, 1, 1, 4), logits=logits, centreness=centre)
    odds = rows.log_odds(0)
    score = (torch.tensor(p).double().sigmoid() * torch.tensor(c).double().sigmoid()).sqrt()
    assert_close(odds.sigmoid().item(), score.item(), rtol=1e-5, atol=1e-30)
    gradients = torch.autograd.grad(odds, [logits, centre])
    assert all(torch.isfinite(g).all() for g in gradients)
    assert sum(gradients).item() > 0


def test_detections_by_hand(detector):
    raw = raw_of([BOX, FAR], [CAT, DOG], [BOX, FAR], [SURE, 0.0])
    (found,) = detector.detections(raw)
    assert found.names == ("cat", "dog")
    sure, half = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-2)) / 2
    assert_close(found.scores, torch.tensor([sure, half]).sqrt())
    assert_close(found.boxes, torch.tensor([BOX, FAR]).float() * 2)


@pytest.mark.parametrize(
    ("stage", "changes", "anchors", "logits", "boxes", "centreness"),
    [
        ("found", {}, [BOX], [CAT], [BOX], None),
        ("anchors", {}, [FAR], [CAT], [FAR], None),
        ("anchors", {}, [[0, 0, 4, 4]], [CAT], [HALF], None),  # inside, but 8 px from the middle
        ("regression", {}, [point(12, 12)], [CAT], [HALF], None),
        ("other_class", {}, [BOX], [DOG], [BOX], None),
        ("background", {}, [BOX], [NOTHING], [BOX], None),
        ("background", {}, [BOX], [CAT], [BOX], [-6.0]),  # far from the middle, as the network thinks
        ("top_k", {"pre_nms_top_n": 1}, [FAR, BOX], [[3, -4], CAT], [FAR, BOX], None),
        ("small_box", {"min_size": 21.0}, [BOX], [CAT], [BOX], None),
        ("class_nms", {}, [BOX, BOX], [[3, -4], CAT], [HALF, MOST], None),
        ("found", {}, [BOX, BOX], [[3, -4], CAT], [HALF, MOST], [-1.0, SURE]),
        ("max_detections", {"detections_per_img": 1}, [FAR, BOX], [[-4, 3], CAT], [FAR, BOX], None),
    ],
)
def test_an_object_is_lost_there(detector, stage, changes, anchors, logits, boxes, centreness):
    config = detector.config
    detector.config = replace(config, **changes)
    try:
        (fate,) = follow(detector, raw_of(anchors, logits, boxes, centreness), [BOX])
    finally:
        detector.config = config
    assert fate.stage == stage
    assert fate.instead == ("dog" if stage == "other_class" else None)


def test_places_are_in_order(detector):
    assert list(places_of(detector)) == [
        "unknown_class",
        "anchors",
        "regression",
        "other_class",
        "background",
        "top_k",
        "small_box",
        "class_nms",
        "max_detections",
        "taken",
        "found",
    ]
    change = milder(detector, "background")
    setting = change.setting
    assert (setting.name, setting.value, setting.milder) == ("score_thresh", 0.2, 0.04)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return spread_points(build("fcos_lite0_fpn", ["coin", "pin"], image_size=128))


def test_saved_and_loaded_it_finds_the_same(small, tmp_path):
    masu.save(small, tmp_path / "m.safetensors")
    loaded = masu.load(tmp_path / "m.safetensors")
    assert loaded.config == small.config
    a, b = (d.predict(photographs(1))[0] for d in (small, loaded))
    assert len(a) > 0
    assert torch.equal(a.boxes, b.boxes)
    assert torch.equal(a.scores, b.scores)


def test_every_format_finds_the_same_with_calibrated_scores(small, tmp_path, monkeypatch):
    line = Calibration("right", {small.names[0]: ((0.0, 0.05), (0.3, 0.1), (0.6, 0.45), (1.0, 0.5))})
    monkeypatch.setattr(small, "calibration", line)  # so that classes change places
    for report in exported_from_one_trace(small, tmp_path, monkeypatch):
        assert report.agreement.detections > 100, report.to
        assert report.agreement.unmatched == 0, report.to
        exported = ExportedDetector(report.file, trust_code=True)
        found = exported.predict(photographs(1))[0]
        assert (found.scores.diff() <= 0).all(), report.to
        assert float(found.scores[found.labels == 0].max()) <= 0.5 + 1e-6, report.to
    # the same graph, which masu export --to openvino converts
    assert_finds_the_same(small, ExportedDetector(tmp_path / "model.onnx", "openvino"))


def test_evaluation_funnel_explanation_and_saliency(small, coins, tmp_path):
    data = masu.read_dataset(coins, "val")
    assert 0 <= masu.evaluate(small, data).ap <= 1
    report = funnel(small, data)
    assert report.anchors is None
    assert sum(report.counts().values()) == len(report.fates) == sum(len(data[i].target) for i in (0, 1))
    page = explain(small, data, tmp_path / "page.html", worst=1).page
    assert page.stat().st_size > 1000
    image = photographs(1)[0]
    found = masu.saliency(small, image, 0)
    assert found.score == pytest.approx(small.predict([image])[0].scores[0].item(), abs=1e-5)
    assert found.map.max() == 1


def test_some_steps_of_training_lower_the_loss(coins, tmp_path):
    data = masu.read_dataset(coins, "train")
    settings = masu.TrainSettings(
        architecture="fcos_lite0_fpn",
        epochs=8,
        image_size=64,
        learning_rate=2e-3,
        warmup_steps=1,
        average=0.0,
    )
    history = masu.train(data, None, settings, tmp_path / "run").history
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["classes"] < history[0]["classes"]
    assert history[-1]["boxes"] < history[0]["boxes"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert all(f"Loss: {term}, from " in page for term in ("classes", "boxes", "centreness"))


def test_a_warm_start_takes_classes_over_by_name(small):
    fresh = build("fcos_lite0_fpn", ["pin", "nail"], "none", image_size=128)
    taken = warm_start(fresh, small)
    assert (taken.classes, taken.new_classes, taken.reset) == (("pin",), ("nail",), ())
    mine, given = (d.head.classes.output for d in (fresh, small))
    assert torch.equal(mine.weight[0], given.weight[1])
    assert torch.equal(mine.bias[0], given.bias[1])
    assert not torch.equal(mine.weight[1], given.weight[0])
    assert torch.equal(fresh.head.centreness.weight, small.head.centreness.weight)


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return torchvision.models.detection.fcos_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, score_thresh=0.15, center_sampling_radius=2.0
    )


def test_a_torchvision_model_brings_its_settings(reference):
    config = masu.from_torchvision(reference).config
    assert (config.score_thresh, config.centre_radius, config.min_size) == (0.15, 2.0, 0.0)
    assert (config.nms_thresh, config.pre_nms_top_n, config.detections_per_img) == (0.6, 1000, 100)
    assert (config.frozen_norms, config.frozen_stride) == (False, 0)
    plain = masu.from_torchvision(reference.state_dict())
    assert plain.config == replace(configuration("fcos_resnet50_fpn"), frozen_norms=False)
    assert plain.names == ("class 0", "class 1", "class 2", "class 3")


def test_column_0_is_left_out_where_there_is_a_name_less(reference):
    whole, less = (masu.from_torchvision(reference, names) for names in (list("abcd"), list("bcd")))
    for leaf in ("weight", "bias"):
        rows, fewer = (getattr(d.head.classes.output, leaf) for d in (whole, less))
        assert torch.equal(rows[1:], fewer)
    with pytest.raises(InputError, match=r"^names: found 2 names, wanted 4, one per class"):
        masu.from_torchvision(reference, list("ab"))


def test_other_anchors_and_coders_are_refused(reference):
    reference.box_coder.normalize_by_size = False
    with pytest.raises(InputError, match=r"found box_coder.normalize_by_size = False, wanted True"):
        masu.from_torchvision(reference)
    reference.box_coder.normalize_by_size = True
    sizes = reference.anchor_generator.sizes
    reference.anchor_generator.sizes = ((8,), (16,), (64,), (32,), (128,))
    with pytest.raises(InputError, match=r"found anchor_generator.sizes = \[\(8,\), \(16,\), \(64,\), "):
        masu.from_torchvision(reference)
    reference.anchor_generator.sizes = sizes


@pytest.mark.parametrize(
    "changes",
    [
        {"anchor_sizes": ((8.0, 9.0),) * 5},
        {"anchor_ratios": (0.5, 1.0)},
        {"anchor_sizes": ((8.0,), (16.0,), (16.0,), (32.0,), (64.0,))},
    ],
)
def test_anchors_are_points(changes):
    with pytest.raises(ValueError, match=r"^anchor_sizes, anchor_ratios: found .* FCOS looks from points$"):
        FCOSConfig("resnet50", **changes)


def test_there_are_no_anchors_to_fit(coins, tmp_path):
    data = masu.read_dataset(coins, "train")
    said = r"^fcos_lite0_fpn: found points, wanted anchors, whose sizes and ratios can fit objects; .*$"
    with pytest.raises(InputError, match=said):
        anchor_report(data, "fcos_lite0_fpn")
    settings = masu.TrainSettings(architecture="fcos_lite0_fpn", anchors="auto", epochs=1)
    with pytest.raises(InputError, match=said):
        masu.train(data, None, settings, tmp_path / "run")


def test_the_loss_on_boxes_is_giou():
    assert SMALL_FCOS.with_box_loss("giou") == SMALL_FCOS
    with pytest.raises(InputError, match=r"^box_loss: found 'l1', wanted 'giou': FCOS has no deltas"):
        SMALL_FCOS.with_box_loss("l1")
