"""Augmentation: boxes follow the pixels, everything stays in step, the seed decides."""

from __future__ import annotations

import pytest
import torch

from masu.data.loading.transforms import Augmentation, augment
from masu.errors import InputError
from masu.records import Target

OFF = Augmentation(horizontal_flip=0, vertical_flip=0, photometric=0, scale=(1, 1))


def scene(height: int = 60, width: int = 80) -> tuple[torch.Tensor, Target]:
    """Grey, with a white object and a black one, and boxes tightly round them."""
    image = torch.full((3, height, width), 120, dtype=torch.uint8)
    image[:, 10:30, 20:50] = 255
    image[:, 40:50, 60:75] = 0
    return image, Target([[20, 10, 50, 30], [60, 40, 75, 50]], [1, 0], [False, True])  # type: ignore[arg-type]


def same(one: Target, other: Target) -> bool:
    pairs = ((one.boxes, other.boxes), (one.labels, other.labels), (one.ignored, other.ignored))
    return all(torch.equal(a, b) for a, b in pairs)


def test_off_is_identity() -> None:
    image, target = scene()
    changed, after = augment(image, target, OFF, 3)
    assert type(changed) is torch.Tensor
    assert torch.equal(changed, image)
    assert same(after, target)


@pytest.mark.parametrize(
    ("augmentation", "boxes"),
    [
        (Augmentation(1, 0, 0, (1, 1)), [[30, 10, 60, 30], [5, 40, 20, 50]]),
        (Augmentation(0, 1, 0, (1, 1)), [[20, 30, 50, 50], [60, 10, 75, 20]]),
        (Augmentation(1, 1, 0, (1, 1)), [[30, 30, 60, 50], [5, 10, 20, 20]]),
    ],
)
def test_flips(augmentation: Augmentation, boxes: list[list[int]]) -> None:
    image, target = scene()
    changed, after = augment(image, target, augmentation, 0)
    assert after.boxes.tolist() == boxes
    back, twice = augment(changed, after, augmentation, 1)
    assert torch.equal(back, image)
    assert same(twice, target)


@pytest.mark.parametrize(
    "augmentation",
    [Augmentation(1, 0, 0, (1, 1)), Augmentation(0, 1, 0, (1, 1)), Augmentation(0, 0, 0, (0.5, 0.5))],
)
def test_an_object_that_rounding_leaves_without_area_is_left_out(augmentation: Augmentation) -> None:
    image, sliver = scene(70, 80)[0], [[0.1, 0.1, 0.10000001, 0.10000001], [20, 10, 50, 30]]
    _, after = augment(image, Target(sliver, [3, 1], [True, False]), augmentation, 0)  # type: ignore[arg-type]
    assert (after.labels.tolist(), after.ignored.tolist(), len(after.boxes)) == ([1], [False], 1)


@pytest.mark.parametrize("seed", range(20))
def test_zoom_out(seed: int) -> None:
    image, target = scene()
    changed, after = augment(image, target, Augmentation(0, 0, 0, (0.5, 0.5)), seed)
    assert changed.shape == (3, 120, 160)
    assert torch.equal(after.boxes[:, 2:] - after.boxes[:, :2], target.boxes[:, 2:] - target.boxes[:, :2])
    x1, y1, x2, y2 = after.boxes[0].int().tolist()
    assert changed[:, y1:y2, x1:x2].unique().tolist() == [255]
    border = torch.cat([changed[0, 0], changed[0, -1]]).tolist()
    assert any(abs(value - image.float().mean().item()) < 3 for value in border)


def test_zoom_out_of_a_large_image_keeps_its_size() -> None:
    image = torch.zeros(3, 1000, 4000, dtype=torch.uint8)
    changed, after = augment(
        image,
        Target([[0, 0, 4000, 1000]], [0]),
        Augmentation(0, 0, 0, (0.5, 0.5)),
        0,  # type: ignore[arg-type]
    )
    assert changed.shape == (3, 1000, 4000)
    assert (after.boxes[0, 2:] - after.boxes[0, :2]).tolist() == [2000, 500]


@pytest.mark.parametrize("seed", range(40))
def test_zoom_in(seed: int) -> None:
    image, target = scene()
    changed, after = augment(image, target, Augmentation(0, 0, 0, (2, 2)), seed)
    if same(after, target):  # the crop would have shown no object
        assert torch.equal(changed, image)
        return
    assert changed.shape == (3, 30, 40)
    for box, label, ignored in zip(after.boxes.int().tolist(), after.labels, after.ignored, strict=True):
        x1, y1, x2, y2 = box
        assert 0 <= x1 < x2 <= 40
        assert 0 <= y1 < y2 <= 30
        assert changed[:, y1:y2, x1:x2].unique().tolist() == [255 if label == 1 else 0]
        assert bool(ignored) == (label == 0)
        if label == 1:
            assert (x2 - x1) * (y2 - y1) >= 0.3 * 30 * 20


def test_crop_drops_hidden_objects_in_step() -> None:
    target = Target([[0, 0, 10, 10], [0, 0, 100, 100], [90, 90, 100, 100]], [4, 5, 6])  # type: ignore[arg-type]
    seen = set()
    for seed in range(30):
        _, after = augment(
            torch.zeros(3, 100, 100, dtype=torch.uint8), target, Augmentation(0, 0, 0, (1.5, 1.5)), seed
        )
        assert 5 in after.labels
        assert len(after.boxes) == len(after.labels) == len(after.ignored)
        seen.add(tuple(after.labels.tolist()))
    assert (5,) in seen


@pytest.mark.parametrize("seed", range(10))
def test_no_objects(seed: int) -> None:
    changed, after = augment(
        scene()[0],
        Target([], []),
        Augmentation(1, 1, 1, (0.5, 2)),
        seed,  # type: ignore[arg-type]
    )
    assert after.boxes.shape == (0, 4)
    assert changed.dtype == torch.uint8


def test_seed_decides_and_global_state_stays() -> None:
    image, target = scene()
    everything = Augmentation(0.5, 0.5, 1, (0.5, 2))
    state = torch.get_rng_state()
    first, one = augment(image, target, everything, 5)
    torch.manual_seed(99)
    again, two = augment(image, target, everything, 5)
    torch.set_rng_state(state)
    augment(image, target, everything, 6)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert same(one, two)
    assert len({augment(image, target, everything, seed)[0].shape for seed in range(10)}) > 3


def test_input_stays() -> None:
    image, target = scene()
    augment(image, target, Augmentation(1, 1, 1, (2, 2)), 0)
    assert torch.equal(image, scene()[0])
    assert same(target, scene()[1])


@pytest.mark.parametrize("seed", range(5))
def test_colour_alone_moves_no_box_and_keeps_grey_grey(seed: int) -> None:
    image, target = scene()
    changed, after = augment(image, target, Augmentation(0, 0, 1, (1, 1)), seed)
    assert same(after, target)
    assert changed.shape == image.shape
    assert not torch.equal(changed, image)
    assert int((changed[0].int() - changed[1].int()).abs().max()) <= 1
    as_float, _ = augment(image.float() / 255, target, Augmentation(0, 0, 1, (1, 1)), seed)
    assert as_float.dtype == torch.float32
    assert float((as_float * 255 - changed).abs().max()) <= 0.51


def test_colour_does_not_depend_on_threads() -> None:
    image = torch.randint(
        0, 256, (3, 480, 640), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(augment(image, Target([], []), Augmentation(1, 0, 1, (0.7, 0.7)), 3)[0])  # type: ignore[arg-type]
    torch.set_num_threads(before)
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "horizontal_flip",
            1.5,
            "Augmentation.horizontal_flip: found 1.5, wanted a probability; choose 0 to 1",
        ),
        (
            "vertical_flip",
            -0.1,
            "Augmentation.vertical_flip: found -0.1, wanted a probability; choose 0 to 1",
        ),
        (
            "photometric",
            float("nan"),
            "Augmentation.photometric: found nan, wanted a probability; choose 0 to 1",
        ),
        *(
            (
                "scale",
                scale,
                f"Augmentation.scale: found {scale}, wanted (smallest, largest) zoom within 0.1 and 10; "
                "choose (1, 1) for no zoom or, say, (0.75, 1.33)",
            )
            for scale in ((2, 1), (0, 1), (1, 11), (1,), (float("nan"), 1))
        ),
    ],
)
def test_refused_settings(name: str, value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Augmentation(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == message
