"""Windows of large pictures: laws of what an epoch shows, and cut objects by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from masu.data.dataset import Dataset, Sample
from masu.data.fitting import measured
from masu.data.loading.crops import Crops, hulls, in_window, without_tiny
from masu.data.loading.loader import Batch, batch_count, epoch_batches
from masu.data.loading.pictures import Pictures
from masu.data.loading.transforms import Augmentation
from masu.data.pixels.pictures import UnreadableImageError
from masu.ops.images import InputPolicy
from masu.records import Target
from masu.tiles import Tiles

SIDE = 64
POLICY = InputPolicy(min_size=SIDE, max_size=SIDE, tiles=Tiles(SIDE))


def picture(path: Path, width: int, height: int) -> Path:
    """Red counts columns, green rows."""
    y, x = np.mgrid[:height, :width]
    Image.fromarray(np.stack([x % 256, y % 256, x // 256], -1).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Three pictures of 300×200 with small objects, one long thing and a strip, and two that fit in a tile."""
    samples = []
    for k in range(3):
        at = np.random.default_rng(k).integers(0, (280, 180), (12, 2))
        boxes = [[x, y, x + 12.0, y + 9.0] for x, y in at.tolist()] + [[10.0, 100.0, 250.0, 110.0]]
        path = picture(tmp_path / f"large{k}.png", 300, 200)
        samples.append(Sample(path, Target(boxes, [0] * 12 + [1])))  # type: ignore[arg-type]
    strip = picture(tmp_path / "strip.png", 150, 30)
    samples.append(Sample(strip, Target([[100.0, 5.0, 120.0, 25.0]], [0])))  # type: ignore[arg-type]
    for k in range(2):
        path = picture(tmp_path / f"small{k}.png", 60, 40)
        samples.append(Sample(path, Target([[5.0, 5.0, 20.0, 30.0]], [0])))  # type: ignore[arg-type]
    return measured(Dataset.of(samples, ("a", "b"), root=tmp_path))


def batches(data: Dataset, policy: InputPolicy | None = POLICY, **changes: object) -> list[Batch]:
    asked: dict[str, object] = {"seed": 1, "epoch": 0, "pictures": Pictures(shorter=90)} | changes
    return list(epoch_batches(data, 3, crops=Crops(data, policy), **asked))  # type: ignore[arg-type]


def same(one: list[Batch], other: list[Batch]) -> bool:
    def values(found: list[Batch]) -> list[object]:
        rows = [(b.number, b.places, *zip(b.images, b.targets, b.paths, strict=True)) for b in found]
        return [
            (number, places, [(i.tolist(), t.boxes.tolist(), t.ignored.tolist(), p) for i, t, p in seen])
            for number, places, *seen in rows
        ]

    return values(one) == values(other)


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    seeds=st.tuples(st.integers(0, 99), st.integers(0, 9)),
    count=st.integers(0, 30),
)
def test_every_object_is_whole_in_a_window_or_longer_than_one(size, seeds, count):
    height, width = size
    draw = np.random.default_rng(seeds[0])
    corners = draw.uniform(0, (width, height), (count, 2))
    ends = corners + draw.uniform(0.5, 100, (count, 2))
    boxes = np.concatenate([corners, np.minimum(ends, (width, height))], 1)
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2] + 0.01).all(1)]
    target = Target(torch.tensor(boxes), torch.zeros(len(boxes)))
    data = Dataset.of([Sample(Path("a.png"), target)], ("a",))
    data.sizes[:] = size
    crops = Crops(data, POLICY)
    seen = [crops.crop(at, *seeds) for at in range(len(crops))]
    assert [(crop.image, crop.number) for crop in seen] == [(0, k) for k in range(len(crops))]
    assert seen[0].window is None
    windows = np.array([crop.window for crop in seen[1:]]).reshape(-1, 4)
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, 2:] <= (width, height)).all()
    assert (windows[:, 2:] - windows[:, :2] == np.minimum(SIDE, (width, height))).all()
    assert (len(windows) > 0) == (max(size) > SIDE)
    if max(size) <= SIDE:
        return
    for x1, y1, x2, y2 in target.boxes.tolist():
        longer = math.ceil(x2) - math.floor(x1) > SIDE or math.ceil(y2) - math.floor(y1) > SIDE
        inside = (windows[:, :2] <= (x1, y1)).all(1) & (windows[:, 2:] >= (x2, y2)).all(1)
        assert longer or inside.any()


def test_objects_in_groups_by_hand():
    boxes = np.array(
        [
            [70.5, 10.0, 90.0, 20.0],  # the first band, its second group
            [10.0, 0.0, 30.0, 30.0],  # its first
            [20.0, 40.0, 73.9, 64.0],  # with it: 10 to 74 are 64 pixels
            [0.0, 64.5, 10.0, 70.0],  # below the band that begins at 0: another one
            [0.0, 0.0, 65.0, 10.0],  # longer than a window
        ]
    )
    assert hulls(boxes, 100, 100, 64).tolist() == [
        [10, 0, 74, 64],
        [70, 10, 90, 20],
        [0, 64, 10, 70],
    ]
    assert hulls(np.zeros((0, 4)), 100, 100, 64).shape == (0, 4)


def test_objects_cut_by_a_window_by_hand():
    target = Target(
        [
            [110.0, 60.0, 130.0, 70.0],  # whole
            [90.0, 60.0, 110.0, 70.0],  # half of it: ignored
            [97.0, 60.0, 107.0, 70.0],  # seven tenths
            [96.0, 60.0, 106.0, 70.0],  # six tenths: ignored
            [0.0, 0.0, 300.0, 300.0],  # larger than the window: ignored
            [10.0, 10.0, 100.0, 60.0],  # ends where the window begins: not in it
            [90.0, 40.0, 120.0, 80.0],  # an ignored one stays one
        ],  # type: ignore[arg-type]
        [0, 1, 2, 3, 4, 5, 6],  # type: ignore[arg-type]
        [False] * 6 + [True],  # type: ignore[arg-type]
    )
    seen = in_window(target, (100, 50, 164, 114))
    assert seen.boxes.tolist() == [
        [10, 10, 30, 20],
        [0, 10, 10, 20],
        [0, 10, 7, 20],
        [0, 10, 6, 20],
        [0, 0, 64, 64],
        [0, 0, 20, 30],
    ]
    assert seen.labels.tolist() == [0, 1, 2, 3, 4, 6]
    assert seen.ignored.tolist() == [False, True, False, True, True, True]


def test_objects_too_small_in_a_reduced_picture_by_hand():
    """640×480 at a tenth: 8 pixels are 80 of the picture."""
    target = Target(
        [[100.0, 100.0, 180.0, 200.0], [100.0, 100.0, 179.0, 200.0], [0.0, 0.0, 40.0, 20.0]],  # type: ignore[arg-type]
        [0, 1, 2],  # type: ignore[arg-type]
    )
    seen = without_tiny(target, (480, 640), InputPolicy(min_size=64, max_size=64))
    assert seen.ignored.tolist() == [False, True, True]
    assert seen.boxes.tolist() == [
        [100, 100, 180, 200],
        [59.5, 70, 219.5, 230],  # 160 pixels about its middle
        [0, 0, 100, 90],  # the same, within the picture
    ]


def test_what_fits_in_a_tile_is_shown_as_ever(data: Dataset) -> None:
    fitting = data.take([4, 5])
    plain = batches(fitting, None, augmentation=Augmentation())
    assert same(batches(fitting, augmentation=Augmentation()), plain)
    assert same(
        batches(data, InputPolicy(), augmentation=Augmentation()),
        batches(data, None, augmentation=Augmentation()),
    )


def test_an_epoch_shows_windows_and_the_whole(data: Dataset) -> None:
    crops = Crops(data, POLICY)
    found = [
        (path.name, image, target)
        for batch in batches(data)
        for path, image, target in zip(batch.paths, batch.images, batch.targets, strict=True)
    ]
    assert len(found) == len(crops)
    for index, name in enumerate(path.name for path in data.paths):
        own = [(image, target) for path, image, target in found if path == name]
        assert len(own) == len(crops.of_image(index))
        wholes = [target for image, target in own if image.shape != (3, SIDE, SIDE)]
        assert len(wholes) == 1
    strips = [image for name, image, _ in found if name == "strip.png" and image.shape[2] == SIDE]
    assert all((image[:, 30:] == 0).all() for image in strips)
    # the pixels of an object are its own: red and green say where they were taken from
    for name, image, target in found:
        if name.startswith("large") and image.shape[1:] == (SIDE, SIDE):
            left = image[0, 0, 0].item() + 256 * image[2, 0, 0].item()
            top = image[1, 0, 0].item()
            whole = data[int(name[5])].target.boxes.tolist()
            for x1, y1, x2, y2 in target.boxes[~target.ignored].tolist():
                inside = x1 > 0 and y1 > 0 and x2 < SIDE and y2 < SIDE
                assert not inside or [x1 + left, y1 + top, x2 + left, y2 + top] in whole


def test_windows_move_from_epoch_to_epoch_but_keep_their_number(data: Dataset) -> None:
    crops = Crops(data, POLICY)
    first, second = ([crops.crop(at, 1, epoch).window for at in range(len(crops))] for epoch in (0, 1))
    assert first != second
    assert first == [Crops(data, POLICY).crop(at, 1, 0).window for at in range(len(crops))]
    assert batch_count(crops, 3) == len(batches(data)) == len(batches(data, epoch=1))


def test_workers_parts_and_start_change_nothing(data: Dataset) -> None:
    alone = batches(data, augmentation=Augmentation())
    assert same(alone, batches(data, augmentation=Augmentation(), workers=2))
    assert same(alone[4:], batches(data, augmentation=Augmentation(), start=4))
    keeping = Pictures(shorter=90, most_bytes=400_000, last_bytes=200_000)
    assert same(alone, batches(data, augmentation=Augmentation(), pictures=keeping))
    halves = [batches(data, augmentation=Augmentation(), parts=2, own=range(i, i + 1)) for i in range(2)]
    for whole, *own in zip(alone, *halves, strict=True):
        images = [image for batch in own for image in batch.images]
        assert all(torch.equal(a, b) for a, b in zip(images, whole.images, strict=True))


def test_kept_pictures_stay_within_their_memory(data: Dataset) -> None:
    one = 300 * 200 * 3
    keeping = Pictures(shorter=90, most_bytes=one, last_bytes=2 * one)
    for batch in epoch_batches(data, 3, seed=1, epoch=0, pictures=keeping, crops=Crops(data, POLICY)):
        assert len(batch)
        assert sum(read.array.nbytes for read in keeping.kept.values()) <= one
        assert sum(read.array.nbytes for read in keeping.last.values()) <= 2 * one
    assert keeping.last


def test_a_picture_that_has_become_smaller_is_a_fault(data: Dataset) -> None:
    picture(data.paths[0], 100, 80)
    with pytest.raises(UnreadableImageError, match="found 100×80 pixels, fewer than when it was measured"):
        batches(data)
    faults: list[object] = []
    rest = [batch.paths for batch in batches(data, on_fault=faults.append)]
    assert faults
    assert data.paths[3] in [path for paths in rest for path in paths]


def test_a_picture_without_objects_has_windows_anywhere():
    data = Dataset.of([Sample(Path("a.png"), Target([], []))], ("a",))  # type: ignore[arg-type]
    data.sizes[:] = (640, 640)
    assert len(Crops(data, POLICY)) == 1 + 4
    data.sizes[:] = (64, 65)
    assert len(Crops(data, POLICY)) == 1 + 1


def test_a_picture_of_bands_is_reduced_by_means_with_its_boxes(tmp_path: Path) -> None:
    """As prediction reduces it: by three, to no less than the network sees."""
    bands = np.random.default_rng(0).integers(0, 256, (150, 210, 5), np.uint8)
    np.save(tmp_path / "a.npy", bands)
    target = Target([[30.0, 60.0, 90.0, 120.0]], [0])  # type: ignore[arg-type]
    data = Dataset.of([Sample(tmp_path / "a.npy", target)], ("a",))
    data.sizes[:] = (150, 210)
    policy = InputPolicy(SIDE, SIDE, mean=(0.5,) * 5, std=(0.5,) * 5, channels=5, tiles=Tiles(SIDE))
    found = batches(data, policy, pictures=Pictures(channels=5))
    (whole,) = (
        (image, target)
        for batch in found
        for image, target in zip(batch.images, batch.targets, strict=True)
        if image.shape[1:] != (SIDE, SIDE)
    )
    wanted = torch.nn.functional.avg_pool2d(torch.from_numpy(bands).permute(2, 0, 1).float(), 3)
    assert (whole[0].float() - wanted).abs().max() <= 0.5
    assert whole[1].boxes.tolist() == [[10, 20, 30, 40]]


def test_a_very_large_file_is_read_by_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The windows are to the bit those of a file that is decoded at once, which never happens here."""
    import tifffile

    y, x = np.mgrid[:200, :300]
    pixels = np.stack([x % 256, y, x // 256], -1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(64, 64), photometric="rgb")
    target = Target([[30.0, 60.0, 60.0, 80.0]], [0])  # type: ignore[arg-type]
    data = measured(Dataset.of([Sample(tmp_path / "a.tif", target)], ("a",), root=tmp_path))
    at_once = batches(data)
    monkeypatch.setattr("masu.data.pixels.large.GLADLY", 10_000)
    monkeypatch.setattr(Pictures, "_read", None)
    found = batches(data, pictures=Pictures(shorter=90, tiles=Tiles(SIDE)))
    sizes = [image.shape[1:] for batch in found for image in batch.images]
    assert sorted(size != (SIDE, SIDE) for size in sizes) == [False] * (len(sizes) - 1) + [True]
    for one, other in zip(found, at_once, strict=True):
        for image, wanted in zip(one.images, other.images, strict=True):
            assert image.shape[1:] != (SIDE, SIDE) or torch.equal(image, wanted)
    (whole,) = (t for b in found for i, t in zip(b.images, b.targets, strict=True) if i.shape[1] != SIDE)
    assert whole.boxes.shape == (1, 4)
