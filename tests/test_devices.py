"""Where networks compute; what needs a GPU is in tests/detectors/test_cuda.py."""

import pytest
import torch

import masu
from masu.devices import device_of, moved
from masu.errors import InputError
from masu.exports.exported import open_detector

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device here")


def test_words():
    assert device_of("cpu") == device_of(torch.device("cpu")) == torch.device("cpu")
    assert device_of().type == device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@needs_no_gpu
@pytest.mark.parametrize("word", ["cuda", "cuda:1", "gpu", "", "cpu:1", "meta", "cuda:-1", "CPU"])
def test_a_device_that_is_not_there_is_refused(word):
    with pytest.raises(InputError, match=r"device: found '.*, wanted cpu; choose one that is there"):
        device_of(word)


def test_an_image_on_its_device_is_itself():
    image = torch.zeros(3, 2, 2)
    assert moved(image, torch.device("cpu")) is image


@needs_no_gpu
def test_models_are_refused_a_gpu_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="device: found 'cuda:7'"):
        masu.load(tmp_path / "not looked at.safetensors", device="cuda:7")
    with pytest.raises(InputError, match="device: found 'cuda:7'"):
        open_detector(tmp_path / "not looked at.onnx", device="cuda:7")
