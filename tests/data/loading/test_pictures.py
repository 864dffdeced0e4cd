"""Pictures of a training: read at a fraction of their size, and kept within a limit."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from masu.data.formats import Dataset, Sample
from masu.data.loading.ahead import ahead
from masu.data.loading.loader import epoch_batches
from masu.data.loading.pictures import Pictures
from masu.data.loading.transforms import Augmentation
from masu.data.pixels.images import read_image
from masu.data.pixels.pictures import UnreadableImageError
from masu.records import Target


@pytest.fixture
def photograph(tmp_path):
    """A function that writes a smooth picture of a size to a file."""

    def make(name, width, height, **saved):
        x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 200, height))
        path = tmp_path / name
        Image.fromarray(np.stack([x, y, x / 2 + y / 2], -1).astype(np.uint8)).save(path, **saved)
        return path

    return make


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp"])
@pytest.mark.parametrize(("shorter", "factor"), [(301, 1), (300, 2), (100, 4), (75, 8), (10, 8)])
def test_a_photograph_is_read_as_small_as_it_may_be(photograph, name, shorter, factor):
    path = photograph(name, 803, 601)
    image, read = Pictures(shorter=shorter).read(path)
    assert (read.factor, read.size) == (factor, (601, 803))
    assert image.shape == (3, -(-601 // factor), -(-803 // factor))
    whole = read_image(path).float()
    cut = whole[:, : 601 // factor * factor, : 803 // factor * factor]
    means = torch.nn.functional.avg_pool2d(cut, factor)
    inside = image[:, : means.shape[1], : means.shape[2]].float()
    assert (inside - means).abs().max() <= 3  # JPEG's own rounding, twice


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_the_size_is_that_of_the_upright_picture(photograph, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = photograph(name, 160, 80, exif=exif)
    image, read = Pictures(shorter=20).read(path)
    assert read.size == tuple(read_image(path).shape[1:])
    assert (image.shape[1] * 4, image.shape[2] * 4) == read.size


def test_boxes_shrink_with_their_picture(photograph):
    sample = Sample(photograph("a.jpg", 800, 400), Target([[80.0, 40.0, 404.0, 200.0]], [0]))
    data = Dataset.of([sample], ("thing",))
    (batch,) = epoch_batches(data, 1, seed=0, epoch=0, pictures=Pictures(shorter=100))
    assert batch.images[0].shape == (3, 100, 200)
    assert batch.targets[0].boxes.tolist() == [[20.0, 10.0, 101.0, 50.0]]


def test_a_box_beyond_the_picture_is_told_in_pixels_of_the_whole_one(photograph):
    sample = Sample(photograph("a.jpg", 801, 401), Target([[80.0, 40.0, 900.0, 200.0]], [0]))
    faults = []
    batches = epoch_batches(
        Dataset.of([sample], ("thing",)),
        1,
        seed=0,
        epoch=0,
        pictures=Pictures(shorter=100),
        on_fault=faults.append,
    )
    assert next(batches).targets[0].boxes.tolist() == [[20.0, 10.0, 801 / 4, 50.0]]
    assert "900" in faults[0].found


def test_what_is_kept_changes_nothing_but_how_often_a_file_is_read(photograph, monkeypatch):
    paths = [photograph(f"{i}.png", 40 + i, 30) for i in range(3)]
    data = Dataset.of([Sample(path, Target([[1.0, 1.0, 9.0, 9.0]], [0])) for path in paths], ("thing",))

    def pixels(pictures):
        return [
            image
            for epoch in range(2)
            for batch in epoch_batches(
                data, 1, seed=0, epoch=epoch, pictures=pictures, augmentation=Augmentation()
            )
            for image in batch.images
        ]

    size = 41 * 30 * 3
    keeping = Pictures(shorter=10_000, most_bytes=2 * size)
    for one, other in zip(pixels(keeping), pixels(None), strict=True):
        assert torch.equal(one, other)
    assert len(keeping.kept) == 2 - (2 * size < 40 * 30 * 3 + 42 * 30 * 3)
    assert sum(read.array.nbytes for read in keeping.kept.values()) <= 2 * size


def test_a_picture_that_is_changed_in_place_is_whole_the_next_time(photograph):
    path, pictures = photograph("a.png", 40, 30), Pictures(most_bytes=10**6)
    pictures.read(path)[0].zero_()
    assert torch.equal(pictures.read(path)[0], read_image(path))


MODES = {
    "grey.jpg": ("L", {}),
    "cmyk.jpg": ("CMYK", {}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "palette.png": ("P", {}),
    "alpha.png": ("RGBA", {}),
    "grey16.png": ("I;16", {}),
    "turned.tif": ("RGB", {"exif": {0x0112: 6}}),
    "a.webp": ("RGB", {"lossless": True}),
}


@pytest.mark.parametrize("name", MODES)
def test_every_kind_of_picture_is_that_of_full_size_but_smaller(tmp_path, name):
    mode, saved = MODES[name]
    x, y = np.meshgrid(np.linspace(0, 255, 160), np.linspace(0, 255, 80))
    if mode == "I;16":
        picture = Image.fromarray((x * 257).astype(np.uint16))
    else:
        picture = Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8)).convert(mode)
    if "exif" in saved:
        exif = Image.Exif()
        exif.update(saved["exif"])
        saved = {"exif": exif}
    path = tmp_path / name
    picture.save(path, **saved)
    whole = read_image(path)
    image, read = Pictures(shorter=20).read(path)
    assert (read.factor, read.size) == (4, tuple(whole.shape[1:]))
    means = torch.nn.functional.avg_pool2d(whole.float(), 4)
    assert image.shape == means.shape
    assert (image - means).abs().mean() < 4  # of 255; dithering and JPEG


def test_a_cut_jpeg_is_a_fault_at_any_size(photograph):
    path = photograph("a.jpg", 800, 600)
    path.write_bytes(path.read_bytes()[:3000])
    for shorter in (None, 600, 50):
        with pytest.raises(UnreadableImageError) as error:
            Pictures(shorter=shorter).read(path)
        assert error.value.thing == str(path)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_read_the_same(photograph, workers):
    paths = [photograph(f"{i}.jpg", 400 + i, 300) for i in range(5)]
    data = Dataset.of([Sample(path, Target([[1.0, 1.0, 99.0, 99.0]], [0])) for path in paths], ("thing",))
    found = [
        list(epoch_batches(data, 2, seed=0, epoch=0, pictures=Pictures(shorter=70), workers=count))
        for count in (0, workers)
    ]
    for one, other in zip(*found, strict=True):
        assert [i.shape for i in one.images] == [i.shape for i in other.images]
        assert all(torch.equal(a, b) for a, b in zip(one.images, other.images, strict=True))
        assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(one.targets, other.targets, strict=True))
    assert found[0][0].images[0].shape[1] == 75


def test_a_callable_of_the_user_runs_in_the_main_thread_and_sees_the_whole_picture(photograph):
    data = Dataset.of(
        [Sample(photograph("a.jpg", 400, 300), Target([[1.0, 1.0, 99.0, 99.0]], [0]))], ("thing",)
    )
    seen = []

    def change(image, target):
        seen.append((threading.current_thread() is threading.main_thread(), tuple(image.shape)))
        return image, target

    next(epoch_batches(data, 1, seed=0, epoch=0, augmentation=change))
    assert seen == [(True, (3, 300, 400))]


def test_ahead_gives_all_in_order_and_what_fails_in_its_place():
    def items():
        yield from range(3)
        raise MemoryError("three")

    assert list(ahead(iter(()), 1)) == []
    assert list(ahead(iter(range(20)), 3)) == list(range(20))
    stream = ahead(items(), 1)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(MemoryError, match="three"):
        next(stream)


def test_ahead_leaves_no_thread_when_it_is_closed_early():
    before = threading.active_count()
    stream = ahead(iter(range(1000)), 2)
    assert next(stream) == 0
    assert threading.active_count() == before + 1
    stream.close()
    assert threading.active_count() == before
