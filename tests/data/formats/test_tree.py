"""Names and the files that they mean."""

import os
from pathlib import Path

import pytest

from masu.data.formats import read_annotations
from masu.data.formats.tree import Look, Tree
from masu.errors import InputError
from tests.data.formats.minimal import picture


@pytest.mark.parametrize("name", ["a\0/b.png", "\0", "a.png\0", "a\udcff\ud800/b.png"])
def test_a_name_that_no_file_can_have_is_not_there(tmp_path, name):
    picture(tmp_path / "a.png")
    found = Tree(tmp_path).find(name, Look((str(tmp_path),)))
    assert (found.path, found.several, found.outside) == (None, (), False)


def test_a_link_in_a_circle_hides_nothing_beside_it(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    tree = Tree(tmp_path)
    assert tree.folder(tmp_path).names == {"a.png", "circle.png"}
    assert tree.find("a.png", Look((str(tmp_path),))).path == str(tmp_path / "a.png")


def test_what_is_no_file_is_passed_over(tmp_path):
    picture(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    (tmp_path / "nowhere.png").symlink_to("no.png")
    assert Tree(tmp_path).folder(tmp_path).names == {"a.png", "nowhere.png"}


def test_each_folder_is_walked_once_whatever_links_lead_to_it(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "z").symlink_to("a/b")
    assert list(Tree(tmp_path).walk()) == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a/b")]


def test_only_roots_and_links_are_resolved(tmp_path, monkeypatch):
    (tmp_path / "/".join("d" * 200)).mkdir(parents=True)
    (tmp_path / "link").symlink_to("d")
    resolve, asked = os.path.realpath, []
    monkeypatch.setattr(os.path, "realpath", lambda path: asked.append(path) or resolve(path))
    assert sum(1 for _ in Tree(tmp_path).walk()) == 201
    assert asked == [str(tmp_path), str(tmp_path / "link")]


def test_a_whole_file_system_is_not_walked(tmp_path):
    with pytest.raises(InputError) as caught:
        read_annotations(Path(tmp_path.anchor))
    assert caught.value.found == "a whole file system"


def test_a_pipe_is_no_data_set(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(InputError, match="found neither a file nor a folder"):
        read_annotations(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["../../media/upload/1/a.png", "/data/upload/a.png", "C:\\pictures\\a.png"])
def test_a_path_of_elsewhere_means_its_last_part_where_the_folder_is_said(tmp_path, name):
    (tmp_path / "export").mkdir()
    image = picture(tmp_path / "photos/a.png")
    look = Look((str(tmp_path / "export"),))
    assert Tree(tmp_path / "export", image.parent).find(name, look).path == str(image)
    assert Tree(tmp_path / "export").find(name, look).outside


@pytest.mark.parametrize(
    ("split", "folder"),
    [("fold_1", "fold_1"), ("fold_2", None), ("val", None), ("cats", "fold_1"), (None, "fold_1")],
)
def test_an_image_of_another_split_is_not_taken(tmp_path, split, folder):
    picture(tmp_path / "images/fold_1/a.png")
    (tmp_path / "images/fold_2").mkdir()
    found = Tree(tmp_path).find("a.png", Look((str(tmp_path),)), split)
    assert found.path == (folder and str(tmp_path / f"images/{folder}/a.png"))


def test_the_last_parts_of_a_path_of_elsewhere_tell_images_of_one_name_apart(tmp_path):
    for folder in "12":
        picture(tmp_path / f"photos/{folder}/a.png")
    found = Tree(tmp_path, tmp_path / "photos").find("/home/x/2/a.png", Look((str(tmp_path),)))
    assert found.path == str(tmp_path / "photos/2/a.png")
