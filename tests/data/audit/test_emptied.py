"""Splits with the same images are one finding, and mending leaves each of them some."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masu.data.audit.checks import Looked, find_faults
from masu.data.audit.mending import mend
from masu.data.fitting import measured
from masu.ops.images import InputPolicy
from tests.datasets import data_of

GOOD = ((4.0, 5.0, 30.0, 40.0), "dog", False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    """Twenty different ones."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return sorted(folder.iterdir())


def looked_at(**splits: list[Path]) -> Looked:
    parts = {split: [(path, [GOOD]) for path in paths] for split, paths in splits.items()}
    return Looked.of(measured(data_of(parts, ("dog",), size=(48, 64))))


def findings(looked: Looked) -> list[tuple[str, str, str]]:
    found = find_faults(looked, InputPolicy(32, 64))
    return [(one.kind, one.where, one.found) for one in found if one.kind in ("leak", "same-splits")]


def counts(looked: Looked) -> dict[str | None, int]:
    mended, _ = mend(looked)
    files = [path for path, own in zip(mended.paths, mended.members.sum(0), strict=True) if own]
    assert len(set(files)) == len(files) == mended.members.sum()  # none is in two
    return {split: len(part) for split, part in mended.parts().items()}


def test_validation_equal_to_test_is_one_finding_and_both_keep_half(pictures):
    looked = looked_at(train=pictures[:10], val=pictures[10:16], test=pictures[10:16])
    assert findings(looked) == [("same-splits", "val and test", "the same 6 images")]
    assert counts(looked) == {"train": 10, "val": 3, "test": 3}
    _, changes = mend(looked)
    assert (changes[0].where, changes[0].done) == (
        "splits val and test",
        "had 6 images in common, now each is in one: 3 to val, 3 to test",
    )
    assert len(changes) == 7
    assert len({change.file for change in changes[1:]}) == 6


def test_copies_of_the_files_count_as_the_same(pictures, tmp_path):
    copies = [Path(tmp_path / path.name) for path in pictures[10:16]]
    for path, copy in zip(pictures[10:16], copies, strict=True):
        copy.write_bytes(path.read_bytes())
    looked = looked_at(train=pictures[:10], val=pictures[10:16], test=copies)
    assert findings(looked) == [("same-splits", "val and test", "the same 6 images")]
    assert counts(looked) == {"train": 10, "val": 3, "test": 3}


def test_one_list_for_everything_becomes_three_parts(pictures):
    looked = looked_at(train=pictures, val=pictures, test=pictures)
    assert findings(looked) == [
        ("same-splits", f"{one} and {other}", "the same 20 images")
        for one, other in (("train", "val"), ("train", "test"), ("val", "test"))
    ]
    found = counts(looked)
    assert sum(found.values()) == 20
    assert found["train"] > 2 * found["val"] >= 2
    assert found["test"] >= 2


def test_validation_on_the_training_images_holds_a_fifth_back(pictures):
    assert counts(looked_at(train=pictures, val=pictures)) == {"train": 16, "val": 4}


def test_a_large_test_split_gives_validation_its_images_back(pictures):
    looked = looked_at(train=pictures[:5], val=pictures[5:9], test=pictures[5:])
    found = "all 4 images of val are among the 15 of test"
    assert findings(looked) == [("same-splits", "val and test", found)]
    assert counts(looked) == {"train": 5, "val": 4, "test": 11}


def test_a_part_of_training_that_is_validated_on_leaves_training(pictures):
    looked = looked_at(train=pictures, val=pictures[:6])
    assert findings(looked) == [
        ("same-splits", "train and val", "all 6 images of val are among the 20 of train")
    ]
    assert counts(looked) == {"train": 14, "val": 6}


def test_single_images_in_two_splits_are_told_one_by_one(pictures):
    looked = looked_at(train=pictures[:10], val=pictures[8:16])
    assert findings(looked) == [("leak", "", "in train and in val")] * 2
    assert counts(looked) == {"train": 8, "val": 8}


def test_a_split_that_stays_without_an_image_is_left_out(pictures):
    looked = looked_at(train=pictures[:4], val=[], test=pictures[4:5], dev=pictures[4:5])
    mended, changes = mend(looked)
    assert counts(looked) == {"train": 4, "test": 1}
    assert mended.splits == ("train", "test")
    assert sorted((change.where, change.done) for change in changes if not change.file.name) == [
        ("split dev", "left out: no image in it"),
        ("split val", "left out: no image in it"),
    ]
