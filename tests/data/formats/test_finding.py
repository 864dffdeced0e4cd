"""Which format a folder is of: every format finds its own smallest data set, and none takes another's."""

import pytest

from masu.data.formats import find_format, formats, read_annotations, read_dataset
from masu.data.formats.form import Place
from masu.data.formats.tree import Tree
from masu.errors import InputError
from tests.data.formats.minimal import MINIMAL


@pytest.mark.parametrize("name", MINIMAL)
def test_a_format_finds_its_own_set_and_no_other_does(tmp_path, name):
    MINIMAL[name](tmp_path)
    assert {one for one, form in formats().items() if form.find(Place(tmp_path, Tree(tmp_path)))} == {name}
    assert find_format(tmp_path, None, None)[0].name == name


@pytest.mark.parametrize("name", MINIMAL)
def test_the_smallest_sets_are_good(tmp_path, name):
    MINIMAL[name](tmp_path)
    data = read_dataset(tmp_path)
    assert (data.form, len(data), data.faults) == (name, 1, ())
    assert len(data.boxes) >= 1
    assert data.splits == (() if name == "labelme" else ("train",))


def test_an_annotation_that_is_a_dangling_link_is_a_fault_of_its_own(tmp_path):
    MINIMAL["voc"](tmp_path)
    (tmp_path / "Annotations/b.xml").symlink_to("nowhere")
    data = read_annotations(tmp_path)
    assert len(data) == 1
    assert [(f.kind, f.file.name, f.where) for f in data.faults] == [("annotation", "b.xml", "the file")]


def test_a_dangling_data_yaml_is_told_by_its_name(tmp_path):
    MINIMAL["yolo"](tmp_path)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "data.yaml").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"data.yaml: found broken YAML"):
        read_annotations(tmp_path)
