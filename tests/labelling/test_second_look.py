"""What a model doubts in labels, by hand."""

import pytest

from masu.data.dataset import CROWD
from masu.data.formats.editing import Entry
from masu.labelling.second_look import doubts_of
from tests.labelling.test_sitting import found

BOX, FAR = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
HALF = (0.0, 0.0, 10.0, 4.0)  # IoU 0.4 with BOX


@pytest.mark.parametrize(
    ("labels", "seen", "kinds"),
    [
        ([Entry(BOX, "cat")], [(BOX, "cat", 0.9)], []),
        ([], [(BOX, "cat", 0.9)], ["missing"]),
        ([], [(BOX, "cat", 0.7)], []),
        ([Entry(BOX, "cat")], [(FAR, "cat", 0.9)], ["missing"]),
        ([Entry(BOX, "dog")], [(BOX, "cat", 0.9)], ["wrong class"]),
        ([Entry(BOX, "dog")], [(BOX, "cat", 0.9), (BOX, "dog", 0.2)], []),
        ([Entry(BOX, "cat")], [(HALF, "cat", 0.9)], ["misplaced"]),
        ([Entry(BOX, "dog")], [(HALF, "cat", 0.9)], []),
        ([Entry((0, 0, 30, 30), "cat", CROWD)], [(BOX, "cat", 0.9)], []),
        ([Entry(BOX, "cat"), Entry(FAR, "dog")], [(BOX, "dog", 0.9), (FAR, "dog", 0.8)], ["wrong class"]),
    ],
)
def test_doubts(labels, seen, kinds):
    assert [doubt.kind for doubt in doubts_of(labels, found(*seen))] == kinds


def test_a_doubt_says_what_the_model_sees():
    (doubt,) = doubts_of([Entry(BOX, "dog")], found((BOX, "cat", 0.93)))
    assert doubt.box == BOX
    assert doubt.text == "The label says dog, the model cat (score 0.93)."


def test_nothing_found_is_no_doubt():
    assert doubts_of([Entry(BOX, "dog")], found()) == ()
