"""What a reader gathers, in columns."""

import time
from pathlib import Path

from masu.data.formats.rows import Rows
from masu.data.formats.tree import Tree


def made() -> Rows:
    return Rows(Tree(Path("nowhere")), lambda number, name: name)


def test_a_class_keeps_its_number_and_takes_the_next_where_another_has_it():
    rows = made()
    for name, number in (("cat", 3), ("dog", 3), ("cat", 9), ("emu", 4), ("fox", 0), ("gnu", None)):
        rows.number_class(name, number)
    assert rows.ids == {"cat": 3, "dog": 4, "emu": 5, "fox": 0, "gnu": 6}


def test_a_hundred_thousand_classes_are_numbered_at_once():
    rows = made()
    started = time.perf_counter()
    for number in range(100_000):
        rows.number_class(f"c{number}", number // 2)
    assert time.perf_counter() - started < 2
    assert len(set(rows.ids.values())) == 100_000
