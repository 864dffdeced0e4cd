import json

import pytest

import masu
from masu.errors import InputError
from masu.training import tracking as module
from masu.training.recipe import TrainSettings
from masu.training.tracking import Tracking
from masu.training.train import train

pytest.importorskip("accelerate")
pytest.importorskip("tensorboard")


def test_what_tensorboard_reads_back_is_what_was_reported(coins, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    data, val = masu.read_dataset(coins, "train"), masu.read_dataset(coins, "val")
    settings = TrainSettings(
        backbone="timm/test_efficientnet",
        weights="none",
        epochs=2,
        image_size=64,
        batch_size=2,
        learning_rate=1e-3,
    )
    out = tmp_path / "run"
    events = []
    with Tracking("tensorboard", out, events.append) as tracking:
        assert not out.exists()
        result = train(data, val, settings, out, report=tracking.report)
    read = EventAccumulator(str(out / "tensorboard")).Reload()
    tags = set(read.Tags()["scalars"])
    assert {
        "train/loss",
        "train/classes",
        "train/images_per_second",
        "epoch/ap",
        "epoch/learning_rate",
    } <= tags
    steps = [event for event in events if event["event"] == "step"]
    scalars = read.Scalars("train/loss")
    assert [scalar.step for scalar in scalars] == [1, 2, 3, 4]
    assert [scalar.value for scalar in scalars] == pytest.approx([event["loss"] for event in steps], rel=1e-6)
    ap = read.Scalars("epoch/ap")
    assert [scalar.step for scalar in ap] == [2, 4]
    assert [scalar.value for scalar in ap] == pytest.approx([r["ap"] for r in result.history], rel=1e-6)
    (kept,) = (out / "tensorboard").glob("*/hparams.yml")
    assert "image_size: 64" in kept.read_text()


def test_a_resumed_run_counts_its_steps_on(tmp_path):
    (tmp_path / "settings.json").write_text(
        json.dumps({"seed": 0, "augmentation": {"flip": 0.5}, "backbone": None})
    )
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Tracking("tensorboard", tmp_path) as tracking:
        tracking.report({"event": "start", "said": "hello"})
        tracking.report({"event": "step", "epoch": 3, "epochs": None, "step": 2, "steps": 10, "loss": 0.5})
        tracking.report({"event": "epoch", "epochs": None, "epoch": 3, "ap": None, "loss": 0.25})
    read = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(s.step, s.value) for s in read.Scalars("train/loss")] == [(22, 0.5)]
    assert [(s.step, s.value) for s in read.Scalars("epoch/loss")] == [(22, 0.25)]
    assert "epoch/ap" not in read.Tags()["scalars"]


def test_without_a_tracker_events_only_pass_through(tmp_path):
    events = []
    with Tracking(None, tmp_path, events.append) as tracking:
        tracking.report({"event": "step"})
    assert events == [{"event": "step"}]
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_tracker(tmp_path):
    with pytest.raises(InputError) as caught:
        Tracking("excel", tmp_path)
    assert str(caught.value) == (
        "--log-to: found 'excel', wanted tensorboard or wandb or mlflow; choose one of them"
    )


@pytest.mark.parametrize(
    ("installed", "missing"),
    [((), "accelerate and wandb"), (("accelerate",), "wandb"), (("wandb",), "accelerate")],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch, installed, missing):
    monkeypatch.setattr(module, "find_spec", lambda name: name if name in installed else None)
    with pytest.raises(InputError) as caught:
        Tracking("wandb", tmp_path)
    assert str(caught.value) == (
        f"--log-to: found wandb without the package {missing}, wanted both installed; "
        "pip install 'masu[track]' wandb"
    )
