"""What correcting drafts costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.errors import InputError
from masu.labelling.edits import Edits, Judged, cheapest_thresholds, edits_between


def boxes(*rows):
    return np.array(rows, float).reshape(-1, 4)


SQUARE = (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("draft", "name", "edits"),
    [
        ((0, 0, 10, 10), "cat", Edits(accepted=1)),
        ((0, 0, 8, 10), "cat", Edits(accepted=1)),  # IoU 0.8 exactly
        ((0, 0, 7.9, 10), "cat", Edits(moved=1)),
        ((0, 0, 5, 10), "cat", Edits(moved=1)),  # IoU 0.5 exactly
        ((0, 0, 4.9, 10), "cat", Edits(deleted=1, drawn=1)),
        ((0, 0, 10, 10), "dog", Edits(relabelled=1)),
        ((0, 0, 6, 10), "dog", Edits(moved=1, relabelled=1)),
        ((0, 0, 4.9, 10), "dog", Edits(deleted=1, drawn=1)),
        ((20, 0, 30, 10), "cat", Edits(deleted=1, drawn=1)),
    ],
)
def test_one_draft_and_one_label(draft, name, edits):
    assert edits_between(boxes(draft), [name], boxes(SQUARE), ["cat"]) == edits


def test_no_drafts_are_all_drawn_and_no_labels_all_deleted():
    two = boxes(SQUARE, (20, 0, 30, 10))
    assert edits_between(boxes(), [], two, ["cat", "cat"]) == Edits(drawn=2)
    assert edits_between(two, ["cat", "cat"], boxes(), []) == Edits(deleted=2)
    assert edits_between(boxes(), [], boxes(), []) == Edits()


def test_a_label_takes_the_draft_that_needs_least():
    drafts = boxes((0, 0, 6, 10), (0, 0, 9, 10), (0, 0, 10, 10))  # moved, right, right but another class
    assert edits_between(drafts, ["cat", "cat", "dog"], boxes(SQUARE), ["cat"]) == Edits(
        accepted=1, deleted=2
    )
    assert edits_between(drafts[[0, 2]], ["cat", "dog"], boxes(SQUARE), ["cat"]) == Edits(
        relabelled=1, deleted=1
    )


def test_each_draft_serves_one_label():
    labels = boxes(SQUARE, (0, 0, 9, 10))
    assert edits_between(boxes(SQUARE), ["cat"], labels, ["cat", "cat"]) == Edits(accepted=1, drawn=1)


def test_of_two_that_stand_the_nearer_is_taken():
    drafts, labels = boxes((0, 0, 9, 10), SQUARE), boxes(SQUARE, (0, 0, 9, 10))
    assert edits_between(drafts, ["cat", "cat"], labels, ["cat", "cat"]) == Edits(accepted=2)


def test_counts_and_seconds():
    edits = Edits(accepted=5, moved=4, relabelled=3, deleted=2, drawn=1)
    assert edits.count == 10
    assert edits.seconds() == pytest.approx(5 * 1.4 + 4 * 5.0 + 3 * 2.9 + 2 * 2.9 + 1 * 7.0)
    assert edits + Edits(drawn=1) == Edits(5, 4, 3, 2, 2)


def test_names_must_fit_the_boxes():
    with pytest.raises(InputError) as caught:
        edits_between(boxes(SQUARE), [], boxes(), [])
    assert (caught.value.thing, caught.value.found) == ("drafts", "1 boxes and 0 names")


NUMBERS = st.integers(0, 8)
BOXES = st.lists(
    st.tuples(NUMBERS, NUMBERS, st.integers(1, 8), st.integers(1, 8), st.sampled_from("ab")), max_size=6
)


@given(BOXES, BOXES)
def test_every_draft_and_every_label_counts_once(drafts, labels):
    def parts(rows):
        return boxes(*[(x, y, x + w, y + h) for x, y, w, h, _ in rows]), [name for *_, name in rows]

    edits = edits_between(*parts(drafts), *parts(labels))
    partners = len(drafts) - edits.deleted
    assert partners == len(labels) - edits.drawn
    assert edits.accepted <= partners
    assert max(edits.moved, edits.relabelled) <= partners - edits.accepted <= edits.moved + edits.relabelled
    assert edits.seconds() <= Edits(deleted=len(drafts), drawn=len(labels)).seconds()
    assert edits_between(*parts(labels), *parts(labels)) == Edits(accepted=len(labels))


def photograph(found, labels):
    """One photograph: ``(column, score, name)`` of detections and ``(column, name)`` of labels."""
    return Judged(
        boxes(*[(20 * x, 0, 20 * x + 10, 10) for x, _, _ in found]),
        np.array([score for _, score, _ in found], float),
        tuple(name for *_, name in found),
        boxes(*[(20 * x, 0, 20 * x + 10, 10) for x, _ in labels]),
        tuple(name for _, name in labels),
    )


def test_the_cheapest_score_lets_right_ones_in_and_wrong_ones_out():
    found = [(x, 0.33, "cat") for x in range(10)] + [(x, 0.22, "cat") for x in range(20, 30)]
    photographs = [photograph(found, [(x, "cat") for x in range(10)])]
    assert cheapest_thresholds(photographs, ["cat"]) == {"cat": 0.3}


def test_one_photograph_alone_does_not_lower_the_score():
    """Nine are right at 0.5; a box of the tenth is found from 0.3 on. In two of ten it is no chance any more."""
    sure = [photograph([(0, 0.9, "cat")], [(0, "cat")]) for _ in range(9)]
    lucky = photograph([(0, 0.33, "cat")], [(0, "cat")])
    assert cheapest_thresholds([*sure, lucky], ["cat"]) == {"cat": 0.5}
    assert cheapest_thresholds([*sure[:8], lucky, lucky], ["cat"]) == {"cat": 0.3}


def test_each_class_has_its_own_score():
    found = [(x, 0.15, "cat") for x in range(10)] + [(x, 0.15, "dog") for x in range(20, 30)]
    found += [(x, 0.72, "dog") for x in range(30, 40)]
    labels = [(x, "cat") for x in range(10)] + [(x, "dog") for x in range(30, 40)]
    thresholds = cheapest_thresholds([photograph(found, labels)], ["cat", "dog"])
    assert thresholds == {"cat": 0.15, "dog": 0.5}


def test_a_class_with_few_labels_has_the_score_of_all():
    found = [(x, 0.33, "cat") for x in range(10)] + [(20, 0.9, "dog")]
    photographs = [photograph(found, [(x, "cat") for x in range(10)] + [(20, "dog")])]
    assert cheapest_thresholds(photographs, ["cat", "dog", "bird"]) == dict.fromkeys(
        ["cat", "dog", "bird"], 0.3
    )


def test_too_few_labels_leave_the_usual_score():
    photographs = [photograph([(0, 0.2, "cat")], [(0, "cat")])]
    assert cheapest_thresholds(photographs, ["cat", "dog"]) == {"cat": 0.5, "dog": 0.5}
    assert cheapest_thresholds([], ["cat"]) == {"cat": 0.5}
