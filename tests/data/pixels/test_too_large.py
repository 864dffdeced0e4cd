"""Labelled pictures beyond Pillow's limit: read by windows they are as good as any other."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

import masu
from masu.data.audit.fingerprints import fingerprint
from masu.data.pixels import large, vips_windows
from masu.data.pixels.headers import Header, read_header
from masu.data.pixels.pictures import TooLargeError
from masu.errors import InputError
from masu.training.recipe import TrainSettings
from masu.training.train import train

HEIGHT, WIDTH = 120, 200


@pytest.fixture(autouse=True)
def _the_limit_is_lower(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # Pillow opens twice as many
    monkeypatch.setattr(large, "GLADLY", 0)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def written(folder, pixels, orientation=1):
    """Files of one picture, as they are stored."""
    tag = [(274, "H", 1, orientation, False)]
    tifffile.imwrite(folder / "a.tif", pixels, tile=(64, 64), photometric="rgb", extratags=tag)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(folder / "a.png", exif=exif)
    Image.fromarray(pixels).save(folder / "a.jpg", exif=exif)
    return folder / "a.tif", folder / "a.png", folder / "a.jpg"


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_their_size_and_how_they_are_stored_are_known(tmp_path, pixels, orientation):
    wanted = Header(*((WIDTH, HEIGHT) if orientation == 6 else (HEIGHT, WIDTH)), orientation)
    for file in written(tmp_path, pixels, orientation):
        assert read_header(file) == wanted, file


def test_what_no_package_reads_by_windows_is_too_large(tmp_path, pixels, monkeypatch):
    tif, png, _ = written(tmp_path, pixels)
    monkeypatch.setattr(vips_windows, "_vips", lambda: None)
    assert read_header(tif) == (HEIGHT, WIDTH, 1)
    with pytest.raises(TooLargeError, match=r"masu\[large\]"):
        read_header(png)
    assert "too large" in fingerprint(png).fault


def test_their_fingerprints_are_those_of_the_picture(tmp_path, pixels, monkeypatch):
    pixels[:60] //= 4
    files = written(tmp_path, pixels)
    found = [fingerprint(file) for file in files]
    monkeypatch.undo()
    for file, one in zip(files, found, strict=True):
        whole = fingerprint(file)
        assert (one.fault, one.size, one.digest) == ("", (HEIGHT, WIDTH), whole.digest)
        if file.suffix != ".tif":  # those of bands are stretched
            assert np.abs(one.small.astype(int) - whole.small).max() <= 4


@pytest.fixture
def labelled(tmp_path, small, pixels):
    """Two pictures, five objects in each."""
    images, objects = [], []
    for image in (1, 2):
        tifffile.imwrite(tmp_path / f"{image}.tif", pixels // image, tile=(64, 64), photometric="rgb")
        images.append({"id": image, "file_name": f"{image}.tif", "width": WIDTH, "height": HEIGHT})
        boxes = [[20 * i, 10 * i, 30, 30] for i in range(1, 6)]
        objects += [
            {
                "id": 10 * image + i,
                "image_id": image,
                "category_id": 1,
                "bbox": box,
                "area": 900,
                "iscrowd": 0,
            }
            for i, box in enumerate(boxes)
        ]
    page = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": small.names[0]}]}
    (tmp_path / "labels.json").write_text(json.dumps(page))
    return masu.read_dataset(tmp_path / "labels.json")


def test_they_are_evaluated_in_tiles(labelled, small, monkeypatch):
    """As if there were no limit; without tiles an error says how."""
    assert labelled.sizes.tolist() == [[HEIGHT, WIDTH]] * 2
    assert [str(fault) for fault in labelled.faults] == []
    detector = masu.tiled(small, 64)
    found = masu.evaluate(detector, labelled)
    with pytest.raises(InputError, match=r"too large an image.*--tiles 640"):
        masu.evaluate(small, labelled)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    unlimited = masu.evaluate(detector, labelled)
    assert (found.ap, found.ap50) == (unlimited.ap, unlimited.ap50)


def test_they_are_trained_on_in_tiles(labelled, tmp_path):
    said = []
    settings = TrainSettings(epochs=1, tiles=64, batch_size=2, weights="none", grow_from=1.0)
    train(labelled, None, settings, tmp_path / "run", report=said.append)
    events = {event["event"] for event in said}
    assert "step" in events
    assert not {event for event in events if "fault" in event or "unread" in event}
    assert "2 of 2 images larger than a tile of 64 pixels" in " ".join(
        event["said"] for event in said if event["event"] == "start"
    )
