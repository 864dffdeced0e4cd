"""Files that appear whole: two writers of one place, what killed ones leave, the rights of files."""

import os
import stat
from pathlib import Path

import pytest

from masu.atomic import WriteError, put_in_place, sweep, write_part, write_text, write_whole


def test_two_writers_of_one_place_do_not_meet(tmp_path):
    place = tmp_path / "a.txt"

    def slow():
        yield b"first"
        write_text(place, "second")
        assert place.read_text() == "second"
        yield b", whole"

    write_whole(place, slow())
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert place.read_text() == "first, whole"


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path):
    (tmp_path / "samples").mkdir()
    for place in (tmp_path / "a.txt", tmp_path / "samples" / "b.jpg"):
        write_part(place, [b"half"])
    kept = [tmp_path / name for name in (".part", "a.part", ".a-1.part", "a.txt")]
    for path in kept:
        path.touch()
    sweep(tmp_path)
    sweep(tmp_path / "not there")
    assert [path.suffix for path in (tmp_path / "samples").iterdir()] == [".part"]  # another's, perhaps alive
    sweep(tmp_path / "samples")
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


@pytest.mark.skipif(os.name == "nt", reason="no umask there")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


def test_a_place_that_is_a_folder_is_left_as_it_was(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(WriteError, match="the file is as it was before"):
        write_text(tmp_path / "a", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(WriteError, match="no such file or directory"):
        put_in_place(Path(tmp_path / "none.part"), tmp_path / "b")
