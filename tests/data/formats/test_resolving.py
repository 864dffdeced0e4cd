"""Several entries of one image: when they are one image, and when that is a fault."""

import pytest

from masu.data.formats import read_annotations
from tests.data.formats.samples import faults, picture, text


def table(folder, second):
    picture(folder / "a.png")
    head = "file,x1,y1,x2,y2,class,split\n"
    text(folder / "boxes.csv", f"{head}a.png,1,2,3,4,c,train\na.png,1,2,3,4,c,{second}\n")
    return read_annotations(folder)


def test_an_image_that_one_file_puts_in_two_splits_is_in_both(tmp_path):
    data = table(tmp_path, "test")
    assert (len(data), data.splits, data.members.tolist()) == (1, ("train", "test"), [[True], [True]])
    assert data.faults == ()


def test_an_image_that_a_file_lists_twice_is_a_fault(tmp_path):
    picture(tmp_path / "a.png")
    images = [{"id": key, "file_name": "a.png"} for key in (1, 2)]
    text(tmp_path / "x.json", {"images": images, "annotations": [], "categories": []})
    data = read_annotations(tmp_path)
    assert (len(data), faults(data)) == (1, ["image id 2: a.png for a second time, joined with the first"])


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "test"), {"train": ["a"], "test": ["b"]}),
        (("images/Training", "images/val2017"), {"train": ["a"], "val": ["b"]}),
        (("train", "train"), {None: ["a", "b"]}),
        (("test", "other"), {None: ["a", "b"]}),
    ],
)
def test_one_table_over_images_in_folders_of_splits(tmp_path, folders, splits):
    for name, folder in zip("ab", folders, strict=True):
        picture(tmp_path / folder / f"{name}.png")
    rows = [f"{name}.png,1,2,9,12,cat\n" for name in "ab"]
    (tmp_path / "cells.csv").write_text("file,x1,y1,x2,y2,class\n" + "".join(rows))
    for where in (tmp_path, tmp_path / "cells.csv"):
        parts = read_annotations(where).parts()
        assert {
            split: [part.paths[i].stem for i in range(len(part))] for split, part in parts.items()
        } == splits
