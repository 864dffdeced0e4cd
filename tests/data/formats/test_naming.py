"""Names of copies: what no list can hold is spelt out, and what is written is read back."""

import os
from pathlib import Path

import pytest
from PIL import Image

from masu.data.dataset import Dataset
from masu.data.formats import formats, read_dataset, splits
from masu.data.formats.naming import listable
from masu.data.formats.writing import write_dataset
from masu.errors import InputError
from tests.datasets import data_of

WRITERS = [name for name, form in formats().items() if form.write is not None]

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


def pictures(folder: Path, names, label: str = "dog", split: str = "train") -> Dataset:
    """Plain pictures of these names with one object each."""
    for name in names:
        Image.new("RGB", (64, 48)).save(folder / name)
    images = [(folder / name, [((1.0, 2.0, 30.0, 40.0), label, False)]) for name in names]
    return data_of({split: images}, (label,), size=(48, 64))


@pytest.mark.parametrize("form", WRITERS)
def test_odd_names_are_written_such_that_they_are_read_back(tmp_path, form):
    said = write_dataset(tmp_path / "out", form, pictures(tmp_path, ODD))
    assert "7 files renamed, since a list cannot hold their names" in said
    data = read_dataset(tmp_path / "out", "train")
    assert {image.name for image, _ in data} == set(ODD.values())
    assert data.faults == ()
    assert all(len(target) == 1 for _, target in data)


@pytest.mark.parametrize("form", WRITERS)
def test_pictures_without_any_class(tmp_path, form):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    write_dataset(tmp_path / "out", form, data_of({"train": [(tmp_path / "a.png", [])]}, (), size=(48, 64)))
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
        write_dataset(tmp_path / "out", form, pictures(tmp_path, ["a.png"], label, split))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_boxes_too_far_outside_for_yolo_are_told(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    boxes = [(500.0, 2.0, 530.0, 40.0), (1.0, 2.0, 30.0, 40.0)]
    images = [(tmp_path / "a.png", [(box, "dog", False) for box in boxes])]
    said = write_dataset(tmp_path / "out", "yolo", data_of({"train": images}, ("dog",), size=(48, 64)))
    assert "boxes farther outside than YOLO can say: 1 left out" in said
    assert len(read_dataset(tmp_path / "out")[0].target) == 1


def test_a_damaged_picture_does_not_keep_the_rest_from_being_written(tmp_path):
    data = pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "b.png").write_bytes(b"")
    write_dataset(tmp_path / "out", "yolo", data)
    assert splits(tmp_path / "out") == ("train",)
    assert len(read_dataset(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    "split", ["con", "AUX", "nul.txt", "Lpt1", "com9 .x", "train.", "train ", "a:b", "a\\b"]
)
def test_a_split_that_windows_would_take_for_something_else_names_no_file(tmp_path, split):
    with pytest.raises(InputError, match="wanted a name that a file can have; rename the split"):
        write_dataset(tmp_path / "out", "csv", pictures(tmp_path, ["a.png"], split=split))
    assert not (tmp_path / "out").exists()


def test_pictures_named_as_devices_keep_their_names(tmp_path):
    """They are files already where they come from; no file is named after a class."""
    names = {"CON.png", "aux.tar.png", "12:30:01.png", "what?.png", "dots..png"}
    write_dataset(tmp_path / "out", "yolo", pictures(tmp_path, names, label="NUL"))
    data = read_dataset(tmp_path / "out", "train")
    assert ({image.name for image, _ in data}, data.names) == (names, ("NUL",))
