"""masu evaluate --report and --store-thresholds: the report, the page, the command line."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import masu
from masu.cli import cli
from masu.detectors.prediction import PredictionNetwork
from masu.evaluation.error_page import charts_of, write_page
from masu.evaluation.error_report import error_report, refuse
from masu.evaluation.errors import KINDS
from masu.evaluation.evaluate import Scored
from masu.evaluation.metrics import coco_metrics, proposal_metrics
from masu.records import Detections, Target
from tests.evaluation.test_errors import A4, FAR, A, B
from tests.evaluation.test_matches import found
from tests.evaluation.test_metrics import NAMES, random_case


def scored(targets, detections, names=NAMES, paths=None):
    metrics = coco_metrics(targets, detections, names)
    paths = [Path(f"{i}.png") for i in range(len(targets))] if paths is None else paths
    return Scored(metrics, tuple(names), tuple(paths), tuple(targets), tuple(detections))


@pytest.mark.parametrize("seed", range(8))
def test_what_is_counted_agrees(seed):
    result = scored(*random_case(seed))
    for stored in (None, {"a": 0.3, "b": 0.9}):
        report = error_report(result, stored)
        assert report.stored == bool(stored)
        counted = [count for kinds in report.per_class.values() for count in kinds.items()]
        for kind in KINDS:
            total = report.kinds[kind]
            assert total.count == sum(c.count for k, c in counted if k == kind)
            assert total.count == sum(image.counts().get(kind, 0) for image in report.images)
            costs = [c.cost for k, c in counted if k == kind and c.cost is not None]
            assert total.cost == (pytest.approx(np.mean(costs)) if costs else None)
        for k, name in enumerate(NAMES):
            used, of_class = report.used[name], report.per_class[name]
            assert used.right == report.confusion[k, k]
            assert used.wrong == sum(of_class[kind].count for kind in KINDS if kind != "missed")
            assert used.wrong + used.right == report.confusion[k].sum()
            assert used.right + used.missed == report.confusion[:, k].sum()
            assert (of_class["missed"].cost is None) == (result.metrics.per_class[name].ap50 is None)
        assert [image.cost for image in report.images] == sorted(
            [i.cost for i in report.images], reverse=True
        )
        json.dumps(report.as_dict(), allow_nan=False)


def test_thresholds_and_counts_worked_by_hand():
    # a: right 0.9; wrong box 0.6 in an image of its own; right 0.5. b: never found
    targets = [Target([A, B], [0, 0]), Target([A, B], [0, 1])]
    detections = [found([A, B], [0.9, 0.5]), found([A4], [0.6])]
    report = error_report(scored(targets, detections, ("a", "b", "c")))
    # F1 2/4, 2/5, 4/6: best with all three, at half the last score
    assert report.best_thresholds() == {"a": 0.25}
    assert report.used["b"].threshold == report.used["c"].threshold == 0.5
    assert (report.used["a"].precision, report.used["a"].recall) == pytest.approx((2 / 3, 2 / 3))
    # a: recalls 1/3, 1/3, 2/3 with precisions 1, 1/2, 2/3: 34 points at 1, 33 at 2/3
    ap50 = (34 + 33 * 2 / 3) / 101
    assert report.per_class["a"]["localisation"].cost == pytest.approx(1 - ap50)
    assert report.per_class["c"]["localisation"].cost is None
    assert report.kinds["localisation"].cost == pytest.approx((1 - ap50) / 2)
    assert report.kinds["missed"].cost == pytest.approx(1 / 2)  # all of b
    assert [(str(i.path), i.counts()) for i in report.images] == [("1.png", {"localisation": 1, "missed": 1})]
    assert report.images[0].cost == pytest.approx((1 - ap50) / 2 + 1 / 2)
    assert report.confusion.tolist() == [[2, 0, 0, 1], [0] * 4, [0] * 4, [1, 1, 0, 0]]


def test_stored_thresholds_decide_what_is_an_error():
    targets = [Target([A], [0])]
    detections = [found([A, FAR, FAR], [0.9, 0.6, 0.4])]
    at = {least: error_report(scored(targets, detections), {"a": least}) for least in (0.95, 0.7, 0.5, 0.3)}
    counts = {k: (r.kinds["background"].count, r.kinds["missed"].count) for k, r in at.items()}
    assert counts == {0.95: (0, 1), 0.7: (0, 0), 0.5: (1, 0), 0.3: (2, 0)}
    assert all(r.kinds["background"].count_all == 2 for r in at.values())
    assert at[0.3].best["a"].threshold == pytest.approx(0.75)
    assert at[0.3].as_dict()["errors"]["thresholds_from"] == "model"
    assert error_report(scored(targets, detections), {"b": 0.9}).used["a"].threshold == 0.5


def test_proposals_have_no_such_errors():
    result = Scored(proposal_metrics([], []), ("object",), (), (), ())
    with pytest.raises(TypeError, match="found proposals, wanted what a detector with classes found"):
        error_report(result)


def page_of(report, tmp_path, **options):
    write_page(report, tmp_path / "new" / "page.html", "m.safetensors", "photos", **options)
    return (tmp_path / "new" / "page.html").read_text(encoding="utf-8")


def test_the_page_shows_vocs_figures_where_an_object_is_difficult(tmp_path):
    # recall 1/2 at precision 1: half of the area, six of eleven points
    hard = Target([A, B, FAR], [0, 0, 0], difficult=[False, False, True])
    page = page_of(error_report(scored([hard], [found([A])])), tmp_path)
    assert "<strong>0.500</strong><span>all points, an object is meant once; 0.545 over eleven points" in page
    plain = page_of(error_report(scored([Target([A], [0])], [found([A])])), tmp_path)
    assert "eleven points" not in plain


def test_the_page_begins_with_what_is_missed(tmp_path):
    # of a one of two found; of b one of three found, and one box where nothing is
    targets = [Target([A, B], [0, 0]), Target([A, B], [1, 1], [False, True]), Target([A, B], [1, 1])]
    detections = [found([A], [0.9]), found([A], [0.8], [1]), found([FAR], [0.7], [1])]
    report = error_report(scored(targets, detections, ("a", "b")), {"a": 0.5, "b": 0.5})
    assert (report.missed, report.too_many) == (3, 1)
    assert sum(report.sizes.values()) == 5  # the ignored one is none
    text = page_of(report, tmp_path)
    assert "<h1>3 of 5 objects missed, 1 box too many</h1>" in text
    assert "Most are missed of the class b: 2 of 3." in text
    assert "2 of 3 images have an error." in text
    assert "AP of" not in text  # of no size there are enough objects
    alike = error_report(scored([Target([A, B], [0, 1])], [found([])], ("a", "b")))
    assert "Most are missed" not in page_of(alike, tmp_path)


def test_sizes_are_coco_s():
    sides = [31.9, 32, 95.9, 96, 200]
    targets = [Target([[0, 0, side, side] for side in sides], [0] * 5)]
    assert error_report(scored(targets, [found([A])])).sizes == {"small": 1, "medium": 2, "large": 2}


EMPTY = [
    ([Target([], [])], [found([])]),
    ([Target([A], [0])], [found([])]),
    ([Target([], [])], [found([A])]),
    ([Target([A], [0], [True])], [found([A])]),
]


@pytest.mark.parametrize(("targets", "detections"), EMPTY)
def test_a_page_of_nothing(targets, detections, tmp_path):
    report = error_report(scored(targets, detections))
    text = page_of(report, tmp_path)
    assert "nan" not in text
    assert "None" not in text
    json.dumps(report.as_dict(), allow_nan=False)


def test_names_are_escaped_and_every_chart_has_words(tmp_path):
    evil, other = "<script>alert(1)</script>", '"><b>'
    path = tmp_path / f"{other.replace('/', '')}&.png"
    Image.fromarray(np.full((120, 120, 3), 90, np.uint8)).save(path)
    targets, detections = [Target([A, B], [0, 1])], [found([A, A4, A], [0.9, 0.8, 0.7], [0, 0, 1])]
    names = (evil, other)
    text = page_of(error_report(scored(targets, detections, names, [path])), tmp_path)
    assert "<script>alert" not in text
    assert text.count("<script") == 1
    assert '"><b>' not in text
    assert "&lt;script&gt;" in text
    assert text.count("data:image/jpeg;base64,") == 1
    assert "http" not in text
    charts = re.findall(r"<svg(?![^>]*aria-hidden)[^>]*>", text)
    assert len(charts) == 1 + 2 * 2 + 2  # costs, curves of both classes, reliability
    assert all('role="img"' in c and re.search(r'aria-label="[^"]{20,}"', c) for c in charts)
    assert all(re.search(r'alt="[^"]+"', image) for image in re.findall(r"<img[^>]*>", text))


def test_a_picture_that_is_gone_is_said(tmp_path):
    text = page_of(
        error_report(scored([Target([A], [0])], [found([])], paths=[tmp_path / "a.png"])), tmp_path
    )
    assert "<b>a.png</b>: 1 missed; costs 1.0000 AP50; the file can no longer be read" in text


def test_pictures_of_many_channels(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((120, 120, 5), np.uint8))
    report = error_report(
        scored([Target([A, B], [0, 1])], [found([A4, FAR], labels=[0, 2])], paths=[tmp_path / "a.npy"])
    )
    assert page_of(report, tmp_path, channels=5).count("data:image/jpeg;base64,") == 1


def test_many_classes_have_a_list_of_confusions(tmp_path):
    names = [f"class {i}" for i in range(60)]
    targets = [Target([A, B], [7, 8]) for _ in range(3)]
    labels = [9, 8, 9]
    detections = [Detections([A, B, FAR], [0.9] * 3, labels, [names[k] for k in labels])] * 3
    text = page_of(error_report(scored(targets, detections, names)), tmp_path)
    assert '<tr><th scope="row">class 9</th><td class="words">class 7</td><td>3</td></tr>' in text
    assert "58 classes without objects or with fewer are not drawn" in text


def test_a_chart_in_words():
    targets, detections = [Target([A, B], [0, 0])], [found([A, FAR, B], [0.9, 0.8, 0.6])]
    report = error_report(scored(targets, detections))
    recall, threshold = charts_of(report.curves["a"], report.used["a"])
    assert recall.summary == (
        "precision 1.00 at recall 0.25, 1.00 at recall 0.5, 0.67 at recall 0.75, 0.67 at recall 0.9; recall reaches "
        "1.00; at threshold 0.30: precision 0.667, recall 1.000."
    )
    # from 46 to 424 across, from 200 up to 12
    assert [(dot.x, dot.y) for dot in recall.dots] == [(424.0, pytest.approx(200 - 188 * 2 / 3, abs=0.1))]
    assert recall.lines[0].points.split()[0] == "235,12"
    assert [line.name for line in threshold.lines] == ["precision", "recall", "F1"]
    (ring,) = threshold.dots
    assert (ring.x, ring.y) == (
        pytest.approx(46 + 378 * 0.3, abs=0.1),
        pytest.approx(200 - 188 * 0.8, abs=0.1),
    )


class Coins:
    """In place of the network: one coin of each image 0.8, something else 0.3."""

    def __init__(self, monkeypatch):
        self.thresholds = []
        monkeypatch.setattr(
            PredictionNetwork, "predict", lambda _, *given, **options: self.predict(*given, **options)
        )

    def predict(self, images, threshold=None, batch_size=1):
        self.thresholds.append(threshold)
        one = masu.Detections([[26, 19, 64, 58], [0, 100, 20, 120]], [0.8, 0.3], [0, 0], ["coin"] * 2)
        return [one if threshold is None else one.above(threshold) for _ in images]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    torch.manual_seed(0)
    masu.save(masu.build("faster_rcnn_lite0_fpn", ["coin"], "none", image_size=64), path)
    return path


def run(*arguments):
    result = CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)
    return result.exception, result.stdout, result.stderr


def test_from_the_val_split_into_the_model_into_detect(model, coins, monkeypatch, tmp_path):
    network = Coins(monkeypatch)
    error, out, said = run("evaluate", model, coins, "--split", "val", "--store-thresholds", "--json")
    assert error is None
    figures = json.loads(out)
    # 2 right of 2 + 2 wrong, 8 objects: F1 0.4 from 0.8 on, less from 0.3 on
    point = figures["thresholds"]["coin"]
    assert (point["threshold"], point["precision"], point["recall"]) == pytest.approx((0.55, 1, 2 / 8))
    assert figures["errors"]["thresholds_from"] == "this data"
    assert {"ap", "ap50", "per_class"} <= figures.keys()
    assert f"{model} now holds the thresholds coin 0.55" in said
    assert "flatter" not in said
    assert masu.load(model).thresholds == {"coin": pytest.approx(0.55)}

    photographs = coins / "images" / "val"
    error, out, said = run("detect", model, photographs)
    assert [len(row["detections"]) for row in json.loads(out)] == [1, 1]
    assert "the model's thresholds: coin 0.55" in said
    error, out, said = run("detect", model, photographs, "--threshold", 0.2)
    assert [len(row["detections"]) for row in json.loads(out)] == [2, 2]
    assert said == ""
    assert network.thresholds[-2:] == [0.2, 0.2]

    page = tmp_path / "page.html"
    error, out, said = run("evaluate", model, coins, "--split", "train", "--report", page)
    assert error is None
    assert f"open {page}" in said
    assert "Errors are counted at the thresholds stored in the model." in page.read_text()
    assert "thresholds of the model" in out
    # the analysis never changes what the evaluation itself asks for
    assert network.thresholds.count(None) == 2 + 4


def test_a_model_without_thresholds_shows_from_0_5(model, coins, monkeypatch):
    network = Coins(monkeypatch)
    error, out, said = run("detect", model, coins / "images" / "val")
    assert error is None
    assert [len(row["detections"]) for row in json.loads(out)] == [1, 1]
    assert said == ""
    assert "errors" not in json.loads(run("evaluate", model, coins, "--split", "val", "--json")[1])
    assert network.thresholds[-1] is None


def test_thresholds_chosen_elsewhere_are_warned_of(model, coins, monkeypatch):
    Coins(monkeypatch)
    error, _, said = run("evaluate", model, coins, "--split", "train", "--store-thresholds")
    assert error is None
    assert (
        "chosen on the split train, whose figures they flatter; --split val keeps a test split honest" in said
    )


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            "proposals",
            (None,),
            "m.onnx: found a proposal generator, wanted a detector with classes; evaluate it without --report, "
            "--by, --save-predictions, --store-thresholds and --calibrate",
        ),
        (
            "detector",
            ("--calibrate",),
            "--calibrate: found m.onnx, wanted a model file that masu wrote (RUN/best.safetensors); an exported "
            "file has what its model has: store it there and export again",
        ),
    ],
)
def test_what_cannot_be_looked_at_or_stored(kind, options, message):
    with pytest.raises(masu.InputError) as caught:
        refuse(SimpleNamespace(kind=kind), Path("m.onnx"), *options)
    assert str(caught.value) == message


def test_a_refusal_comes_before_the_network_runs(model, coins, monkeypatch, tmp_path):
    network = Coins(monkeypatch)
    error, out, _ = run("evaluate", model, coins, "--report", tmp_path)
    assert (
        str(error)
        == f"--report: found the folder {tmp_path}, wanted a file; write {tmp_path / 'report.html'}"
    )
    assert (out, network.thresholds) == ("", [])
