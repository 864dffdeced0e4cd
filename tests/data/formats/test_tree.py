"""Names and the files that they mean."""

import os

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


def test_a_pipe_is_no_data_set(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(InputError, match="found neither a file nor a folder"):
        read_annotations(tmp_path / "a.json")
