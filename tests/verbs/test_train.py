import json
import math

import pytest
import torch

import masu
from masu.data.transforms import Augmentation
from masu.detectors.faster_rcnn import FasterRCNN
from masu.errors import InputError
from masu.verbs.train import TrainSettings, _learning_rate, train

SMALL = TrainSettings(epochs=2, image_size=64, batch_size=2, learning_rate=0.005)


@pytest.fixture
def data(coins):
    return masu.read_dataset(coins, "train")


@pytest.fixture
def val(coins):
    return masu.read_dataset(coins, "val")


def test_a_run_leaves_models_figures_settings_and_pictures(data, val, tmp_path):
    out = tmp_path / "run"
    events = []
    result = train(data, val, SMALL, out, report=events.append)
    written = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert written == {
        "best.safetensors",
        "last.safetensors",
        "resume.safetensors",
        "metrics.jsonl",
        "settings.json",
        "samples/epoch_001.jpg",
        "samples/epoch_002.jpg",
    }
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows == result.history
    assert [row["epoch"] for row in rows] == [1, 2]
    assert {"loss", "objectness", "proposal_boxes", "classes", "boxes", "ap", "ap50"} <= rows[0].keys()
    assert rows[0]["loss"] == pytest.approx(
        sum(rows[0][k] for k in ("objectness", "proposal_boxes", "classes", "boxes"))
    )
    assert [e["step"] for e in events if e["event"] == "step"] == [1, 2, 1, 2]
    assert masu.load(result.best).names == ("coin",)
    assert json.loads((out / "settings.json").read_text())["image_size"] == 64


def test_the_same_seed_gives_the_same_weights(data, tmp_path):
    a = masu.load(train(data, None, SMALL, tmp_path / "a").last)
    b = masu.load(train(data, None, SMALL, tmp_path / "b").last)
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_an_interrupted_run_goes_on_to_the_same_weights(data, tmp_path, stop_at, optimizer):
    settings = TrainSettings(epochs=2, image_size=64, batch_size=2, optimizer=optimizer, learning_rate=1e-3)
    whole = train(data, None, settings, tmp_path / "whole")
    seen = 0

    def interrupt(event):
        nonlocal seen
        seen += event["event"] == "step"
        if seen == stop_at and event["event"] == "step":
            raise KeyboardInterrupt

    stopped = train(data, None, settings, tmp_path / "parts", report=interrupt)
    assert stopped.interrupted
    assert stopped.last.exists()
    resumed = train(data, None, settings, tmp_path / "parts", resume=True)
    assert not resumed.interrupted
    figures = [{k: row[k] for k in ("epoch", "loss")} for row in whole.history]
    assert [{k: row[k] for k in ("epoch", "loss")} for row in resumed.history] == figures
    a, b = masu.load(whole.last).state_dict(), masu.load(resumed.last).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_model(data, val, tmp_path, monkeypatch):
    out = tmp_path / "run"
    honest = FasterRCNN.losses
    calls = 0

    def poisoned(self, *args):
        nonlocal calls
        calls += 1
        losses = honest(self, *args)
        return losses | {"boxes": losses["boxes"] * math.nan} if calls == 3 else losses

    monkeypatch.setattr(FasterRCNN, "losses", poisoned)
    with pytest.raises(InputError) as error:
        train(data, val, SMALL, out)
    message = str(error.value)
    assert message.startswith("loss term 'boxes': found nan in epoch 2 on ")
    assert message.count(".png") == 2
    assert message.endswith(
        f"wanted a finite number; lower --lr or look at these images; "
        f"the last good model is {out / 'last.safetensors'}"
    )
    assert masu.load(out / "last.safetensors").names == ("coin",)


def test_a_folder_with_a_run_is_refused(data, tmp_path):
    train(data, None, SMALL, tmp_path / "run")
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    with pytest.raises(InputError, match="found a training that is already there, wanted an empty folder"):
        train(data, None, SMALL, tmp_path / "run")
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_nothing_to_resume(data, tmp_path):
    with pytest.raises(
        InputError, match="found no training to resume, wanted the --out folder of an earlier"
    ):
        train(data, None, SMALL, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_resume_with_other_settings_is_refused(data, tmp_path):
    train(data, None, SMALL, tmp_path / "run")
    other = TrainSettings(epochs=3, image_size=64, batch_size=2, learning_rate=0.005)
    with pytest.raises(InputError, match="found epochs 2 in the run and 3 now, wanted the same settings"):
        train(data, None, other, tmp_path / "run", resume=True)


def test_images_without_objects_are_training_data_but_not_alone(data, tmp_path):
    empty = masu.Target([], [])
    some = [sample._replace(target=empty) if i else sample for i, sample in enumerate(data.samples)]
    mixed = type(data)(**{**vars(data), "samples": tuple(some)})
    assert math.isfinite(train(mixed, None, SMALL, tmp_path / "mixed").history[-1]["loss"])
    none = type(data)(**{**vars(data), "samples": tuple(s._replace(target=empty) for s in some)})
    with pytest.raises(InputError, match="found no labelled object in 4 images, wanted at least one"):
        train(none, None, SMALL, tmp_path / "none")


def test_an_unreadable_image_is_named_and_skipped(data, tmp_path):
    data.samples[1].image.write_bytes(b"no image")
    events = []
    result = train(data, None, SMALL, tmp_path / "run", report=events.append)
    faults = {event["fault"] for event in events if event["event"] == "fault"}
    assert len(faults) == 1
    assert str(data.samples[1].image) in faults.pop()
    assert len(result.history) == 2


def test_learning_rate_rises_then_falls_along_a_cosine():
    settings = TrainSettings(learning_rate=1.0, warmup_steps=4)
    rates = [_learning_rate(settings, step, 104) for step in (0, 1, 3, 4, 54, 103)]
    assert rates == pytest.approx([0.25, 0.5, 1.0, 1.0, 0.5, 0.5 * (1 + math.cos(math.pi * 0.99))])
    constant = TrainSettings(learning_rate=1.0, warmup_steps=4, schedule="constant")
    assert _learning_rate(constant, 103, 104) == 1.0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "--epochs: found 0, wanted at least 1"),
        ({"batch_size": -1}, "--batch-size: found -1, wanted at least 1"),
        ({"image_size": 8}, "--image-size: found 8, wanted at least 32 pixels"),
        ({"learning_rate": 0.0}, "--lr: found 0.0, wanted a number above 0"),
        ({"optimizer": "lion"}, "--optimizer: found 'lion', wanted sgd or adamw"),
        ({"schedule": "step"}, "--schedule: found 'step', wanted cosine or constant"),
    ],
)
def test_settings_that_cannot_be(setting, message):
    with pytest.raises(InputError) as error:
        TrainSettings(**setting)
    assert str(error.value) == message


def test_augmentation_is_part_of_the_settings(data, tmp_path):
    plain = TrainSettings(epochs=1, image_size=64, augmentation=Augmentation(0.0, 0.0, 0.0, (1.0, 1.0)))
    train(data, None, plain, tmp_path / "run")
    written = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert written["augmentation"]["horizontal_flip"] == 0.0
