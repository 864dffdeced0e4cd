"""``--image-size auto``: sizes by hand, what is said, and what a run keeps of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import masu
from masu.data.dataset import Dataset, Sample
from masu.data.fitting import measured
from masu.data.loading.network_scale import ScaledObjects
from masu.errors import InputError
from masu.records import Target
from masu.training.image_size import advice_on_size, fitting_size
from masu.training.recipe import TrainSettings, settings_of_run
from masu.training.start import starting_detector
from masu.training.train import train


def squares(*sides: float) -> ScaledObjects:
    """Objects of these sides on one canvas."""
    return ScaledObjects({(320, 320): torch.tensor([[0.0, 0.0, side, side] for side in sides])}, 1)


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ((24.0,) * 10, 320),  # three cells of 8 pixels
        ((200.0,) * 10, 320),  # never smaller than the model's own
        ((16.0,) * 10, 480),
        ((20.0,) * 10, 384),
        ((20.1,) * 10, 384),  # 382.1 and up to the next 32
        ((5.0,) * 10, 640),  # twice at most
        ((5.0, *(24.0,) * 10), 320),  # the first of eleven may be smaller
        ((5.0, 12.0, *(24.0,) * 10), 640),  # the second of twelve may not
    ],
)
def test_by_hand(sides: tuple[float, ...], size: int):
    assert fitting_size(squares(*sides), 320, 8).size == size


def test_the_finest_map_counts_and_thin_objects_by_their_area():
    assert fitting_size(squares(12.0), 800, 4).size == 800
    assert fitting_size(squares(8.0), 800, 4).size == 1216  # 800 · 12 / 8 = 1200
    thin = ScaledObjects({(320, 320): torch.tensor([[0.0, 0.0, 4.0, 64.0]])}, 1)
    assert fitting_size(thin, 320, 8).size == 480  # as a square of 16


def test_without_objects_it_is_the_own_size():
    assert fitting_size(ScaledObjects({}, 3), 320, 8).size == 320


def test_in_words():
    assert str(fitting_size(squares(16.0), 320, 8)) == (
        "image size auto: 480 px instead of 320; 10% of the objects are under 16 px there, 24 are wanted; "
        "a step takes about 2.2 times as long"
    )
    assert str(fitting_size(squares(60.0), 320, 8)) == (
        "image size auto: 320 px, as the model has it; 10% of the objects are under 60 px there, 24 are wanted"
    )


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Two pictures of 640×320 with squares of 20 pixels."""
    samples = []
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (320, 640, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        boxes = [[10.0, 10.0, 30.0, 30.0], [100.0, 200.0, 120.0, 220.0]]
        samples.append(Sample(tmp_path / f"{number}.png", Target(boxes, [0, 0])))  # type: ignore[arg-type]
    return measured(Dataset.of(samples, ("square",), root=tmp_path))


AUTO = TrainSettings(image_size="auto", epochs=1, weights="none")


def test_the_detector_sees_it(data: Dataset):
    said: list[dict[str, object]] = []
    policy = starting_detector(AUTO.resolved(), data, said.append).input
    assert (policy.min_size, policy.max_size) == (384, 768)
    assert str(said[0]["said"]).startswith(
        "image size auto: 384 px instead of 320; 10% of the objects are under 20"
    )


def test_who_chose_no_size_is_told_of_it(data: Dataset):
    said: list[dict[str, object]] = []
    policy = starting_detector(replace(AUTO, image_size=None).resolved(), data, said.append).input
    assert policy.min_size == 320
    assert [one["said"] for one in said] == [
        "10% of the objects are under 20 px as the network sees them: with --image-size auto it would see "
        "384 px instead of 320, and learn small objects better"
    ]
    said.clear()
    starting_detector(replace(AUTO, image_size=320).resolved(), data, said.append)
    assert said == []
    assert advice_on_size(fitting_size(squares(24.0), 320, 8)) is None


def test_with_tiles_it_is_refused():
    with pytest.raises(InputError) as refused:
        replace(AUTO, tiles=320)
    assert str(refused.value) == (
        "--image-size: found auto together with --tiles, wanted a number; "
        "leave it out: a tile is seen at its own size"
    )


def test_anchors_are_fitted_at_that_size(data: Dataset):
    fitted = starting_detector(replace(AUTO, anchors="auto").resolved(), data, lambda _: None)
    assert fitted.pyramid.config.anchor_sizes[0][0] == pytest.approx(24, abs=2)  # 20 pixels at 320


def test_a_run_keeps_the_number_and_goes_on_with_it(data: Dataset, tmp_path: Path):
    settings = replace(AUTO, epochs=2, frozen_stride=0)
    out = tmp_path / "run"

    def stop(event: dict[str, object]) -> None:
        if event["event"] == "epoch":
            raise KeyboardInterrupt

    assert train(data, None, settings, out, report=stop).interrupted
    assert settings_of_run(out / "settings.json").image_size == 384
    with pytest.raises(InputError, match="image_size 384 in the run and 320 now"):
        train(data, None, replace(settings, image_size=320), out, resume=True)
    result = train(data, None, settings, out, resume=True)
    assert masu.load(result.last).input.min_size == 384


def test_another_word_is_refused():
    with pytest.raises(InputError, match="--image-size"):
        TrainSettings(image_size="large")  # type: ignore[arg-type]
