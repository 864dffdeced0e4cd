"""Training on pictures that are cut: what the model knows of it, and that a run goes on as it began."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import masu
from masu.data.dataset import Dataset, Sample
from masu.data.fitting import measured
from masu.data.loading.crops import Crops
from masu.errors import InputError
from masu.records import Target
from masu.tiles import Tiles
from masu.training.recipe import TrainSettings, settings_of_run
from masu.training.start import starting_detector
from masu.training.train import refuse_lone_values, train

SMALL = TrainSettings(epochs=1, tiles=64, batch_size=2, weights="none", grow_from=1.0)


@pytest.fixture
def data(tmp_path):
    """Two pictures of 160×120 with two bright squares, each six crops; and two that fit in a tile."""
    samples = []
    for k, size in enumerate([(160, 120), (160, 120), (60, 50), (60, 50)]):
        pixels = np.random.default_rng(k).integers(0, 90, (size[1], size[0], 3), np.uint8)
        boxes = [[10.0, 8.0, 50.0, 48.0], [100.0, 70.0, 144.0, 114.0]][: 2 - (k > 1)]
        for x1, y1, x2, y2 in boxes:
            pixels[int(y1) : int(y2), int(x1) : int(x2)] = 255
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
        samples.append(Sample(tmp_path / f"{k}.png", Target(boxes, [0] * len(boxes))))
    return measured(Dataset.of(samples, ("square",), root=tmp_path))


def weights(path):
    return masu.load(path).state_dict()


def test_the_model_is_told_how_it_was_trained(data, tmp_path):
    said = []
    result = train(data, None, replace(SMALL, overlap=0.3), tmp_path / "run", report=said.append)
    policy = masu.load(result.last).input
    assert (policy.tiles.side, policy.tiles.overlap) == (64, 0.3)
    assert (policy.min_size, policy.max_size) == (64, 64)
    starts = [event["said"] for event in said if event["event"] == "start"]
    assert (
        "2 of 4 images larger than a tile of 64 pixels: an epoch shows 10 parts of them and each whole"
        in starts
    )
    crops = Crops(data, policy)
    assert len(crops) == 4 + 10
    steps = [event for event in said if event["event"] == "step"]
    assert [event["step"] for event in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert {event["steps"] for event in steps} == {7}
    again = settings_of_run(tmp_path / "run" / "settings.json")
    assert (again.tiles, again.overlap) == (64, 0.3)
    assert "overlap" in (tmp_path / "run" / "report.html").read_text()


def test_an_image_size_of_ones_own_is_kept(data):
    """A tile may be shown enlarged or reduced."""
    policy = starting_detector(replace(SMALL, image_size=96).resolved(), data, print).input
    assert (policy.min_size, policy.max_size) == (96, 192)
    assert policy.tiles == Tiles(64)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(data, tmp_path):
    data = data.take([0])
    whole = train(data, None, SMALL, tmp_path / "whole")

    def stop(event):
        if event["event"] == "step" and event["step"] == 2:
            raise KeyboardInterrupt

    assert train(data, None, SMALL, tmp_path / "parts", report=stop).interrupted
    resumed = train(data, None, SMALL, tmp_path / "parts", resume=True)
    one, other = weights(whole.last), weights(resumed.last)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    with pytest.raises(InputError, match="tiles 64 in the run and 96 now"):
        train(data, None, replace(SMALL, tiles=96), tmp_path / "parts", resume=True)


def test_one_tile_suffices_and_nothing_changes(data, tmp_path):
    fitting = data.take([2, 3])
    settings = replace(SMALL, tiles=None, image_size=64)
    tiled = replace(settings, tiles=64)
    one, other = (
        weights(train(fitting, None, s, tmp_path / str(i)).last) for i, s in enumerate((settings, tiled))
    )
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_fitted_anchors_are_those_of_tiles(data):
    """The squares are 40 and 44 pixels, 16 and 18 in the reduced pictures; 21 and 23 at 64 px without tiles."""

    def sizes(settings):
        detector = starting_detector(settings.resolved(), data.take([0, 1]), lambda _: None)
        return [level[0] for level in detector.pyramid.config.anchor_sizes][:2]

    small, large = sizes(replace(SMALL, anchors="auto"))
    assert 16 <= small <= 18
    assert 40 <= large <= 44
    assert 21 <= sizes(replace(SMALL, anchors="auto", tiles=None, image_size=64))[0] <= 23.5


def test_a_single_cell_of_a_window_is_refused(data):
    settings = replace(SMALL, tiles=32, batch_size=1)
    detector = starting_detector(settings.resolved(), data, print)
    with pytest.raises(InputError, match=r"^--image-size: found 32 px and a step of one image"):
        refuse_lone_values(detector, settings, Crops(data, detector.input))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"tiles": 31}, "--tiles: found 31, wanted a whole number from 32 to 16384; choose one of these"),
        ({"tiles": True}, "--tiles: found True, wanted a whole number from 32 to 16384; choose one of these"),
        (
            {"tiles": 64, "overlap": 0.95},
            "--overlap: found 0.95, wanted a number from 0 to 0.9; choose one of these",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused(changes, line):
    with pytest.raises(InputError) as caught:
        TrainSettings(**changes)
    assert str(caught.value) == line
    assert caught.value.code == "out-of-range"


def test_training_says_where_tiles_would_help(tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.zeros((1440, 1920, 3), np.uint8)).save(file, "JPEG")
    (tmp_path / "a.jpg").write_bytes(file.getvalue())
    boxes = [[x, 100.0, x + 30.0, 130.0] for x in (0.0, 300.0, 600.0)]
    data = measured(Dataset.of([Sample(tmp_path / "a.jpg", Target(boxes, [0] * 3))], ("a",), root=tmp_path))
    said = []

    def stop(event):
        said.append(event.get("said"))
        if event["event"] == "step":
            raise KeyboardInterrupt

    settings = TrainSettings(epochs=1, weights="none", image_size=320, grow_from=0.2)
    train(data, None, settings, tmp_path / "run", report=stop)
    wanted = (
        "half of the objects have a side under 6.7 pixels as the network sees them, 30.0 in their pictures: "
        "training with --tiles 640 shows them in full size"
    )
    assert wanted in said
