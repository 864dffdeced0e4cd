"""Repeats: factors by hand, laws of the sampling, and epochs that are the same whoever reads them."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from masu.data.dataset import Dataset, Sample
from masu.data.fitting import measured
from masu.data.loading.crops import Crops
from masu.data.loading.loader import Batch, batch_count, epoch_batches
from masu.data.loading.repeats import described, repeat_factors, repeated, shown_in_all
from masu.data.loading.transforms import Augmentation
from masu.ops.images import InputPolicy
from masu.records import Target
from masu.tiles import Tiles

BOX = [2.0, 2.0, 12.0, 12.0]


def labelled(*images: str, ignored: str = "") -> Dataset:
    """Images by the classes in them, one letter an object; capitals of ``ignored`` say which count for none."""
    samples = []
    for number, letters in enumerate(images):
        labels = ["abc".index(letter) for letter in letters]
        left_out = [letter in ignored for letter in letters]
        target = Target([BOX] * len(labels), labels, left_out)  # type: ignore[arg-type]
        samples.append(Sample(Path(f"{number}.png"), target))
    return Dataset.of(samples, ("a", "b", "c"))


def test_factors_by_hand():
    # a in 8 of 10 images, b in 2, c in none: the median of those that occur is 8 of 10
    data = labelled("a", "aa", "aaa", "a", "a", "a", "ab", "ba", "", "")
    assert repeat_factors(data).tolist() == [1.0] * 6 + [2.0, 2.0, 1.0, 1.0]  # √(0.8 / 0.2)


def test_the_rarest_class_of_an_image_decides_and_ten_times_are_the_most():
    data = labelled(*["ab"] * 400, "ab", "abc")
    assert repeat_factors(data).tolist() == [1.0] * 401 + [10.0]  # √402 = 20
    two = labelled(*["a"] * 14, "ab", "ab", "abc", "b")
    assert repeat_factors(two).tolist() == [1.0] * 16 + [2.0, 1.0]  # a 17, b 4, c 1: the middle is b's


def test_equally_frequent_classes_and_no_objects_change_nothing():
    for data in (labelled("a", "b", "c"), labelled("", ""), labelled("aab", "bc", "ca")):
        assert repeat_factors(data).tolist() == [1.0] * len(data)
    assert repeat_factors(Dataset.of([], ("a",))).tolist() == []
    assert repeated(np.zeros(0), 0.5).tolist() == []


def test_ignored_objects_are_none():
    data = labelled("a", "a", "a", "ab", ignored="b")
    assert repeat_factors(data).tolist() == [1.0] * 4


def test_what_is_shown_by_hand():
    factors = np.array([1.0, 2.5, 1.0])  # 4.5 in all: five points, 0.9 apart
    assert shown_in_all(factors) == 5
    assert repeated(factors, 0.0).tolist() == [0, 0, 1, 1, 2]  # 0, 0.9, 1.8, 2.7, 3.6
    assert repeated(factors, 0.5).tolist() == [0, 1, 1, 1, 2]  # 0.45, 1.35, 2.25, 3.15, 4.05


@settings(max_examples=100)
@given(
    factors=st.lists(st.floats(1, 10), min_size=1, max_size=40),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_laws_of_what_is_shown(factors: list[float], draw: float):
    given = np.array(factors)
    shown = repeated(given, draw)
    times = np.bincount(shown, minlength=len(given))
    assert len(shown) == shown_in_all(given) == sum(times)
    assert len(times) == len(given)
    assert (np.diff(shown) >= 0).all()
    length = given * (len(shown) / given.sum())
    assert (times >= np.floor(length - 1e-6)).all()
    assert (times <= np.ceil(length + 1e-6)).all()


def test_in_the_mean_as_often_as_the_factor_says():
    factors = np.array([1.0, 1.7, 3.3])
    shown = np.concatenate([repeated(factors, (k + 0.5) / 1000) for k in range(1000)])
    assert np.bincount(shown) / 1000 == pytest.approx(factors, abs=0.01)


def test_in_words():
    assert described(np.ones(3), 3) == (
        "balance: no class is rarer than the others, each image is shown once an epoch"
    )
    assert described(np.array([1.0, 2.5, 1.0]), 5) == (
        "balance: an epoch shows 1 of 3 images, those with rarer classes, up to 2.5 times, and has 5 in all"
    )


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Nine pictures, three of them larger than a tile of 32; ``b`` in one large and one small of them."""
    samples = []
    for number in range(9):
        side = 80 if number < 3 else 24
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        labels = [0, 1] if number in (0, 3) else [0]
        samples.append(Sample(tmp_path / f"{number}.png", Target([BOX] * len(labels), labels)))  # type: ignore[arg-type]
    return measured(Dataset.of(samples, ("a", "b"), root=tmp_path))


TILED = InputPolicy(min_size=32, max_size=32, tiles=Tiles(32))


def batches(data: Dataset, policy: InputPolicy | None = None, **changes: object) -> list[Batch]:
    crops = Crops(data, policy, repeat_factors(data))
    asked: dict[str, object] = {"seed": 1, "epoch": 0, "augmentation": Augmentation()} | changes
    return list(epoch_batches(data, 2, crops=crops, **asked))  # type: ignore[arg-type]


def told(found: list[Batch]) -> list[object]:
    return [
        (b.number, b.places, b.paths, [i.tolist() for i in b.images], [t.boxes.tolist() for t in b.targets])
        for b in found
    ]


@pytest.mark.parametrize("policy", [None, TILED])
def test_an_epoch_repeats_and_is_the_same_for_workers_resumption_and_processes(
    data: Dataset, policy: InputPolicy | None
):
    whole = batches(data, policy)
    crops = Crops(data, policy, repeat_factors(data))
    plain = Crops(data, policy)
    assert len(whole) == batch_count(crops, 2)
    assert len(crops) > len(plain)
    every = Counter(path.stem for batch in whole for path in batch.paths)
    own = {str(image): len(plain.of_image(image)) for image in range(9)}
    assert all(every[name] >= count for name, count in own.items())
    assert every["0"] > 1.5 * own["0"]  # √(9 / 2) = 2.1 times each crop
    assert told(batches(data, policy, workers=2)) == told(whole)
    assert told(batches(data, policy, start=2)) == told(whole)[2:]
    halves = [batches(data, policy, parts=2, own=range(k, k + 1)) for k in (0, 1)]
    joined = [[*a.paths, *b.paths] for a, b in zip(*halves, strict=True)]
    assert joined == [list(batch.paths) for batch in whole]


def test_an_image_looks_different_each_time_and_in_each_epoch(data: Dataset):
    def seen(epoch: int) -> list[torch.Tensor]:
        found = batches(data, epoch=epoch)
        return [i for b in found for i, path in zip(b.images, b.paths, strict=True) if path.stem == "3"]

    first, second = seen(0), seen(1)
    assert len(first) in (2, 3)
    looks = {str(image.tolist()) for image in [*first, *second]}
    assert len(looks) == len(first) + len(second)


def test_which_come_once_more_is_drawn_anew(data: Dataset):
    crops = Crops(data, None, repeat_factors(data))
    shown = {tuple(crops.of_epoch(1, epoch).tolist()) for epoch in range(20)}
    assert len(shown) > 1
    assert {len(one) for one in shown} == {len(crops)} == {math.ceil(7 + 2 * math.sqrt(9 / 2))}


def test_without_it_every_view_comes_once(data: Dataset):
    crops = Crops(data, TILED)
    assert crops.of_epoch(3, 4).tolist() == list(range(len(crops)))
