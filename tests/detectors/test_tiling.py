"""Detectors that look at large pictures in tiles: the same ones where a tile suffices, and elsewhere by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

import masu
from masu import InputError
from masu.data.pixels.windows import Held
from masu.detectors.build import configuration, make
from masu.detectors.model_file import description
from masu.detectors.predict import Predictor
from masu.detectors.tiling import as_told
from masu.exports.agreement import agreement_of
from masu.exports.exported import open_detector
from masu.exports.write import describe
from masu.ops.images import InputPolicy
from masu.records import Detections
from masu.runtime import Description, Model
from masu.tiles import Tiles
from tests.networks import spread


@pytest.fixture(scope="module")
def photograph():
    return torch.from_numpy(load_sample_images().images[0][:300, :420].copy()).permute(2, 0, 1)


def same(one, other):
    return all(
        torch.equal(a, b) for a, b in zip(one.to_dict().values(), other.to_dict().values(), strict=True)
    )


def test_one_tile_is_the_picture_itself(small, photograph):
    tiled = masu.tiled(small, 420)
    assert same(tiled.predict([photograph])[0], small.predict([photograph])[0])
    assert len(small.predict([photograph])[0]) > 10


def test_a_larger_picture_is_found_in_by_views(small, photograph):
    tiled = masu.tiled(small, 200, overlap=0.25)
    found = tiled.predict([photograph, photograph[:, :150, :200]], batch_size=4)
    assert same(found[1], small.predict([photograph[:, :150, :200]])[0])
    assert len(found[0])
    assert (found[0].scores.diff() <= 0).all()
    boxes = found[0].boxes
    assert (boxes.amin(0) >= 0).all()
    assert (boxes[:, 2:] <= torch.tensor([420.0, 300.0])).all()
    every = torch.cat(
        [
            small.predict([photograph[:, y1:y2, x1:x2]])[0].scores
            for x1, y1, x2, y2 in Tiles(200, 0.25).windows(300, 420)
        ]
        + [small.predict([photograph])[0].scores]
    )
    from_own = (found[0].scores[:, None] - every).abs().amin(1)  # rows of a batch are summed in another order
    assert (from_own < 1e-5).float().mean() > 0.98  # scores are the network's own
    assert len(found[0]) > max(len(small.predict([photograph])[0]), 1)


def test_whatever_holds_the_picture(small, photograph, tmp_path):
    from PIL import Image

    tiled = masu.tiled(small, 200)
    wanted = tiled.predict([photograph])[0]
    array = photograph.permute(1, 2, 0).numpy()
    Image.fromarray(array).save(tmp_path / "a.png")
    for given in (array, Image.fromarray(array), tmp_path / "a.png", Held(array)):
        assert same(tiled.predict([given])[0], wanted)
    assert tiled.predict(tmp_path / "a.png").path == tmp_path / "a.png"


def test_margins_stay_within_the_picture(small, photograph):
    tiled = masu.tiled(small, 200)
    tiled.margins = dict.fromkeys(small.names, 0.5)
    boxes = tiled.predict([photograph], threshold=0.0, margins=True)[0].boxes
    assert boxes[:, 2].max() == 420
    assert boxes[:, 3].max() == 300
    assert boxes.min() == 0


class Elsewhere(Predictor):
    """Finds one box in every image; what it finds belongs on a device without memory."""

    names, thresholds, margins = ("a",), {}, {}
    input, suppression = InputPolicy(64, 64, tiles=Tiles(64)), 0.5
    device = torch.device("meta")

    def with_tiles(self, tiles):
        raise NotImplementedError

    def of_pixels(self, images):
        return [Detections([[8, 8, 24, 24]], [0.5], [0], ("a",)) for _ in images]


def test_what_is_found_in_tiles_lies_where_what_is_found_in_one_image_does():
    found = Elsewhere().predict([torch.zeros((3, 64, 100), dtype=torch.uint8)])[0]
    assert {value.device.type for value in found.to_dict().values()} == {"meta"}
    assert len(found) == len(found.names) > 0


def test_the_detector_stays_as_it_is(small):
    network = small.prediction_network()
    for one in (small, network):
        tiled = masu.tiled(one, 200)
        assert tiled.input.tiles == Tiles(200)
        assert one.input.tiles is None
        assert masu.tiled(tiled, None).input == one.input
    with pytest.raises(TypeError, match=r"masu.load opens one"):
        masu.tiled("model.safetensors", 640)


def test_what_was_said_takes_the_place_of_what_the_model_says(small):
    tiled = masu.tiled(small, 200, 0.3)
    assert as_told(tiled, None, None) is tiled
    assert as_told(tiled, 300, None).input.tiles == Tiles(300, 0.3)
    assert as_told(tiled, None, 0.5).input.tiles == Tiles(200, 0.5)
    assert as_told(tiled, 0, None).input.tiles is None
    assert as_told(small, 300, None).input.tiles == Tiles(300, 0.2)
    for detector, side in ((small, None), (tiled, 0)):
        with pytest.raises(InputError) as error:
            as_told(detector, side, 0.5)
        assert error.value.thing == "--overlap"


def test_a_model_file_keeps_them_and_without_says_nothing_of_them(small, tmp_path):
    assert "tiles" not in description(small)["config"]
    tiled = masu.tiled(small, 200, 0.3)
    masu.save(tiled, tmp_path / "tiled.safetensors")
    assert masu.load(tmp_path / "tiled.safetensors").config == tiled.config
    masu.save(small, tmp_path / "plain.safetensors")
    assert masu.load(tmp_path / "plain.safetensors").config == small.config


def test_an_exported_file_keeps_them_and_without_says_nothing_of_them(small):
    assert "tiles" not in describe(small).as_dict()
    said = describe(masu.tiled(small, 200, 0.3)).as_dict()
    assert said["tiles"] == {"side": 200, "overlap": 0.3, "iou": None}
    assert Description.from_json(json.dumps(said)).tiling == Tiles(200, 0.3)
    for wrong in (3, {"side": 5}, {"side": 200, "more": 1}):
        with pytest.raises(ValueError, match="tiles"):
            Description.from_json(json.dumps(said | {"tiles": wrong}))


def test_an_exported_file_finds_the_same(small, photograph, onnx_file):
    tiled = masu.tiled(small, 200)
    wanted = tiled.predict([photograph], batch_size=3)
    exported = masu.tiled(open_detector(onnx_file), 200).predict([photograph], batch_size=3)
    runtime = Model(onnx_file).with_tiles(Tiles(200)).predict([photograph.permute(1, 2, 0).numpy()], None, 3)
    runtime = [Detections(f.boxes, f.scores, f.labels, f.names) for f in runtime]
    assert same(exported[0], runtime[0])
    agreed = agreement_of(tiled, wanted, exported)
    assert agreed.matched > 50
    assert agreed.unmatched <= agreed.detections // 50, agreed  # ties within two tiles


def test_an_exported_file_says_its_suppression_where_it_is_not_the_usual_one(small):
    assert small.suppression == 0.5
    assert "nms_thresh" not in describe(small).as_dict()
    said = describe(masu.build("fcos_lite0_fpn", ["a"])).as_dict()
    assert said["nms_thresh"] == 0.6
    assert Description.from_json(json.dumps(said)).nms_thresh == 0.6
    older = {name: value for name, value in said.items() if name != "nms_thresh"}
    assert Description.from_json(json.dumps(older)).nms_thresh == 0.5
    with pytest.raises(ValueError, match=r"nms_thresh 1\.5"):
        Description.from_json(json.dumps(said | {"nms_thresh": 1.5}))


def test_tiles_at_detect_time_merge_at_the_suppression_that_the_file_says(small, photograph, onnx_file):
    """Of a file without tiles, as of the detector; tiles that say their own IoU have it."""
    exported, model = open_detector(onnx_file), Model(onnx_file)
    exported.description = model.description = replace(model.description, nms_thresh=0.1)
    array = photograph.permute(1, 2, 0).numpy()
    for tiles, wanted in ((Tiles(200), Tiles(200, iou=0.1)), (Tiles(200, iou=0.4), Tiles(200, iou=0.4))):
        ours = small.with_tiles(wanted).predict([photograph], batch_size=3)
        theirs = exported.with_tiles(tiles).predict([photograph], batch_size=3)
        agreed = agreement_of(small, ours, theirs)
        assert agreed.unmatched <= agreed.detections // 50, agreed  # ties within two tiles
        (found,) = model.with_tiles(tiles).predict([array], None, 3)
        assert same(Detections(found.boxes, found.scores, found.labels, found.names), theirs[0])
    usual = small.with_tiles(Tiles(200)).predict([photograph], batch_size=3)
    merged = exported.with_tiles(Tiles(200)).predict([photograph], batch_size=3)
    assert agreement_of(small, usual, merged).unmatched > 5


def test_numbers_of_other_channels():
    torch.manual_seed(0)
    config = configuration("faster_rcnn_lite0_fpn")
    policy = InputPolicy(64, 128, (0.1,) * 5, (20.0,) * 5, channels=5)
    detector = spread(make(config.with_pyramid(replace(config.rpn, input=policy)), ("a", "b")))
    picture = np.random.default_rng(0).normal(0, 50, (130, 170, 5)).astype(np.float32)
    found = masu.tiled(detector, 100).predict([picture])
    assert len(found[0])
