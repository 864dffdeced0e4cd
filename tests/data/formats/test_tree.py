"""The files below a folder."""

from masu.data.formats.tree import Look, Tree


def test_a_name_that_no_file_can_have_is_not_there(tmp_path):
    for name in ("a\0/b.png", "a\udcff\ud800/b.png"):
        assert Tree(tmp_path).find(name, Look((str(tmp_path),))).path is None
