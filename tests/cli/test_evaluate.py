"""What is said of the data: classes that the model does not know, the split, and VOC's own figure."""

import json

import pytest

from masu.verbs.convert import convert
from tests.cli.conftest import NAMES

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
