"""What is said of the data: classes that the model does not know, the split, and VOC's own figure."""

import json

import pytest

import masu
from masu.detectors.build import store_margins
from masu.verbs.convert import convert
from tests.cli.conftest import NAMES
from tests.cli.test_schema import valid

UNKNOWN = f"class {NAMES[1]!r}: unknown to the detector; "


def test_objects_of_unknown_classes_are_missed_and_named(run, model, odd_coins):
    code, out, error = run("evaluate", model, odd_coins, "--json")
    assert code == 0, error
    figures = json.loads(out)
    assert figures["faults"] == [f"{UNKNOWN}4 labelled, all count as missed"]
    assert f"masu: {UNKNOWN}" in error
    assert (figures["per_class"][NAMES[1]]["ap"], figures["per_class"][NAMES[1]]["objects"]) == (0, 4)
    assert figures["objects"] == 8


def test_they_are_lost_for_their_class_in_explain(run, model, odd_coins, tmp_path):
    page = tmp_path / "page.html"
    code, out, error = run("explain", model, odd_coins, "--worst", 2, "--out", page, "--json")
    assert code == 0, error
    done = json.loads(out)
    assert done["lost"] >= 4
    assert UNKNOWN in done["faults"][0]
    assert UNKNOWN in error
    assert "unknown_class" in page.read_text("utf-8")


@pytest.mark.parametrize(("options", "split"), [([], "val"), (["--split", "train"], "train")])
def test_the_split_is_said(run, model, odd_coins, options, split, tmp_path):
    page = tmp_path / "errors.html"
    code, out, error = run("evaluate", model, odd_coins, *options, "--json", "--report", page)
    assert code == 0, error
    assert (json.loads(out)["split"], json.loads(out)["data"]) == (split, str(odd_coins))
    assert f"coins, split {split}" in page.read_text("utf-8")
    out = run("evaluate", model, odd_coins, *options)[1]
    assert out.startswith(f"coins, split {split}: {2 if split == 'val' else 4} images, ")


def test_data_without_splits_has_none(run, model, odd_coins):
    file = odd_coins / "annotations" / "instances_val.json"
    code, out, error = run("evaluate", model, file.rename(odd_coins / "images" / "val" / "c.json"), "--json")
    assert code == 0, error
    assert json.loads(out)["split"] is None


def test_what_the_model_learned_from_flatters_it_and_that_is_said(run, model, odd_coins):
    detector = masu.load(model)
    detector.trained_on = {"data": "coins", "split": "train", "val_split": "val"}
    masu.save(detector, model)
    error = run("evaluate", model, odd_coins, "--split", "train", "--store-thresholds")[2]
    assert "masu: the model was trained on the split train of a data set of this name, coins: if" in error
    assert "the model was trained" not in run("evaluate", model, odd_coins)[2]


def test_explain_and_anchors_say_the_split_too(run, model, odd_coins, tmp_path):
    page = tmp_path / "page.html"
    out = run("explain", model, odd_coins, "--worst", 1, "--out", page, "--json")[1]
    assert json.loads(out)["split"] == "val"
    assert "2 images of the split val" in page.read_text("utf-8")
    out = run("anchors", odd_coins, "--json", "--report", page)[1]
    assert json.loads(out)["split"] == "train"
    assert "4 images of the split train" in page.read_text("utf-8")
    assert "4 images of the split train; " in run("anchors", odd_coins)[1]


def test_the_figure_of_voc_is_there_for_its_format(run, model, odd_coins, tmp_path):
    without = json.loads(run("evaluate", model, odd_coins, "--json")[1])
    assert without["voc_ap50"] is without["voc07_ap50"] is None
    assert "voc" not in run("evaluate", model, odd_coins)[1]
    convert(odd_coins, tmp_path / "voc", "voc")
    figures = json.loads(run("evaluate", model, tmp_path / "voc", "--json")[1])
    assert 0 <= figures["voc_ap50"] <= 1
    assert 0 <= figures["voc07_ap50"] <= 1
    shown = run("evaluate", model, tmp_path / "voc")[1]
    assert "voc_ap50" in shown
    assert "voc07_ap50" in shown


def test_scores_are_calibrated_and_put_back(run, model, odd_coins):
    before = json.loads(run("evaluate", model, odd_coins, "--json", "--report", odd_coins / "a.html")[1])
    code, out, error = run("evaluate", model, odd_coins, "--split", "train", "--calibrate", "right", "--json")
    assert code == 0, error
    said = valid(run, "evaluate", out)
    assert said["calibration"]["meaning"] == "right"
    assert said["calibration"]["after"]["d_ece"] < said["calibration"]["before"]["d_ece"]
    assert f"masu: {model} now gives calibrated scores\n" in error
    assert "chosen on the split train, whose figures they flatter" in error
    detector = masu.load(model)
    assert {name: list(map(list, line)) for name, line in detector.calibration.points.items()} == said[
        "calibration"
    ]["points"]
    after = json.loads(run("evaluate", model, odd_coins, "--json", "--report", odd_coins / "a.html")[1])
    assert after["ap"] == pytest.approx(before["ap"], abs=1e-3)
    # the same again from the network's own scores, not from those that are calibrated already
    again = json.loads(
        run("evaluate", model, odd_coins, "--split", "train", "--calibrate", "right", "--json")[1]
    )
    assert again["calibration"] == said["calibration"]
    code, _, error = run("evaluate", model, odd_coins, "--split", "train", "--calibrate", "none")
    assert f"masu: {model} now gives scores as the network gives them\n" in error
    assert masu.load(model).calibration is None


@pytest.mark.parametrize("option", [["--iou", 0.5], ["--classes", NAMES[0]], ["--funnel"]])
def test_what_means_nothing_beside_calibration(run, model, odd_coins, option):
    before = model.read_bytes()
    code, _, error = run("evaluate", model, odd_coins, "--calibrate", "right", *option)
    assert (code, f"{option[0]}: found with --calibrate" in error) == (2, True)
    assert model.read_bytes() == before


def test_thresholds_that_promise_a_recall(run, model, odd_coins):
    code, _, error = run("evaluate", model, odd_coins, "--recall", 0.5)
    assert (code, "--recall: found no thresholds to store" in error) == (2, True)
    before = model.read_bytes()
    code, out, error = run(
        "evaluate", model, odd_coins, "--split", "train", "--store-thresholds", "--recall", 0.9
    )
    assert (code, out) == (2, "")
    assert f"--recall 0.9: found 4 images with objects of class {NAMES[0]!r}, wanted at least 9" in error
    assert model.read_bytes() == before


def test_thresholds_that_promise_a_precision(run, model, odd_coins):
    code, _, error = run("evaluate", model, odd_coins, "--precision", 0.5)
    assert (code, "--precision: found no thresholds to store" in error) == (2, True)
    before = model.read_bytes()
    both = ["--recall", 0.1, "--precision", 0.5]
    code, _, error = run("evaluate", model, odd_coins, "--store-thresholds", *both)
    assert (code, "--precision: found together with --recall, wanted one of them" in error) == (2, True)
    storing = ["evaluate", model, odd_coins, "--split", "train", "--store-thresholds"]
    code, out, error = run(*storing, "--precision", 0.9)
    assert (code, out) == (2, "")
    assert "--precision 0.9: found 4 images, wanted at least 33; or a smaller --precision" in error
    code, out, error = run(*storing, "--precision", 0.4)
    assert (code, out) == (2, "")
    assert f"that show class {NAMES[0]!r} from a score of 0.5 on, which can promise 0.00 at most" in error
    assert model.read_bytes() == before


def test_margins_are_stored_beside_the_thresholds(run, model, odd_coins, tmp_path, monkeypatch):
    masu.store_thresholds(model, {NAMES[0]: 0.25})
    monkeypatch.setattr(
        "masu.verbs.calibrate.box_margins",
        lambda matches, names, share, thresholds: {NAMES[0]: thresholds.get(NAMES[0], 0.5)},
    )
    storing = ["evaluate", model, odd_coins, "--split", "train", "--store-margins"]
    code, out, error = run(*storing, 0.6, "--json")
    assert code == 0, error
    said = valid(run, "evaluate", out)
    assert said["margins"] == {
        "hold": 0.6,
        "of_size": {NAMES[0]: 0.25},
    }  # measured from the model's thresholds on
    assert "thresholds" in said
    assert f"masu: {model} now holds the margins {NAMES[0]} 0.25, as shares of a box's size\n" in error
    assert "now holds the thresholds" not in error
    assert (masu.load(model).margins, masu.load(model).thresholds) == ({NAMES[0]: 0.25}, {NAMES[0]: 0.25})
    # other thresholds let other boxes pass: the margins go, unless new ones are measured with them
    code, _, error = run("evaluate", model, odd_coins, "--split", "train", "--store-thresholds")
    assert masu.load(model).margins == {}
    code, _, error = run(*storing, 0.6, "--store-thresholds")
    assert masu.load(model).margins == {NAMES[0]: 0.5}  # of the new thresholds, of which there are none
    assert "now holds the thresholds" in error


def test_margins_that_four_images_cannot_promise(run, model, odd_coins):
    before = model.read_bytes()
    storing = ["evaluate", model, odd_coins, "--split", "train", "--store-margins"]
    code, out, error = run(*storing, 0.9)
    assert (code, out) == (2, "")
    assert (
        f"--store-margins 0.9: found 4 images with objects of class {NAMES[0]!r}, wanted at least 9" in error
    )
    for option in (["--iou", 0.5], ["--classes", NAMES[0]]):
        code, _, error = run(*storing, 0.5, *option)
        assert (code, f"{option[0]}: found with --store-margins" in error) == (2, True)
    assert model.read_bytes() == before


def test_detect_enlarges_boxes(run, model, odd_coins):
    photographs = odd_coins / "images" / "val"
    code, _, error = run("detect", model, photographs, "--margins")
    assert (code, "margins: found none in the model" in error) == (2, True)
    store_margins(model, {NAMES[0]: 0.1})
    code, out, error = run("detect", model, photographs, "--margins")
    assert code == 0, error
    assert f"the model's margins, as shares of a box's size: {NAMES[0]} 0.10" in error
    plain = json.loads(run("detect", model, photographs)[1])
    pairs = [
        (one["box"], two["box"])
        for a, b in zip(plain, json.loads(out), strict=True)
        for one, two in zip(a["detections"], b["detections"], strict=True)
    ]
    assert pairs
    for (x1, y1, x2, y2), grown in pairs:
        reach = 0.1 * ((x2 - x1) * (y2 - y1)) ** 0.5
        wanted = [max(x1 - reach, 0), max(y1 - reach, 0), min(x2 + reach, 256), min(y2 + reach, 128)]
        assert grown == pytest.approx(wanted, abs=0.01)
    for option in (["--threshold", 0.2], ["--iou", 0.5], ["--max-detections", 5]):
        code, _, error = run("detect", model, photographs, "--margins", *option)
        assert (code, f"{option[0]}: found with --margins" in error) == (2, True)
    code, _, error = run(
        "detect", model, photographs, "--margins", "--to", "parquet", "--out", odd_coins / "p"
    )
    assert (code, "--margins: found in a job for Parquet files" in error) == (2, True)
