"""An exported file gives the calibrated scores that its detector gives, in every runtime."""

import pytest
import torch

import masu
from masu.detectors.calibration import Calibration
from masu.exports.exported import ExportedDetector
from masu.exports.write import describe, trace, write
from tests.networks import assert_finds_the_same, spread

LINES = {"cat": ((0.0, 0.05), (0.6, 0.1), (0.9, 0.8), (1.0, 0.85)), "hen": ((0.0, 0.0), (1.0, 0.5))}


@pytest.fixture(scope="module")
def calibrated():
    torch.manual_seed(0)
    detector = spread(masu.build("faster_rcnn_lite0_fpn", ["cat", "dog", "hen"], "imagenet"), scores=3)
    detector.calibration = Calibration("right", LINES)
    return detector


@pytest.fixture(scope="module")
def file(calibrated, tmp_path_factory):
    file = tmp_path_factory.mktemp("onnx") / "calibrated.onnx"
    write(trace(calibrated.prediction_network().detector), describe(calibrated), "onnx", file)
    return file


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_file_gives_calibrated_scores(calibrated, file, engine):
    exported = ExportedDetector(file, engine)
    assert_finds_the_same(calibrated, exported)
    image = torch.randint(
        0, 256, (3, 200, 300), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    found = exported.predict([image])[0]
    assert (found.scores.diff() <= 0).all()
    assert float(found.scores[found.labels == 0].max()) <= 0.85
    assert float(found.scores.max()) > 0.85  # of dogs, whose scores stay


def test_the_least_score_of_a_file(calibrated):
    assert describe(calibrated).min_score == pytest.approx(0.01)  # of hens: half of the network's 0.02
