"""A trained detector and labelled pictures for the programs that take one: `make test-clients`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms.functional import to_tensor

import masu
from tests.clients.scenes import NAMES, scenes, trained


def pytest_addoption(parser):
    parser.addoption("--detector", type=Path, help="model file of tests.clients.scenes; default: train one")


def pytest_configure(config):
    """Warnings of the programs are theirs; masu's are errors."""
    config.addinivalue_line("filterwarnings", "ignore")
    config.addinivalue_line("filterwarnings", r"error:::masu\b")


@pytest.fixture(scope="session")
def model_file(request, tmp_path_factory):
    return request.config.getoption("detector") or trained(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="session")
def detector(model_file):
    return masu.load(model_file).eval()


@pytest.fixture
def model(detector):
    """The detector in torchvision's place; its labels count from 1."""
    return masu.to_torchvision(detector)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return scenes(tmp_path_factory.mktemp("test"), "test", 12)


@pytest.fixture(scope="session")
def train_data(tmp_path_factory):
    return scenes(tmp_path_factory.mktemp("train"), "train", 8)


@pytest.fixture(scope="session")
def pictures(data):
    """``(H, W, 3)`` uint8."""
    return [np.array(Image.open(path)) for path, _ in data]


@pytest.fixture(scope="session")
def pairs(train_data):
    """Images ``(C, H, W)`` float 0..1 and torchvision's targets, labels from 1."""
    return [
        (to_tensor(Image.open(path)), {"boxes": target.boxes, "labels": target.labels + 1})
        for path, target in train_data
    ]


@pytest.fixture
def loader(pairs):
    return DataLoader(pairs, batch_size=2, collate_fn=in_lists)


@pytest.fixture
def beginner():
    """A detector that has not seen digits."""
    torch.manual_seed(0)
    return masu.build("faster_rcnn_lite0_fpn", NAMES, image_size=192)


@pytest.fixture(params=["faster_rcnn_lite0_fpn", "retinanet_lite0_fpn", "fcos_lite0_fpn"])
def any_beginner(request):
    """Of each kind that torchvision has."""
    torch.manual_seed(0)
    return masu.build(request.param, NAMES, image_size=192)


def in_lists(batch):
    """Images and targets side by side, as torchvision's reference code collates them."""
    return tuple(map(list, zip(*batch, strict=True)))
