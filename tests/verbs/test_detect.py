import csv
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from masu.data.formats import read_dataset
from masu.errors import InputError
from masu.ops.images import InputPolicy
from masu.records import Detections
from masu.verbs.detect import detect

NAMES = ("cat", "dog, big")


class Stub:
    """Finds one dog as wide as the image and one weaker cat in images at least 20 pixels wide."""

    names = NAMES
    kind = "detector"
    input = InputPolicy()

    def __init__(self):
        self.batches = []

    def predict(self, images, threshold=None, batch_size=1):
        self.batches.append(len(images))
        found = []
        for image in images:
            width = image.shape[2]
            boxes = [[0, 1, width, 11], [0.12345, 0, 5, 5]] if width >= 20 else []
            scores, labels = [0.9, 0.6][: len(boxes)], [1, 0][: len(boxes)]
            found.append(Detections(boxes, scores, labels, [NAMES[k] for k in labels]).above(threshold or 0))
        return found


def write(path, width=40, height=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(path)
    return path


def test_json_text(tmp_path):
    path = write(tmp_path / "é.png")
    report = detect(Stub(), [path])
    assert json.loads(report.text) == [
        {
            "file": str(path),
            "width": 40,
            "height": 30,
            "detections": [
                {"box": [0, 1, 40, 11], "score": 0.9, "label": 1, "name": "dog, big"},
                {"box": [0.123, 0, 5, 5], "score": 0.6, "label": 0, "name": "cat"},
            ],
        }
    ]
    assert "é" in report.text
    assert (report.images, report.detections, report.file, report.pictures, report.faults) == (
        1,
        2,
        None,
        (),
        (),
    )
    assert report.seconds_per_image > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["é.png"]


def test_csv_text_has_one_row_per_detection(tmp_path):
    paths = [write(tmp_path / "a.png"), write(tmp_path / "b.png", width=10)]
    rows = list(csv.reader(io.StringIO(detect(Stub(), paths, to="csv", threshold=0.7).text)))
    assert rows == [
        ["file", "x1", "y1", "x2", "y2", "score", "label", "name"],
        [str(paths[0]), "0.0", "1.0", "40.0", "11.0", "0.9", "1", "dog, big"],
    ]


def test_coco_text_is_a_whole_data_set(tmp_path):
    paths = [write(tmp_path / "a.png", width=10), write(tmp_path / "b.png")]
    coco = json.loads(detect(Stub(), paths, to="coco", threshold=0.7).text)
    assert coco["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog, big"}]
    assert coco["info"]["image_folder"] == str(tmp_path)
    assert coco["images"][0] == {"id": 1, "file_name": "a.png", "width": 10, "height": 30}
    common = {"id": 1, "image_id": 2, "category_id": 2, "score": 0.9, "iscrowd": 0}
    assert coco["annotations"] == [common | {"bbox": [0, 1, 40, 10], "area": 400}]


def read_back(file):
    return [(image, target.boxes.tolist(), target.labels.tolist()) for image, target in read_dataset(file)]


DOG, CAT = [0, 1, 40, 11], [pytest.approx(0.123), 0, 5, 5]


def test_a_coco_file_above_its_images_is_read_back(tmp_path):
    paths = [write(tmp_path / "in" / "a" / "x.png"), write(tmp_path / "in" / "b" / "x.png", width=10)]
    report = detect(Stub(), [tmp_path / "in" / "a", paths[1]], to="coco", out=tmp_path / "in")
    assert json.loads(report.file.read_text())["info"]["image_folder"] == "."
    assert read_back(report.file) == [(paths[0], [DOG, CAT], [1, 0]), (paths[1], [], [])]
    data = read_dataset(report.file)
    assert (data.names, data.faults) == (NAMES, ())


def test_a_coco_file_elsewhere_says_where_its_images_are(tmp_path, monkeypatch):
    paths = [write(tmp_path / "in" / "a" / "x.png"), write(tmp_path / "in" / "b" / "y.png")]
    monkeypatch.chdir(tmp_path / "in" / "a")
    sources = ["x.png", "../b/y.png"]
    report = detect(Stub(), sources, to="coco", out=tmp_path / "out")
    said = json.loads(report.file.read_text())
    assert said["info"]["image_folder"] == str(tmp_path / "in")
    assert [image["file_name"] for image in said["images"]] == ["a/x.png", "b/y.png"]
    there = report.file.rename(tmp_path / "in" / "found.json")
    assert [row[0] for row in read_back(there)] == paths


def test_coco_text_is_as_seen_from_the_working_folder(tmp_path, monkeypatch):
    path = write(tmp_path / "photos" / "a.png")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "found.json").write_text(detect(Stub(), ["photos"], to="coco").text)
    assert read_back(tmp_path / "found.json") == [(path, [DOG, CAT], [1, 0])]


@pytest.mark.parametrize(
    ("to", "name"),
    [("json", "detections.json"), ("csv", "detections.csv"), ("coco", "detections.coco.json")],
)
def test_out_holds_the_same_text_and_pictures_of_the_image_size(tmp_path, to, name, monkeypatch):
    path = write(tmp_path / "in" / "a.png")
    report = detect(Stub(), [path], to=to, out=tmp_path / "new" / "out")
    assert report.file == tmp_path / "new" / "out" / name
    assert report.text == ""
    monkeypatch.chdir(report.file.parent)
    assert report.file.read_text("utf-8") == detect(Stub(), [path], to=to).text
    assert sorted(p.name for p in report.file.parent.iterdir()) == sorted(
        [name, "index.html", "pictures", "small"]
    )
    (picture,) = report.pictures
    assert picture == tmp_path / "new" / "out" / "pictures" / "a.jpg"
    with Image.open(picture) as image:
        assert image.size == (40, 30)
        assert image.getcolors() is None or len(image.getcolors()) > 1


def test_pictures_of_one_name_do_not_meet(tmp_path):
    paths = [write(tmp_path / folder / name) for folder in "ab" for name in ("x.png", "X.jpg", "x-2.png")]
    report = detect(Stub(), paths, out=tmp_path / "out")
    assert [p.name for p in report.pictures] == [
        "x.jpg",
        "X-2.jpg",
        "x-2-2.jpg",
        "x-3.jpg",
        "X-4.jpg",
        "x-2-3.jpg",
    ]
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 6


def test_an_input_is_never_overwritten(tmp_path):
    path = write(tmp_path / "pictures" / "a.jpg")
    before = path.read_bytes()
    report = detect(Stub(), [path], out=tmp_path)
    assert path.read_bytes() == before
    assert [p.name for p in report.pictures] == ["a-2.jpg"]


@pytest.mark.parametrize("name", ["small", "pictures"])
def test_folders_of_other_people_keep_their_files(tmp_path, name):
    """``small`` and ``pictures`` are masu's where its page is, and nowhere else."""
    theirs = write(tmp_path / "photos" / name / "a.jpg", 200, 100)
    before = theirs.read_bytes()
    write(tmp_path / "photos" / "a.jpg")
    report = detect(Stub(), [tmp_path / "photos" / "a.jpg"], out=tmp_path / "photos")
    assert (report.images, report.passed_over) == (1, ())
    assert theirs.read_bytes() == before
    assert [picture.name for picture in report.pictures] == ["a-2.jpg"]


def test_pictures_in_such_a_folder_are_photographs(tmp_path):
    write(tmp_path / "small" / "a.jpg", 200, 100)
    assert detect(Stub(), [tmp_path], out=tmp_path).images == 1


def test_a_page_of_somebody_else_stays(tmp_path):
    image = write(tmp_path / "a.png")
    (tmp_path / "site").mkdir()
    page = tmp_path / "site" / "index.html"
    page.write_text("mine")
    with pytest.raises(InputError) as caught:
        detect(Stub(), [image], out=tmp_path / "site")
    assert (caught.value.thing, page.read_text()) == (str(page), "mine")
    assert list((tmp_path / "site").iterdir()) == [page]
    assert detect(Stub(), [image], out=tmp_path / "site", pictures=False).images == 1


def test_a_second_run_replaces_its_own_results(tmp_path):
    path = write(tmp_path / "a.png")
    for _ in range(2):
        report = detect(Stub(), [path], out=tmp_path / "out")
    assert [p.name for p in report.pictures] == ["a.jpg"]


def test_its_own_pictures_are_no_photographs(tmp_path):
    write(tmp_path / "a.png")
    for count in range(2):
        report = detect(Stub(), [tmp_path], out=tmp_path / "found")
        assert report.images == 1
        own = [tmp_path / "found" / name / "a.jpg" for name in ("pictures", "small")]
        assert list(report.passed_over) == own * count
    assert detect(Stub(), [tmp_path / "found" / "pictures"], out=tmp_path / "found").images == 1
    assert detect(Stub(), [tmp_path / "found/pictures/*.jpg"], out=tmp_path / "found").images > 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_found_before_a_stop_is_written(tmp_path, error):
    paths = [write(tmp_path / f"{i}.png") for i in range(3)]

    def stop(done, total):
        if done == 2:
            raise error

    with pytest.raises(error):
        detect(Stub(), paths, out=tmp_path / "out", progress=stop)
    entries = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [entry["file"] for entry in entries] == [str(path) for path in paths[:2]]


class Small(Stub):
    """Has memory for one image at a time, and of at most 50 pixels."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def predict(self, images, threshold=None, batch_size=1):
        if len(images) > 1 or images[0].shape[2] > 50:
            raise self.error
        return super().predict(images, threshold, batch_size)


@pytest.mark.parametrize(("often", "there"), [(0.0, [0, 1, 2]), (1e6, [0, 0, 0])])
def test_results_so_far_are_there_while_it_runs(tmp_path, often, there, monkeypatch):
    """A process that is killed loses what came after the last writing, and nothing else."""
    monkeypatch.setattr("masu.verbs.detect.OFTEN", often)
    monkeypatch.setattr("masu.verbs.detect.SHARE_OF_TIME", 1e6)
    file, seen = tmp_path / "out" / "detections.json", []

    class Looking(Stub):
        def predict(self, images, threshold=None, batch_size=1):
            seen.append(len(json.loads(file.read_text())) if file.exists() else 0)
            return super().predict(images, threshold, batch_size)

    detect(Looking(), [write(tmp_path / f"{i}.png") for i in range(3)], out=tmp_path / "out")
    assert seen == there
    assert len(json.loads(file.read_text())) == 3


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 GB")]
)
def test_an_image_that_the_memory_does_not_suffice_for_is_its_own_fault(tmp_path, error):
    paths = [write(tmp_path / f"{width}.png", width=width) for width in (30, 60, 40)]
    report = detect(Small(error), paths, batch_size=3)
    assert [entry["file"] for entry in json.loads(report.text)] == [str(paths[0]), str(paths[2])]
    (fault,) = report.faults
    assert fault == (
        f"{paths[1]}: found 60×30 pixels, for which the memory does not suffice, wanted a smaller image; "
        "cut it into tiles"
    )


def test_a_carriage_return_in_a_file_name_ends_no_row(tmp_path):
    path = write(tmp_path / "a\rb.png")
    text = detect(Stub(), [path], to="csv").text
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [row[0] for row in rows] == ["file", str(path), str(path)]
    assert {len(row) for row in rows} == {8}


def test_a_very_large_picture_is_drawn_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr("masu.verbs.detect.MOST_DRAWN", 40 * 30 // 4)
    report = detect(Stub(), [write(tmp_path / "a.png")], out=tmp_path / "out")
    with Image.open(report.pictures[0]) as picture:
        assert picture.size == (20, 15)
    assert json.loads(report.file.read_text())[0]["detections"][0]["box"] == [0, 1, 40, 11]


def test_bad_images_are_reported_and_the_rest_goes_on(tmp_path):
    good = [write(tmp_path / "a.png"), write(tmp_path / "c.png")]
    (tmp_path / "b.png").write_bytes(b"no image")
    steps = []
    report = detect(
        Stub(), [tmp_path], batch_size=2, progress=lambda done, total: steps.append((done, total))
    )
    assert [entry["file"] for entry in json.loads(report.text)] == [str(path) for path in good]
    assert len(report.faults) == 1
    assert "b.png" in report.faults[0]
    assert "\n" not in report.faults[0]
    assert steps[-1] == (3, 3)


def test_batches_are_full_and_results_stay_in_order(tmp_path):
    paths = [write(tmp_path / f"{i}.png", width=20 + i) for i in range(5)]
    stub = Stub()
    entries = json.loads(detect(stub, paths, batch_size=2).text)
    assert stub.batches == [2, 2, 1]
    assert [entry["detections"][0]["box"][2] for entry in entries] == [20, 21, 22, 23, 24]


def test_a_file_name_that_is_not_utf8_can_be_written(tmp_path):
    name = os.fsdecode(b"a\xff.png")
    try:
        path = write(tmp_path / name)
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    report = detect(Stub(), [path], out=tmp_path / "out")
    assert json.loads(report.file.read_text("utf-8"))[0]["file"] == str(path)


def test_report_as_dict_is_json(tmp_path):
    report = detect(Stub(), [write(tmp_path / "a.png")], out=tmp_path / "out")
    assert json.loads(json.dumps(report.as_dict()))["file"].endswith("detections.json")


def test_bad_input_is_named(tmp_path):
    path = write(tmp_path / "a.png")
    with pytest.raises(
        InputError, match=r"^--to: found 'xml', wanted one of json, csv, coco, geojson or, .*, parquet"
    ):
        detect(Stub(), [path], to="xml")
    with pytest.raises(InputError, match=r"threshold: found 50"):
        detect(Stub(), [path], threshold=50)
    with pytest.raises(InputError, match=r"batch_size: found 0"):
        detect(Stub(), [path], batch_size=0)
    with pytest.raises(InputError, match=r"cannot be made"):
        detect(Stub(), [path], out=path)
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"none of 1 can be read; the first: .*a\.png"):
        detect(Stub(), [path])


def test_films_beside_the_images_are_told(tmp_path):
    write(tmp_path / "a.png")
    (tmp_path / "b.mov").touch()
    report = detect(Stub(), [tmp_path])
    assert (report.images, report.faults, report.passed_over) == (1, (), (tmp_path / "b.mov",))
    assert report.as_dict()["passed_over"] == [str(tmp_path / "b.mov")]
