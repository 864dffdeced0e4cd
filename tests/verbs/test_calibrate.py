"""masu.calibrate and the options of masu.evaluate: the same as on the command line, from Python."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import masu
from masu.detectors import model_file
from masu.evaluation.predictions import Prediction
from masu.records import Detections
from masu.verbs.calibrate import FEW
from masu.verbs.reading import to_calibrate_on
from tests.networks import small_detector


@pytest.fixture
def model(tmp_path):
    masu.save(small_detector(["coin"], scores=3), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_scores_are_fitted_and_stored(model, coins):
    raw = masu.load(model).predict(coins / "images" / "val" / "0.png").scores
    done = masu.calibrate(model, coins, "right")
    detector = masu.load(model)
    assert detector.calibration == done.fitted.calibration
    assert detector.thresholds == done.thresholds == done.report.best_thresholds()
    assert done.scored.metrics.images == 2
    worth = detector.predict(coins / "images" / "val" / "0.png").scores
    assert np.interp(raw, *zip(*detector.calibration.points["coin"], strict=True)) == pytest.approx(
        worth.numpy(), abs=1e-5
    )
    # the lines are of the network's own scores, whatever the file holds by now
    again = masu.calibrate(model, coins, "right", store=False)
    assert again.fitted.calibration == done.fitted.calibration
    none = masu.calibrate(model, coins, "none")
    assert (none.fitted, masu.load(model).calibration) == (None, None)
    assert "calibration" not in none.as_dict()
    assert done.as_dict()["calibration"]["meaning"] == "right"


def test_thresholds_alone_leave_the_calibration(model, coins):
    masu.calibrate(model, coins, "overlap", split="train")
    line = masu.load(model).calibration
    done = masu.calibrate(model, masu.read_dataset(coins, "val"))
    assert masu.load(model).calibration == line
    assert masu.load(model).thresholds == done.thresholds


def test_thresholds_of_few_objects_are_named_with_their_number(model, coins):
    found = masu.calibrate(model, coins, store=False)
    (name,) = found.thresholds
    assert found.said_of_few.startswith(
        f"few objects to choose thresholds from: that of {name} of 8 objects; with"
    )
    enough = {name: replace(found.scored.metrics.per_class[name], objects=FEW)}
    many = replace(
        found, scored=replace(found.scored, metrics=replace(found.scored.metrics, per_class=enough))
    )
    assert many.said_of_few is None


def test_nothing_is_stored_until_it_is_asked_for(model, coins):
    before = model.read_bytes()
    done = masu.calibrate(model, coins, store=False)
    assert model.read_bytes() == before
    done.store(model)
    assert masu.load(model).thresholds == done.thresholds


@pytest.mark.parametrize(
    ("options", "thing"),
    [
        ({"scores": "sure"}, "scores"),
        ({"recall": 1.5}, "recall"),
        ({"precision": -1}, "precision"),
        ({"recall": 0.9}, "--recall 0.9"),
        ({"precision": 0.9}, "--precision 0.9"),
        ({"margins": 0.9}, "--store-margins 0.9"),
        ({"recall": 0.1, "precision": 0.1}, "--precision"),
    ],
)
def test_what_is_refused_leaves_the_file(model, coins, options, thing):
    before = model.read_bytes()
    with pytest.raises(masu.InputError) as caught:
        masu.calibrate(model, coins, **options)
    assert caught.value.thing == thing
    assert model.read_bytes() == before


class Found:
    """What a network finds in place of its own: every object, one pixel too small on each side."""

    def __init__(self, monkeypatch, data):
        rows = dict(data)

        def predicted(detector, paths, faults, **_):
            for index, path in enumerate(paths):
                boxes = rows[path].boxes + torch.tensor([1.0, 1, -1, -1])
                found = Detections(
                    boxes, torch.full((len(boxes),), 0.97), rows[path].labels, ["coin"] * len(boxes)
                )
                yield Prediction(index, path, torch.zeros(3, 8, 8), found, 0.0)

        monkeypatch.setattr("masu.evaluation.evaluate.predictions", predicted)


def test_margins_alone_leave_the_thresholds(model, coins, monkeypatch):
    data = masu.read_dataset(coins, "train")
    Found(monkeypatch, data)
    masu.store_thresholds(model, {"coin": 0.5})
    done = masu.calibrate(model, data, margins=0.7)
    detector = masu.load(model)
    assert (
        (detector.thresholds, detector.margins)
        == (done.thresholds, done.margins)
        == ({"coin": 0.5}, done.margins)
    )
    # one pixel of a box of about 30: every object needs one of at most 1 / the least size
    sizes = torch.cat([target.boxes[:, 2:] - target.boxes[:, :2] for _, target in data]) - 2
    needed = 1 / sizes.prod(1).sqrt()
    assert needed.min() <= done.margins["coin"] <= needed.max() + 2e-6
    assert done.as_dict()["margins"] == {"hold": 0.7, "of_size": done.margins}
    # with thresholds chosen in the same call these are the ones that count, and both are stored at once
    written = []
    write_whole = model_file.write_whole
    monkeypatch.setattr(
        model_file, "write_whole", lambda *given: (written.append(given), write_whole(*given))
    )
    both = masu.calibrate(model, data, "none", margins=0.7)
    assert len(written) == 1
    assert masu.load(model).thresholds == both.thresholds == {"coin": pytest.approx(0.97 / 2)}
    assert masu.load(model).margins == both.margins == done.margins


def test_a_precision_that_is_promised(model, coins, monkeypatch):
    data = masu.read_dataset(coins, "train")
    Found(monkeypatch, data)
    done = masu.calibrate(model, data, precision=0.2)
    assert masu.load(model).thresholds == done.thresholds == {"coin": pytest.approx(0.01)}  # all are right
    assert done.report.used["coin"].precision == 1


def test_the_split_is_one_for_validation_or_the_one_that_is_named(model, coins):
    assert to_calibrate_on(coins).split == "val"
    (coins / "annotations" / "instances_val.json").rename(coins / "annotations" / "instances_test.json")
    (coins / "images" / "val").rename(coins / "images" / "test")
    with pytest.raises(masu.InputError) as caught:
        to_calibrate_on(coins)
    assert (caught.value.found, caught.value.fix) == (
        "the splits train, test",
        "say which with split=NAME",
    )
    assert to_calibrate_on(coins, "test").split == "test"
    with pytest.raises(TypeError, match="found split= beside a data set in memory"):
        masu.calibrate(model, masu.read_dataset(coins, "train"), split="train")


def test_evaluate_saves_and_parts(model, coins, tmp_path):
    detector = masu.load(model)
    plain = masu.evaluate(detector, coins, intervals=False)
    assert plain.intervals == {}
    assert plain.slices == ()
    assert "slices" not in plain.as_dict()
    file = tmp_path / "new" / "found.json"
    metrics = masu.evaluate(detector, coins, by=["class", "folder"], save_predictions=file)
    assert [(part.by, part.name, part.images) for part in metrics.slices] == [
        ("class", "coin", 2),
        ("folder", "images/val", 2),
    ]
    assert metrics.ap == plain.ap == pytest.approx(metrics.slices[0].ap)
    assert metrics.as_dict()["slices"][0]["ap_interval"] == list(metrics.slices[0].ap_interval)
    assert len(json.loads(file.read_text())) > 0
    assert masu.compare(file, model, coins).figures


def test_what_evaluate_refuses_before_it_looks(model, coins, tmp_path):
    detector = masu.load(model)
    for options, thing in (({"by": "colour"}, "--by"), ({"save_predictions": "a.txt"}, "--save-predictions")):
        with pytest.raises(masu.InputError) as caught:
            masu.evaluate(detector, tmp_path / "nowhere", **options)
        assert caught.value.thing == thing
    data = masu.read_dataset(coins, "val")

    class Others:
        names = data.names

        def __len__(self):
            return len(data)

        def __getitem__(self, index):
            return data[index]

    assert masu.evaluate(detector, Others(), intervals=False).images == 2
    with pytest.raises(TypeError, match="wanted a path or a data set of"):
        masu.evaluate(detector, Others(), by="class")
    proposals = masu.build("rpn_resnet50_fpn", ["object"], "none")
    with pytest.raises(masu.InputError, match="found a proposal generator"):
        masu.evaluate(proposals, coins, by="class")
