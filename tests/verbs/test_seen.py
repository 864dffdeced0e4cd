"""What is said where a model is measured on what it learned from."""

from pathlib import Path

import pytest

from masu.verbs.seen import said_of_seen

WHOLE = {"data": "photos", "split": None, "val_split": "held back"}
TRAINED = {"data": "photos", "split": "train", "val_split": "val"}
BOTH = {"data": "photos", "split": "trainval", "val_split": "held back"}


@pytest.mark.parametrize(
    ("trained_on", "root", "split", "said"),
    [
        (
            WHOLE,
            "photos",
            None,
            "this name, photos, four of five images of it: if these are the same images, ",
        ),
        ({"data": "photos", "split": None}, "photos", None, "a data set of this name, photos: if "),
        (TRAINED, "photos", "train", "the split train of a data set of this name, photos: if "),
        (BOTH, "photos", "val", "the split trainval of a data set"),
        (TRAINED, "photos", "val", None),
        (TRAINED, "photos", "test", None),
        (BOTH, "photos", "test", None),
        (TRAINED, "photos", None, None),
        (WHOLE, "others", None, None),
        ({}, "photos", None, None),
    ],
)
def test_only_what_the_file_of_the_model_says_is_said(trained_on, root, split, said):
    found = said_of_seen(trained_on, Path("/data") / root, split)
    assert (found is None) if said is None else (said in found and "figures flatter it" in found)
