"""Sizes in an ONNX file: of the image that the network sees, and of maps that are a few cells."""

from dataclasses import replace

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from torch import nn
from torch.export import Dim

from masu import InputError
from masu.exports.exported import open_detector
from masu.exports.onnx_operators import TRANSLATIONS
from masu.exports.write import SUFFIXES, describe, trace, write
from masu.ops.images import InputPolicy, resized_size
from masu.runtime import Model
from tests.networks import bright_cells


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """A detector that sees 8×8 to 8×16 pixels or 16×8, one cell high or wide, and its file.

    The images that it is traced with are wider than high, and so is its one map then.
    """
    detector = bright_cells((8, 16))
    file = tmp_path_factory.mktemp("onnx") / "cells.onnx"
    write(trace(detector.prediction_network().detector), describe(detector), "onnx", file)
    return detector, Model(file)


@pytest.mark.parametrize(
    ("count", "height", "width"),
    [(2, 8, 16), (3, 16, 8), (1, 8, 8), (1, 64, 48), (2, 1, 1), (1, 1, 300), (1, 300, 1), (4, 5, 7)],
)
def test_maps_of_one_cell(cells, count, height, width):
    detector, model = cells
    images = torch.full((count, 3, height, width), 255, dtype=torch.uint8)
    images[1:, :, : height // 2, : width // 2] = 60
    for wanted, found in zip(
        detector.predict(list(images)),
        model.predict([image.permute(1, 2, 0).numpy() for image in images], batch_size=count),
        strict=True,
    ):
        assert len(wanted) == len(found)
        torch.testing.assert_close(torch.from_numpy(found.boxes), wanted.boxes, atol=1e-3, rtol=0)
        torch.testing.assert_close(torch.from_numpy(found.scores), wanted.scores, atol=1e-5, rtol=0)


def test_every_cell_is_found(cells):
    _, model = cells
    white = torch.full((16, 8, 3), 255, dtype=torch.uint8).numpy()
    (found,) = model.predict([white])
    assert found.boxes.tolist() == [[0, 0, 8, 8], [0, 0, 8, 16]]


class _NormFirst(nn.Module):
    """As in a pre-activation network: a normalisation that no convolution comes before, so that it stays."""

    in_channels = 3

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.cells = nn.AvgPool2d(8)
        self.register_buffer("seen", torch.tensor([True]))

    def forward(self, pixels):
        return [self.cells(self.norm(pixels))[:, :1] * self.seen]


@pytest.mark.parametrize("to", ["torch", "onnx", "openvino"])
def test_a_normalisation_that_stays(tmp_path, to):
    detector = bright_cells((64, 64))
    detector.backbone = _NormFirst()
    with torch.no_grad():
        detector.backbone.norm.weight.fill_(0.5)
        detector.backbone.norm.running_mean.fill_(0.1)
    detector.eval()
    assert any(isinstance(m, nn.BatchNorm2d) for m in detector.prediction_network().detector.modules())
    program = trace(detector.prediction_network().detector)
    assert torch.int64 in {t.dtype for t in program.state_dict.values()}
    parameters = [n for n, t in program.state_dict.items() if isinstance(t, nn.Parameter)]
    file = tmp_path / f"a{SUFFIXES[to]}"
    write(program, describe(detector), to, file)
    image = torch.randint(0, 256, (3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    (wanted,), (found,) = detector.predict([image]), open_detector(file, trust_code=True).predict([image])
    assert len(wanted) == len(found) > 5
    torch.testing.assert_close(found.boxes, wanted.boxes, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.scores, wanted.scores, atol=1e-5, rtol=0)
    if to == "torch":
        state = torch.export.load(file).state_dict
        assert [n for n, t in state.items() if isinstance(t, nn.Parameter)] == parameters
        assert {n: t.dtype for n, t in state.items()} == {n: t.dtype for n, t in program.state_dict.items()}


class _Fussy(nn.Module):
    def forward(self, pixels):
        return [pixels[:, :1, ::8, ::8] if pixels.shape[2] > 100 else pixels[:, 1:2, ::8, ::8]]


def test_a_network_that_goes_other_ways_for_other_sizes(capfd):
    detector = bright_cells((8, 16))
    detector.backbone = _Fussy()
    with pytest.raises(InputError) as error:
        trace(detector)
    assert str(error.value).startswith("export: found a network that torch.export cannot follow (")
    assert str(error.value).endswith(
        ", wanted one whose code is the same for images of every size; train one with another --backbone"
    )
    assert capfd.readouterr() == ("", "")


class _Size(nn.Module):
    def forward(self, images):
        return torch.ops.masu.canvas(images, 64, 128, 32, [0.0], [1.0], False)[1]


def test_sizes_are_those_of_eager_mode_to_the_pixel(tmp_path):
    """In single precision 427·(64/427) is below 64, and in double precision 98·(64/98)."""
    free = {0: Dim("N", min=1), 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    program = torch.export.export(_Size(), (torch.zeros(2, 1, 24, 36),), dynamic_shapes=(free,))
    file = tmp_path / "size.onnx"
    torch.onnx.export(program, dynamo=True, custom_translation_table=TRANSLATIONS, verbose=False).save(file)
    ort = onnxruntime.InferenceSession(file)
    compiled = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pictures = np.random.default_rng(0).integers(1, 900, (300, 2)).tolist()
    pictures += [(k, k * 3 // 2) for k in range(2, 600, 4)] + [(k * 4 // 3, k) for k in range(3, 600, 6)]
    pictures += [(427, 640), (98, 98), (1, 1), (1, 4000), (4000, 1)]
    policy = InputPolicy(64, 128, (0.0,), (1.0,), channels=1)
    for height, width in pictures:
        image = np.zeros((1, 1, height, width), np.float32)
        wanted = list(resized_size(height, width, policy))
        assert ort.run(None, {ort.get_inputs()[0].name: image})[0].tolist() == wanted, (height, width)
        assert compiled([image])[0].tolist() == wanted, (height, width)


MEANS, STDS = (0.25, 0.5, 0.125, 0.75, 0.375), (0.5, 0.25, 2.0, 1.5, 0.75)


@pytest.mark.parametrize("channels", [None, 1, 3, 4, 5])
def test_images_of_any_number_of_channels(channels, tmp_path):
    """RGB photographs are bytes that become 0..1; other channels, three as well, are taken as they are."""
    count = 3 if channels is None else channels
    detector = bright_cells((32, 48))
    policy = InputPolicy(32, 48, MEANS[:count], STDS[:count], divisor=8, channels=channels)
    detector.config = replace(detector.config, input=policy)
    file = tmp_path / "channels.onnx"
    write(trace(detector.prediction_network().detector), describe(detector), "onnx", file)
    random, model = np.random.default_rng(0), Model(file)
    if channels is None:
        images = list(random.integers(0, 256, (2, 40, 44, 3), dtype=np.uint8))
    else:
        images = list(random.random((2, 40, 44, channels), dtype=np.float32) * 1.1)
    for wanted, found in zip(detector.predict(images), model.predict(images, batch_size=2), strict=True):
        assert len(wanted) == len(found) > 4
        assert wanted.scores.max() - wanted.scores.min() > 0.1
        torch.testing.assert_close(torch.from_numpy(found.scores), wanted.scores, atol=1e-5, rtol=0)
        torch.testing.assert_close(torch.from_numpy(found.boxes), wanted.boxes, atol=1e-3, rtol=0)
