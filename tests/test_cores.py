"""How many cores a container leaves: what the kernel says in its files, in both versions of control groups."""

import os
import subprocess
import sys

import pytest

from masu import cores
from masu.cores import limited_cores, usable_cores


@pytest.fixture(autouse=True)
def eight(monkeypatch):
    monkeypatch.setattr(cores, "_bound", lambda: 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


def kernel(root, files):
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/cpu,cpuacct"
NO_LIMIT = {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}


def folder(place, files):
    return {f"{place}/{name}": text for name, text in files.items()}


def quota(microseconds, period=100_000):
    return {"cpu.cfs_quota_us": f"{microseconds}\n", "cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("groups", "files", "usable"),
    [
        ("0::/\n", folder(V2, {"cpu.max": "200000 100000\n"}), 2),
        ("0::/\n", folder(V2, {"cpu.max": "150000 100000\n"}), 1),  # two would stop each other
        ("0::/\n", folder(V2, {"cpu.max": "30000 100000\n"}), 1),
        ("0::/\n", folder(V2, {"cpu.max": "max 100000\n"}), 8),
        ("0::/\n", folder(V2, {"cpu.max": "1600000 100000\n"}), 8),  # more than there are
        ("0::/a/b\n", folder(f"{V2}/a", {"cpu.max": "300000 100000\n"}), 3),  # of the group around it
        (
            "0::/a/b\n",
            folder(f"{V2}/a", {"cpu.max": "200000 100000"})
            | folder(f"{V2}/a/b", {"cpu.max": "500000 100000"}),
            2,
        ),
        ("3:cpu,cpuacct:/docker/1\n", folder(V1, quota(200_000)), 2),  # what a container sees of itself
        ("3:cpu,cpuacct:/docker/1\n", folder(f"{V1}/docker/1", quota(250_000, 50_000)), 5),
        ("3:cpu:/\n", folder("sys/fs/cgroup/cpu", quota(400_000)), 4),
        ("3:cpu,cpuacct:/\n", folder(V1, NO_LIMIT), 8),
        ("3:cpuset:/\n2:memory:/\n", folder("sys/fs/cgroup/cpuset", quota(100_000)), 8),
        ("0::/\n", {}, 8),
        ("0::/\n", folder(V2, {"cpu.max": "no numbers\n"}), 8),
        ("0::/\n", folder(V2, {"cpu.max": "100000 0\n"}), 8),
        ("a line of something else\n", {}, 8),
        (b"0::/caf\xe9\n", folder(f"{V2}/caf\udce9", {"cpu.max": "200000 100000\n"}), 2),
        ("", {}, 8),
    ],
)
def test_usable_and_limited(tmp_path, groups, files, usable):
    root = kernel(tmp_path, {"proc/self/cgroup": groups} | files)
    assert usable_cores(root) == usable
    assert limited_cores(root) == (usable if usable < 8 else None)


def test_a_process_that_is_bound_to_fewer_cores_than_engines_count(tmp_path, monkeypatch):
    monkeypatch.setattr(cores, "_bound", lambda: 3)
    assert (usable_cores(tmp_path), limited_cores(tmp_path)) == (3, 3)


def test_a_system_without_control_groups(tmp_path):
    assert usable_cores(tmp_path) == 8
    assert limited_cores(tmp_path) is None


PROGRAM = """
import os, sys
from masu import cli, cores
cores._bound = lambda: 8
cli.limited_cores = lambda: 3
cli._run = lambda: print(os.environ.get("OMP_NUM_THREADS"))
cli.main()
"""


@pytest.mark.parametrize(("own", "threads"), [(None, "3"), ("5", "5")])
def test_the_command_line_computes_with_as_many_threads(own, threads):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {} if own is None else {"OMP_NUM_THREADS": own}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, f"{threads}\n"), done.stderr
