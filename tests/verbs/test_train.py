"""masu.train of a path: what ``masu train`` does, with the same refusals."""

import json

import pytest
import torch

import masu
from masu.verbs import train as verb


@pytest.fixture
def ran(monkeypatch):
    """What the training itself would be given."""
    calls = []
    monkeypatch.setattr(verb, "run", lambda *given, **options: calls.append((given, options)))
    return calls


def test_a_folder_is_trained_on(coins, tmp_path):
    events = []
    result = masu.train(
        str(coins), out=tmp_path / "run", epochs=1, batch_size=4, image_size=64, report=events.append
    )
    assert result.best == tmp_path / "run" / "best.safetensors"
    detector = masu.load(result.best)
    assert detector.names == ("coin",)
    assert detector.trained_on == {"data": "coins", "split": "train", "val_split": "val"}
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["image_size"] == 64
    assert "ap" in result.history[0]
    assert {event["event"] for event in events} >= {"step", "epoch"}
    with pytest.raises(masu.InputError, match="found a training that is already there"):
        masu.train(coins, out=tmp_path / "run")


def test_settings_by_name_stand_before_settings(coins, tmp_path, ran):
    masu.train(coins, None, masu.TrainSettings(epochs=3, seed=5), tmp_path / "run", time_budget=60)
    (_, _, settings, _), options = ran[0]
    assert (settings.epochs, settings.seed, settings.time_budget) == (3, 5, 60)
    assert (options["resume"], options["max_bad"]) == (False, 0.05)


def test_without_validation_images_are_held_back_and_that_is_said(coins, ran):
    said = []
    masu.train(coins / "annotations" / "instances_train.json", report=said.append)
    (training, validation, *_), _ = ran[0]
    assert (len(training), len(validation)) == (3, 1)
    assert not set(training.paths.texts()) & set(validation.paths.texts())
    assert [event["event"] for event in said] == ["start", "start"]
    assert said[0]["said"].endswith("no validation split, 1 of 4 images are held back for it")
    assert said[1]["said"].startswith("3 training images: enough to try it out")


def test_splits_and_other_data_are_chosen(coins, ran):
    masu.train(coins, split="val", val=coins, val_split="train")
    (training, validation, *_), _ = ran[0]
    assert (training.split, len(training), validation.split, len(validation)) == ("val", 2, "train", 4)


def test_data_sets_go_through_as_they_are(coins, ran):
    data = masu.read_dataset(coins, "train")
    masu.train(data, None, masu.TrainSettings(epochs=1), "run")
    (training, validation, *_), _ = ran[0]
    assert training is data
    assert validation is None


def test_the_folder_is_the_next_that_is_free(coins, tmp_path, monkeypatch, ran):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "train-1").mkdir(parents=True)
    masu.train(coins)
    assert str(ran[0][0][3]) == "runs/train-2"


def test_only_the_first_of_several_processes_refuses_a_folder(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "last.safetensors").write_bytes(b"")
    for world, rank, refused in (
        (None, None, True),
        (None, "1", True),
        ("1", "1", True),
        ("2", "0", True),
        ("2", "1", False),
    ):
        for name, value in (("WORLD_SIZE", world), ("RANK", rank)):
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
        if refused:
            with pytest.raises(masu.InputError, match="found a training that is already there"):
                verb.prepared(masu.TrainSettings(), folder, False, "cpu")
        else:
            assert verb.prepared(masu.TrainSettings(), folder, False, "cpu") == folder


def test_what_was_left_out_is_a_warning(coins, ran):
    file = coins / "annotations" / "instances_train.json"
    described = json.loads(file.read_text())
    described["annotations"][0]["bbox"] = [500, 0, 10, 10]
    file.write_text(json.dumps(described))
    with pytest.warns(
        UserWarning, match=r"1 fault skipped or clipped, the first: .*masu\.check\(path\) names all"
    ):
        masu.train(coins, max_bad=0.5)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (
            {"time_budgt": 60},
            TypeError,
            "train: found time_budgt=…, wanted a setting; did you mean time_budget?",
        ),
        (
            {"TIME_BUDGET": 60},
            TypeError,
            "train: found TIME_BUDGET=…, wanted a setting; did you mean time_budget?",
        ),
        ({"qqq": 1}, TypeError, "train: found qqq=…, wanted a setting; help(masu.TrainSettings) names them"),
        (
            {"resume": True},
            masu.InputError,
            "--resume: found no --out, wanted the folder of the run to go on with",
        ),
        ({"weights": "no.safetensors"}, masu.InputError, "--weights: found no file no.safetensors"),
        ({"split": "night"}, masu.InputError, "{coins}: found "),
        ({"epochs": 0}, masu.InputError, "--epochs: found 0"),
    ],
)
def test_refused_in_one_line(coins, ran, arguments, error, said):
    with pytest.raises(error) as caught:
        masu.train(coins, **arguments)
    assert str(caught.value).startswith(said.format(coins=coins))
    assert "\n" not in str(caught.value)
    assert ran == []


def test_paths_and_data_sets_do_not_mix(coins, ran):
    data = masu.read_dataset(coins, "train")
    for given, said in (
        ({"data": data, "val": coins}, "train: found data in memory and val at"),
        ({"data": coins, "val": data}, "train: found data at"),
        ({"data": data, "split": "train"}, "train: found split= beside a data set in memory, "),
    ):
        with pytest.raises(TypeError) as caught:
            masu.train(**given)
        assert str(caught.value).startswith(said)
    assert ran == []


def test_weights_that_are_not_installed_are_no_silent_random_start(coins, ran, monkeypatch):
    monkeypatch.setattr(verb, "installed", lambda backbone: False)
    with pytest.raises(
        masu.InputError, match=r"^--weights: found no installed weights for efficientnet_lite0, "
    ):
        masu.train(coins)
    masu.train(coins, weights="none")
    assert len(ran) == 1


def test_evaluate_takes_a_path_or_a_data_set(small, coins):
    torch.manual_seed(0)
    detector = masu.build("faster_rcnn_lite0_fpn", ["coin"], "imagenet")
    by_path = masu.evaluate(detector, coins)
    by_data = masu.evaluate(detector, masu.read_dataset(coins, "val"))
    assert by_path.images == 2
    assert by_path.ap == by_data.ap
    assert masu.evaluate(detector, str(coins), split="train").images == 4
    with pytest.raises(
        masu.InputError, match=r"^data: found classes coin, wanted at least one of the detector's"
    ):
        masu.evaluate(small, coins)


def test_evaluate_names_what_was_left_out(coins):
    file = coins / "annotations" / "instances_val.json"
    described = json.loads(file.read_text())
    described["annotations"][0]["bbox"] = [500, 0, 10, 10]
    file.write_text(json.dumps(described))
    detector = masu.build("faster_rcnn_lite0_fpn", ["coin"], "imagenet")
    assert any("instances_val.json" in fault for fault in masu.evaluate(detector, coins).faults)


def test_a_path_is_no_detector(coins):
    for verb_ in (masu.evaluate, masu.funnel, masu.explain, masu.detect):
        with pytest.raises(TypeError) as caught:
            verb_("best.safetensors", coins)
        assert str(caught.value) == (
            f"{verb_.__name__}: found the path best.safetensors, wanted a detector; write masu.load(path), or "
            "masu.open_detector(path) for an exported file"
        )


def test_funnel_takes_a_path(coins):
    detector = masu.build("faster_rcnn_lite0_fpn", ["coin"], "imagenet")
    assert {fate.image for fate in masu.funnel(detector, coins).fates} == {0, 1}
