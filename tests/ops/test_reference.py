"""docs/ops.md: its table names every public function, and its example is true."""

import doctest
import re
from pathlib import Path

import masu

PAGE = Path(__file__).parents[2] / "docs" / "ops.md"


def test_the_table_names_what_is_public():
    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == masu.ops.__all__


def test_the_example_is_true():
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert result.attempted > 8
    assert result.failed == 0
