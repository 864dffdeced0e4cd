"""Which classes an image was checked for goes with the image and the names of the classes, whatever is done."""

import json

import numpy as np
import pytest

from masu.data.audit.checks import Looked
from masu.data.audit.mending import mend
from masu.data.class_lists import ClassLists, Lists
from masu.data.fitting import measured, with_names
from masu.data.formats import json_stream, read_annotations, read_dataset
from masu.data.splitting import share_out
from masu.evaluation.choice import only_classes
from masu.verbs.convert import convert
from tests.data.formats.minimal import picture, text
from tests.data.test_dataset import OPERATIONS, consistent

IMAGES = [
    {"id": 1, "file_name": "a.png", "neg_category_ids": [30, 10], "not_exhaustive_category_ids": [20]},
    {"id": 2, "file_name": "b.png", "neg_category_ids": [], "not_exhaustive_category_ids": []},
    {"id": 3, "file_name": "c.png"},
    {"id": 4, "file_name": "d.png", "not_exhaustive_category_ids": [10, 10, 30]},
]
WANTED = {
    "a.png": ({"cat", "hen"}, {"dog"}),
    "b.png": (set(), set()),
    "c.png": (None, set()),
    "d.png": (None, {"cat", "hen"}),
}
"""What is absent, None where nothing is listed, and what is labelled in part."""


def write(root, images=IMAGES, categories=("cat", "dog", "hen"), file="instances_train.json"):
    for image in images:
        picture(root / "images" / image.get("file_name", "-.png"))
    page = {
        "images": images,
        "annotations": [
            {"id": n, "image_id": image["id"], "category_id": 20, "bbox": [1, 2, 10 + n, 20]}
            for n, image in enumerate(images, 1)
        ],
        "categories": [{"id": 10 * k, "name": name} for k, name in enumerate(categories, 1)],
    }
    text(root / "annotations" / file, page)
    return root


def said(data):
    """By image, the names of both lists."""
    lists = data.class_lists
    return {
        path.name: (
            {data.names[k] for k in lists.absent[i]} if lists.listed[i] else None,
            {data.names[k] for k in lists.partial[i]},
        )
        for i, path in enumerate(data.paths)
    }


def test_lists_are_read_with_their_classes(tmp_path):
    data = read_dataset(write(tmp_path))
    consistent(data)
    assert said(data) == WANTED
    assert data.names == ("cat", "dog", "hen")


def test_data_without_lists_have_none(tmp_path):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png", "neg_category_ids": None}]
    assert read_dataset(write(tmp_path, images)).class_lists is None


def test_an_id_of_no_category_is_passed_over(tmp_path):
    images = [
        {"id": 1, "file_name": "a.png", "neg_category_ids": [99, 10], "not_exhaustive_category_ids": [7]}
    ]
    data = read_dataset(write(tmp_path, images))
    assert (said(data), data.faults) == ({"a.png": ({"cat"}, set())}, ())


@pytest.mark.parametrize("ids", ["10", [10, "dog"], [True], [[10]], {"10": 1}, [10.5]])
@pytest.mark.parametrize("key", ["neg_category_ids", "not_exhaustive_category_ids"])
def test_lists_that_are_none_cost_their_image(tmp_path, key, ids):
    data = read_dataset(write(tmp_path, [IMAGES[0] | {key: ids}, IMAGES[1]]))
    assert [path.name for path in data.paths] == ["b.png"]
    assert data.faults[0].where == "image id 1"
    assert key in data.faults[0].found


def test_classes_may_come_after_the_images_in_pieces(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(json_stream, "_BLOCK", 1)
    assert said(read_dataset(tmp_path)) == WANTED


def test_images_without_names_are_at_their_address(tmp_path):
    image = {"id": 1, "coco_url": "http://images.cocodataset.org/train2017/000000391895.jpg"}
    picture(tmp_path / "train2017/000000391895.jpg")
    picture(tmp_path / "val2017/000000391895.jpg")
    text(tmp_path / "lvis_v1_val.json", {"images": [image], "annotations": [], "categories": []})
    data = read_annotations(tmp_path / "lvis_v1_val.json")
    assert [path.relative_to(tmp_path).as_posix() for path in data.paths] == ["train2017/000000391895.jpg"]
    named = image | {"file_name": "val2017/000000391895.jpg"}
    text(tmp_path / "lvis_v1_val.json", {"images": [named], "annotations": [], "categories": []})
    assert [path.parent.name for path in read_annotations(tmp_path / "lvis_v1_val.json").paths] == ["val2017"]


def test_folders_at_an_address_are_no_splits(tmp_path):
    # LVIS's validation images lie in folders of COCO, most of them in train2017
    images = [
        {"id": n, "coco_url": f"http://x/{folder}2017/{n}.jpg"} for n, folder in ((1, "train"), (2, "val"))
    ]
    for image in images:
        picture(tmp_path / image["coco_url"].removeprefix("http://x/"))
    file = text(tmp_path / "lvis_v1_val.json", {"images": images, "annotations": [], "categories": []})
    assert (len(read_annotations(file)), read_annotations(file).splits) == (2, ())
    images[0] |= {"id": "1"}  # read one by one
    text(file, {"images": images, "annotations": [], "categories": []})
    assert (len(read_annotations(file)), read_annotations(file).splits) == (2, ())
    named = [{"id": one["id"], "file_name": one["coco_url"].removeprefix("http://x/")} for one in images]
    text(file, {"images": named, "annotations": [], "categories": []})
    assert read_annotations(file).splits == ("train", "val")


@pytest.mark.parametrize("first", OPERATIONS)
@pytest.mark.parametrize("second", OPERATIONS)
def test_lists_stay_with_their_image(tmp_path, first, second):
    data = OPERATIONS[second](OPERATIONS[first](read_annotations(write(tmp_path))))
    consistent(data)
    assert said(data) == {path.name: WANTED[path.name] for path in data.paths}


def test_a_part_has_the_lists_of_its_images(tmp_path):
    data = share_out(read_annotations(write(tmp_path)), {"train": 0.5, "val": 0.5}, 0, [])
    for split in ("train", "val"):
        part = data.part(split)
        assert len(part) == 2
        assert said(part) == {path.name: WANTED[path.name] for path in part.paths}


def test_lists_follow_the_names_of_a_model(tmp_path):
    data = with_names(read_dataset(write(tmp_path)), ("bird", "hen", "dog"))
    consistent(data)
    assert said(data) == {
        "a.png": ({"hen"}, {"dog"}),
        "b.png": (set(), set()),
        "c.png": (None, set()),
        "d.png": (None, {"hen"}),
    }


def test_lists_follow_a_choice_of_classes(tmp_path):
    data = only_classes(read_dataset(write(tmp_path)), ("hen", "cat"))
    consistent(data)
    assert data.names == ("hen", "cat")
    assert said(data)["a.png"] == ({"hen", "cat"}, set())
    assert said(data)["d.png"] == (None, {"hen", "cat"})


def test_lists_follow_classes_that_are_two_spellings_of_one(tmp_path):
    images = [
        {"id": 1, "file_name": "a.png", "neg_category_ids": [10, 30], "not_exhaustive_category_ids": [10]}
    ]
    data, _ = mend(Looked.of(measured(read_annotations(write(tmp_path, images, ("Dog", "dog", "hen"))))))
    consistent(data)
    assert (data.names, said(data)) == (("dog", "hen"), {"a.png": ({"dog", "hen"}, {"dog"})})


def test_an_image_of_two_files_has_the_lists_of_both(tmp_path):
    write(tmp_path, [IMAGES[0]])
    other = {"id": 5, "file_name": "a.png", "neg_category_ids": [20], "not_exhaustive_category_ids": [10]}
    write(tmp_path, [other], ("cow", "dog", "hen"), "instances_val.json")
    assert said(read_dataset(tmp_path)) == {"a.png": ({"cat", "hen", "dog"}, {"dog", "cow"})}
    both = read_annotations(tmp_path)
    assert both.splits == ("train", "val")


def test_two_labellings_of_an_image_keep_their_lists_until_they_are_one(tmp_path):
    write(tmp_path, [IMAGES[0]])
    other = {"id": 5, "file_name": "a.png", "neg_category_ids": [20], "not_exhaustive_category_ids": []}
    page = {
        "images": [other],
        "annotations": [{"id": 1, "image_id": 5, "category_id": 10, "bbox": [5, 5, 9, 9]}],
        "categories": [{"id": 10, "name": "cat"}, {"id": 20, "name": "dog"}],
    }
    text(tmp_path / "annotations/instances_val.json", page)
    data = read_annotations(tmp_path)
    assert len(data) == 2
    assert said(data.part("train")) == {"a.png": WANTED["a.png"]}
    assert said(data.part("val")) == {"a.png": ({"dog"}, set())}
    assert said(data.united()) == {"a.png": ({"cat", "hen", "dog"}, {"dog"})}


def test_lists_are_written_and_read_again(tmp_path):
    write(tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "out", "coco")
    images = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())["images"]
    assert images[0]["neg_category_ids"] == [10, 30]
    assert "neg_category_ids" not in images[2]
    assert said(read_dataset(tmp_path / "out")) == WANTED


def test_a_format_that_cannot_hold_lists_says_so(tmp_path):
    write(tmp_path / "in")
    said_of = convert(tmp_path / "in", tmp_path / "out", "yolo")
    assert "which classes an image was checked for is not kept" in str(said_of)


def test_moved_lists_are_joined_and_sorted():
    lists = Lists.of(np.array([2, 0, 0, 2, 0]), np.array([1, 3, 0, 1, 3]), 3)
    assert [lists[i].tolist() for i in range(3)] == [[0, 3], [], [1]]
    known = ClassLists(np.array([True, False, True]), lists, lists.take(np.array([2, 2, 0])))
    assert [known.partial[i].tolist() for i in range(3)] == [[1], [1], [0, 3]]
    moved = known.moved(np.array([1, -1, 1]), np.array([5, 0, -1, 2]), 2)
    assert moved.listed.tolist() == [False, True]
    assert [moved.absent[i].tolist() for i in range(2)] == [[], [0, 2, 5]]
    assert [moved.partial[i].tolist() for i in range(2)] == [[], [0, 2, 5]]
