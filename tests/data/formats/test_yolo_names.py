"""YOLO: names in ``data.yaml`` and in lists that no file can have."""

import os
from pathlib import Path

import pytest

from masu.data.formats import read_annotations, read_dataset
from masu.errors import InputError
from tests.data.formats.minimal import MINIMAL, picture, text, yolo

LONG = "x" * 300


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"path: {LONG}\ntrain: images/train\nnames: [cat]\n", ""),
        (f"train: {LONG}\nnames: [cat]\n", f"'{LONG}', which does not exist"),
        (f"train: images/train\n{LONG}: {LONG}.txt\nnames: [cat]\n", ""),
        ("train: list.txt\nnames: [cat]\n", ""),
    ],
)
def test_names_longer_than_any_file_may_have(tmp_path, content, found):
    yolo(tmp_path)
    text(tmp_path / "data.yaml", content)
    text(tmp_path / "list.txt", f"images/train/a.png\n{LONG}.png\n")
    if not found:
        assert len(read_dataset(tmp_path, "train")) == 1
        return
    with pytest.raises(InputError) as caught:
        read_dataset(tmp_path)
    assert f"found {found[:290]}" in str(caught.value)


def elsewhere(tmp_path, train: str) -> Path:
    """A folder with a ``data.yaml`` that names another folder, which holds other pictures."""
    MINIMAL["yolo"](tmp_path / "own")
    picture(tmp_path / "other/images/train/b.png")
    page = text(tmp_path / "own/data.yaml", f"path: {tmp_path / 'other'}\ntrain: {train}\nnames: [cat]\n")
    return page.parent


def test_a_folder_is_read_alone_whatever_its_yaml_names(tmp_path):
    data = read_annotations(elsewhere(tmp_path, "images/train"))
    assert [path.name for path in data.paths] == ["a.png"]


def test_a_yaml_that_is_asked_for_itself_is_followed_anywhere(tmp_path):
    data = read_annotations(elsewhere(tmp_path, "images/train") / "data.yaml")
    assert [path.name for path in data.paths] == ["b.png"]


def test_what_only_the_other_folder_has_says_how_to_read_it(tmp_path):
    folder = elsewhere(tmp_path, "images")
    (tmp_path / "other/photos").mkdir()
    text(folder / "data.yaml", f"path: {tmp_path / 'other'}\ntrain: photos\nnames: [cat]\n")
    with pytest.raises(InputError, match=r"'photos', which does not exist.*name .*data.yaml itself"):
        read_annotations(folder)


def test_a_pipe_is_no_list_of_images(tmp_path):
    MINIMAL["yolo"](tmp_path)
    os.mkfifo(tmp_path / "train.txt")
    text(tmp_path / "data.yaml", "train: train.txt\nnames: [cat]\n")
    with pytest.raises(InputError, match=r"'train.txt', which"):
        read_annotations(tmp_path)
