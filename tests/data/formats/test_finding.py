"""Which format a folder is of: every format finds its own smallest data set, and none takes another's."""

import pytest

from masu.data.formats import find_format, formats, read_dataset
from masu.data.formats.form import Place
from masu.data.formats.tree import Tree
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
