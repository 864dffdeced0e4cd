"""docs/clients.md shows the programs that the suite of clients installs, and the lines that it runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "examples" / "clients").glob("*.py"))
PINS = [
    (file.stem.removeprefix("requirements-"), *line.split("=="))
    for file in sorted((ROOT / "tests" / "clients").glob("requirements-*.txt"))
    for line in file.read_text(encoding="utf-8").split()
]


def test_there_are_examples_and_pins():
    assert len(EXAMPLES) > 5
    assert len(PINS) > 5


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_page_shows_the_file(file):
    assert f"```python\n{file.read_text(encoding='utf-8')}```\n" in PAGE


def test_the_page_shows_nothing_else():
    blocks = re.findall(r"```python\n", PAGE)
    assert len(blocks) == len(EXAMPLES)


@pytest.mark.parametrize(("group", "name", "version"), PINS, ids=lambda value: str(value))
def test_the_table_names_the_version_that_is_installed(group, name, version):
    row = re.search(rf"^\| {re.escape(name.partition('[')[0])} \| (\S+) \| `{group}` \|", PAGE, re.MULTILINE)
    assert row, f"no row for {name} in group {group}"
    assert row[1] == version


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_a_test_runs_the_file(file):
    tests = (ROOT / "tests" / "clients").glob("*/test_*.py")
    wanted = re.compile(rf"examples\.clients\.{file.stem}\b")
    assert any(wanted.search(test.read_text(encoding="utf-8")) for test in tests)
