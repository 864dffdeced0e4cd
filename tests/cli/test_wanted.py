"""What one wants of a detector, and how much one wants to be told."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import masu
from tests.cli.conftest import NAMES


@pytest.fixture
def image(coins):
    return coins / "images" / "val" / "0.png"


def rows(text):
    return list(csv.DictReader(text.splitlines()))


def test_detect_takes_fewer_boxes_and_another_suppression(run, model, tmp_path):
    image = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(image)
    options = ["detect", model, image, "--threshold", 0, "--to", "csv"]
    every = rows(run(*options)[1])
    few = rows(run(*options, "--max-detections", 2)[1])
    assert (len(every) > 2, few) == (True, every[:2])
    assert len(rows(run(*options, "--iou", 0.01)[1])) < len(every)


def test_detect_reports_some_classes(run, model, image, odd_coins):
    options = ["detect", model, image, "--threshold", 0]
    code, out, error = run(*options, "--classes", NAMES[0])
    assert (code, out) == (0, run(*options)[1]), error
    code, out, error = run(*options, "--classes", "[/y]")
    assert (code, out) == (2, "")
    assert (
        error == f"masu: error: --classes: found '[/y]', wanted one of {NAMES[0]}; did you mean {NAMES[0]}?\n"
    )


def test_evaluate_takes_them_too(run, model, odd_coins):
    options = ["evaluate", model, odd_coins, "--json"]
    every = json.loads(run(*options)[1])
    only = json.loads(run(*options, "--classes", NAMES[0])[1])
    assert list(every["per_class"]) == list(NAMES)
    assert only["per_class"] == {NAMES[0]: every["per_class"][NAMES[0]]}
    code, _, error = run(*options, "--classes", "coin")
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith("masu: error: --classes: found 'coin', wanted one of ")


def test_no_pictures(run, model, image, tmp_path):
    code, _, error = run("detect", model, image, "--out", tmp_path / "found", "--no-pictures")
    assert code == 0, error
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["detections.json"]
    assert error.endswith("detections.json\n")


def test_the_model_file_stays_as_it_is(run, model, image):
    before = model.read_bytes()
    run("detect", model, image, "--iou", 0.1, "--max-detections", 1)
    assert model.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["detect", "m.onnx", "a.jpg", "--classes", "a", "--to", "parquet"],
            "--classes: found in a job for Parquet files",
        ),
        (
            ["detect", "m", "a.jpg", "--iou", "0.5", "--engine", "ray"],
            "--iou: found in a job for Parquet files, which",
        ),
        (["detect", "m", "a.jpg", "--no-pictures"], "--no-pictures: found without --out, where pictures"),
        (
            ["evaluate", "m", "d", "--store-thresholds", "--iou", "0.5"],
            "--iou: found with --store-thresholds",
        ),
        (
            ["check", "d", "--quiet", "--verbose"],
            "--quiet: found together with --verbose, wanted one of them",
        ),
    ],
)
def test_idle_together(run, arguments, said):
    code, out, error = run(*arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"masu: error: {said}")


def test_an_exported_file_cannot_change_its_suppression(run, model, image, tmp_path, monkeypatch):
    class Exported:
        names, thresholds = (NAMES[0],), {}

    monkeypatch.setattr("masu.exports.exported.open_detector", lambda *_, **__: Exported())
    code, out, error = run("detect", "m.onnx", image, "--max-detections", 5)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(
        "masu: error: --max-detections: found an exported file, whose suppression is part of"
    )


def test_quiet_before_or_after_the_verb(run, model, odd_coins):
    loud = run("evaluate", model, odd_coins, "--json")
    assert loud[2].startswith("masu: class ")
    for arguments in (["--quiet", "evaluate", model, odd_coins], ["evaluate", model, odd_coins, "--quiet"]):
        code, out, error = run(*arguments, "--json")
        assert (code, error) == (0, "")
        assert json.loads(out)["ap"] == json.loads(loud[1])["ap"]
    assert run("--quiet", "check", "nowhere")[2].startswith("masu: error: nowhere: found no such file")


def test_verbose_says_what_was_decided_and_how_long_it_took(run, model, odd_coins):
    for arguments in (
        ["--verbose", "evaluate", model, odd_coins],
        ["evaluate", model, odd_coins, "--verbose"],
    ):
        code, _, error = run(*arguments)
        assert code == 0
        assert "coins: format coco, split val, 2 images" in error
        parts = [line.rsplit(":", 1)[0] for line in error.splitlines() if line.endswith(" s")]
        assert parts == [
            "masu: opening the model",
            "masu: reading annotations",
            "masu: looking at images",
            "masu: evaluating",
            "masu: weighing the images",
        ]
        assert error.splitlines()[-1].endswith(" s in all")


def test_a_quiet_and_a_verbose_training(run, odd_coins, tmp_path):
    options = ["train", odd_coins, "--epochs", 1, "--image-size", 64]
    code, out, error = run(*options, "--out", tmp_path / "a", "--quiet", "--json")
    assert (code, error) == (0, "")
    assert masu.load(json.loads(out)["best"]).names == NAMES
    code, _, error = run("--verbose", *options, "--out", tmp_path / "b")
    assert "masu: architecture: faster_rcnn_lite0_fpn\n" in error
    assert "masu: learning_rate: 0.0005\n" in error
