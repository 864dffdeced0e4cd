"""Processes that read ahead: killed, stopped or slow ones cost time and nothing else."""

import multiprocessing
import os
import signal
import sys
import threading
import time

import pytest

from masu.data.loading import workers as workers_module
from masu.data.loading.workers import LostWorkerError, read_ahead


class Plan:
    """Part ``n`` is n and the process that read it; what happens on the way is in a folder, for all processes."""

    def __init__(self, folder, at=None, times=1, what=signal.SIGKILL):
        self.folder, self.at, self.times, self.what = folder, at, times, what

    def __len__(self):
        return 100

    def __getitem__(self, number):
        done = len(os.listdir(self.folder))
        if number == self.at and done < self.times:
            (self.folder / str(done)).write_text(str(os.getpid()))
            os.kill(os.getpid(), self.what)
        return number, os.getpid(), b"x" * 300_000  # more than a pipe holds


def numbers(parts):
    return [number for number, _, _ in parts]


@pytest.fixture(autouse=True)
def earlier():
    """Processes of other test files in this process, such as the server of :mod:`tests.struck`."""
    before = multiprocessing.active_children()
    yield before
    assert started_since(before) == []
    assert "masu" not in getattr(signal.getsignal(signal.SIGCHLD), "__module__", "")


def started_since(earlier):
    return [one for one in multiprocessing.active_children() if one not in earlier]


def test_parts_come_in_order_from_other_processes(tmp_path):
    parts = list(read_ahead(Plan(tmp_path), range(3, 12), 2))
    assert numbers(parts) == list(range(3, 12))
    assert len({pid for _, pid, _ in parts} - {os.getpid()}) == 2


@pytest.mark.parametrize("at", [0, 4, 9])
def test_a_killed_worker_is_named_and_replaced(tmp_path, at):
    said = []
    assert numbers(read_ahead(Plan(tmp_path, at), range(10), 2, said.append)) == list(range(10))
    pid = (tmp_path / "0").read_text()
    assert len(said) == 1
    assert said[0].startswith("worker ")
    assert said[0].endswith(
        f" of 2 that reads images (process {pid}): found killed by SIGKILL, wanted the next images; look whether "
        "memory or the disk of the images fails, or read without them (--workers 0); started anew, nothing is "
        "left out"
    )


class Holding(Plan):
    """Its process holds the lock of PyTorch's event for the end when it is killed."""

    def __getitem__(self, number):
        frame = sys._getframe()
        while "done_event" not in frame.f_locals:
            frame = frame.f_back
        if number == self.at and not os.listdir(self.folder):
            frame.f_locals["done_event"]._cond.acquire()
        return super().__getitem__(number)


def test_a_worker_killed_with_a_lock_in_its_hands_is_replaced(tmp_path):
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("waits for ever"))
    signal.alarm(60)
    try:
        assert numbers(read_ahead(Holding(tmp_path, 4), range(8), 2, lambda _: None)) == list(range(8))
    finally:
        signal.alarm(0)


def test_without_a_listener_or_too_often_it_is_an_error(tmp_path):
    with pytest.raises(LostWorkerError, match="found killed by SIGKILL, wanted the next images"):
        list(read_ahead(Plan(tmp_path, 2), range(4), 1))
    said = []
    (tmp_path / "0").unlink()
    with pytest.raises(LostWorkerError, match="found killed by SIGKILL"):
        list(read_ahead(Plan(tmp_path, 2, times=99), range(4), 1, said.append))
    assert len(said) == workers_module.MOST_LOST


def test_death_is_noticed_between_parts_only(tmp_path):
    """Not in the middle of a step, where PyTorch's own signal handler would raise."""
    said = []
    parts = read_ahead(Plan(tmp_path), range(12), 2, said.append)
    found = [next(parts)]
    os.kill(found[0][1], signal.SIGKILL)
    time.sleep(0.3)  # a step
    assert said == []
    assert numbers(found + list(parts)) == list(range(12))
    assert len(said) == 1


def test_a_worker_that_hangs_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(workers_module, "LONGEST_WAIT", 1.0)
    said = []
    assert numbers(read_ahead(Plan(tmp_path, 2, what=signal.SIGSTOP), range(5), 1, said.append)) == list(
        range(5)
    )
    pid = (tmp_path / "0").read_text()
    assert said[0].startswith(f"workers that read images (processes {pid}): found no answer for 1 s, wanted")


def test_a_slow_worker_is_waited_for(tmp_path):
    said = []
    parts = read_ahead(Plan(tmp_path, 2, what=signal.SIGSTOP), range(5), 1, said.append)

    def go_on():
        while not (tmp_path / "0").exists():
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(int((tmp_path / "0").read_text()), signal.SIGCONT)

    threading.Thread(target=go_on).start()
    assert numbers(parts) == list(range(5))
    assert said == []


def test_whoever_stops_early_leaves_no_process(tmp_path, earlier):
    parts = read_ahead(Plan(tmp_path), range(50), 2)
    next(parts)
    assert len(started_since(earlier)) == 2
    parts.close()
    assert started_since(earlier) == []


def test_ctrl_c_does_not_reach_the_workers(tmp_path):
    parts = read_ahead(Plan(tmp_path), range(8), 1)
    found = [next(parts)]
    os.kill(found[0][1], signal.SIGINT)
    assert numbers(found + list(parts)) == list(range(8))
