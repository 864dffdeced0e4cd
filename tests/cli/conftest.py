"""The command line as its user meets it, on coins of two classes with names that no one should have chosen."""

import json
import shutil

import pytest
import torch

import masu
from tests.networks import spread

NAMES = ("[/x]", "[red] :car:")


@pytest.fixture
def odd_coins(coins):
    """The coins, every other one of the second class."""
    for file in (coins / "annotations").iterdir():
        described = json.loads(file.read_text())
        described["categories"] = [{"id": k, "name": name} for k, name in enumerate(NAMES)]
        for number, entry in enumerate(described["annotations"]):
            entry["category_id"] = number % 2
        file.write_text(json.dumps(described))
    return coins


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory):
    torch.manual_seed(0)
    detector = spread(masu.build("faster_rcnn_lite0_fpn", [NAMES[0]], image_size=64))
    file = tmp_path_factory.mktemp("saved") / "model.safetensors"
    masu.save(detector, file)
    return file


@pytest.fixture
def model(saved_model, tmp_path):
    """A detector that finds boxes everywhere and knows the first class only: a file of the test's own."""
    return shutil.copy(saved_model, tmp_path / "model.safetensors")
