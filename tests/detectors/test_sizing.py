"""A detector asked at another image size: what one that was made at that size finds, in every combination."""

import pytest
import torch
from sklearn.datasets import load_sample_images

import masu
from masu import InputError
from masu.detectors.build import configuration
from masu.exports.exported import open_detector
from masu.exports.write import describe
from masu.tiles import Tiles
from tests.detectors.test_tiling import same
from tests.networks import tiny


@pytest.fixture(scope="module")
def photograph():
    return torch.from_numpy(load_sample_images().images[0][:200, :301].copy()).permute(2, 0, 1)


def test_it_finds_what_a_model_of_that_size_finds(small, photograph):
    other = masu.build(tiny("faster_rcnn_lite0_fpn"), small.names, "none", image_size=96).eval()
    other.load_state_dict(small.state_dict())
    before = small.predict([photograph])[0]
    asked = masu.with_image_size(small, 96)
    (wanted,) = other.predict([photograph])
    assert same(asked.predict([photograph])[0], wanted)
    assert not torch.equal(wanted.boxes, before.boxes)
    assert same(small.predict([photograph])[0], before)
    assert same(masu.with_image_size(small.prediction_network(), 96).predict([photograph])[0], wanted)


def test_the_longer_side_is_limited_in_proportion():
    config = configuration("retinanet_resnet50_fpn")
    assert (config.pyramid.input.min_size, config.pyramid.input.max_size) == (800, 1333)
    own = config.with_image_size(320).pyramid.input
    assert (own.min_size, own.max_size) == (320, 533)


def test_an_exported_file_is_made_at_it(small):
    assert describe(masu.with_image_size(small, 96)).min_size == 96


@pytest.mark.parametrize("side", [None, 150])
def test_with_tiles_and_two_looks_in_any_order(small, photograph, side):
    orders = [
        masu.with_tta(masu.tiled(masu.with_image_size(small, 96), side)),
        masu.with_image_size(masu.with_tta(masu.tiled(small, side)), 96),
        masu.tiled(masu.with_image_size(masu.with_tta(small), 96), side),
    ]
    found = [one.predict([photograph])[0] for one in orders]
    assert all(one.input.min_size == 96 for one in orders)
    assert all(one.input.tiles == (None if side is None else Tiles(side)) for one in orders)
    assert all(same(found[0], one) for one in found[1:])
    assert not same(found[0], masu.with_tta(masu.tiled(small, side)).predict([photograph])[0])


def test_a_saved_model_keeps_it(small, tmp_path):
    masu.save(masu.with_image_size(small, 96), tmp_path / "model.safetensors")
    assert masu.load(tmp_path / "model.safetensors").input == masu.with_image_size(small, 96).input


def test_a_file_says_how_it_was_measured_only_where_something_was(small):
    larger = masu.with_image_size(small, 96)
    assert "measured" not in describe(larger).as_dict()  # so that an earlier masu opens the file
    larger.thresholds = {"cat": 0.3}
    assert describe(larger).as_dict()["measured"] == {"image_size": small.input.min_size, "looks": 1}


def test_what_cannot_be_asked_so_is_refused(small, onnx_file):
    exported, own = open_detector(onnx_file), small.input.min_size
    assert masu.with_image_size(exported, own) is exported
    for one in (exported, masu.with_tta(exported)):
        with pytest.raises(InputError) as refused:
            masu.with_image_size(one, 96)
        assert refused.value.thing == "--image-size"
        assert refused.value.found == f"96 for an exported file, whose graph brings images to {own} pixels"
        assert refused.value.fix == "export the model at that size: masu export MODEL --image-size 96"
    with pytest.raises(TypeError, match=r"with_image_size: found a value of type str, .* masu.load opens"):
        masu.with_image_size("model.safetensors", 96)
    for size in (0, -96, 31, 16_385, 96.5, True, "96"):
        with pytest.raises(InputError, match=r"image_size: found .*, wanted a whole number from 32 to 16384"):
            masu.with_image_size(small, size)
