"""Fair comparison of two ways to the same answer."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

REPEATS = 5

REST = 0.1
"""Seconds before each run, in which the other side's threads stop waiting for work and leave the cores."""


@dataclass(frozen=True)
class Pair:
    """Two ways to one answer.

    Attributes:
        masu: masu's way.
        reference: the reference's way; None where it cannot be run.
        check: raises where the two answers differ; None where the answer is checked otherwise.
    """

    masu: Callable[[], Any]
    reference: Callable[[], Any] | None
    check: Callable[[Any, Any], None] | None


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: as in the JSON file.
        work: what is done.
        prepare: builds inputs and models.
        target: smallest ratio hoped for; None without one.
        unit: ``"ms"`` of time or ``"MB"`` of memory above what is held before.
    """

    name: str
    work: str
    prepare: Callable[[], Pair]
    target: float | None = None
    unit: str = "ms"


@dataclass(frozen=True)
class Row:
    """What was measured; ``ratio`` is reference over masu."""

    name: str
    masu: float
    reference: float | None
    ratio: float | None
    unit: str


def measure(case: Case) -> Row:
    """Check that both answers agree, then take medians of alternating runs, or the peak of one run each."""
    pair = case.prepare()
    if case.unit == "MB":
        masu = _peak_in_new_process(case.name, "masu")
        reference = _peak_in_new_process(case.name, "reference") if pair.reference else None
    else:
        checked = pair.check is not None and pair.reference is not None
        if checked:
            pair.check(pair.masu(), pair.reference())
        masu, reference = alternate(pair, warm=checked)
    ratio = None if reference is None else reference / masu
    return Row(case.name, masu, reference, ratio, case.unit)


def alternate(pair: Pair, repeats: int = REPEATS, warm: bool = False) -> tuple[float, float | None]:
    """Median milliseconds of both ways, one after the other in turn, after one run to warm up."""
    sides = [side for side in (pair.masu, pair.reference) if side is not None]
    times: list[list[float]] = [[] for _ in sides]
    for i in range(warm, repeats + 1):
        for side, taken in zip(sides, times, strict=True):
            time.sleep(REST)
            start = time.perf_counter()
            side()
            if i > 0:  # the first run warms up
                taken.append((time.perf_counter() - start) * 1e3)
    medians = [statistics.median(taken) for taken in times]
    return medians[0], medians[1] if len(medians) > 1 else None


def _peak_in_new_process(name: str, side: str) -> float:
    command = [sys.executable, "-m", "benchmarks", "--peak", name, side]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: the run of {side} ended with code {done.returncode}:\n{done.stderr}")
    return float(done.stdout)


def print_peak(case: Case, side: str) -> None:
    """Megabytes by which resident memory rises above what is held before, in one run (Linux only)."""
    run = getattr(case.prepare(), side)
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark to what is resident now
    before = status("VmRSS")
    run()
    print((status("VmHWM") - before) / 1024)


def status(field: str) -> int:
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match
    return int(match[1])


def gflops_of_matmul(side: int = 2048) -> float:
    """The machine's own limit: GFLOP/s of a large single-precision matrix product."""
    a, b = torch.randn(side, side), torch.randn(side, side)
    milliseconds, _ = alternate(Pair(lambda: a @ b, None, None), 2 * REPEATS)
    return 2 * side**3 / milliseconds / 1e6


def describe_machine() -> str:
    """Versions, threads and processor."""
    import torchvision

    import masu

    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    processor = model[1] if model else platform.machine()
    return (
        f"masu {masu.__version__}, torch {torch.__version__}, torchvision {torchvision.__version__}; "
        f"{torch.get_num_threads()} threads on {os.cpu_count()} cores of {processor}, "
        f"{torch.backends.cpu.get_cpu_capability()}"
    )
