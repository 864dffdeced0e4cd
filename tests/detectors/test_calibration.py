"""Calibrated scores: rising lines with an inverse, in predictions, traces and model files."""

from dataclasses import replace

import pytest
import torch

import masu
from masu.detectors.build import store_calibration, store_thresholds
from masu.detectors.calibration import Calibration
from masu.detectors.trace import trace
from masu.errors import InputError
from masu.exports.agreement import agreement_of
from masu.exports.write import describe
from tests.networks import spread, spread_points

LINE = ((0.0, 0.0), (0.5, 0.1), (0.8, 0.7), (1.0, 0.75))
NAMES = ("cat", "dog", "hen")


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return spread(masu.build("faster_rcnn_lite0_fpn", NAMES, "imagenet", image_size=96), scores=3).eval()


@pytest.fixture
def calibrated(detector):
    detector.calibration = Calibration("right", {"dog": LINE, "hen": ((0.0, 0.2), (1.0, 0.4))})
    return detector


@pytest.fixture
def image():
    return torch.randint(0, 256, (3, 90, 120), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_a_line_by_hand():
    line = Calibration("right", {"dog": LINE})
    raw = torch.tensor([0.0, 0.25, 0.5, 0.65, 0.9, 1.0])
    wanted = torch.tensor([0.0, 0.05, 0.1, 0.4, 0.725, 0.75])
    dogs = torch.ones(6, dtype=torch.int64)
    torch.testing.assert_close(line.scores(raw, dogs, NAMES), wanted)
    torch.testing.assert_close(line.raw(wanted, dogs, NAMES), raw)
    assert torch.equal(line.scores(raw, dogs * 0, NAMES), raw)  # a class without a line
    table = line.scores(raw[None].expand(2, -1), torch.stack([dogs, dogs * 0]), NAMES)
    torch.testing.assert_close(table, torch.stack([wanted, raw]))


def test_there_and_back():
    draw = torch.Generator().manual_seed(0)
    raw, labels = torch.rand(500, generator=draw), torch.randint(0, 3, (500,), generator=draw)
    line = Calibration("overlap", {"cat": ((0.0, 0.001), (0.3, 0.002), (1.0, 0.9)), "hen": LINE})
    worth = line.scores(raw, labels, NAMES)
    torch.testing.assert_close(line.raw(worth, labels, NAMES), raw, atol=1e-5, rtol=0)
    for k in range(3):
        own = raw[labels == k].argsort()
        assert (worth[labels == k][own].diff() >= 0).all()


@pytest.mark.parametrize(
    "points",
    [
        ((0.0, 0.0),),
        ((0.1, 0.0), (1.0, 1.0)),
        ((0.0, 0.0), (0.9, 1.0)),
        ((0.0, 0.5), (0.5, 0.4), (1.0, 1.0)),
        ((0.0, 0.5), (1.0, 0.5)),
        ((0.0, 0.0), (0.0, 0.1), (1.0, 1.0)),
        ((0.0, 0.0), (1.0, 1.2)),
        ((0.0, float("nan")), (1.0, 1.0)),
    ],
)
def test_points_that_are_no_rising_line(points):
    with pytest.raises(InputError):
        Calibration("right", {"dog": points})


def test_a_meaning_that_there_is_not():
    with pytest.raises(InputError, match="meaning"):
        Calibration("certain", {})


def test_predictions_are_those_of_the_network_with_other_scores(detector, image):
    plain = detector.predict([image])[0]
    detector.calibration = Calibration("right", {"dog": LINE, "hen": ((0.0, 0.2), (1.0, 0.4))})
    found = detector.predict([image])[0]
    assert (found.scores.diff() <= 0).all()
    worth = detector.calibration.scores(plain.scores, plain.labels, NAMES)
    order = worth.argsort(descending=True, stable=True)
    assert not torch.equal(order, torch.arange(len(order)))  # classes have changed places
    assert torch.equal(found.boxes, plain.boxes[order])
    assert torch.equal(found.labels, plain.labels[order])
    assert found.names == tuple(plain.names[i] for i in order.tolist())
    torch.testing.assert_close(found.scores, worth[order])
    detector.calibration = None
    assert torch.equal(detector.predict([image])[0].scores, plain.scores)


def test_single_is_batch(calibrated, image):
    one = calibrated.predict([image])[0]
    for other in calibrated.predict([image, image.flip(2), image], batch_size=3)[::2]:
        agreement = agreement_of(calibrated, [one], [other])
        assert (agreement.matched, agreement.unmatched) == (len(one), 0)
        assert agreement.score < 1e-4


def test_the_trace_shows_the_same_detections(calibrated, image):
    with torch.no_grad():
        raw = calibrated([image])
        traced, found = trace(calibrated, raw)[0], calibrated.detections(raw)[0]
    assert torch.equal(traced.detections.scores, found.scores)
    group, kept = traced.last.group, traced.last.kept
    assert torch.equal(group[kept], found.labels)  # detection k is number k of the kept


def spread_classes(detector):
    with torch.no_grad():
        torch.nn.init.normal_(detector.head.classes.output.weight, std=0.5)
    return detector


@pytest.mark.parametrize(
    ("architecture", "spreading"),
    [
        ("retinanet_lite0_fpn", spread_classes),
        ("fcos_lite0_fpn", spread_points),
        ("cascade_rcnn_lite0_fpn", spread),
    ],
)
def test_every_detector(architecture, spreading, image):
    torch.manual_seed(0)
    detector = spreading(masu.build(architecture, NAMES, "imagenet", image_size=64)).eval()
    plain = detector.predict([image])[0]
    detector.calibration = Calibration("right", dict.fromkeys(NAMES, ((0.0, 0.0), (1.0, 0.5))))
    found = detector.predict([image])[0]
    torch.testing.assert_close(found.scores, plain.scores / 2)
    assert len(found) > 0


def test_the_model_file_holds_it(calibrated, image, tmp_path):
    path = tmp_path / "model.safetensors"
    masu.save(calibrated, path)
    loaded = masu.load(path)
    assert loaded.calibration == calibrated.calibration
    assert torch.equal(loaded.predict([image])[0].scores, calibrated.predict([image])[0].scores)
    store_thresholds(path, {"dog": 0.3})
    assert masu.load(path).calibration == calibrated.calibration
    store_calibration(path, None, {"dog": 0.6})
    plain = masu.load(path)
    assert (plain.calibration, plain.thresholds) == (None, {"dog": 0.6})
    store_calibration(path, calibrated.calibration, {})
    assert (masu.load(path).calibration, masu.load(path).thresholds) == (calibrated.calibration, {})


def test_the_least_score_of_an_exported_file(calibrated):
    assert describe(calibrated).min_score == pytest.approx(0.004)  # of dogs: a fifth of the network's 0.02


def test_a_calibration_of_other_classes_leaves_the_file_whole(calibrated, tmp_path):
    path = tmp_path / "model.safetensors"
    masu.save(calibrated, path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="calibration of class 'cow'") as caught:
        store_calibration(path, Calibration("right", {"cow": LINE}), {})
    assert caught.value.code == "unknown-name"
    assert path.read_bytes() == before
    calibrated.calibration = Calibration("right", {"cow": LINE})
    with pytest.raises(InputError):
        masu.save(calibrated, path)
    assert path.read_bytes() == before


def test_agreement_is_of_the_networks_own_scores(calibrated, image):
    """A difference of a score is judged before the line makes it larger or smaller."""
    found = calibrated.predict([image])[0]
    raw = calibrated.calibration.raw(found.scores, found.labels, NAMES)
    for moved, equal in ((0.0015, True), (0.01, False)):
        scores = calibrated.calibration.scores((raw - moved).clamp(0, 1), found.labels, NAMES)
        agreement = agreement_of(calibrated, [found], [replace(found, scores=scores)])
        assert (agreement.matched == len(found)) is equal
