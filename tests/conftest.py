"""What several rooms' tests share: a tiny labelled data set of real pixels, and an exported detector."""

import json
import shutil
import sys

import pytest
import skimage.data
import torch
from filelock import FileLock
from hypothesis import settings
from PIL import Image

import masu
from masu.cli import main
from masu.exports.write import describe, trace, write
from tests.networks import normalised, spread, tiny

settings.register_profile("masu", deadline=None)  # a busy computer is no fault of what is tested
settings.load_profile("masu")

COINS = [(28, 19, 66, 58), (84, 22, 118, 57), (141, 17, 182, 58), (190, 15, 236, 61), (245, 12, 292, 60)]
"""Five coins of the upper row of ``skimage.data.coins()``, xyxy pixels, measured by eye."""


@pytest.fixture(scope="session")
def made_coins(tmp_path_factory):
    photograph = Image.fromarray(skimage.data.coins()).convert("RGB")
    folder = tmp_path_factory.mktemp("made") / "coins"
    (folder / "annotations").mkdir(parents=True)
    for split, count in (("train", 4), ("val", 2)):
        (folder / "images" / split).mkdir(parents=True)
        images, annotations = [], []
        for i in range(count):
            left = 10 * i
            photograph.crop((left, 0, left + 256, 128)).save(folder / "images" / split / f"{i}.png")
            images.append({"id": i, "file_name": f"{i}.png", "width": 256, "height": 128})
            for x1, y1, x2, y2 in COINS:
                if x1 >= left and x2 <= left + 256:
                    box = [x1 - left, y1, x2 - x1, y2 - y1]
                    annotations.append(
                        {"id": len(annotations), "image_id": i, "category_id": 7, "bbox": box, "iscrowd": 0}
                    )
        described = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "coin"}]}
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(described))
    return folder


@pytest.fixture
def coins(made_coins, tmp_path):
    """Coins on a dark tray, cut from scikit-image's photograph: a COCO folder with the splits train (4 images) and val (2 images)."""
    return shutil.copytree(made_coins, tmp_path / "coins")


@pytest.fixture(scope="session")
def small():
    torch.manual_seed(0)
    detector = masu.build(tiny("faster_rcnn_lite0_fpn"), ["cat", "dog", "hen"], "none")
    return spread(normalised(detector), scores=4)


@pytest.fixture(scope="session")
def traced(small):
    return trace(small.prediction_network().detector)


@pytest.fixture(scope="session")
def onnx_file(small, request, tmp_path_factory):
    """``small`` as a file, written once for all processes of pytest: an export takes a quarter of a minute."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent  # of all workers
    file = folder / "onnx" / "small.onnx"
    file.parent.mkdir(exist_ok=True)
    with FileLock(folder / "onnx.lock"):
        if not file.exists():
            write(request.getfixturevalue("traced"), describe(small), "onnx", file)
    return file


@pytest.fixture
def run(monkeypatch, capsys):
    """``run("detect", model, photograph)``: exit code, standard output and error of the command line in this process."""

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["masu", *map(str, args)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def chromium():
    """A real browser without a window; tests that want one are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright drives the browser")
    from tests.labelling.browser import installed, launched

    with sync_api.sync_playwright() as playwright:
        path = installed(playwright)
        if path is None:
            pytest.skip("no Chromium: install one, or run `playwright install chromium`")
        browser = launched(playwright, path)
        yield browser
        browser.close()
