"""A step that is not finite: the end by default, left out on wish, and then as if it had never been."""

import json
import math
from dataclasses import replace

import pytest
import torch

import masu
from masu.detectors.faster_rcnn import FasterRCNN
from masu.errors import InputError
from masu.training.recipe import TrainSettings
from masu.training.train import train
from tests.runs import same_bits, tensors_of

SKIP = TrainSettings(
    backbone="timm/test_efficientnet",
    epochs=1,
    image_size=64,
    batch_size=1,
    learning_rate=1e-3,
    weights="none",
    on_nonfinite="skip",
)
"""With all normalisation trained: its statistics change in the forward pass already."""


@pytest.fixture
def data(coins):
    return masu.read_dataset(coins, "train")


def spoil(monkeypatch, steps, how):
    """The losses of some steps, counted from 1, go through ``how``."""
    honest, calls = FasterRCNN.loss_terms, 0

    def losses(self, *arguments):
        nonlocal calls
        calls += 1
        found = honest(self, *arguments)
        return found | {"boxes": how(found["boxes"], self)} if calls in steps else found

    monkeypatch.setattr(FasterRCNN, "loss_terms", losses)


def nan_loss(value, detector):
    return value * math.nan


def infinite_gradient(value, detector):
    """The loss is 0 and finite, its gradient is not."""
    weight = detector.predictor.scores.weight
    return value + torch.sqrt((weight - weight.detach()).abs().sum())


def test_skipped_steps_leave_no_trace(data, tmp_path, monkeypatch):
    """Every step but the first two is bad: what is kept is the state after two steps."""
    first = train(data, None, SKIP, tmp_path / "first", checkpoint_seconds=0, report=stop_after(2))
    assert first.interrupted
    for name, how in (("nan", nan_loss), ("gradient", infinite_gradient)):
        with monkeypatch.context() as patch:
            spoil(patch, {3, 4}, how)
            events = []
            train(data, None, SKIP, tmp_path / name, report=events.append)
        a, b = (tensors_of(tmp_path / run / "resume.safetensors") for run in ("first", name))
        assert [key for key in a if not same_bits(a[key], b[key])] == []
        assert {key.split(".")[0] for key in a} == {"model", "average", "optimizer"}
        row = json.loads((tmp_path / name / "metrics.jsonl").read_text())
        assert row["skipped"] == 2
        assert math.isfinite(row["loss"])
        faults = [event["fault"] for event in events if event["event"] == "fault"]
        assert len(faults) == 2
        thing = "loss term 'boxes': found nan" if name == "nan" else "gradient: found nan"
        assert faults[0].startswith(f"{thing} in epoch 1 on {data.root}")
        assert faults[0].endswith(".png; step skipped")


def stop_after(steps):
    def report(event):
        if event["event"] == "step" and event["step"] == steps:
            raise KeyboardInterrupt

    return report


def test_a_gradient_that_is_not_finite_stops_by_default(data, tmp_path, monkeypatch):
    spoil(monkeypatch, {2}, infinite_gradient)
    with pytest.raises(InputError) as caught:
        train(data, None, replace(SKIP, on_nonfinite="stop"), tmp_path / "run", checkpoint_seconds=0)
    assert str(caught.value).startswith("gradient: found nan in epoch 1 on ")
    assert str(caught.value).endswith(
        "wanted a finite number; lower --lr, look at these images or go on without such steps (--resume "
        "--on-nonfinite skip); no model was written yet"
    )
    spoil(monkeypatch, {1}, infinite_gradient)
    with_skip = train(data, None, SKIP, tmp_path / "run", resume=True)
    assert [row["skipped"] for row in with_skip.history] == [1]


def test_an_epoch_without_a_finite_loss_ends_the_training(data, tmp_path, monkeypatch):
    spoil(monkeypatch, set(range(4, 20)), nan_loss)
    with pytest.raises(InputError) as caught:
        train(data, None, replace(SKIP, epochs=4), tmp_path / "run")
    assert str(caught.value) == (
        "training images: found none with a finite loss in a whole epoch, wanted at least one"
    )


def test_ten_in_a_row_end_the_training(data, tmp_path, monkeypatch):
    many = data.of([data[i % 4] for i in range(12)], data.names)
    spoil(monkeypatch, set(range(2, 20)), nan_loss)
    with pytest.raises(InputError) as caught:
        train(many, None, SKIP, tmp_path / "run")
    assert ", the 10th step in a row, wanted a finite number; lower --lr; no model was written yet" in str(
        caught.value
    )


def test_only_stop_and_skip_are_known():
    with pytest.raises(InputError, match="--on-nonfinite: found 'ignore', wanted stop or skip"):
        TrainSettings(on_nonfinite="ignore")
