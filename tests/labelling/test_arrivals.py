"""What comes into a folder, without looking at all that is there."""

import os

import pytest

from masu.labelling import arrivals
from masu.labelling.arrivals import Arrivals

LONG_AGO = 1_600_000_000


def put(folder, *names, age=LONG_AGO):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
        os.utime((folder / name).parent, (age, age))
    os.utime(folder, (age, age))
    return [folder / name for name in names]


@pytest.fixture
def listed(monkeypatch):
    """The folders that were listed."""
    seen = []
    honest = os.scandir
    monkeypatch.setattr(
        arrivals.os, "scandir", lambda path: (seen.append(os.path.basename(path)), honest(path))[1]
    )
    return seen


def test_what_comes_is_told_once(tmp_path, listed):
    known = put(tmp_path, "a.jpg", "sub/b.png")
    watched = Arrivals(tmp_path, known)
    assert watched.look() == []
    listed.clear()
    assert (watched.look(), listed) == ([], [])  # nothing has changed: no folder is listed
    put(tmp_path / "sub", "c.jpg", "notes.txt", ".d.jpg", age=LONG_AGO + 9)
    assert (watched.look(), listed) == ([tmp_path / "sub" / "c.jpg"], ["sub"])
    more = put(tmp_path, "new/deep/e.webp", age=LONG_AGO + 18)
    assert watched.look() == more
    assert watched.look() == []


def test_a_folder_that_has_just_changed_is_looked_at_again(tmp_path):
    """Where its time is coarse, a second file of the same moment does not change it."""
    watched = Arrivals(tmp_path, [])
    put(tmp_path, "a.jpg", age=(now := arrivals.time.time()))
    assert watched.look() == [tmp_path / "a.jpg"]
    put(tmp_path, "b.jpg", age=now)
    assert watched.look() == [tmp_path / "b.jpg"]


def test_a_folder_that_goes_is_no_fault(tmp_path):
    put(tmp_path, "sub/a.jpg")
    watched = Arrivals(tmp_path, [])
    assert watched.look() == [tmp_path / "sub" / "a.jpg"]
    (tmp_path / "sub" / "a.jpg").unlink()
    (tmp_path / "sub").rmdir()
    assert watched.look() == []
