"""Names and the files that they mean."""

import pytest

from masu.data.formats.tree import Look, Tree
from tests.data.formats.minimal import picture


@pytest.mark.parametrize("name", ["a\0/b.png", "\0", "a.png\0", "a\udcff\ud800/b.png"])
def test_a_name_that_no_file_can_have_is_not_there(tmp_path, name):
    picture(tmp_path / "a.png")
    found = Tree(tmp_path).find(name, Look((str(tmp_path),)))
    assert (found.path, found.several, found.outside) == (None, (), False)
