"""DOTA: texts by hand, their corners and flags, and broken lines."""

import pytest

from masu.data.dataset import DIFFICULT
from masu.data.formats import read_annotations, read_dataset
from tests.data.formats.minimal import picture, text

NOTES = "imagesource:GoogleEarth\ngsd:0.146343590398\n"


def one(tmp_path, content, stem="P1"):
    picture(tmp_path / f"images/{stem}.png")
    text(tmp_path / f"labelTxt/{stem}.txt", content)
    return read_annotations(tmp_path)


@pytest.mark.parametrize("folder", ["labelTxt", "labelTxt-v1.0", "annfiles"])
def test_splits_and_flags(tmp_path, folder):
    picture(tmp_path / "train/images/P1.png")
    picture(tmp_path / "train/images/P2.png")
    picture(tmp_path / "val/images/P3__1.0__0___0.png")
    text(
        tmp_path / f"train/{folder}/P1.txt", f"{NOTES}10 5 20 10 15 20 5 15 ship 0\n1 1 4 1 4 4 1 4 plane 1\n"
    )
    text(tmp_path / f"train/{folder}/P2.txt", "")
    text(tmp_path / f"val/{folder}/P3__1.0__0___0.txt", "0.5 0 64 0 64 48 0.5 48 small-vehicle 2\n")
    data = read_dataset(tmp_path)
    assert (data.form, data.splits) == ("dota", ("train", "val"))
    assert data.names == ("plane", "ship", "small-vehicle")
    assert [image.name for image, _ in data] == ["P1.png", "P2.png", "P3__1.0__0___0.png"]
    assert data.boxes.tolist() == [[5, 5, 20, 20], [1, 1, 4, 4], [0.5, 0, 64, 48]]
    assert data.flags.tolist() == [0, DIFFICULT, DIFFICULT]
    assert dict(data.left_out) == {"rotated boxes": 3}
    assert data.faults == ()


@pytest.mark.parametrize(
    ("line", "name", "flag"),
    [
        ("1 1 4 1 4 4 1 4 ship", "ship", 0),
        ("1, 1, 4, 1, 4, 4, 1, 4, ship, 1", "ship", DIFFICULT),
        ("1 1 4 1 4 4 1 4 large vehicle 00", "large vehicle", 0),
        ("1 1 4 1 4 4 1 4 ship 0\r", "ship", 0),
    ],
)
def test_lines_of_other_tools(tmp_path, line, name, flag):
    data = one(tmp_path, f"{NOTES}{line}\n")
    assert (data.boxes.tolist(), data.names, data.flags.tolist()) == ([[1, 1, 4, 4]], (name,), [flag])


@pytest.mark.parametrize(
    "line", ["1 2 3", "1 1 4 1 4 4 1 ship 0", "ship 1 1 4 1 4 4 1 4 0", "1 1 4 1 4 4 1 4"]
)
def test_a_broken_line(tmp_path, line):
    data = one(tmp_path, f"{NOTES}{line}\n1 1 4 1 4 4 1 4 ship 0\n")
    assert data.boxes.tolist() == [[1, 1, 4, 4]]
    wanted = "x1 y1 x2 y2 x3 y3 x4 y4 class difficult"
    assert [(f.where, f.found) for f in data.faults] == [("line 3", f"found {line!r}, wanted {wanted}")]


def test_a_broken_file_is_left_out(tmp_path):
    one(tmp_path, NOTES)
    (tmp_path / "labelTxt/P2.txt").write_bytes(b"\xff")
    assert [(f.file.name, f.where) for f in read_annotations(tmp_path).faults] == [("P2.txt", "the file")]


def test_a_missing_image(tmp_path):
    one(tmp_path, NOTES)
    text(tmp_path / "labelTxt/P2.txt", NOTES)
    data = read_annotations(tmp_path)
    assert [(f.kind, f.file.name) for f in data.faults] == [("missing-image", "P2.txt")]


def test_a_note_beside_the_texts(tmp_path):
    picture(tmp_path / "images/P1.png")
    text(tmp_path / "annotations/P1.txt", "1 1 4 1 4 4 1 4 ship 0\n")
    text(tmp_path / "annotations/readme.txt", "about these data\n")
    assert read_dataset(tmp_path).faults == ()
