import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.bulk import sorting
from masu.bulk.sorting import sorted_names


@pytest.fixture
def small_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(sorting, "RUN", 5)
    monkeypatch.setattr(sorting, "_LINE", 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


NAMES = st.text(st.characters(codec=None, categories=None), max_size=3)  # any code point, lone surrogates too


@given(names=st.lists(NAMES, max_size=40))
def test_names_come_sorted_and_once_however_many_runs(names):
    before = sorting.RUN, sorting._LINE
    try:
        sorting.RUN, sorting._LINE = 5, 2
        with sorted_names(iter(names)) as stream:
            assert list(stream) == sorted(set(names))
    finally:
        sorting.RUN, sorting._LINE = before


def test_what_waits_on_disk_is_gone_afterwards_also_after_an_error(small_runs):
    with sorted_names("kjihgfedcba\n\udcff") as stream:
        assert len(os.listdir(small_runs)) == 1
        assert next(stream) == "\n"
    assert os.listdir(small_runs) == []

    def broken():
        yield from "abcdefg"
        raise RuntimeError("the store is away")

    with pytest.raises(RuntimeError, match="away"), sorted_names(broken()):
        pass
    assert os.listdir(small_runs) == []


def test_few_names_touch_no_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryDirectory", None)
    with sorted_names(["b", "a", "b"]) as stream:
        assert list(stream) == ["a", "b"]
