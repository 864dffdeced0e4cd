"""masu.tune and ``masu tune``: what is written, what is refused, and what is said."""

import html

import pytest
import torch

import masu
from masu.errors import InputError
from masu.evaluation.comparison import Difference
from masu.evaluation.findings import Findings
from tests.cli.test_schema import valid
from tests.networks import spread

BETTER = Difference(0.5, 0.6, 0.1, 0.05, 0.15)
SAME = Difference(0.5, 0.51, 0.01, -0.02, 0.04)


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    detector = spread(masu.build("faster_rcnn_lite0_fpn", ["coin"], image_size=64))
    detector.thresholds = {"coin": 0.25}
    file = tmp_path / "run" / "best.safetensors"
    masu.save(detector, file)
    return file


@pytest.fixture
def gains(monkeypatch):
    """The first try, which is the one where most objects are lost, is better; all others are not told apart."""
    answers = iter([BETTER])
    monkeypatch.setattr(Findings, "ap_beside", lambda *_: next(answers, SAME))


@pytest.fixture
def no_gain(monkeypatch):
    monkeypatch.setattr(Findings, "ap_beside", lambda *_: SAME)


@pytest.mark.usefixtures("gains")
def test_what_is_kept_is_written_and_the_model_stays(model, coins, tmp_path):
    before, out = model.read_bytes(), tmp_path / "tuned.safetensors"
    done = masu.tune(model.parent, coins, out=out)
    assert (done.model, done.split, done.images, done.out) == (model, "val", 2, out)
    tuned, old = masu.load(out), masu.load(model)
    assert (tuned.input.min_size, old.input.min_size) == (80, 64)
    assert tuned.stages[-1].nms_thresh == old.stages[-1].nms_thresh == 0.5
    assert (tuned.thresholds, done.tuning.dropped) == ({}, ("thresholds",))
    assert model.read_bytes() == before
    assert all(torch.equal(a, b) for a, b in zip(tuned.parameters(), old.parameters(), strict=True))
    assert done.said == f"Kept on 2 images: input.min_size 64 -> 80; written to {out}."
    assert done.store_again == f"masu evaluate {out} {coins} --split val --store-thresholds"


@pytest.mark.usefixtures("no_gain")
def test_without_a_gain_nothing_is_written(model, coins, tmp_path):
    data, page = masu.read_dataset(coins, "val"), tmp_path / "tune.html"
    done = masu.tune(masu.load(model), data, out=tmp_path / "tuned.safetensors", report=page)
    assert done.said in html.unescape(page.read_text(encoding="utf-8"))
    assert not (tmp_path / "tuned.safetensors").exists()
    assert (done.gained, done.out, done.store_again, done.model) == (False, None, None, None)
    assert done.said.startswith("Nothing is kept: no setting gains AP beyond chance on 2 images. No file was")
    assert done.detector.thresholds == {"coin": 0.25}


def test_without_time_nothing_is_tried(model, coins):
    done = masu.tune(model, coins, time_budget=0.001)
    assert (done.tries, done.gained) == ((), False)
    assert done.said == "Nothing was tried on 2 images: the time did not suffice."
    assert {one.split()[0] for one in done.tuning.left_out} >= {"detections.nms_thresh", "input.min_size"}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"out": "run/best.safetensors"}, "the model itself"),
        ({"out": "run"}, "something that is already there"),
        ({"model": "model.onnx"}, "an exported file, whose settings cannot be changed"),
        ({"model": "empty"}, "a folder without best.safetensors"),
        ({"time_budget": 0}, "0"),
        ({"prefer": "size"}, "'size'"),
        ({"split": "tset"}, None),
    ],
    ids=lambda value: "" if value is None else str(value),
)
def test_refused(model, coins, tmp_path, monkeypatch, options, found):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        masu.tune(**{"model": model, "data": coins} | options)
    assert found is None or caught.value.found == found


def test_splits_without_one_for_validation(model, coins):
    (coins / "annotations" / "instances_val.json").rename(coins / "annotations" / "instances_test.json")
    (coins / "images" / "val").rename(coins / "images" / "test")
    with pytest.raises(InputError) as caught:
        masu.tune(model, coins)
    assert caught.value.wanted == "one that is named for validation"
    assert masu.tune(model, coins, split="test", time_budget=0.001).split == "test"


def test_options_of_a_path_beside_a_data_set(model, coins):
    with pytest.raises(TypeError, match="split="):
        masu.tune(model, masu.read_dataset(coins, "val"), split="val")


@pytest.mark.usefixtures("gains")
def test_the_command(run, model, coins, tmp_path):
    out = tmp_path / "tuned.safetensors"
    code, shown, error = run("tune", model, coins, "--out", out, "--json")
    assert code == 0, error
    done = valid(run, "tune", shown)
    assert [one["kept"] for one in done["tries"]] == [True] + [False] * (len(done["tries"]) - 1)
    assert (done["out"], done["split"], done["dropped"]) == (str(out), "val", ["thresholds"])
    assert done["tries"][0]["ap"] == {"a": 0.5, "b": 0.6, "difference": 0.1, "low": 0.05, "high": 0.15}
    assert done["level"] == 1 - 0.05 / len(done["tries"])
    assert (
        f"dropped, as measured with other settings: thresholds; store anew, with the options of before: {done['store_again']}"
        in error
    )
    assert run("tune", model, coins, "--out", out)[0] == 2


@pytest.mark.usefixtures("no_gain")
def test_the_table(run, model, coins, tmp_path):
    code, shown, error = run("tune", model, coins, "--out", tmp_path / "tuned.safetensors")
    assert code == 0, error
    assert "coins, split val, 2 images: " in shown
    (row,) = (line for line in shown.splitlines() if "detections.nms_thresh 0.5 -> 0.4" in line)
    assert all(text in row for text in ("0.500", "0.510", "+0.0100", "-0.0200 … +0.0400", "no"))
    assert "Nothing is kept" in shown
    shown, error = run("tune", model, coins, "--time-budget", "0.001")[1:]
    assert "not tried, the time did not suffice: input.min_size 80, input.min_size 51, " in error
    assert "Objects lost: " in shown


@pytest.mark.usefixtures("no_gain")
def test_thresholds_alone_are_written_too(run, model, coins, tmp_path, monkeypatch):
    monkeypatch.setattr(Findings, "thresholds", lambda _: {"coin": 0.7})
    out, page = tmp_path / "tuned.safetensors", tmp_path / "new" / "tune.html"
    more = ("--store-thresholds", "--report", page, "--json")
    code, shown, error = run("tune", model, coins, "--out", out, *more)
    assert code == 0, error
    done = valid(run, "tune", shown)
    assert done["thresholds"] == masu.load(out).thresholds == {"coin": 0.7}
    assert (done["out"], done["dropped"], done["lost_after"]) == (str(out), [], None)
    assert sum(done["lost"].values()) == 8
    assert done["said"].endswith(f"New: thresholds of these images; written to {out}.")
    assert f"open {page}" in error
    assert "coins, split val: 2 images." in page.read_text("utf-8")
