"""Batches: the order is the seed's, the workers only make it faster, a broken image costs itself alone."""

from __future__ import annotations

import random
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from masu.data.dataset import Dataset, Sample
from masu.data.fitting import measured
from masu.data.kinds import Fault
from masu.data.loading.loader import Batch, batch_count, epoch_batches
from masu.data.loading.pictures import Pictures
from masu.data.loading.transforms import Augmentation
from masu.data.pixels.pictures import UnreadableImageError
from masu.errors import InputError
from masu.records import Target

EVERYTHING = Augmentation(0.5, 0.5, 0.5, (0.5, 2))


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Seven images of 40×30, image k with k boxes."""
    samples = []
    for k in range(7):
        pixels = np.random.default_rng(k).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
        target = Target([[5, 5, 20 + j, 25] for j in range(k)], [j % 2 for j in range(k)])  # type: ignore[arg-type]
        samples.append(Sample(tmp_path / f"{k}.png", target))
    return Dataset.of(samples, ("a", "b"), root=tmp_path)


def batches(data: Dataset, size: int = 3, **changes: object) -> list[Batch]:
    settings: dict[str, object] = {"seed": 1, "epoch": 0} | changes
    return list(epoch_batches(data, size, **settings))  # type: ignore[arg-type]


def equal(one: list[Batch], other: list[Batch]) -> bool:
    def tensors(batch: Batch) -> list[torch.Tensor]:
        parts = [part for t in batch.targets for part in (t.boxes, t.labels, t.ignored)]
        return [*batch.images, *parts]

    return [(b.number, b.paths) for b in one] == [(b.number, b.paths) for b in other] and all(
        torch.equal(x, y)
        for a, b in zip(one, other, strict=True)
        for x, y in zip(tensors(a), tensors(b), strict=True)
    )


def order(found: list[Batch]) -> list[str]:
    return [path.stem for batch in found for path in batch.paths]


def test_an_epoch_has_each_image_once(data: Dataset) -> None:
    found = batches(data)
    assert [len(batch) for batch in found] == [3, 3, 1]
    assert [batch.number for batch in found] == [0, 1, 2]
    assert sorted(order(found)) == list("0123456")
    for batch in found:
        for image, target, path in zip(batch.images, batch.targets, batch.paths, strict=True):
            assert image.shape == (3, 30, 40)
            assert image.dtype == torch.uint8
            assert len(target) == int(path.stem)


def test_seed_and_epoch_decide_the_order(data: Dataset) -> None:
    torch.manual_seed(1)
    first = order(batches(data))
    torch.manual_seed(2)
    assert order(batches(data)) == first
    assert order(batches(data, epoch=1)) != first
    assert order(batches(data, seed=2)) != first


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_parts_of_batches_are_the_batches(data: Dataset, parts: int) -> None:
    """What several processes read, each its own part, also where one of the images cannot be read."""
    broken = batches(data)[0].paths[1]
    broken.write_bytes(b"")
    ignore: dict[str, object] = {"augmentation": EVERYTHING, "on_fault": lambda fault: None}
    alone = batches(data, **ignore)
    split = [batches(data, parts=parts, own=range(i, i + 1), **ignore) for i in range(parts)]
    for whole, *own in zip(alone, *split, strict=True):
        assert [batch.number for batch in own] == [whole.number] * parts
        assert [place for batch in own for place in batch.places] == list(whole.places)
        assert [batch.planned for batch in own] == [whole.planned] * parts
        images = [image for batch in own for image in batch.images]
        assert all(torch.equal(a, b) for a, b in zip(images, whole.images, strict=True))
    assert sorted([*order(alone), broken.stem]) == list("0123456")
    assert [(batch.planned, batch.places) for batch in alone] == [(3, (0, 2)), (3, (0, 1, 2)), (1, (0,))]


def test_workers_and_start_change_nothing(data: Dataset) -> None:
    alone = batches(data, augmentation=EVERYTHING)
    assert equal(alone, batches(data, augmentation=EVERYTHING, workers=2))
    assert equal(alone[1:], batches(data, augmentation=EVERYTHING, start=1))
    assert equal(alone[2:], batches(data, augmentation=EVERYTHING, start=2, workers=1))
    assert batches(data, start=3) == batches(data, start=9, workers=2) == []


def drawn(image: torch.Tensor, target: Target) -> tuple[torch.Tensor, Target]:
    """Numbers of all three random states as pixels, and some of the objects; by a mean over all pixels."""
    image = (image.float() - image.float().mean()).abs() / 256
    scale = torch.rand(()).item() * np.random.rand() * random.random()
    return image * scale, target.taken(torch.rand(len(target)) < 0.7)


def large(image: torch.Tensor, target: Target) -> tuple[torch.Tensor, Target]:
    """A mean whose last bits depend on the number of threads, and as an image of other strides."""
    many = torch.rand(1200, 1600)
    return (image.transpose(1, 2) / 256 * many.mean()).float(), Target([], [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        drawn,
        large,
        v2.Compose([v2.RandomIoUCrop(), v2.RandomHorizontalFlip(), v2.ColorJitter(0.5, 0.5), v2.SanitizeBoundingBoxes()]),
    ],
)  # fmt: skip
def test_a_callable_gives_the_same_with_any_workers(data: Dataset, given: Any) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        alone = batches(data, augmentation=given)
        np.random.rand(3), random.random(), torch.rand(3)
        assert equal(alone, batches(data, augmentation=given, workers=2))
        assert equal(alone[1:], batches(data, augmentation=given, start=1))
        assert not equal(alone, batches(data, augmentation=given, epoch=1))
    finally:
        torch.set_num_threads(threads)
    one = {b.paths[0]: b.images[0] for b in batches(data, size=1, augmentation=given)}
    assert all(
        torch.equal(one[path], image) for b in alone for path, image in zip(b.paths, b.images, strict=True)
    )


def test_a_callable_is_given_targets_of_its_own(data: Dataset) -> None:
    """What it changes in place changes neither the data set nor the next epoch."""

    def moved(image: torch.Tensor, target: Target) -> tuple[torch.Tensor, Target]:
        target.boxes.add_(1), target.labels.zero_(), image.zero_()
        return image, target

    before = [data.boxes.copy(), data.labels.copy()]
    first = batches(data, augmentation=moved)
    assert equal(first, batches(data, augmentation=moved))
    assert all(np.array_equal(a, b) for a, b in zip(before, (data.boxes, data.labels), strict=True))


def test_a_callable_is_given_all_channels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(5 * 6 * 7, dtype=np.float32).reshape(6, 7, 5) - 20)
    data = Dataset.of([Sample(tmp_path / "a.npy", Target([[1, 1, 3, 4]], [0]))], ("a",))  # type: ignore[arg-type]
    (plain,) = batches(data, pictures=Pictures(channels=5))
    (twice,) = batches(
        data, pictures=Pictures(channels=5), augmentation=lambda image, target: (image * 2, target)
    )
    assert torch.equal(twice.images[0], plain.images[0] * 2)
    assert plain.images[0].min() < 0


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_callable_returns_and_cannot_be_used_names_it_and_the_image(
    data: Dataset, workers: int
) -> None:
    def unknown(image: torch.Tensor, target: Target) -> tuple[torch.Tensor, Target]:
        return image, Target(target.boxes, torch.full((len(target),), 2))

    path = next(path for batch in batches(data) for path in batch.paths if path.stem != "0")
    with pytest.raises(InputError) as caught:
        batches(data, augmentation=unknown, workers=workers)
    assert str(caught.value) == (
        f"{path}: augmentation {__name__}.{unknown.__qualname__}: found label 2, wanted class ids 0..1; labels count "
        "from 0, in the data set's order"
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_within_a_callable_is_its_own_and_names_the_image(data: Dataset, workers: int) -> None:
    def broken(image: torch.Tensor, target: Target) -> tuple[torch.Tensor, Target]:
        raise ZeroDivisionError("none of masu's")

    path = batches(data)[0].paths[0]
    with pytest.raises(ZeroDivisionError, match="none of masu's") as caught:
        batches(data, augmentation=broken, workers=workers)
    said = "".join(traceback.format_exception(caught.value))
    assert f"in the augmentation of {path}" in said
    assert "in broken" in said


def test_batch_size_does_not_change_an_image(data: Dataset) -> None:
    one = {b.paths[0]: b.images[0] for b in batches(data, size=1, augmentation=EVERYTHING)}
    for batch in batches(data, size=4, augmentation=EVERYTHING):
        for path, image in zip(batch.paths, batch.images, strict=True):
            assert torch.equal(one[path], image)


def test_images_of_like_shape_come_together(tmp_path: Path) -> None:
    samples = []
    for k in range(64):
        size = ((40, 30), (30, 40), (60, 20), (33, 33))[k % 4]
        Image.new("RGB", size).save(tmp_path / f"{k}.png")
        samples.append(Sample(tmp_path / f"{k}.png", Target([], [])))  # type: ignore[arg-type]
    data = measured(Dataset.of(samples, ("a",)))
    found = batches(data, size=4)
    assert sorted(order(found)) == sorted(map(str, range(64)))
    assert sum(len({image.shape for image in batch.images}) == 1 for batch in found) >= 13
    shapes_in_order = [batch.images[0].shape for batch in found]
    assert shapes_in_order != sorted(shapes_in_order)
    assert order(batches(data, size=4)) == order(found) != order(batches(data, size=4, epoch=1))


def random_states() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()


@pytest.mark.parametrize("given", [EVERYTHING, drawn])
@pytest.mark.parametrize("workers", [0, 2])
def test_global_random_state_stays(data: Dataset, workers: int, given: Any) -> None:
    states = random_states()
    batches(data, augmentation=given, workers=workers)
    assert random_states() == states


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_image_is_skipped_and_told(data: Dataset, workers: int) -> None:
    whole = batches(data)
    path = whole[0].paths[1]
    path.write_text("no image")
    faults: list[Fault] = []
    found = batches(data, workers=workers, on_fault=faults.append)
    assert [len(batch) for batch in found] == [2, 3, 1]
    assert order(found) == [stem for stem in order(whole) if stem != path.stem]
    assert faults == [
        Fault("unreadable-image", path, "image", "a file that is no image or of an unknown kind", "skipped")
    ]


def test_batch_left_empty_is_passed_over_but_counted(data: Dataset) -> None:
    for path in batches(data)[1].paths:
        path.unlink()
    faults: list[Fault] = []
    assert [batch.number for batch in batches(data, on_fault=faults.append)] == [0, 2]
    assert [fault.found for fault in faults] == ["no such file"] * 3


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_image_without_a_listener(data: Dataset, workers: int) -> None:
    data[3].image.write_text("no image")
    with pytest.raises(UnreadableImageError) as caught:
        batches(data, workers=workers)
    assert str(caught.value) == (
        f"{data[3].image}: found a file that is no image or of an unknown kind, wanted an image Pillow can "
        "read; replace the file or leave it out"
    )


def test_boxes_are_cut_to_the_true_size(data: Dataset) -> None:
    target = Target([[-5, 0, 20, 99], [50, 0, 60, 10], [1, 2, 3, 4]], [0, 1, 1])  # type: ignore[arg-type]
    one = Dataset.of([Sample(data[0].image, target)], data.names, root=data.root)
    faults: list[Fault] = []
    (batch,) = batches(one, on_fault=faults.append)
    assert batch.targets[0].boxes.tolist() == [[0, 0, 20, 30], [1, 2, 3, 4]]
    assert batch.targets[0].labels.tolist() == [0, 1]
    assert [fault.action for fault in faults] == ["clipped to 0 0 20 30", "skipped"]
    assert len(batches(one)[0].targets[0]) == 2


@pytest.mark.parametrize(("size", "count"), [(1, 7), (3, 3), (7, 1), (100, 1)])
def test_batch_count(data: Dataset, size: int, count: int) -> None:
    assert batch_count(data, size) == count == len(batches(data, size))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "batch_size: found 0, wanted a whole number from 1; choose 1 or more"),
        ({"start": -1}, "start: found -1, wanted a whole number from 0; choose 0 or more"),
        ({"workers": -1}, "workers: found -1, wanted a whole number from 0; choose 0 or more"),
    ],
)
def test_refused_numbers(data: Dataset, changes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError) as caught:
        batches(data, **changes)  # type: ignore[arg-type]
    assert str(caught.value) == message
