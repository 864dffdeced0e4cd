"""NDJSON of Ultralytics: boxes, segments and poses by hand, and broken lines."""

import json

import pytest

from masu.data.formats import read_annotations, read_dataset
from masu.errors import InputError
from tests.data.formats.minimal import picture, text

HEAD = {"type": "dataset", "task": "detect", "class_names": {"0": "person", "1": "dog"}}


def image(file="a.png", split="train", size=(48, 64), **annotations):
    said = {"type": "image", "file": file, "width": size[1], "height": size[0], "annotations": annotations}
    return said | ({"split": split} if split else {})


def written(tmp_path, *lines, head=HEAD):
    lines = [line if isinstance(line, str) else json.dumps(line) for line in (head, *lines)]
    return text(tmp_path / "pets.ndjson", "\n".join(lines) + "\n")


def one(tmp_path, *lines):
    picture(tmp_path / "a.png")
    written(tmp_path, *lines)
    return read_dataset(tmp_path)


def test_splits_classes_and_boxes(tmp_path):
    picture(tmp_path / "images/train/a.png")
    picture(tmp_path / "images/val/b.png")
    picture(tmp_path / "c.png")
    lines = [image(boxes=[[1, 0.5, 0.5, 0.25, 0.5]]), image("b.png", "valid", boxes=[]), image("c.png", None)]
    written(tmp_path, *lines)
    data = read_dataset(tmp_path)
    assert (data.form, data.splits, data.names, data.category_ids) == (
        "ndjson",
        ("train", "val"),
        ("person", "dog"),
        (0, 1),
    )
    assert (data.boxes.tolist(), data.labels.tolist()) == ([[24, 12, 40, 36]], [1])
    assert [len(part) for part in data.parts().values()] == [1, 1, 1]
    assert data.where(0) == "line 2, object 1"
    assert data.faults == ()


@pytest.mark.parametrize(
    ("annotations", "left_out"),
    [
        ({"segments": [[0, 0.25, 0.25, 0.75, 0.25, 0.5, 0.75]]}, {"polygons": 1}),
        ({"obb": [[0, 0.25, 0.5, 0.5, 0.25, 0.75, 0.5, 0.5, 0.75]]}, {"rotated boxes": 1}),
        ({"pose": [[0, 0.5, 0.5, 0.5, 0.5, 0.4, 0.4, 2]]}, {"keypoints": 1}),
        ({"boxes": [[0, 0.5, 0.5, 0.5, 0.5]], "segments": [[0, 0, 0, 1, 0, 1, 1]]}, {"segments": 1}),
        ({"boxes": [], "segments": [[0, 0.25, 0.25, 0.75, 0.75, 0.5, 0.5]]}, {"polygons": 1}),
        ({"boxes": [[0.0, 0.5, 0.5, 0.5, 0.5]]}, {}),
    ],
)
def test_other_shapes(tmp_path, annotations, left_out):
    data = one(tmp_path, image(**annotations))
    assert (data.boxes.tolist(), dict(data.left_out)) == ([[16, 12, 48, 36]], left_out)


@pytest.mark.parametrize(
    "folder", ["images/train", "train", "pets/images/train", "images", "pets", "elsewhere"]
)
def test_where_images_are(tmp_path, folder):
    picture(tmp_path / folder / "a.png")
    written(tmp_path, image())
    assert len(read_dataset(tmp_path)) == 1


def test_nothing_is_fetched(tmp_path):
    data = one(tmp_path, image(), image("b.png") | {"url": "https://example.org/b.png"})
    assert [(f.kind, f.where, f.splits) for f in data.faults] == [("missing-image", "line 3", ("train",))]


def test_the_file_itself(tmp_path):
    picture(tmp_path / "a.png")
    assert len(read_dataset(written(tmp_path, image()))) == 1


@pytest.mark.parametrize(
    ("line", "where", "found"),
    [
        ("{", "line 3", "broken JSON"),
        ([1], "line 3", "[1], wanted an object"),
        ({"type": "image"}, "line 3", "no 'file', wanted the name of an image"),
        (image(boxes=5), "line 3", "boxes 5, wanted a list"),
        (image() | {"annotations": 5}, "line 3", "annotations 5, wanted an object with boxes"),
        (image(boxes=[5]), "line 3, object 1", "5, wanted a class and numbers"),
        (image(boxes=[[0, 1, 1, 1]]), "line 3, object 1", "4 values, wanted 5: class x y width height"),
        (
            image(boxes=[[0, 10, 10, 5, 5]]),
            "line 3, object 1",
            "10, wanted shares of the image, 0 to 1, not pixels",
        ),
        (image(boxes=[[0, "1", 1, 1, 1]]), "line 3, object 1", '"1", wanted a share of the image, 0 to 1'),
        (image(boxes=[[0.5, 1, 1, 1, 1]]), "line 3, object 1", "class 0.5, wanted a whole number"),
        (
            image(segments=[[0, 1, 1, 1]]),
            "line 3, object 1",
            "4 values, wanted a class and at least 3 points",
        ),
    ],
)
def test_broken_lines(tmp_path, line, where, found):
    data = one(tmp_path, image(boxes=[[0, 0.5, 0.5, 0.5, 0.5]]), line)
    assert len(data.boxes) == 1
    assert (data.faults[0].kind, data.faults[0].where) == ("annotation", where)
    assert data.faults[0].found.startswith(f"found {found}")


def test_an_unknown_class(tmp_path):
    data = one(tmp_path, image(boxes=[[2, 0.5, 0.5, 0.5, 0.5]]))
    assert [(f.kind, f.where, f.found) for f in data.faults] == [
        ("unknown-class", "line 2, object 1", "class 2")
    ]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (5, "found no 'class_names', wanted a data set's first line"),
        ({"a": "b"}, "found class 'a': \"b\", wanted a number and its name"),
        ({"0": ""}, "found class '0': \"\", wanted a number and its name"),
    ],
)
def test_a_broken_head(tmp_path, names, found):
    file = written(tmp_path, image(), head=HEAD | {"class_names": names})
    with pytest.raises(InputError) as caught:
        read_annotations(tmp_path)
    assert str(caught.value) == f"{file}, line 1: {found}; correct the file or export it again"
