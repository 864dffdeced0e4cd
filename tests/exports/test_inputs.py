"""What a graph is given of the images of a data set, to be compared and calibrated on."""

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from masu.data.pixels import large
from masu.data.pixels.images import read_pixels
from masu.exports import inputs
from masu.exports.inputs import graph_input
from masu.ops.images import InputPolicy
from masu.tiles import Tiles

PIXELS = np.random.default_rng(0).integers(0, 256, (120, 180, 3)).astype(np.uint8)
POLICY = InputPolicy(40, 60)


@pytest.fixture
def photograph(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_photograph_as_it_is(photograph):
    for number in (0, 1):
        assert torch.equal(graph_input(photograph, POLICY, number), read_pixels(photograph))


def test_of_one_that_is_cut_the_whole_and_a_tile(photograph):
    policy = InputPolicy(40, 60, tiles=Tiles(60, 0.0))
    whole, tile = (graph_input(photograph, policy, number) for number in (0, 1))
    assert whole.shape == (3, 40, 60)
    means = PIXELS.reshape(40, 3, 60, 3, 3).mean((1, 3))
    assert np.abs(whole.permute(1, 2, 0).numpy() - means).max() <= 0.5
    assert torch.equal(tile, read_pixels(photograph)[:, 60:120, :60])  # the fourth of six, row by row


def test_of_a_file_too_large_to_be_decoded_only_parts_are_read(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", tile=(32, 32))
    monkeypatch.setattr(large, "GLADLY", 10_000)
    monkeypatch.setattr(inputs, "GLADLY", 10_000)
    monkeypatch.setattr(inputs, "read_pixels", None)
    assert graph_input(tmp_path / "a.tif", POLICY, 1).shape == (3, 40, 60)
    tiled = InputPolicy(40, 60, tiles=Tiles(60, 0.0))
    assert torch.equal(
        graph_input(tmp_path / "a.tif", tiled, 1).permute(1, 2, 0), torch.from_numpy(PIXELS[60:120, :60])
    )
