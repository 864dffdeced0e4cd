import pytest
import torch
from PIL import Image

import masu
from masu.data.dataset import Sample
from masu.training.samples import drawn_samples, write_samples


@pytest.fixture(scope="module")
def detector():
    return masu.build("faster_rcnn_lite0_fpn", ["coin"], image_size=64)


def sample(path, width, height, colour):
    Image.new("RGB", (width, height), colour).save(path)
    return Sample(path, masu.Target(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64)))


def test_each_picture_by_itself_360_pixels_high(detector, tmp_path):
    samples = [
        sample(tmp_path / "a.png", 80, 40, "red"),
        sample(tmp_path / "b.png", 40, 80, "lime"),
    ]
    (tmp_path / "d.png").write_text("no image")
    pictures = drawn_samples(
        detector, [samples[0], Sample(tmp_path / "d.png", samples[0].target), samples[1]], 1.0
    )
    assert [picture.size for picture in pictures] == [(720, 360), (180, 360)]
    assert [picture.getpixel((10, 10)) for picture in pictures] == [(255, 0, 0), (0, 255, 0)]
    write_samples(pictures, tmp_path / "samples" / "epoch_001")
    assert sorted(path.name for path in (tmp_path / "samples" / "epoch_001").iterdir()) == ["1.jpg", "2.jpg"]


def test_no_folder_of_unreadable_pictures(detector, tmp_path):
    (tmp_path / "d.png").write_text("no image")
    target = masu.Target(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    pictures = drawn_samples(detector, [Sample(tmp_path / "d.png", target)], 0.5)
    write_samples(pictures, tmp_path / "samples")
    assert (pictures, (tmp_path / "samples").exists()) == ([], False)
