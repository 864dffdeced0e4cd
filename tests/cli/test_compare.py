"""``masu compare`` as it is used: files, runs, saved predictions, gates and their exit code."""

import json
import shutil

import pytest
import torch

import masu
from masu.cli.exit_codes import BAD_INPUT, DONE, FINDINGS
from masu.errors import InputError
from masu.verbs.compare import models_of
from tests.cli.conftest import NAMES
from tests.cli.test_schema import valid
from tests.networks import spread


@pytest.fixture
def other(tmp_path):
    """A detector of both classes."""
    torch.manual_seed(1)
    path = tmp_path / "runs" / "wide-1" / "best.safetensors"
    masu.save(spread(masu.build("faster_rcnn_lite0_fpn", NAMES, image_size=64)), path)
    return path


def test_two_models(run, model, other, odd_coins, tmp_path):
    page = tmp_path / "page.html"
    code, out, error = run("compare", model, other.parent, odd_coins, "--json", "--report", page)
    assert code == DONE, error
    done = valid(run, "compare", out)
    assert [side[0]["file"] for side in (done["a"], done["b"])] == [str(model), str(other)]
    assert done["split"] == "val"
    assert done["a"][0]["bytes"] == model.stat().st_size
    assert [(side[0]["image_size"], side[0]["looks"]) for side in (done["a"], done["b"])] == [(64, 1)] * 2
    one = done["figures"]["ap"]
    assert one["difference"] == pytest.approx(one["b"] - one["a"])
    assert one["low"] <= one["difference"] <= one["high"]
    assert f"masu: class {NAMES[1]!r}: unknown to the detector; 4 labelled, all count as missed" in error
    text = page.read_text("utf-8")
    assert "coins, split val" in text
    assert "data:image/jpeg" in text
    shown = run("compare", model, other, odd_coins)[1]
    assert "ap of [red] :car:" in shown
    assert done["said"].split(".")[0] in shown


def test_runs_of_a_folder_or_a_pattern(other, tmp_path):
    again = tmp_path / "runs" / "wide-2" / "best.safetensors"
    again.parent.mkdir()
    shutil.copy(other, again)
    for source in (tmp_path / "runs", f"{tmp_path}/runs/wide-*", f"{tmp_path}/runs/*/best.safetensors"):
        assert models_of(source) == [other, again]
    assert models_of([other, again]) == [other, again]
    assert models_of(tmp_path / "runs" / "wide-1") == [other]
    for source, found in ((tmp_path / "nothing", "no such file"), (tmp_path, "a folder without best")):
        with pytest.raises(InputError) as caught:
            models_of(source)
        assert caught.value.found.startswith(found)
    with pytest.raises(InputError, match="no model"):
        models_of([])


def test_saved_predictions_are_compared_like_their_model(run, model, other, odd_coins, tmp_path):
    saved = [tmp_path / "a.json", tmp_path / "b.parquet"]
    for file, one in zip(saved, (model, other), strict=True):
        code, _, error = run("evaluate", one, odd_coins, "--save-predictions", file)
        assert (code, f"masu: {file} holds the predictions\n" in error) == (DONE, True)
    live, kept = (
        json.loads(run("compare", *pair, odd_coins, "--json")[1]) for pair in ((model, other), saved)
    )
    for key in ("a", "b", "difference", "low", "high"):
        assert kept["figures"]["ap"][key] == pytest.approx(live["figures"]["ap"][key], abs=1e-9)
    assert kept["a"][0]["milliseconds"] is None


def test_evaluate_takes_saved_predictions(run, other, odd_coins, tmp_path):
    file, page = tmp_path / "found.json", tmp_path / "page.html"
    live = json.loads(run("evaluate", other, odd_coins, "--json", "--save-predictions", file)[1])
    code, out, error = run("evaluate", file, odd_coins, "--json", "--report", page, "--by", "folder,size")
    assert code == DONE, error
    kept = valid(run, "evaluate", out)
    assert kept["ap"] == pytest.approx(live["ap"], abs=1e-9)
    assert kept["intervals"]["ap"] == pytest.approx(live["intervals"]["ap"], abs=1e-9)
    assert [part["name"] for part in kept["slices"]] == ["images/val", "small", "medium", "large"]
    for option in (["--iou", 0.5], ["--device", "cpu"], ["--funnel"], ["--store-thresholds"]):
        code, _, error = run("evaluate", file, odd_coins, *option)
        assert (code, "with saved predictions, wanted a model for it" in error) == (BAD_INPUT, True)


def test_both_models_look_twice(run, model, other, odd_coins, tmp_path):
    saved = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, one in zip(saved, (model, other), strict=True):
        assert run("evaluate", one, odd_coins, "--tta", "--save-predictions", file)[0] == DONE
    masu.store_thresholds(model, {NAMES[0]: 0.3})
    twice, kept, once = (
        json.loads(run("compare", *words, odd_coins, "--json")[1])["figures"]["ar100"]
        for words in ((model, other, "--tta"), saved, (model, other))
    )
    for key in ("a", "b", "low", "high"):
        assert twice[key] == pytest.approx(kept[key], abs=1e-9)
    assert twice != once
    code, _, error = run("compare", saved[0], model, odd_coins, "--tta")
    assert code == DONE
    assert f"masu: {saved[0]} holds what was found before: only models look with --tta\n" in error
    assert f"masu: {model}: the model's thresholds: {NAMES[0]} 0.30; measured without --tta\n" in error
    code, out, error = run("compare", *saved, odd_coins, "--tta")
    assert (code, out) == (BAD_INPUT, "")
    assert error.startswith("masu: error: --tta: found with saved predictions alone")


def test_both_models_see_another_size(run, model, other, odd_coins, tmp_path):
    saved = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, one in zip(saved, (model, other), strict=True):
        words = ("--image-size", 96, "--save-predictions", file)
        assert run("evaluate", one, odd_coins, *words)[0] == DONE
    masu.store_thresholds(model, {NAMES[0]: 0.3})
    sized, kept, own = (
        json.loads(run("compare", *words, odd_coins, "--json")[1])["figures"]["ar100"]
        for words in ((model, other, "--image-size", 96), saved, (model, other))
    )
    for key in ("a", "b", "low", "high"):
        assert sized[key] == pytest.approx(kept[key], abs=1e-9)
    assert sized != own
    compared = masu.compare(model, masu.load(other), odd_coins, image_size=96, tta=True).as_dict()
    assert [(side[0]["image_size"], side[0]["looks"]) for side in (compared["a"], compared["b"])] == [
        (96, 2)
    ] * 2
    compared = masu.compare(*saved, odd_coins).as_dict()
    assert [(side[0]["image_size"], side[0]["looks"]) for side in (compared["a"], compared["b"])] == [
        (None, None)
    ] * 2
    figure = masu.compare(model, masu.load(other), odd_coins, image_size=96).figures["ar100"]
    assert (figure.a, figure.b) == pytest.approx((kept["a"], kept["b"]), abs=1e-9)
    said = f"masu: {model}: the model's thresholds: {NAMES[0]} 0.30; measured with --image-size 64"
    code, _, error = run("compare", saved[0], model, odd_coins, "--image-size", 96)
    assert code == DONE
    assert f"masu: {saved[0]} holds what was found before: only models look with --image-size 96\n" in error
    assert f"{said}\n" in error
    _, _, error = run("compare", saved[0], model, odd_coins, "--image-size", 96, "--tta")
    assert "only models look with --image-size 96 and --tta\n" in error
    assert f"{said} and without --tta\n" in error
    with pytest.raises(InputError) as caught:
        masu.compare(*saved, odd_coins, image_size=96, tta=True)
    assert (caught.value.thing, caught.value.found, caught.value.wanted, caught.value.fix) == (
        "--image-size",
        "with saved predictions alone, which were made before",
        "a model",
        "save them with masu evaluate --image-size 96 --tta --save-predictions",
    )


def test_an_exported_side_has_the_size_that_it_was_exported_at(run, model, onnx_file, small, odd_coins):
    code, out, error = run("compare", model, onnx_file, odd_coins, "--image-size", 96)
    assert (code, out) == (BAD_INPUT, "")
    own = small.input.min_size
    assert error.startswith(
        f"masu: error: --image-size: found 96 for an exported file, whose graph brings images to {own} pixels"
    )


@pytest.mark.parametrize(
    ("gates", "code"),
    [(["ap>=-1"], DONE), (["ap>=1"], FINDINGS), (["ap>=-1", "ap.high<-1"], FINDINGS)],
)
def test_gates_decide_the_exit_code(run, model, other, odd_coins, gates, code):
    options = [part for gate in gates for part in ("--gate", gate)]
    ended, out, error = run("compare", model, other, odd_coins, "--json", *options)
    assert ended == code
    assert list(json.loads(out)["gates"]) == gates
    assert error.count("masu: gate ") == len(gates)


def test_a_wrong_gate_is_refused_before_anything_is_read(run, tmp_path):
    code, out, error = run("compare", "a", "b", "c", "--gate", "map>=0")
    assert (code, out) == (BAD_INPUT, "")
    assert error.startswith("masu: error: --gate: found 'map', wanted one of ap, ap50")


def test_in_python(other, odd_coins):
    data = masu.read_dataset(odd_coins, "val")
    detector = masu.load(other)
    comparison = masu.compare(detector, [detector, detector], data)
    assert comparison.figures["ap"].difference == pytest.approx(0, abs=1e-9)
    assert comparison.seeds
    with pytest.raises(InputError, match="the same file twice on one side"):
        masu.compare(detector, [other, other], data)
    with pytest.raises(TypeError, match="split"):
        masu.compare(detector, detector, data, split="val")
