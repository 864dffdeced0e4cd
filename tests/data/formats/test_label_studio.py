"""Label Studio's JSON: regions worked out by hand, its three forms, broken files, and what comes back of a copy."""

import json

import pytest
from defusedxml import ElementTree
from hypothesis import HealthCheck, given, settings

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats import find_format, read_annotations, read_dataset
from masu.data.formats.label_studio import config, result, task
from masu.data.formats.writing import write_dataset
from masu.errors import InputError
from tests.data.formats.samples import broken_json, faults, objects, picture, readable_or_refused, same, text


def region(kind, value, key="r", **more):
    return {
        "original_width": 200,
        "original_height": 100,
        "image_rotation": 0,
        "value": value,
        "id": key,
        "from_name": "label",
        "to_name": "image",
        "type": kind,
        "origin": "manual",
        **more,
    }


def rectangle(name="Car", rotation=0, **more):
    value = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": rotation, "rectanglelabels": [name]}
    return region("rectanglelabels", value, **more)


def annotation(results, updated="2024-01-30T02:40:43.893578Z", **more):
    return {
        "id": 22, "completed_by": 1, "result": results, "was_cancelled": False, "ground_truth": False,
        "created_at": "2024-01-30T02:40:43.893565Z", "updated_at": updated, "lead_time": 8.65, "task": 87, **more,
    }  # fmt: skip


def task_of(annotations, image="/data/upload/29/1a2b3c4d-a.png", **data):
    return {
        "id": 87, "annotations": annotations, "file_upload": "1a2b3c4d-a.png", "drafts": [], "predictions": [],
        "data": {"image": image, **data}, "meta": {}, "total_annotations": len(annotations), "project": 29,
    }  # fmt: skip


EVERY = [
    rectangle(),
    rectangle("Truck ", rotation=90, meta={"text": ["crowd"]}),
    region("polygonlabels", {"points": [[10, 20], [50, 30], [20, 90]], "closed": True, "polygonlabels": ["Car"]}),
    region("ellipselabels", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 40, "rotation": 0, "ellipselabels": ["Car"]}),
    region("ellipselabels", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 40, "rotation": 90, "ellipselabels": ["Car"]}),
    region("brushlabels", {"format": "rle", "rle": [0, 1, 2], "brushlabels": ["Car"]}),
    region("keypointlabels", {"x": 5, "y": 6, "width": 0.5, "keypointlabels": ["Car"]}),
    region("choices", {"choices": ["night"]}),
    region("rectangle", {"x": 1, "y": 2, "width": 3, "height": 4}, key="two"),
    region("labels", {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 0, "labels": ["Bus", "Red"]}, key="two",
           meta={"text": "difficult"}),
    {"from_id": "a", "to_id": "b", "type": "relation", "direction": "right"},
]  # fmt: skip


@pytest.fixture
def export(tmp_path):
    picture(tmp_path / "images/a.png", (200, 100))
    text(tmp_path / "project-29.json", [task_of([annotation(EVERY)])])
    return tmp_path


def test_every_kind_of_region(export):
    data = read_annotations(export)
    assert (data.form, data.names, data.relative.tolist()) == (
        "labelstudio",
        ("Bus", "Car", "Red", "Truck"),
        [True],
    )
    assert data.sizes.tolist() == [[100, 200]]
    pixels = data.boxes * [200, 100, 200, 100]
    assert list(zip(data.labels.tolist(), pixels.tolist(), data.flags.tolist(), strict=True)) == [
        (1, pytest.approx([20, 20, 80, 60]), 0),
        (3, pytest.approx([-20, 20, 20, 80]), CROWD),  # 60×40 turned about (20, 20): to its left, and down
        (1, pytest.approx([20, 20, 100, 90]), 0),
        (1, pytest.approx([80, 10, 120, 90]), 0),
        (1, pytest.approx([60, 30, 140, 70]), 0),
        (0, pytest.approx([2, 2, 8, 6]), DIFFICULT),
        (2, pytest.approx([2, 2, 8, 6]), DIFFICULT),
    ]
    assert data.left_out == {
        "rotated boxes": 1, "polygons": 3, "brush masks": 1, "keypoints": 1, "choices and texts": 2,
    }  # fmt: skip
    assert data.where(1) == "task 1 of the file, region 2 (Truck)"


def test_a_turned_rectangle_reaches_where_it_is_turned_to(export):
    text(export / "project-29.json", [task_of([annotation([rectangle(rotation=-30)])])])
    boxes = (read_annotations(export).boxes * [200, 100, 200, 100]).tolist()
    cosine, sine = 3**0.5 / 2, 0.5  # 60×40 about (20, 20), against the clock
    assert boxes[0] == pytest.approx([20, 20 - 60 * sine, 20 + 60 * cosine + 40 * sine, 20 + 40 * cosine])


def test_the_annotation_that_counts(export):
    old, new = annotation([rectangle("old")], "2024-01-01"), annotation([rectangle("new")], "2024-02-01")
    cancelled = annotation([rectangle("none")] * 3, "2024-03-01", was_cancelled=True)
    for annotations, name, left_out in (
        ([old, new, cancelled], "new", 1),
        ([new, old], "new", 1),
        ([old | {"ground_truth": True}, new], "old", 1),
        ([old], "old", 0),
    ):
        text(export / "project-29.json", [task_of(annotations)])
        data = read_annotations(export)
        assert (data.names, data.left_out.get("a task's further annotation", 0)) == ((name,), left_out)


def test_tasks_that_nobody_annotated_are_no_images(export):
    picture(export / "images/b.png")
    tasks = [
        task_of([annotation([])]),
        task_of([], "b.png"),
        task_of([annotation([], was_cancelled=True)], "b.png"),
    ]
    text(export / "project-29.json", tasks)
    assert objects(read_annotations(export)) == {"a.png": []}


def test_predictions_alone_are_refused(export):
    drafts = {**task_of([]), "predictions": [{"model_version": "m", "result": [rectangle()]}]}
    text(export / "project-29.json", [drafts])
    with pytest.raises(
        InputError, match="found tasks with predictions that nobody has looked at, wanted annotations"
    ):
        read_annotations(export)


def as_min(results, **more):
    values = [{**one["value"], "original_width": 200, "original_height": 100} for one in results]
    return {
        "image": "/data/upload/29/1a2b3c4d-a.png", "id": 87, "label": values, "annotator": 1, "annotation_id": 22,
        "created_at": "2024-01-30", "updated_at": "2024-01-30", "lead_time": 8.65, **more,
    }  # fmt: skip


def test_json_min_and_one_task_a_file(export):
    (export / "project-29.json").unlink()
    results = [rectangle(), rectangle("Bus", rotation=90)]
    forms = [
        [as_min([rectangle("old")], updated_at="2023"), as_min(results, annotation_id=23)],
        task_of([annotation(results)]),
        {**annotation(results), "task": {"id": 87, "data": {"image": "a.png"}}},
    ]
    read = []
    for form in forms:
        assert find_format(text(export / "1.json", form), None, None)[0].name == "labelstudio"
        data = read_annotations(export)
        read.append((objects(data), data.sizes.tolist(), dict(data.left_out)))
    assert read[1] == read[2]
    assert read[0][:2] == read[1][:2]
    assert read[0][2] == read[1][2] | {"a task's further annotation": 1}


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/29/1a2b3c4d-a.png",
        "/data/local-files/?d=shared/images/a.png",
        "/data/local-files/?d=images%5Ca.png",
        "http://localhost:8080/data/local-files/?d=images/a.png",
        "https://example.com/opensource/a.png?X-Amz-Signature=abc/def#part",
        "s3://bucket/some/a.png",
        "C:\\Users\\me\\a.png",
        "/home/me/a.png",
        "images/a.png",
    ],
)
def test_where_an_image_is(export, image):
    for data in ({"image": image}, {"id": 3, "photo": image, "text": "a.png is nice"}):
        text(export / "project-29.json", [{"data": data, "annotations": [annotation([])]}])
        assert [path.name for path in read_annotations(export).paths] == ["a.png"]


def test_an_uploaded_copy_comes_before_the_file_it_was_made_of(export):
    picture(export / "images/1a2b3c4d-a.png")
    assert [path.name for path in read_annotations(export).paths] == ["1a2b3c4d-a.png"]


def test_splits_are_in_the_data_or_the_names_of_files(tmp_path):
    for name in "abc":
        picture(tmp_path / f"images/{name}.png")
    tasks = [
        task_of([annotation([])], "images/a.png", split="Training"),
        task_of([annotation([])], "images/b.png"),
    ]
    text(tmp_path / "val.json", tasks)
    text(tmp_path / "test/1.json", task_of([annotation([])], "images/c.png"))
    data = read_annotations(tmp_path)
    assert {s: [path.name for path in data.part(s).paths] for s in data.splits} == {
        "train": ["a.png"], "val": ["b.png"], "test": ["c.png"],
    }  # fmt: skip
    assert read_annotations(tmp_path / "val.json").splits == (
        "train",
    )  # a file that is named is not its own split


def test_what_cannot_be_understood_is_told_and_the_rest_read(export):
    bare = rectangle(rotation=30)
    del bare["original_width"]
    results = [
        region("rectanglelabels", {"x": "10", "y": 0, "width": 1, "height": 1, "rectanglelabels": ["Car"]}),
        region("rectanglelabels", {"x": 1, "y": 0, "width": 1, "height": 1, "rectanglelabels": []}),
        region("polygonlabels", {"points": [[1, 2], [3]], "polygonlabels": ["Car"]}),
        region("rectangle", {"x": 1, "y": 2, "width": 3, "height": 4}, key="alone"),
        bare,
        rectangle(),
    ]
    two = {"data": {"one": "a.png", "two": "b.png"}, "annotations": [annotation([])]}
    text(export / "project-29.json", [task_of([annotation(results)]), 3, two])
    data = read_annotations(export)
    assert objects(data) == {"a.png": [("Car", pytest.approx([0.1, 0.2, 0.4, 0.6]), 0)]}
    at = "task 1 of the file, region"
    assert faults(data) == [
        f'{at} 1 (Car): found x "10", wanted a number of percent, skipped',
        f"{at} 2 (rectanglelabels): found no label, wanted the name of a class, skipped",
        f"{at} 3 (Car): found a point that is no pair, wanted x and y, skipped",
        f"{at} 4 (rectangle): found a rectangle without label, wanted the name of a class, skipped",
        f"{at} 5 (Car): found a rotation without 'original_width' and 'original_height', wanted these, skipped",
        "task 2 of the file: found no 'data', wanted a task of Label Studio, skipped",
        "task 3 of the file: found 2 values that may be an image, wanted 'image' with its address, skipped",
    ]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken_json([task_of([annotation(EVERY)]), as_min([rectangle()])]))
def test_a_broken_file_is_read_or_refused(export, content):
    readable_or_refused(text(export / "project-29.json", content), "labelstudio")


def test_what_is_written_comes_back(tmp_path):
    rows = ["file,x1,y1,x2,y2,class,ignored,difficult,split"]
    for name, box, more in (
        ("ä b.png", "1.1,2.2,30.3,40.4", "zebra & co,1,0,train"),
        ("ä b.png", "0.1,0.7,64,48", "ant,0,0,train"),
        ("b.png", "3,3,5.000000001,7", "ant,0,1,test"),
        ("c.png", ",,,", ",,,test"),
        ("d.png", "1,2,3,4", "ant,0,0,"),
        ("e.png", "1,2,3,4", "ant,0,0,train"),
        ("e.png", "1,2,3,4", "ant,0,0,test"),
    ):
        picture(tmp_path / "in" / name)
        rows.append(f"{name},{box},{more}")
    text(tmp_path / "in/boxes.csv", "\n".join(rows))
    data = read_dataset(tmp_path / "in")
    said = write_dataset(tmp_path / "out", "labelstudio", data)
    again = read_dataset(tmp_path / "out")
    same(data, again, atol=1e-5)  # float32 of pixels
    assert again.faults == ()
    assert said == [
        "Label Studio has no crowd regions: 1 have the note crowd",
        "Label Studio has no difficult objects: 1 have the note difficult",
    ]
    tasks = json.loads((tmp_path / "out/tasks.json").read_text())
    assert tasks[0]["data"] == {"image": "/data/local-files/?d=images/%C3%A4%20b.png", "split": "train"}
    assert tasks[-1]["data"] == {"image": "/data/local-files/?d=images/e.png", "split": ["train", "test"]}
    view = ElementTree.parse(tmp_path / "out/config.xml").getroot()
    assert [label.get("value") for label in view.iter("Label")] == ["ant", "zebra & co"]


def test_a_draft_is_a_prediction_with_scores():
    made = result("o1", (10.0, 20.0, 30.0, 60.0), "cat", (100, 200), score=0.75)
    assert made["value"] == {
        "x": 5.0, "y": 20.0, "width": 10.0, "height": 40.0, "rotation": 0, "rectanglelabels": ["cat"],
    }  # fmt: skip
    assert (made["original_width"], made["original_height"], made["type"], made["score"]) == (
        200, 100, "rectanglelabels", 0.75,
    )  # fmt: skip
    assert task("images/a.png", [made], model_version="masu 1", score=0.75) == {
        "data": {"image": "/data/local-files/?d=images/a.png"},
        "predictions": [{"model_version": "masu 1", "result": [made], "score": 0.75}],
    }
    assert made["from_name"] == "label"
    assert '<RectangleLabels name="label" toName="image">' in config(["cat"])


def test_a_class_that_the_configuration_cannot_hold_is_refused(tmp_path):
    picture(tmp_path / "in/a.png")
    text(tmp_path / "in/a.csv", "file,x1,y1,x2,y2,class\na.png,1,2,3,4,a\x01b\n")
    with pytest.raises(InputError, match="a control character in its name"):
        write_dataset(tmp_path / "out", "labelstudio", read_dataset(tmp_path / "in"))
