"""``--balance`` in a run: what is said, how long an epoch is, and that a stopped run goes on as it began."""

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
from masu.errors import InputError
from masu.records import Target
from masu.training.recipe import TrainSettings
from masu.training.train import train

SETTINGS = TrainSettings(
    backbone="timm/test_efficientnet", weights="none", epochs=1, image_size=64, balance=True, grow_from=1.0
)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Five pictures; in one of them ``rare`` beside ``often``."""
    samples = []
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        labels = [0, 1] if number == 0 else [0]
        boxes = [[4.0, 4.0, 30.0, 30.0], [34.0, 34.0, 60.0, 60.0]][: len(labels)]
        samples.append(Sample(tmp_path / f"{number}.png", Target(boxes, labels)))  # type: ignore[arg-type]
    return measured(Dataset.of(samples, ("often", "rare"), root=tmp_path))


def test_a_run_says_it_and_a_stopped_one_goes_on_to_the_same_weights(data: Dataset, tmp_path: Path):
    said: list[dict[str, object]] = []
    whole = train(data, None, SETTINGS, tmp_path / "whole", report=said.append)
    assert {
        "event": "start",
        "said": "balance: an epoch shows 1 of 5 images, those with rarer classes, up to 2.2 times, "
        "and has 7 in all",  # 4 + √5
    } in said
    assert [event["step"] for event in said if event["event"] == "step"] == [1, 2, 3, 4]

    def stop(event: dict[str, object]) -> None:
        if event["event"] == "step" and event["step"] == 3:
            raise KeyboardInterrupt

    assert train(data, None, SETTINGS, tmp_path / "parts", report=stop).interrupted
    with pytest.raises(InputError, match="balance True in the run and False now"):
        train(data, None, replace(SETTINGS, balance=False), tmp_path / "parts", resume=True)
    resumed = train(data, None, SETTINGS, tmp_path / "parts", resume=True)
    one, other = (masu.load(result.last).state_dict() for result in (whole, resumed))
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
