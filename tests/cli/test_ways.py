"""Thresholds and margins of two looks, or of another image size: stored, used so, and what is said otherwise."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

import masu
from masu.detectors.build import load, store_calibration, store_margins
from masu.detectors.calibration import Calibration
from masu.exports.write import describe
from masu.runtime import Description
from masu.way import Way
from tests.films.scenes import scene
from tests.networks import small_detector

NAME = "coin"


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    file = tmp_path_factory.mktemp("ways") / "model.safetensors"
    masu.save(small_detector([NAME], scores=3, seed=1), file)
    return file


@pytest.fixture
def model(saved, tmp_path):
    return shutil.copy(saved, tmp_path / "model.safetensors")


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(scene(0)).save(tmp_path / "0.png")
    return tmp_path / "0.png"


def measured(file):
    with safe_open(file, "pt") as opened:
        said = opened.metadata().get("measured")
    return None if said is None else json.loads(said)


@pytest.mark.parametrize(
    ("words", "way"),
    [
        ((), None),
        (("--image-size", 64), None),
        (("--tta",), {"image_size": 64, "looks": 2}),
        (("--image-size", 96), {"image_size": 96, "looks": 1}),
        (("--image-size", 96, "--tta"), {"image_size": 96, "looks": 2}),
    ],
)
def test_what_is_stored_is_used_in_silence_the_same_way_and_told_otherwise(
    run, model, coins, picture, words, way
):
    code, _, error = run("evaluate", model, coins, "--split", "val", "--store-thresholds", *words)
    assert code == 0, error
    assert measured(model) == way
    thresholds = load(model).thresholds
    own = Way(**way) if way else Way(64)
    how = "" if way is None else f", measured {own.unlike(Way(64))}"
    assert f"masu: {model} now holds the thresholds {NAME} {thresholds[NAME]:.2f}{how}\n" in error
    said = f"masu: the model's thresholds: {NAME} {thresholds[NAME]:.2f}"
    assert run("detect", model, picture, *words)[2].splitlines()[0] == said
    for other, now in (((), Way(64)), (("--tta",), Way(64, 2)), (("--image-size", 96), Way(96))):
        line = run("detect", model, picture, *other)[2].splitlines()[0]
        assert line == (said if own == now else f"{said}; measured {own.unlike(now)}")


def test_thresholds_of_two_looks_are_those_that_python_finds(run, model, coins):
    """The store of the command and of Python, and the report of the same way, agree."""
    other = shutil.copy(model, model.with_name("other.safetensors"))
    assert run("evaluate", model, coins, "--split", "val", "--store-thresholds", "--tta")[0] == 0
    found = masu.calibrate(other, coins, split="val", tta=True)
    assert found.measured == Way(64, 2)
    assert load(model).thresholds == load(other).thresholds == found.thresholds
    assert load(other).measured == Way(64, 2)
    assert load(other).thresholds != masu.calibrate(other, coins, split="val", store=False).thresholds
    page = model.with_name("page.html")
    words = ("evaluate", model, coins, "--split", "val", "--report", page)
    assert "measured" not in run(*words, "--tta")[2]
    assert "; measured with --tta\n" in run(*words)[2]


def test_margins_are_of_one_way(run, model, coins, picture):
    words = (
        "evaluate",
        model,
        coins,
        "--split",
        "val",
        "--store-thresholds",
        "--store-margins",
        0.1,
        "--tta",
    )
    code, _, error = run(*words)
    assert code == 0, error
    assert load(model).margins
    assert run("detect", model, picture, "--margins", "--tta")[0] == 0
    for other, how in (((), "with --tta"), (("--tta", "--image-size", 96), "with --image-size 64")):
        code, out, error = run("detect", model, picture, "--margins", *other)
        assert (code, out) == (2, "")
        assert error.splitlines()[-1] == (
            f"masu: error: --margins: found margins that were measured {how}, wanted the same way of looking; "
            "ask the model so, or leave --margins out"
        )


def test_one_file_holds_what_is_of_one_way(run, model, coins):
    line = Calibration("right", {NAME: ((0.0, 0.0), (0.5, 0.2), (1.0, 1.0))})
    store_calibration(model, line, {NAME: 0.3})
    before = model.read_bytes()
    for words, staying, fix in (
        (("--store-thresholds", "--tta"), "calibrated scores", "--calibrate none"),
        (("--store-margins", 0.1, "--tta"), "calibrated scores and thresholds", "--calibrate none"),
        (("--store-thresholds", "--image-size", 96), "calibrated scores", "--calibrate none"),
    ):
        code, out, error = run("evaluate", model, coins, "--split", "val", *words)
        assert (code, out) == (2, "")
        how = "without --tta" if "--tta" in words else "with --image-size 64"
        assert error == (
            f"masu: error: {words[0]}: found {staying} in the model that were measured {how}, wanted one way of "
            f"looking for all that a model holds; measure them anew: {fix}\n"
        )
        assert model.read_bytes() == before
    with pytest.raises(masu.InputError, match="calibrated scores in the model that were measured without"):
        masu.store_thresholds(model, {NAME: 0.4}, measured=Way(64, 2))
    with pytest.raises(masu.InputError, match="a calibration of two looks"):
        store_calibration(model, line, {}, measured=Way(64, 2))
    masu.store_thresholds(model, {NAME: 0.4}, measured=Way(64))
    assert measured(model) is None
    assert run("evaluate", model, coins, "--split", "val", "--calibrate", "none", "--tta")[0] == 0
    assert (load(model).calibration, measured(model)) == (None, {"image_size": 64, "looks": 2})
    with pytest.raises(masu.InputError, match="thresholds in the model that were measured with --tta"):
        store_margins(model, {NAME: 0.1})
    store_margins(model, {NAME: 0.1}, Way(64, 2))
    assert measured(model) == {"image_size": 64, "looks": 2}
    masu.store_thresholds(model, {NAME: 0.4})
    assert (measured(model), load(model).margins) == (None, {})


def test_a_model_keeps_how_it_was_measured(model):
    masu.store_thresholds(model, {NAME: 0.4}, measured=Way(64, 2))
    detector = masu.load(model)
    assert (detector.measured, detector.otherwise) == (Way(64, 2), "with --tta")
    assert masu.with_tta(detector).otherwise == ""
    assert detector.prediction_network().otherwise == "with --tta"
    larger = masu.with_image_size(detector, 96)
    assert larger.otherwise == "with --image-size 64 and with --tta"
    assert masu.with_image_size(masu.with_tta(detector), 96).otherwise == "with --image-size 64"
    masu.save(larger, model)
    again = masu.load(model)
    assert (again.input.min_size, again.measured) == (96, Way(64, 2))
    assert masu.with_image_size(again, 64).otherwise == "with --tta"
    assert describe(again).measured == {"image_size": 64, "looks": 2}
    detector.thresholds = {}
    masu.save(detector, model)
    assert measured(model) is None


def test_margins_of_another_way_are_refused_in_python(model, tmp_path):
    store_margins(model, {NAME: 0.1}, Way(64, 2))
    once, image = masu.load(model), np.zeros((64, 64, 3), np.uint8)
    twice = masu.with_tta(once)
    twice.predict([image], margins=True)
    Image.fromarray(image).save(tmp_path / "a.png")
    for ask in (
        lambda: once.predict([image], margins=True),
        lambda: next(once.prediction_network().stream([image], margins=True)),
        lambda: masu.with_image_size(twice, 96).predict([image], margins=True),
        lambda: list(masu.detect(once, tmp_path / "a.png", margins=True)),
    ):
        with pytest.raises(
            masu.InputError, match="wanted the same way of looking; ask the model so"
        ) as caught:
            ask()
        assert caught.value.thing == "margins"


def test_an_exported_file_says_it(small):
    said = describe(small)
    assert "measured" not in said.as_dict()
    assert said.way_measured == Way(small.input.min_size)
    other = masu.with_tta(small)
    marked = json.loads(said.to_json()) | {"measured": {"image_size": 96, "looks": 2}}
    assert Description.from_json(json.dumps(marked)).way_measured == Way(96, 2)
    assert other.otherwise == "without --tta"
    for wrong in ({"image_size": 96, "looks": 3}, {"looks": 2}, [96, 2], {"image_size": 96, "tiles": 2}):
        with pytest.raises(ValueError, match="measured"):
            Description.from_json(json.dumps(marked | {"measured": wrong}))


def test_a_file_of_another_way_than_there_is_is_refused(model, tmp_path):
    from safetensors.torch import load_file, save_file

    with safe_open(model, "pt") as opened:
        metadata = opened.metadata()
    for wrong in ('{"image_size": 64, "looks": 3}', '{"looks": 2}', '{"image_size": 64, "x": 1}', "nothing"):
        save_file(load_file(model), tmp_path / "wrong.safetensors", metadata | {"measured": wrong})
        with pytest.raises(masu.InputError, match=r"settings that masu .* does not know .*"):
            masu.load(tmp_path / "wrong.safetensors")
