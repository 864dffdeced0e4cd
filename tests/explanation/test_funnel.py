"""masu evaluate --funnel: one pass, counts that add up, and figures that other verbs give too."""

import json
from dataclasses import replace

import pytest
import skimage.data
import torch
from click.testing import CliRunner
from PIL import Image

import masu
from masu.cli import cli
from masu.detectors.zoo import DEFAULT, make
from masu.evaluation.anchors import anchor_report
from masu.evaluation.evaluate import evaluate
from masu.explanation.fates import places_of
from masu.explanation.funnel import FunnelReport, funnel
from masu.explanation.what_if import Remedy
from masu.exports.exported import ExportedDetector
from masu.records import Target
from tests.conftest import COINS
from tests.detectors.test_detectors import SMALL_RETINANET, SMALL_RPN
from tests.networks import small_detector


@pytest.fixture(scope="module")
def detector():
    return small_detector(["coin"], image_size=320)


def test_counts_add_up_and_metrics_are_those_of_evaluation(detector, coins):
    data = masu.read_dataset(coins, "train")
    report = funnel(detector, data)
    plain = evaluate(detector, data)
    assert report.metrics.ap50 == plain.ap50
    assert report.metrics.seconds_per_image is None
    assert [(f.image, f.object) for f in report.fates] == [
        (i, m) for i, (_, target) in enumerate(data) for m in range(len(target))
    ]
    assert sum(report.counts().values()) == len(report.fates) == plain.objects == 15
    for groups in (report.by_class, report.by_size):
        for stage, count in report.counts().items():
            assert sum(of[stage] for of in groups.values()) == count
    assert sum(report.labels.values()) == 15
    assert list(report.counts()) == list(report.places)


def test_anchors_are_those_of_masu_anchors(detector, coins):
    data = masu.read_dataset(coins, "train")
    known = anchor_report(data, DEFAULT)
    found = funnel(detector, data).anchors
    assert found.sizes == known.fitted.sizes
    assert found.ratios == known.fitted.ratios
    objects, own, fitted = (sum(of[i] for of in found.under_50.values()) for i in range(3))
    assert (objects, own, fitted) == (15, known.own.under_50, known.fitted.under_50)


class Relabelled:
    """The coins, some ignored and some of a class that the detector does not know."""

    names = ("pebble", "coin")

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        path, target = self.data[index]
        labels = torch.ones(len(target), dtype=torch.int64)
        labels[0] = 0
        ignored = torch.zeros(len(target), dtype=torch.bool)
        ignored[-1] = True
        return path, Target(target.boxes, labels, ignored)


def test_unknown_classes_and_ignored_objects(detector, coins):
    report = funnel(detector, Relabelled(masu.read_dataset(coins, "train")))
    assert len(report.fates) == 15 - 4
    assert report.by_class["pebble"]["unknown_class"] == sum(report.by_class["pebble"].values()) == 4
    assert report.by_class["coin"]["unknown_class"] == 0
    assert report.metrics.objects == 11
    assert "class 'pebble': unknown to the detector; 4 labelled, all count as missed" in report.metrics.faults


def test_an_rpn_is_asked_without_classes(coins):
    torch.manual_seed(0)
    rpn = make(SMALL_RPN, ()).eval()
    report = funnel(rpn, masu.read_dataset(coins, "val"))
    assert next(iter(report.places)) == "anchors"
    assert report.counts()["found"] / 8 == pytest.approx(report.metrics.recall50_at_1000)


def test_a_stricter_iou_loses_more(coins):
    torch.manual_seed(0)
    data, detector = masu.read_dataset(coins, "val"), make(SMALL_RPN, ()).eval()
    found = [funnel(detector, data, iou=t).counts()["found"] for t in (0.1, 0.5, 0.95)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[2]
    with pytest.raises(
        masu.InputError, match=r"^iou: found 0, wanted a number above 0 and at most 1; 0.5 is"
    ):
        funnel(detector, data, iou=0)


def test_the_most_is_said_first():
    fates = masu_fates([("found", None), ("class_nms", None), ("class_nms", None), ("other_class", "dog")])
    remedies = (
        Remedy("class_nms", "nms_thresh", 0.5, 0.6, 2, 1, 1),
        Remedy("other_class", "score_thresh", 0.05, 0.01, 1, 0, 0),
    )
    every = places_of(make(SMALL_RETINANET, ("cat", "dog")))
    places = {place: every[place] for place in ("anchors", "other_class", "class_nms", "found")}
    report = FunnelReport(None, 0.5, places, fates, {}, 1, remedies, None)
    assert report.advice == (
        "1 of 4 objects are found at IoU 0.5.",
        "2 of 3 lost at class_nms: its boxes gave way to better ones of its class.",
        "1 of 3 lost at other_class: another class wins on its best box.",
        "The most frequent confusion: cat taken for dog, once.",
        "nms_thresh 0.6 in place of 0.5 would bring back 1 of the 2 lost at class_nms, and lose 1 others.",
        "Milder settings bring back none of those lost at other_class.",
        "1 found object scores under 0.5: masu detect --threshold shows lower ones.",
    )
    report = replace(report, thresholds={"cat": 0.4, "dog": 0.625}, hidden=2)
    assert report.advice[-1] == (
        "2 found objects score under the model's thresholds (cat 0.40, dog 0.62): masu detect --threshold shows "
        "lower ones."
    )
    assert report.as_dict()["shown_from"] == {"cat": 0.4, "dog": 0.625}


def test_what_is_hidden_is_decided_by_the_models_thresholds(detector, coins, monkeypatch):
    data = masu.read_dataset(coins, "train")
    scores = [fate.score for fate in funnel(detector, data, iou=0.01).fates if fate.stage == "found"]
    assert len(set(scores)) > 1
    counts = []
    for least in (0.0, max(scores), 1.0):
        monkeypatch.setattr(detector, "thresholds", {"coin": least})
        counts.append(funnel(detector, data, iou=0.01).hidden)
    assert counts == [0, sum(score < max(scores) for score in scores), len(scores)]


def masu_fates(rows):
    from masu.explanation.fates import Fate

    box = (0.0, 0.0, 10.0, 10.0)
    return tuple(
        Fate(0, i, "cat", box, "small", stage, 0.6, 0, "positive", 0.7, 0, 0, instead=instead)
        for i, (stage, instead) in enumerate(rows)
    )


def test_the_command_prints_and_gives_json(detector, coins, tmp_path):
    file = tmp_path / "model.safetensors"
    masu.save(detector, file)
    ran = CliRunner().invoke(cli, ["evaluate", str(file), str(coins), "--funnel", "--json"])
    assert ran.exit_code == 0, ran.output
    figures = json.loads(ran.stdout)
    shown = figures["funnel"]
    assert {"ap50", "per_class", "funnel"} <= figures.keys()
    assert sum(shown["stages"].values()) == shown["objects"] == figures["objects"] == 8
    assert len(shown["lost"]) == 8 - shown["found"]
    ran = CliRunner().invoke(cli, ["evaluate", str(file), str(coins), "--funnel"])
    assert "the funnel at IoU 0.5" in ran.stdout
    assert f"{shown['found']} of 8 objects are found at IoU 0.5." in ran.stdout


def test_an_exported_model_has_no_stages(coins):
    exported = ExportedDetector.__new__(ExportedDetector)  # what it is decides, not what it holds
    with pytest.raises(masu.InputError) as caught:
        funnel(exported, masu.read_dataset(coins, "val"))
    assert str(caught.value) == (
        "funnel: found an exported model, which gives final boxes only, wanted a model of masu; take the "
        ".safetensors file that it was exported from"
    )


@pytest.fixture
def tray(tmp_path):
    """A row of coins whose photograph is cut, and one that shows two more nearly as large as a tile."""
    photograph = Image.fromarray(skimage.data.coins()).convert("RGB").crop((0, 0, 300, 80))
    photograph.save(tmp_path / "row.png")
    boxes = [*COINS, (20, 10, 290, 70)]
    return [(tmp_path / "row.png", Target(torch.tensor(boxes), torch.zeros(len(boxes), dtype=torch.int64)))]


class Labelled(list):
    names = ("coin",)


def test_each_object_of_a_picture_that_is_cut_is_followed_where_it_is_best_seen(detector, tray):
    tiled = masu.tiled(detector, 100, 0.5)
    report = funnel(tiled, Labelled(tray))
    plain = evaluate(tiled, Labelled(tray))
    assert report.metrics.ap50 == plain.ap50
    assert sorted(fate.object for fate in report.fates) == [0, 1, 2, 3, 4, 5]
    target = tray[0][1]
    for fate in report.fates:
        assert fate.box == pytest.approx(target.boxes[fate.object].tolist(), abs=1e-3)
    sizes = {fate.object: fate.size for fate in report.fates}
    assert sizes == {**dict.fromkeys(range(5), "medium"), 5: "large"}
    # the second coin lies whole in the tiles from 50 and from 40..., and is judged as in its tile alone
    alone = masu.tiled(detector, None)
    left = 50
    cut = Image.open(tray[0][0]).crop((left, 0, left + 100, 80))
    tile = Image.new("RGB", (100, 100))
    tile.paste(cut)
    tile.save(tray[0][0].with_name("tile.png"))
    box = target.boxes[1] - torch.tensor([left, 0, left, 0])
    wanted = funnel(
        alone, Labelled([(tray[0][0].with_name("tile.png"), Target(box[None], torch.tensor([0])))])
    ).fates[0]
    found = next(fate for fate in report.fates if fate.object == 1)
    assert (found.anchor, found.anchor_iou, found.box_iou) == (
        wanted.anchor,
        wanted.anchor_iou,
        wanted.box_iou,
    )
