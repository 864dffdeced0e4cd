"""One training in a folder: the second is refused, and a killed one holds nobody up."""

import os
import signal
import subprocess
import sys

import pytest

from masu.errors import InputError
from masu.training.run_lock import alone_in

HOLD = """
import os, sys, time
from pathlib import Path
from masu.training.run_lock import alone_in
with alone_in(Path(sys.argv[1])):
    if len(sys.argv) == 2 or os.fork() == 0:
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def holder(folder, *more):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *more], stdout=subprocess.PIPE, text=True
    )
    return process, int(process.stdout.readline())


def test_the_lock_is_gone_when_its_holder_has_ended(tmp_path):
    with alone_in(tmp_path / "run"):
        assert os.listdir(tmp_path / "run") == ["lock"]
    assert os.listdir(tmp_path / "run") == []


def test_the_second_is_refused_and_told_of_the_first(tmp_path):
    message = (
        f"{tmp_path}: found a training that is running there (process {os.getpid()}), wanted a folder of its "
        "own; wait for its end, stop it or choose another folder (--out)"
    )
    with alone_in(tmp_path):
        with pytest.raises(InputError) as caught, alone_in(tmp_path):
            pass
        assert str(caught.value) == message
    with alone_in(tmp_path):
        pass


@pytest.mark.parametrize("more", [(), ("with a child",)])
def test_a_killed_holder_holds_nobody_up(tmp_path, more):
    """Also where a forked worker of it still lives."""
    process, child = holder(tmp_path, *more)
    with process:
        with (
            pytest.raises(InputError, match=f"running there \\(process {process.pid}\\)"),
            alone_in(tmp_path),
        ):
            pass
        process.kill()
        process.wait()
        with alone_in(tmp_path):
            assert (tmp_path / "lock").read_text() == str(os.getpid())
        if more:
            os.kill(child, signal.SIGKILL)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught, alone_in(tmp_path / "file" / "run"):
        pass
    assert str(caught.value) == (
        f"{tmp_path}/file/run/lock: found not a directory, wanted a folder with room that can be written to; the "
        "file is as it was before"
    )


def test_a_folder_that_cannot_be_swept_is_let_go(tmp_path, monkeypatch):
    def fails(folder):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("masu.training.run_lock.sweep", fails)
        with pytest.raises(InputError, match="found input/output error, wanted"), alone_in(tmp_path):
            pass
    with alone_in(tmp_path):
        pass
