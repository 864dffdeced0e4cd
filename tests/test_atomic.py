"""Files that appear whole: two writers of one place, what killed ones leave, the rights of files."""

import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from masu.atomic import (
    WriteError,
    alone_in,
    beside,
    folder_whole,
    new_file,
    put_in_place,
    put_together,
    sweep,
    workshop,
    write_text,
    write_whole,
)


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


def left_by_a_killed_process(doing):
    """What a process leaves that is killed in the middle of ``doing``."""
    child = os.fork()
    if not child:
        try:
            doing()
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def killed():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)


def make_folder(place):
    with folder_whole(place) as made:
        (made / "images").mkdir()
        (made / "images" / "a.jpg").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path):
    kept = [tmp_path / name for name in (".part", "a.part", ".a-1.part", "a.txt")]
    for path in kept:
        path.write_text("as it was")
    left_by_a_killed_process(lambda: write_whole(tmp_path / "a.txt", killed()))
    left_by_a_killed_process(lambda: make_folder(tmp_path / "a"))
    assert len(list(tmp_path.glob(".a-??*.part"))) == 1  # the second has swept what the first left
    sweep(tmp_path)
    sweep(tmp_path / "not there")
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert {path.read_text() for path in kept} == {"as it was"}


@pytest.mark.parametrize("again", ["a.txt", "b.txt", "a", "b"])
def test_every_writing_sweeps_its_folder(tmp_path, again):
    (tmp_path / "a.txt").write_text("earlier")
    left_by_a_killed_process(lambda: write_whole(tmp_path / "a.txt", killed()))
    left_by_a_killed_process(lambda: make_folder(tmp_path / "a"))
    assert (tmp_path / "a.txt").read_text() == "earlier"
    assert not (tmp_path / "a").exists()
    if again.endswith(".txt"):
        write_text(tmp_path / again, "new")
    else:
        with folder_whole(tmp_path / again) as made:
            new_file(made / "in" / "b.txt", b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", again}


def test_what_a_living_process_writes_is_not_swept(tmp_path):
    here, there = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        try:
            with folder_whole(tmp_path / "folder") as made, beside(tmp_path / "file", [b"1"]) as part:
                new_file(made / "a", b"1")
                os.write(here[1], b".")
                os.read(there[0], 1)
                put_in_place(part, tmp_path / "file")
            os._exit(0)
        finally:
            os._exit(9)
    os.read(here[0], 1)
    write_text(tmp_path / "file", "2")
    sweep(tmp_path)
    assert len(list(tmp_path.glob(".*.part"))) == 2
    os.write(there[1], b".")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / "file").read_text() == "1"
    assert (tmp_path / "folder" / "a").read_text() == "1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def fail_in(place, error):
    with folder_whole(place) as made:
        new_file(made / "a", b"1")
        raise error


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    place = tmp_path / "out"
    for error in (OSError(28, "full"), KeyboardInterrupt(), ValueError()):
        with pytest.raises(type(error)):
            fail_in(place, error)
        assert list(tmp_path.iterdir()) == []
    with folder_whole(place) as made:
        new_file(made / "deep" / "a", b"1")
        assert not place.exists()
    assert (place / "deep" / "a").read_bytes() == b"1"
    with pytest.raises(OSError, match="not empty"), folder_whole(place) as made:
        new_file(made / "b", b"2")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "deep", "a"]


def test_a_folder_takes_the_place_of_an_empty_one(tmp_path):
    (tmp_path / "out").mkdir()
    with folder_whole(tmp_path / "out") as made:
        new_file(made / "a", b"1")
    assert (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize("name", ["a" * 255, "\N{SNOWMAN}" * 85, "\udce9" * 255])
def test_names_of_any_length_have_room(tmp_path, name):
    write_text(tmp_path / name, "text")
    with workshop(tmp_path / name) as made:
        assert made.is_dir()
    assert os.listdir(tmp_path) == [name]


def test_what_only_looks_like_a_leftover_of_masu_is_not_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a").write_text("a")
    (tmp_path / f".a-{'0' * 32}.part").symlink_to(tmp_path / "precious")
    os.mkfifo(tmp_path / f".b-{'0' * 32}.part")
    sweep(tmp_path)
    assert (tmp_path / "precious" / "a").read_text() == "a"


def test_files_that_belong_together_are_put_in_order(tmp_path):
    with workshop(tmp_path / "m.xml") as made:
        for name in ("m.bin", "m.xml"):
            new_file(made / name, name.encode())
        put_together([made / "m.bin", made / "m.xml"], tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "m.bin": "m.bin",
        "m.xml": "m.xml",
    }


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


def count_up(folder, other, times):
    """Add to a number in a file again and again, which loses counts where somebody else does so meanwhile."""
    for _ in range(times):
        with alone_in([folder, other], ".lock"):
            number = int((folder / "n").read_text())
            time.sleep(0.001)
            (folder / "n").write_text(str(number + 1))


def test_processes_and_threads_that_are_alone_lose_no_count(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    (first / "n").write_text("0")
    children = []
    for _ in range(2):
        children.append(os.fork())
        if not children[-1]:
            try:
                count_up(first, second, 30)
            finally:
                os._exit(0)
    threads = [threading.Thread(target=count_up, args=(first, second, 30)) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    for child in children:
        os.waitpid(child, 0)
    assert (first / "n").read_text() == "120"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "n"]


def test_the_order_of_folders_and_a_folder_twice_do_not_matter(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with alone_in([tmp_path / "a", tmp_path, tmp_path / "a", tmp_path / "link"], ".lock"):
        assert (tmp_path / ".lock").exists()
    assert not (tmp_path / ".lock").exists()


def hold_and_die(folder):
    with alone_in([folder], ".lock"):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_does_not_keep_others_out(tmp_path):
    left_by_a_killed_process(lambda: hold_and_die(tmp_path))
    with alone_in([tmp_path], ".lock"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_no_lock_can_be_there_is_none(tmp_path):
    with alone_in([tmp_path / "not there"], ".lock"):
        pass
    assert list(tmp_path.iterdir()) == []
