"""Yes and no in the words of strangers: what masu needs is told, what it does not carry costs no object."""

import pytest

from masu.data.formats import read_annotations
from tests.data.formats.minimal import csv, voc


def changed(file, before, after):
    content = file.read_text()
    assert content.count(before) == 1
    file.write_text(content.replace(before, after))


def test_a_strange_difficult_of_voc(tmp_path):
    voc(tmp_path)
    changed(tmp_path / "Annotations/a.xml", "<difficult>0", "<difficult>maybe")
    faults = read_annotations(tmp_path).faults
    assert [(f.where, f.found) for f in faults] == [
        ("object 1 (cat)", "found <difficult> 'maybe', wanted 0 or 1")
    ]


@pytest.mark.parametrize(("said", "count"), [("maybe", 1), ("1", 1), ("0", 0), ("", 0)])
def test_a_strange_truncated_of_voc(tmp_path, said, count):
    voc(tmp_path)
    changed(tmp_path / "Annotations/a.xml", "<truncated>1", f"<truncated>{said}")
    data = read_annotations(tmp_path)
    assert (len(data.boxes), data.faults, data.left_out.get("truncated", 0)) == (1, (), count)


def test_a_strange_flag_of_a_table(tmp_path):
    csv(tmp_path)
    changed(tmp_path / "labels.csv", "cat,train,0,1", "cat,train,perhaps,1")
    faults = read_annotations(tmp_path).faults
    assert [(f.where, f.found) for f in faults] == [("line 2", "found difficult 'perhaps', wanted 0 or 1")]
