"""Any callable as augmentation: what is asked, what is refused, and that the seed alone decides."""

from __future__ import annotations

import functools
import json
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from masu.data.loading.callables import refuse_unpicklable, variation
from masu.data.loading.transforms import Augmentation
from masu.errors import InputError
from masu.records import Target

HERE = __name__


def picture(height: int = 4, width: int = 6, channels: int = 3) -> Tensor:
    return torch.arange(channels * height * width, dtype=torch.uint8).reshape(channels, height, width)


def target() -> Target:
    """Two objects in 6×4 pixels, of the classes 0 and 1."""
    return Target([[0, 0, 2, 2], [1, 1, 6, 4]], [0, 1], difficult=[False, True])  # type: ignore[arg-type]


def varied(
    given: Any, image: Tensor | None = None, seed: int = 3, bands: bool = False
) -> tuple[Tensor, Target]:
    image = picture() if image is None else image
    return variation(given).varied(image, target(), seed=seed, bands=bands, classes=2)


def mirrored(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    x1, y1, x2, y2 = target.boxes.T
    width = image.shape[-1]
    return image.flip(-1), target.with_boxes(torch.stack([width - x2, y1, width - x1, y2], 1))


def test_what_the_callable_returns_is_used() -> None:
    image, after = varied(mirrored)
    assert torch.equal(image, picture().flip(-1))
    assert image.is_contiguous()
    assert after.boxes.tolist() == [[4, 0, 6, 2], [0, 1, 5, 4]]
    assert after.labels.tolist() == [0, 1]
    assert after.ignored.tolist() == after.difficult.tolist() == [False, True]


def test_masu_s_own_is_asked_as_it_is() -> None:
    own = Augmentation()
    assert variation(own) is own
    assert variation(variation(mirrored)).described() == variation(mirrored).described()


def test_boxes_are_clipped_and_those_without_area_left_out() -> None:
    """The image is cut to its left half, 3 of 6 pixels wide; the boxes are moved by hand."""
    moved = torch.tensor([[3.0, 0, 5, 2], [-1, 1, 6, 9]])
    image, after = varied(lambda image, target: (image[..., :3], target.with_boxes(moved)))
    assert image.shape == (3, 4, 3)
    assert image.is_contiguous()
    assert after.boxes.tolist() == [[0, 1, 3, 4]]
    assert (after.labels.tolist(), after.difficult.tolist()) == ([1], [True])
    assert after.areas.tolist() == [9]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_floats_are_single_precision_within_0_and_1(dtype: torch.dtype) -> None:
    pixels = torch.tensor([-0.0005, 0.25, 1.0005]).to(dtype).expand(3, 4, 3)
    image, _ = varied(lambda _, target: (pixels, target))
    assert image.dtype == torch.float32
    assert image[0, 0].tolist() == [0, 0.25, 1]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_an_image_is_laid_out_as_its_shape_says(dtype: torch.dtype) -> None:
    """Not with the channels last, as other libraries have it: the network's resize depends on it."""
    pixels = torch.zeros(4, 6, 3, dtype=dtype).permute(2, 0, 1)
    image, _ = varied(lambda _, target: (pixels, target))
    assert image.stride() == (24, 6, 1)


def test_bands_may_have_any_range() -> None:
    pixels = picture(channels=5).float() * 100 - 50
    image, _ = varied(lambda image, target: (image * 2, target), pixels, bands=True)
    assert torch.equal(image, pixels * 2)


def test_a_pair_may_be_a_list() -> None:
    assert torch.equal(varied(lambda image, target: [image, target])[0], picture())


def returns(image: Any = None, target: Any = None) -> Callable[[Tensor, Target], Any]:
    """A callable that returns these in place of what it was given."""
    return lambda i, t: (i if image is None else image, t if target is None else target)


class Lists:
    """A target as other libraries have it."""


NAN = torch.tensor([[0, 0, 1, float("nan")], [0, 0, 1, 1]])


@pytest.mark.parametrize(
    ("given", "bands", "said"),
    [
        (lambda i, t: None, False, "NoneType returned, wanted a pair (image, target); return both"),
        (lambda i, t: (i, t, 1), False, "tuple returned, wanted a pair (image, target); return both"),
        (returns(np.zeros(3)), False, "an image of type ndarray, wanted a tensor (C, H, W); return one"),
        (returns(picture(channels=1)), False, "an image of shape (1, 4, 6), wanted (3, H, W); keep the channels first"),
        (returns(picture().permute(1, 2, 0)), False, "an image of shape (4, 6, 3), wanted (3, H, W); keep the channels first"),
        (returns(picture()[:, :0]), False, "an image of shape (3, 0, 6), wanted (3, H, W); keep the channels first"),
        (returns(picture()[None]), False, "an image of shape (1, 3, 4, 6), wanted (3, H, W); keep the channels first"),
        (returns(picture().long()), False, "an image of torch.int64, wanted uint8 or floats 0–1; convert it to one of these"),
        (returns(picture().float()), False, "an image with values from 0 to 71, wanted floats 0–1; clip or rescale them; the detector normalises by itself"),
        (returns(torch.full((3, 4, 6), torch.nan)), False, "an image with values from nan to nan, wanted floats 0–1; clip or rescale them; the detector normalises by itself"),
        (returns(torch.full((3, 4, 6), torch.inf)), True, "an image with values from inf to inf, wanted finite values; look where they arise"),
        (returns(target=Lists()), False, "a target of type Lists, wanted masu.Target; return one"),
        (lambda i, t: (i, t.with_boxes(t.boxes[:1])), False, "boxes of shape (1, 4) and 2 labels, wanted one box x1 y1 x2 y2 per label; leave out both or none"),
        (lambda i, t: (i, t.with_boxes(NAN)), False, "a box that is not finite, wanted x1 y1 x2 y2 in pixels; look where it arises"),
        (lambda i, t: (i, Target(t.boxes, t.labels + 1)), False, "label 2, wanted class ids 0..1; labels count from 0, in the data set's order"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(given: Any, bands: bool, said: str) -> None:
    with pytest.raises(InputError) as caught:
        varied(given, bands=bands)
    name = f"{given.__module__}.{given.__qualname__}"
    assert str(caught.value) == f"augmentation {name}: found {said}"


def test_a_negative_label_is_refused() -> None:
    def wrong(image: Tensor, target: Target) -> tuple[Tensor, Target]:
        target.labels[0] = -1
        return image, target

    with pytest.raises(InputError, match=r"wrong: found label -1, wanted class ids 0\.\.1"):
        varied(wrong)


def test_what_is_no_callable_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        variation("flip")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "augmentation: found a value of type str, wanted masu.Augmentation or a callable (image, target) -> "
        "(image, target); pass one of these"
    )


def noisy(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    """One random number of each kind, and the number of threads, as pixels."""
    drawn = [torch.rand(()).item(), np.random.rand(), random.random(), torch.get_num_threads() / 100]
    return torch.tensor(drawn).expand(3, 1, 4), target


def test_the_seed_decides_whatever_was_drawn_before() -> None:
    torch.manual_seed(1)
    first, _ = varied(noisy, seed=2**62 + 5)
    torch.rand(7), np.random.rand(7), random.random()
    again, _ = varied(noisy, seed=2**62 + 5)
    assert torch.equal(first, again)
    for other in (4, 2**62 + 6):
        different = varied(noisy, seed=other)[0][0, 0] != first[0, 0]
        assert different.tolist() == [True, True, True, False]


def broken(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    noisy(image, target)
    raise KeyError("broken")


@pytest.mark.parametrize("given", [noisy, broken])
def test_the_global_state_is_neither_read_nor_changed(given: Any) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for state in (torch.manual_seed, np.random.seed, random.seed):
            state(11)
        expected = [torch.rand(()).item(), np.random.rand(), random.random()]
        for state in (torch.manual_seed, np.random.seed, random.seed):
            state(11)
        try:
            image, _ = varied(given)
            assert image[0, 0, 3].item() == pytest.approx(0.01)  # in one thread
        except KeyError:
            assert given is broken
        assert [torch.rand(()).item(), np.random.rand(), random.random()] == expected
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


class Shift:
    """A callable without a ``repr`` of its own."""

    def __call__(self, image: Tensor, target: Target) -> tuple[Tensor, Target]:
        return image, target

    def method(self, image: Tensor, target: Target) -> tuple[Tensor, Target]:
        return image, target


@pytest.mark.parametrize(
    ("given", "name", "shown"),
    [
        (mirrored, f"{HERE}.mirrored", "<function mirrored>"),
        (lambda image, target: (image, target), f"{HERE}.<lambda>", "<function <lambda>>"),
        (Shift(), f"{HERE}.Shift", f"<{HERE}.Shift object>"),
        (Shift().method, f"{HERE}.Shift.method", f"<bound method Shift.method of <{HERE}.Shift object>>"),
        (
            functools.partial(mirrored, a=2),
            "functools.partial",
            "functools.partial(<function mirrored>, a=2)",
        ),
    ],
)
def test_it_is_described_without_addresses(given: Any, name: str, shown: str) -> None:
    said = variation(given).described()
    assert said == {"callable": name, "repr": shown}
    assert json.loads(json.dumps(said)) == said


def test_masu_s_own_is_described_by_its_fields() -> None:
    said = Augmentation(scale=(1, 2)).described()
    assert said == {"horizontal_flip": 0.5, "vertical_flip": 0.0, "photometric": 0.5, "scale": (1, 2)}


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_callable_that_cannot_be_sent_is_refused_where_workers_are_not_forked(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    given = lambda image, target: (image, target)  # noqa: E731
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: "fork")
    refuse_unpicklable(given)
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: method)
    refuse_unpicklable(mirrored)
    refuse_unpicklable(Augmentation())
    with pytest.raises(InputError) as caught:
        refuse_unpicklable(given)
    name = f"{HERE}.{given.__qualname__}"
    said = str(caught.value)
    assert said.startswith(f"augmentation {name}: found a callable that cannot be sent to worker processes (")
    assert said.endswith(
        "), wanted one that can be pickled; write it with def or class at the top of a module, or read without "
        "workers (workers=0)"
    )
    assert "\n" not in said


def test_a_picklable_callable_comes_through_whole() -> None:
    sent = pickle.loads(pickle.dumps(variation(noisy)))  # noqa: S301
    assert sent.described() == variation(noisy).described()
    a = sent.varied(picture(), target(), seed=1, bands=False, classes=2)[0]
    assert torch.equal(a, varied(noisy, seed=1)[0])
