"""How many processor cores this process may use: more threads make everything slower.

PyTorch, ONNX Runtime and OpenVINO count the cores of the computer. A container may have less: with
``docker run --cpus 2`` and the limits of Kubernetes the kernel stops a process that has used up its share of
a tenth of a second, and threads that wait for each other use it up in no time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def usable_cores(root: Path = ROOT) -> int:
    """The cores that this process is bound to, and no more than its container's share of processor time.

    A share of 1.5 cores is one core: two threads that wait for each other would both be stopped before time.

    Args:
        root: of the file system in which the kernel says so; another one in tests.

    Returns:
        At least 1.
    """
    shares = [share for group in _groups(root) if (share := _share(group)) is not None]
    return max(int(min(_bound(), *shares)), 1) if shares else _bound()


def limited_cores(root: Path = ROOT) -> int | None:
    """The usable cores, where they are fewer than engines would count; else None.

    Args:
        root: see :func:`usable_cores`.
    """
    usable = usable_cores(root)
    return usable if usable < (os.cpu_count() or 1) else None


def _bound() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the control groups that bound this process's time, its own and those around it."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for controllers, place in (line.split(":", 2)[1:] for line in lines if line.count(":") >= 2):
        if controllers and "cpu" not in controllers.split(","):
            continue
        own = PurePosixPath(place.lstrip("/"))
        trees = (controllers, "cpu") if controllers else ("",)  # version 2 has one tree for everything
        for tree in trees:
            for folder in (own, *own.parents):
                yield root / "sys/fs/cgroup" / tree / folder


def _share(group: Path) -> float | None:
    """Processor time in one unit of time that a group may have; None where it has no limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = (
                (group / f"cpu.cfs_{name}_us").read_text(encoding="utf-8") for name in ("quota", "period")
            )
        share = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or "max"
        return None
    return share if share > 0 else None  # -1: no limit
