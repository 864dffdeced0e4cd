"""What the tests of bulk detection share: a tiny detector, photographs of which some are damaged, readers of the result."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest
import skimage.data
import torch
from PIL import Image

import masu
from tests.networks import spread


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    torch.manual_seed(0)
    detector = spread(
        masu.build("faster_rcnn_lite0_fpn", ["cat", "dog", "hen"], "imagenet", image_size=64), scores=3
    )
    file = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    masu.save(detector, file)
    return file


def photographs(folder, count):
    """``count`` parts of a photograph in two sizes; names sort in the order of their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    cat = Image.fromarray(skimage.data.chelsea())
    paths = []
    for i in range(count):
        width = 96 if i % 2 else 128
        path = folder / f"{i:03d}.jpg"
        cat.crop((4 * i, 2 * i, 4 * i + width, 2 * i + 96)).save(path)
        paths.append(path)
    return paths


def rows(folder):
    """All rows of the parts in a local folder, part by part."""
    return [
        row
        for part in sorted(Path(folder).glob("*.parquet"))
        for row in pyarrow.parquet.read_table(part).to_pylist()
    ]


def manifest(folder):
    return json.loads((Path(folder) / "_masu.json").read_text())
