"""One team of PyTorch's threads in a process: whatever helps the one that computes has none."""

import os
import subprocess
import sys
import threading

import pytest
import torch

from masu.data.loading.ahead import ahead
from masu.data.loading.randomness import seeded
from masu.films.newest import newest
from masu.threads import compute_alone, in_a_passing_thread

PROGRAM = """
import os, sys, threading, time
import torch
from masu.data.loading.ahead import ahead
from masu.films.newest import newest
from masu.threads import in_a_passing_thread

torch.set_num_threads(2)


def parallel(_=None):
    torch.rand(3, 2000, 2000).mul_(2).sum()


def threads():
    return len(os.listdir("/proc/self/task"))


def items():
    parallel()
    yield threads() - before


def itself(items):
    yield from items


before = threads()
if sys.argv[1] == "passing":
    in_a_passing_thread(parallel)
    time.sleep(0.2)  # a thread that has ended leaves the list a little later
    print(threads() - before)
else:
    around = {"ahead": lambda made: ahead(made, 1), "newest": newest, "here": itself}[sys.argv[1]]
    print(*around(items()))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="a system that does not list threads")
@pytest.mark.parametrize(
    ("where", "more"),
    [
        ("here", 1),  # a team of two: the thread itself and another one
        ("ahead", 1),  # the reading thread, without a team
        ("newest", 1),
        ("passing", 0),  # thread and team are gone
    ],
)
def test_threads_in_the_process(where, more):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, where], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout) == (0, f"{more}\n"), done.stderr


def in_a_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("around", [lambda items: ahead(items, 1), newest])
def test_others_keep_their_number(around):
    """Here and in threads that begin later; also where what is read draws with a seed of its own."""

    def items():
        with seeded(0):
            yield torch.get_num_threads()

    assert list(around(items())) == [1]
    assert torch.get_num_threads() == 3
    assert in_a_thread(torch.get_num_threads) == 3


@pytest.mark.usefixtures("three_threads")
def test_compute_alone_twice():
    def work():
        compute_alone()
        compute_alone()
        return torch.get_num_threads(), in_a_thread(torch.get_num_threads)

    assert in_a_thread(work) == (1, 3)


def test_a_passing_thread_gives_and_raises():
    assert in_a_passing_thread(lambda: threading.current_thread()) is not threading.current_thread()
    with pytest.raises(KeyError, match="lost"):
        in_a_passing_thread(lambda: {}["lost"])
