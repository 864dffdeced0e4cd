"""``masu evaluate --max-detections``: how many boxes of a class in an image count, by hand and as pycocotools."""

import json

import numpy as np
import pytest
from PIL import Image

import masu
from masu.evaluation.choice import has_no_more
from masu.evaluation.evaluate import score
from masu.exports.exported import ExportedDetector
from masu.ops.images import InputPolicy
from masu.records import Detections
from masu.verbs.saved import score_saved
from tests.evaluation.test_metrics import TWELVE, mean, oracle

MANY = 150


class Grid:
    """Finds a grid of boxes, each with a smaller score than the one before."""

    names, kind, thresholds, input = ("cell",), "detector", {}, InputPolicy(64, 64)

    def predict(self, images, threshold=None, batch_size=1):
        boxes = places()
        scores = np.linspace(0.9, 0.1, len(boxes))
        return [Detections(boxes, scores, [0] * len(boxes), ["cell"] * len(boxes)) for _ in images]


def places():
    corners = np.array([(12 * (k % 15), 12 * (k // 15)) for k in range(MANY)], float)
    return np.concatenate([corners, corners + 10], axis=1)


@pytest.fixture
def crowded(tmp_path):
    """Two images with 150 objects each, of which the second has none in the last row of the grid."""
    images, annotations = [], []
    for number, count in enumerate((MANY, MANY - 15), start=1):
        Image.new("RGB", (180, 120), (90, 90, 90)).save(tmp_path / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 180, "height": 120})
        for x1, y1, x2, y2 in places()[:count].tolist():
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            annotations.append(entry | {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": 100})
    described = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(described))
    return tmp_path


def test_what_counts_by_hand_and_as_pycocotools(run, crowded, tmp_path):
    data = masu.read_dataset(crowded)
    saved = tmp_path / "found.json"
    usual = masu.evaluate(Grid(), data, save_predictions=saved)
    # of 285 objects the best 100 boxes of each image find 200, all right: the 71 points up to a recall of 0.70
    assert usual.ap50 == pytest.approx(71 / 101)
    assert usual.ar100 == pytest.approx(200 / 285)
    assert usual.max_detections == (1, 10, 100)
    for most in (11, 100, 149, 300):
        ours = masu.evaluate(Grid(), data, max_detections=most)
        targets = [target for _, target in data]
        theirs = oracle(targets, Grid().predict([0, 1]), data.names, (1, 10, most))
        precision, recall = theirs.eval["precision"], theirs.eval["recall"]
        figures = [mean(precision[..., 0, 2]), mean(precision[0, ..., 0, 2]), mean(precision[5, ..., 0, 2])]
        assert [getattr(ours, name) for name in TWELVE[:3]] == pytest.approx(figures, abs=1e-6)
        assert [ours.ar1, ours.ar10, ours.ar100] == pytest.approx(
            [mean(recall[..., 0, limit]) for limit in range(3)], abs=1e-6
        )
        assert score_saved(saved, data, max_detections=most).metrics.ap == pytest.approx(ours.ap, abs=1e-9)
        low, high = ours.intervals["ap"]
        assert low <= ours.ap <= high
    assert ours.ar100 == 1


def test_slices_errors_and_what_is_said_follow_it(run, crowded, tmp_path):
    saved, data = tmp_path / "found.json", masu.read_dataset(crowded)
    masu.evaluate(Grid(), data, save_predictions=saved)
    few, many = (
        run("evaluate", saved, crowded, "--by", "class", "--report", tmp_path / "page.html", "--json", *more)
        for more in ((), ("--max-detections", 300))
    )
    said = "2 images have more objects of a class, up to 150, than the 100 best boxes that the figures count"
    assert f"masu: {said}: see --max-detections\n" in few[2]
    assert "best boxes" not in many[2]
    few, many = json.loads(few[1]), json.loads(many[1])
    assert (few["max_detections"], many["max_detections"]) == ([1, 10, 100], [1, 10, 300])
    assert many["ap50"] > 0.98 > few["ap50"]
    for one in (few, many):
        assert one["slices"][0]["ap"] == pytest.approx(one["ap"])
    assert [one["errors"]["kinds"]["missed"]["count_all"] for one in (few, many)] == [85, 0]
    assert [one["errors"]["kinds"]["background"]["count_all"] for one in (few, many)] == [0, 15]
    table = run("evaluate", saved, crowded, "--max-detections", 300)[1]
    assert table.count("ar300") == 2
    assert "ar100" not in table
    code, _, error = run("evaluate", saved, crowded, "--max-detections", 99)
    assert (code, error) == (
        2,
        "masu: error: --max-detections: found 99 with saved predictions, of which 100 of a class count, "
        "wanted at least 100, or a model for it\n",
    )


def test_of_a_model_it_is_the_number_of_its_boxes_too(run, small, coins, tmp_path):
    masu.save(small, tmp_path / "model.safetensors")
    file = coins / "annotations" / "instances_val.json"
    file.write_text(file.read_text().replace('"coin"', '"cat"'))
    saved = tmp_path / "found.json"
    counts = {}
    for most in (5, 100, 150):
        words = ("--max-detections", most, "--save-predictions", saved, "--json", "--split", "val")
        code, out, error = run("evaluate", tmp_path / "model.safetensors", coins, *words)
        assert code == 0, error
        found = [one["file_name"] for one in json.loads(saved.read_text())]
        counts[most] = max(map(found.count, found))
        assert json.loads(out)["max_detections"] == [1, 10, max(most, 100)]
    assert counts[5] <= 5 < counts[100] <= 100 <= counts[150]


@pytest.mark.parametrize("most", [0, 10, 1_000_001, 100.5])
def test_fewer_than_the_ten_of_ar10_are_no_limit_of_figures(crowded, most):
    with pytest.raises(masu.InputError, match=r"max_detections: found .*, wanted a whole number from 11 to"):
        score(Grid(), masu.read_dataset(crowded), max_detections=most)


def test_an_exported_file_has_its_own_number_of_boxes(small):
    class Exported(ExportedDetector):
        limit = 100

        def __init__(self):
            pass

    assert [has_no_more(Exported(), most) for most in (None, 99, 100, 300)] == [False, False, True, True]
    assert not has_no_more(small, 300)
