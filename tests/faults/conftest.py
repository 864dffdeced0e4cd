"""What goes wrong on real machines, done for real; every test leaves a figure for docs/reliability.md."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.faults.disks import command

FIGURES: dict[str, dict[str, int]] = {}


def pytest_addoption(parser):
    parser.addoption("--figures", type=Path, help="Write the suite's figures to this JSON file.")


@pytest.fixture
def figures(request):
    """``figures(kills=10, …)``: what a test counted, under its name; kept where the test passed."""
    counted = {}
    yield counted.update
    if not getattr(request.node, "failed", False):
        FIGURES[request.node.name] = counted


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed
    return report


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section("figures")
    for name, counted in FIGURES.items():
        said = ", ".join(f"{value} {what.replace('_', ' ')}" for what, value in counted.items())
        terminalreporter.write_line(f"{name}: {said}")
    path = config.getoption("--figures")
    if (
        path is not None
        and not terminalreporter.stats.get("failed")
        and not terminalreporter.stats.get("error")
    ):
        path.write_text(json.dumps(FIGURES, indent=1) + "\n")


@pytest.fixture
def disk(tmp_path):
    """A file system in memory; tests set its size."""
    place = tmp_path / "disk"
    place.mkdir()
    command("mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", str(place))
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
