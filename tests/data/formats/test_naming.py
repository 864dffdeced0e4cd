"""Names of copies: what no list can hold is spelt out, and what is written is read back."""

import os
from pathlib import Path

import pytest
from masu.data.formats.reading import Contents, Marked, Picture
from PIL import Image

from masu.data.formats import read_dataset, splits
from masu.data.formats.naming import listable
from masu.data.formats.writing import WRITERS, write_dataset
from masu.errors import InputError

ODD = {
    os.fsdecode(b"caf\xe9.png"): "caf%E9.png",
    "two\nlines.png": "two%0Alines.png",
    "a\u2028b.png": "a%E2%80%A8b.png",
    "back\\slash.png": "back%5Cslash.png",
    " blank .png": "%20blank%20.png",
    ".hidden.png": "%2Ehidden.png",
    "c:drive.png": "c%3Adrive.png",
    "plain é 1.png": "plain é 1.png",
    "a.b%.png": "a.b%.png",
}


@pytest.mark.parametrize(("name", "wanted"), ODD.items())
def test_listable(name, wanted):
    assert listable(name) == wanted


def contents(folder: Path, names, label: str = "dog") -> Contents:
    pictures = []
    for name in names:
        Image.new("RGB", (64, 48)).save(folder / name)
        objects = [Marked("", (1.0, 2.0, 30.0, 40.0), label, False)]
        pictures.append(Picture(folder / name, folder, None, objects))
    return Contents(pictures, (label,), (1,), [])


@pytest.mark.parametrize("form", WRITERS)
def test_odd_names_are_written_such_that_they_are_read_back(tmp_path, form):
    said = write_dataset(tmp_path / "out", form, {"train": contents(tmp_path, ODD)})
    assert "7 files renamed, since a list cannot hold their names" in said
    data = read_dataset(tmp_path / "out", "train")
    assert {image.name for image, _ in data} == set(ODD.values())
    assert data.faults == ()
    assert all(len(target) == 1 for _, target in data)


@pytest.mark.parametrize("form", WRITERS)
def test_pictures_without_any_class(tmp_path, form):
    part = contents(tmp_path, ["a.png"])
    part = part._replace(pictures=[part.pictures[0]._replace(objects=[])], names=(), category_ids=())
    write_dataset(tmp_path / "out", form, {"train": part})
    data = read_dataset(tmp_path / "out", "train")
    assert (len(data), data.names) == (1, ())


@pytest.mark.parametrize(
    ("form", "split", "label", "problem"),
    [
        (
            "csv",
            "train",
            "x\ud800",
            "found '\\ud800', which is not Unicode, wanted names that a text can hold;",
        ),
        ("voc", "train", "\ufffe", "class '\\ufffe': found a control character,"),
        ("voc", "train", " ", "found voc that would not be read back as it is ("),
        ("yolo", "names", "dog", "found yolo that would not be read back as it is ("),
    ],
)
def test_what_would_not_be_read_back_is_refused(tmp_path, form, split, label, problem):
    with pytest.raises(InputError) as caught:
        write_dataset(tmp_path / "out", form, {split: contents(tmp_path, ["a.png"], label)})
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_boxes_too_far_outside_for_yolo_are_told(tmp_path):
    part = contents(tmp_path, ["a.png"])
    far = part.pictures[0].objects[0]._replace(box=(500.0, 2.0, 530.0, 40.0))
    part = part._replace(pictures=[part.pictures[0]._replace(objects=[far, *part.pictures[0].objects])])
    said = write_dataset(tmp_path / "out", "yolo", {"train": part})
    assert "boxes farther outside than YOLO can say: 1 left out" in said
    assert len(read_dataset(tmp_path / "out")[0].target) == 1


def test_a_damaged_picture_does_not_keep_the_rest_from_being_written(tmp_path):
    part = contents(tmp_path, ["a.png", "b.png"])
    (tmp_path / "b.png").write_bytes(b"")
    part = part._replace(pictures=[picture._replace(size=(48, 64)) for picture in part.pictures])
    write_dataset(tmp_path / "out", "yolo", {"train": part})
    assert splits(tmp_path / "out") == ("train",)
    assert len(read_dataset(tmp_path / "out")) == 1
