"""found/index.html: what the page holds, worked by hand. How it behaves is in tests/pages."""

import json
import os
import re
import sys

import numpy as np
import pytest
from PIL import Image

from masu.evaluation.choice import OnlyClasses
from masu.ops.images import InputPolicy
from masu.records import Detections
from masu.verbs.detect import detect
from masu.verbs.gallery import LARGE_SIDE, SMALL_SIDE, lowest

NAMES = ("cat", "dog")
BOXES = [[0, 1, 30, 11], [0.123, 0, 5, 5], [1, 2, 3, 4], [6, 6, 9, 9]]
SCORES = [0.9, 0.3996, 0.2, 0.05]
LABELS = [1, 0, 1, 0]


class Stub:
    """Finds the four boxes in every image."""

    names = NAMES
    kind = "detector"
    input = InputPolicy()

    def __init__(self):
        self.asked = []

    def predict(self, images, threshold=None, batch_size=1):
        self.asked.append(threshold)
        one = Detections(BOXES, SCORES, LABELS, [NAMES[k] for k in LABELS])
        return [one.above(threshold or 0) for _ in images]


def write(path, width=40, height=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(path)
    return path


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def test_the_page_knows_weak_boxes_and_the_results_do_not(tmp_path):
    path = write(tmp_path / "in" / "a b#1.png")
    report = detect(Stub(), [path], out=tmp_path / "found")
    data = data_of(report.page)
    assert report.page == tmp_path / "found" / "index.html"
    assert data["names"] == list(NAMES)
    assert (data["thresholds"], data["lowest"], data["root"]) == ([0.5, 0.5], 0.1, str(tmp_path / "in"))
    (photo,) = data["photos"]
    assert photo["boxes"] == [[0, 1, 30, 11, 0.9, 1, 1], [0.1, 0, 5, 5, 0.4, 0, 0], [1, 2, 3, 4, 0.2, 1, 0]]
    assert (photo["width"], photo["height"]) == (40, 30)
    assert photo["source"] == "../in/a%20b%231.png"
    assert (photo["name"], photo["file"], photo["small"]) == ("a b#1.png", "a b#1.png", "small/a%20b%231.jpg")
    (entry,) = json.loads(report.file.read_text())
    assert [one["score"] for one in entry["detections"]] == [0.9]
    assert report.detections == 1


@pytest.mark.parametrize(
    ("threshold", "least"), [(0.5, 0.1), (0.05, 0.05), ({"cat": 0.3}, 0.1), ({"cat": 0.02}, 0.02), ({}, 0.1)]
)
def test_the_lowest_score_of_the_page(threshold, least):
    assert lowest(threshold) == least


def test_what_is_found_does_not_hang_on_rounding(tmp_path):
    report = detect(Stub(), [write(tmp_path / "a.png")], threshold=0.4, out=tmp_path / "found")
    (photo,) = data_of(report.page)["photos"]
    assert [(box[4], box[6]) for box in photo["boxes"]] == [(0.9, 1), (0.4, 0), (0.2, 0)]
    report = detect(Stub(), [tmp_path / "a.png"], threshold=0.3995, out=tmp_path / "found")
    (photo,) = data_of(report.page)["photos"]
    assert [(box[4], box[6]) for box in photo["boxes"]] == [(0.9, 1), (0.4, 1), (0.2, 0)]
    assert report.detections == 2


def test_thresholds_of_classes_are_those_of_the_page(tmp_path):
    report = detect(Stub(), [write(tmp_path / "a.png")], threshold={"cat": 0.35}, out=tmp_path / "found")
    assert data_of(report.page)["thresholds"] == [0.35, 0.5]
    assert report.detections == 2


def test_weak_boxes_take_no_places_of_wanted_ones(tmp_path):
    detector = Stub()
    detect(OnlyClasses(detector, ["dog"], 1), [write(tmp_path / "a.png")], out=tmp_path / "a")
    detect(OnlyClasses(detector, ["dog"]), [tmp_path / "a.png"], out=tmp_path / "b")
    assert detector.asked == [0.5, 0.1]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode there")
def test_a_name_that_is_no_utf_8_is_found(tmp_path):
    path = write(tmp_path / os.fsdecode(b"\xe9.png"))
    (photo,) = data_of(detect(Stub(), [path], out=tmp_path / "found").page)["photos"]
    assert (photo["source"], photo["small"]) == ("../%E9.png", "small/%E9.jpg")


def test_what_no_browser_shows_is_there_large(tmp_path):
    paths = [write(tmp_path / name, 2000, 1000) for name in ("a.png", "b.tiff")]
    report = detect(Stub(), paths, out=tmp_path / "found")
    assert [photo["source"] for photo in data_of(report.page)["photos"]] == ["../a.png", None]
    for name, side in (("a.jpg", SMALL_SIDE), ("b.jpg", LARGE_SIDE)):
        with Image.open(tmp_path / "found" / "small" / name) as small:
            assert small.size == (side, side // 2)


def test_another_answer_has_another_key(tmp_path):
    path = write(tmp_path / "a.png")
    keys = [
        data_of(detect(Stub(), [path], threshold=t, out=tmp_path / "f").page)["key"] for t in (0.5, 0.5, 0.6)
    ]
    assert keys[0] == keys[1] != keys[2]


def test_a_run_that_is_stopped_leaves_its_page(tmp_path):
    paths = [write(tmp_path / f"{i}.png") for i in range(3)]

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detect(Stub(), paths, out=tmp_path / "found", progress=stop)
    assert [photo["name"] for photo in data_of(tmp_path / "found" / "index.html")["photos"]] == [
        "0.png",
        "1.png",
    ]


def test_without_pictures_there_is_no_page(tmp_path):
    report = detect(Stub(), [write(tmp_path / "a.png")], out=tmp_path / "found", pictures=False)
    assert report.page is None
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["detections.json"]
