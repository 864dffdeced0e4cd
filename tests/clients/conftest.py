"""A trained detector and labelled pictures for the programs that take one: `make test-clients`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masu
from tests.clients.scenes import scenes, trained


def pytest_addoption(parser):
    parser.addoption("--detector", type=Path, help="model file of tests.clients.scenes; default: train one")


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "default")  # the programs' own are not masu's


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
