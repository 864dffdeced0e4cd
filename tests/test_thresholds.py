import numpy as np
import pytest

from masu.errors import InputError
from masu.records import Detections
from masu.thresholds import check_threshold


@pytest.mark.parametrize("threshold", [0, 1, 0.5, np.float32(0.3), {}, {"cat": 0, "dog": 1.0}])
def test_scores_and_known_classes_pass(threshold):
    check_threshold(threshold, ("cat", "dog"))


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (1.5, "threshold: found 1.5, wanted a score from 0 to 1"),
        (float("nan"), "threshold: found nan, wanted a score from 0 to 1"),
        ("0.5", "threshold: found '0.5', wanted a score from 0 to 1"),
        ({"cow": 0.5}, "threshold of class 'cow': found no such class, wanted one of cat, dog"),
        ({"cat": -1}, "threshold of class 'cat': found -1, wanted a score from 0 to 1"),
        ({"cat": None}, "threshold of class 'cat': found None, wanted a score from 0 to 1"),
    ],
)
def test_others_are_refused(threshold, message):
    with pytest.raises(InputError) as caught:
        check_threshold(threshold, ("cat", "dog"))
    assert str(caught.value) == message


def test_each_class_has_its_own_score_and_0_5_without_one():
    names = ("cat", "cat", "dog", "dog", "cow", "cow")
    found = Detections([[0, 0, 1, 1]] * 6, [0.9, 0.2, 0.7, 0.5, 0.5, 0.49], [0, 0, 1, 1, 2, 2], names)
    kept = found.above({"cat": 0.1, "dog": 0.6})
    assert kept.names == ("cat", "cat", "dog", "cow")
    assert kept.scores.tolist() == pytest.approx([0.9, 0.2, 0.7, 0.5])
    assert len(found.above({})) == 4
    assert len(found.above({"dog": 0, "cow": 1})) == 3
