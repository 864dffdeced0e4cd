import pytest
import torch
from PIL import Image

import masu
from masu.data.dataset import Sample
from masu.training.samples import contact_sheet


@pytest.fixture(scope="module")
def detector():
    return masu.build("faster_rcnn_lite0_fpn", ["coin"], image_size=64)


def sample(path, width, height, colour):
    Image.new("RGB", (width, height), colour).save(path)
    return Sample(path, masu.Target(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64)))


def test_two_pictures_in_a_row_each_360_pixels_high(detector, tmp_path):
    samples = [
        sample(tmp_path / "a.png", 80, 40, "red"),
        sample(tmp_path / "b.png", 40, 80, "lime"),
        sample(tmp_path / "c.png", 40, 40, "blue"),
    ]
    (tmp_path / "d.png").write_text("no image")
    sheet = contact_sheet(
        detector, [samples[0], Sample(tmp_path / "d.png", samples[0].target), *samples[1:]], 1.0
    )
    assert sheet.size == (720 + 180, 720)
    corners = [(10, 10), (719, 350), (730, 10), (10, 370), (359, 710), (361, 710), (899, 710)]
    red, lime, blue, black = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)
    assert [sheet.getpixel(c) for c in corners] == [red, red, lime, blue, blue, black, black]


def test_no_sheet_of_unreadable_pictures(detector, tmp_path):
    (tmp_path / "d.png").write_text("no image")
    target = masu.Target(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    assert contact_sheet(detector, [Sample(tmp_path / "d.png", target)], 0.5) is None
