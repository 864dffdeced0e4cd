"""Saved predictions: written and read back they give the same figures; what is not understood is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import masu
from masu.data.class_lists import ClassLists, Lists
from masu.data.formats import read_annotations
from masu.errors import InputError
from masu.evaluation.evaluate import Scored
from masu.evaluation.federated import as_checked
from masu.evaluation.metrics import coco_metrics
from masu.records import Detections
from masu.verbs.convert import convert
from masu.verbs.saved import are_predictions, save_predictions, score_saved


def found_near(target, names, draw):
    boxes = target.boxes + torch.from_numpy(draw.normal(0, 2, target.boxes.shape)).float()
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    scores = np.sort(draw.random(len(boxes)))[::-1].copy()
    return Detections(boxes, scores, target.labels, tuple(names[k] for k in target.labels.tolist()))


@pytest.fixture
def data(coins):
    return masu.read_dataset(coins, "train")


@pytest.fixture
def scored(data):
    draw = np.random.default_rng(0)
    targets = [target for _, target in data]
    found = [found_near(target, data.names, draw) for target in targets]
    found[1] = found[1][:0]
    return Scored(
        coco_metrics(targets, found, data.names), data.names, tuple(data.paths), tuple(targets), tuple(found)
    )


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("form", ["coco", "voc", "yolo", "csv"])
def test_read_back_they_are_what_was_found(data, scored, tmp_path, suffix, form):
    if form != "coco":
        convert(data.root, tmp_path / form, to=form)
        data = masu.read_dataset(tmp_path / form, "train")
        order = [[p.name for p in scored.paths].index(path.name) for path in data.paths]
        scored = replace(
            scored, paths=tuple(data.paths), found=tuple(scored.found[i] for i in order), names=data.names
        )
    file = tmp_path / f"found{suffix}"
    save_predictions(scored, data, file)
    assert are_predictions(file)
    again = score_saved(file, data)
    for one, other in zip(scored.found, again.found, strict=True):
        assert torch.equal(one.scores, other.scores)
        assert torch.allclose(one.boxes, other.boxes, atol=1e-4)
        assert one.names == other.names
    assert again.metrics.ap == pytest.approx(scored.metrics.ap, abs=1e-9)
    silent = suffix == ".json"
    assert [("nothing said of 1 image" in fault) for fault in again.metrics.faults] == [True] * silent


def test_they_are_scored_for_the_classes_that_an_image_was_checked_for(data, scored, tmp_path):
    save_predictions(scored, data, tmp_path / "found.json")
    none = Lists(np.zeros(len(data) + 1, np.int64), np.zeros(0, np.int32))
    every = Lists(np.arange(len(data) + 1), np.zeros(len(data), np.int32))
    federated = replace(data, class_lists=ClassLists(np.ones(len(data), np.bool_), none, every))
    metrics = score_saved(tmp_path / "found.json", federated).metrics
    counted = as_checked(federated, range(len(data)), scored.targets, scored.found)
    wanted = coco_metrics(*counted, data.names).ap
    assert scored.metrics.ap < metrics.ap == pytest.approx(wanted, abs=1e-9)


def test_pycocotools_takes_the_file(data, scored, coins, tmp_path, capsys):
    save_predictions(scored, data, tmp_path / "found.json")
    described = json.loads((coins / "annotations" / "instances_train.json").read_text())
    for number, one in enumerate(described["annotations"], 1):  # pycocotools takes the id 0 for no match
        one |= {"id": number, "iscrowd": 0, "area": one["bbox"][2] * one["bbox"][3]}
    truth = COCO(str(written(tmp_path / "truth.json", described)))
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "found.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capsys.readouterr()
    assert evaluation.stats[0] == pytest.approx(scored.metrics.ap, abs=1e-6)


def entry(data, **changes):
    return {
        "image_id": int(data.image_ids[0]),
        "category_id": data.category_ids[0],
        "bbox": [1, 2, 30, 40],
        "score": 0.5,
    } | changes


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_results_of_another_tool_go_by_the_datas_ids(data, tmp_path):
    scored = score_saved(written(tmp_path / "r.json", [entry(data)]), data)
    assert scored.found[0].boxes.tolist() == [[1, 2, 31, 42]]
    assert scored.found[0].names == (data.names[0],)


@pytest.mark.parametrize("name", ["images/train/0.png", "0.png", "./images/train/0.png"])
def test_file_names_are_found_however_they_are_said(data, tmp_path, name):
    scored = score_saved(written(tmp_path / "r.json", [entry(data, file_name=name, image_id=99)]), data)
    place = [path.name for path in data.paths].index("0.png")
    assert [len(found) for found in scored.found] == [int(i == place) for i in range(len(data))]


def test_images_of_another_split_are_others_though_their_names_are_the_same(data, scored, coins, tmp_path):
    save_predictions(scored, data, tmp_path / "train.json")
    with pytest.raises(InputError, match=r"predictions of other images, such as images/train/0\.png"):
        score_saved(tmp_path / "train.json", masu.read_dataset(coins, "val"))


def test_what_is_not_in_the_data_is_left_out_and_said(data, tmp_path):
    results = [
        entry(data),
        entry(data, image_id=12345),
        entry(data, category_id=77),
        entry(data, category="dodo"),
    ]
    scored = score_saved(written(tmp_path / "r.json", results), data)
    faults = " ".join(scored.metrics.faults)
    assert "1 image not in the data left out" in faults
    assert "classes that the data do not have left out: 77, dodo" in faults
    assert f"nothing said of {len(data) - 1} images" in faults


def test_a_model_that_finds_nothing_at_all(data, scored, tmp_path):
    nothing = replace(scored, found=tuple(found[:0] for found in scored.found))
    for name in ("found.json", "found.parquet"):
        save_predictions(nothing, data, tmp_path / name)
        assert score_saved(tmp_path / name, data).metrics.ap == 0


def test_the_same_whatever_the_order_of_results(data, scored, tmp_path):
    save_predictions(scored, data, tmp_path / "a.json")
    results = json.loads((tmp_path / "a.json").read_text())
    again = score_saved(written(tmp_path / "b.json", results[::-1]), data)
    assert again.metrics.ap == pytest.approx(score_saved(tmp_path / "a.json", data).metrics.ap, abs=1e-12)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("[", "a text that is no JSON"),
        ("3", "a JSON int"),
        ({"images": []}, "an object without 'categories'"),
        ([{"image_id": 1}], "result 1: {'image_id': 1}"),
        ([3], "result 1: 3"),
    ],
)
def test_what_is_no_list_of_results(data, tmp_path, content, found):
    with pytest.raises(InputError) as caught:
        score_saved(written(tmp_path / "r.json", content), data)
    assert (caught.value.thing, caught.value.found) == (str(tmp_path / "r.json"), found)


@pytest.mark.parametrize(
    "changes",
    [{"score": 1.5}, {"score": -1}, {"bbox": [0, 0, 1, "nan"]}, {"bbox": [0, 0, 1]}, {"bbox": None}],
)
def test_values_that_are_none(data, tmp_path, changes):
    with pytest.raises(InputError, match="result 1"):
        score_saved(written(tmp_path / "r.json", [entry(data, **changes)]), data)


def test_ids_mean_nothing_where_the_data_have_none(data, tmp_path):
    convert(data.root, tmp_path / "voc", to="voc")
    voc = masu.read_dataset(tmp_path / "voc", "train")
    with pytest.raises(InputError, match="image ids without file names"):
        score_saved(written(tmp_path / "r.json", [entry(data)]), voc)


def test_predictions_of_other_data(data, tmp_path):
    with pytest.raises(InputError) as caught:
        score_saved(written(tmp_path / "r.json", [entry(data, file_name="moon.png")]), data)
    assert caught.value.found == "predictions of other images, such as moon.png"
    with pytest.raises(InputError, match="the classes dodo"):
        score_saved(written(tmp_path / "r.json", [entry(data, category="dodo")]), data)


def test_a_missing_file_and_another_suffix(data, scored, tmp_path):
    with pytest.raises(InputError) as caught:
        score_saved(tmp_path / "none.json", data)
    assert caught.value.code == "missing-file"
    with pytest.raises(InputError) as caught:
        save_predictions(scored, data, tmp_path / "found.txt")
    assert caught.value.found == "the suffix '.txt'"
    assert list(tmp_path.glob("found*")) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"boxes": [[1.0, 2, 3]]}, "wanted path, and as many boxes of four numbers as scores and names"),
        ({"boxes": [[1.0, 2, 3, None]]}, "wanted finite numbers and scores from 0 to 1"),
        ({"boxes": [[1.0, 2, 3, float("inf")]]}, "wanted finite numbers and scores from 0 to 1"),
        ({"boxes": None}, "wanted path, and as many boxes of four numbers as scores and names"),
        ({"scores": [0.5, 0.25]}, "wanted path, and as many boxes of four numbers as scores and names"),
        ({"scores": [1.5]}, "wanted finite numbers and scores from 0 to 1"),
        ({"scores": [float("nan")]}, "wanted finite numbers and scores from 0 to 1"),
        ({"scores": ["high"]}, "wanted path, and as many boxes of four numbers as scores and names"),
        ({"names": [None]}, "wanted path, and as many boxes of four numbers as scores and names"),
        ({"path": None}, "wanted path, and as many boxes of four numbers as scores and names"),
    ],
)
def test_rows_of_parquet_that_are_none(data, tmp_path, changes, said):
    import pyarrow
    import pyarrow.parquet

    good = {"path": "images/train/0.png", "boxes": [[1.0, 2, 3, 4]], "scores": [0.5], "names": ["coin"]}
    rows = [good | {"error": None}, good | {"error": None} | changes, {"path": "a.png", "error": "torn"}]
    table = pyarrow.Table.from_pylist(rows[1:])
    pyarrow.parquet.write_table(table, tmp_path / "found.parquet")
    with pytest.raises(InputError) as caught:
        score_saved(tmp_path / "found.parquet", data)
    assert caught.value.found.startswith("row 1 (")
    assert said in str(caught.value)


def test_an_image_that_stands_twice_is_no_place_for_a_prediction(coins, tmp_path):
    """Two splits label the same images in different ways: both together have an image for each labelling."""
    for file in (coins / "images" / "train").iterdir():
        file.rename(coins / "images" / file.name)
    shutil.rmtree(coins / "images" / "val")
    described = json.loads((coins / "annotations" / "instances_train.json").read_text())
    described["annotations"] = described["annotations"][1:]
    (coins / "annotations" / "instances_val.json").write_text(json.dumps(described))
    twice = read_annotations(coins)
    assert [path.name for path in twice.paths].count("0.png") == 2
    train = masu.read_dataset(coins, "train")
    targets = tuple(target for _, target in train)
    none = Detections(torch.zeros(0, 4), [], [])
    scored = Scored(
        coco_metrics(targets, [none] * 4, train.names), train.names, tuple(train.paths), targets, (none,) * 4
    )
    save_predictions(scored, train, tmp_path / "found.json")
    for call in (
        lambda: score_saved(tmp_path / "found.json", twice),
        lambda: save_predictions(scored, twice, tmp_path / "new.json"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.found == "the image images/0.png twice"
    assert not (tmp_path / "new.json").exists()
