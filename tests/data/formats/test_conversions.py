"""What a conversion must not change: what a detector is worth on the data, and where objects are in turned pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from masu.data.dataset import CROWD, DIFFICULT, Dataset
from masu.data.fitting import measured
from masu.data.formats import formats, read_dataset
from masu.data.formats.writing import write_dataset
from masu.data.pixels.images import read_pixels
from masu.evaluation.metrics import coco_metrics
from masu.records import Detections
from masu.verbs.convert import convert
from tests.datasets import data_of

WRITERS = [name for name, form in formats().items() if form.write is not None]
NAMES = ("dog", "cat", "hen")
SIZE = (300, 400)
KEEPS = {
    0: set(WRITERS),
    CROWD: {"coco", "csv", "cvat", "labelme", "labelstudio"},
    DIFFICULT: {"voc", "csv", "cvat", "labelme", "labelstudio"},
    CROWD | DIFFICULT: {"csv", "cvat", "labelme", "labelstudio"},
}
"""The formats that keep objects of these flags, and tell them apart."""


def labelled(folder: Path, flag: int, seed: int) -> Dataset:
    """Twelve pictures with objects of all sizes; a third of the objects have one of the flags."""
    draw = np.random.default_rng(seed)
    images = []
    for number in range(12):
        path = folder / f"{number}.png"
        Image.new("RGB", SIZE[::-1], (number, 0, 0)).save(path)
        corners = draw.uniform((0, 0), (200, 100), (draw.integers(0, 6), 2))
        sides = np.exp(draw.uniform(np.log(8), np.log(180), (len(corners), 2)))
        boxes = np.concatenate([corners, corners + sides], axis=1).round(2).tolist()
        images.append((path, [(tuple(box), str(draw.choice(NAMES)), False) for box in boxes]))
    data = data_of({"test": images}, NAMES, (9, 4, 2), size=SIZE)
    single = [one for one in (CROWD, DIFFICULT) if flag & one]
    flags = [single[row % len(single)] if single and row % 3 == 0 else 0 for row in range(len(data.boxes))]
    return replace(data, flags=np.array(flags, np.uint8))


def found_in(data: Dataset, seed: int) -> dict[str, Detections]:
    """By picture: most objects, more or less at their place, some twice or of another class, and some nothing."""
    draw = np.random.default_rng(seed)
    found = {}
    for image, target in data:
        boxes = target.boxes.numpy()
        wide = np.concatenate([boxes[:, 2:] - boxes[:, :2]] * 2, axis=1)
        shifted = [boxes + draw.normal(0, by, boxes.shape) * wide for by in (0.02, 0.08)]
        stray = draw.uniform(0, 100, (2, 2))
        every = np.concatenate([*shifted, np.concatenate([stray, stray + 50], axis=1)]).astype(np.float32)
        labels = np.concatenate([target.labels.numpy(), target.labels.numpy(), [0, 1]])
        labels = np.where(draw.random(len(labels)) < 0.1, (labels + 1) % len(NAMES), labels)
        kept = draw.random(len(labels)) < 0.8
        every, labels = torch.from_numpy(every[kept]), torch.from_numpy(labels[kept])
        scores = torch.from_numpy(draw.random(len(labels))).float().sort(descending=True).values
        found[image.name] = Detections(every, scores, labels, tuple(NAMES[label] for label in labels))
    return found


def worth(data: Dataset, found: dict[str, Detections]) -> dict[str, object]:
    return coco_metrics(
        [target for _, target in data], [found[image.name] for image, _ in data], NAMES
    ).as_dict()


@pytest.mark.parametrize(("form", "flag"), [(form, flag) for flag in KEEPS for form in sorted(KEEPS[flag])])
def test_a_detector_is_worth_the_same_after_a_conversion(tmp_path, form, flag):
    data = labelled(tmp_path, flag, seed=flag)
    found = found_in(data, seed=1)
    before = worth(data, found)
    assert 0.1 < before["ap"] < 0.9
    write_dataset(tmp_path / "in", "csv", data)  # keeps all flags, and all digits
    convert(tmp_path / "in", tmp_path / "out", form)
    after = worth(read_dataset(tmp_path / "out", "test", names=NAMES), found)
    assert after.keys() == before.keys()
    for figure, value in before.items():
        assert after[figure] == (
            value if isinstance(value, dict | list) else pytest.approx(value, abs=1e-6)
        ), figure


def test_flags_that_are_lost_change_the_figures(tmp_path):
    """Else the law above says nothing of flags."""
    for flag in (CROWD, DIFFICULT):
        data = labelled(tmp_path, flag, seed=flag)
        found = found_in(data, seed=1)
        plain = replace(data, flags=np.zeros_like(data.flags))
        assert abs(worth(plain, found)["ap"] - worth(data, found)["ap"]) > 1e-3


STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored with each EXIF orientation."""


def turned(folder: Path, upright: Image.Image) -> list[Path]:
    """The same picture stored in each of the eight ways."""
    paths = []
    for orientation, turn in STORED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        paths.append(folder / f"{orientation}.png")
        (upright if turn is None else upright.transpose(turn)).save(paths[-1], exif=exif)
        assert ImageOps.exif_transpose(Image.open(paths[-1])).tobytes() == upright.tobytes()
    return paths


BOX = (5.0, 8.0, 25.0, 44.0)


@pytest.mark.parametrize("form", WRITERS)
def test_boxes_of_turned_pictures_are_those_of_the_upright_ones(tmp_path, form):
    """All eight orientations, through every format: the same numbers, around the same pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    images = [(path, [(BOX, "dog", False)]) for path in turned(tmp_path, Image.fromarray(pixels))]
    data = measured(data_of({"train": images}, ("dog",)))
    assert data.sizes.tolist() == [[48, 64]] * 8
    write_dataset(tmp_path / "out", form, data)
    again = read_dataset(tmp_path / "out", "train")
    assert again.faults == ()
    assert sorted(path.name for path in again.paths) == [f"{orientation}.png" for orientation in range(1, 9)]
    np.testing.assert_allclose(again.boxes, [BOX] * 8, atol=1e-5)
    x1, y1, x2, y2 = map(int, BOX)
    for image, _ in again:
        there = read_pixels(image)[:, y1:y2, x1:x2].numpy()
        np.testing.assert_array_equal(there, pixels[y1:y2, x1:x2].transpose(2, 0, 1))


@pytest.mark.parametrize("form", ["coco", "voc", "labelme", "cvat"])
def test_boxes_in_the_frame_of_the_stored_picture_are_turned_with_it(tmp_path, form):
    """An annotation that says the stored size has stored boxes; a converted copy says upright ones."""
    images, sizes = [], {}
    stored = {  # worked by hand: BOX in a picture of 64×48, stored 48 wide and 64 high
        5: (8.0, 5.0, 44.0, 25.0),
        6: (8.0, 64 - 25.0, 44.0, 64 - 5.0),
        7: (48 - 44.0, 64 - 25.0, 48 - 8.0, 64 - 5.0),
        8: (48 - 44.0, 5.0, 48 - 8.0, 25.0),
    }
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    for path in turned(tmp_path, upright):
        if int(path.stem) in stored:
            images.append((path, [(stored[int(path.stem)], "dog", False)]))
            sizes[path.name] = (64, 48)
    write_dataset(tmp_path / "in", form, data_of({"train": images}, ("dog",), sizes=sizes))
    data = read_dataset(tmp_path / "in")
    assert [fault.kind for fault in data.faults] == ["stored-frame"] * 4
    np.testing.assert_allclose(data.boxes, [BOX] * 4, atol=1e-5)
    convert(tmp_path / "in", tmp_path / "out", form)
    copy = read_dataset(tmp_path / "out")
    assert copy.faults == ()
    np.testing.assert_allclose(copy.boxes, [BOX] * 4, atol=1e-5)
