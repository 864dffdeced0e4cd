"""Pictures shared out: every class in every part, what belongs together together, the same answer always."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masu.data.dataset import Dataset
from masu.data.kinds import Fault
from masu.data.splits import NO_SPLIT
from masu.data.splitting import apart, hold_back, parse_shares, share_out
from masu.errors import InputError
from tests.datasets import data_of

BOX = (0.0, 0.0, 1.0, 1.0)
SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def data_set(count: int, seed: int = 0) -> Dataset:
    draw = np.random.default_rng(seed)
    images = []
    for i in range(count):
        names = ["common"] * draw.integers(0, 9) + ["rare"] * (draw.random() < 0.1)
        images.append((Path(f"{i}.png"), [(BOX, name, False) for name in names]))
    return data_of({None: images}, ("common", "rare"))


def objects(data: Dataset) -> dict[str, int]:
    return dict(zip(data.names, data.counts().tolist(), strict=True))


def parts_of(data: Dataset, shares, seed: int = 0, groups=()) -> dict[str, Dataset]:
    shared = share_out(data, shares, seed, groups)
    assert (shared.members.sum(0) == 1).all()
    return shared.parts()


def numbers(data: Dataset) -> set[int]:
    return {int(path.stem) for path in data.paths}


def test_shares_of_pictures_and_of_each_class():
    whole = data_set(300)
    parts = parts_of(whole, SHARES)
    total = objects(whole)
    assert sum(len(part) for part in parts.values()) == 300
    assert set.union(*(numbers(part) for part in parts.values())) == numbers(whole)
    for name, share in SHARES.items():
        assert len(parts[name]) == pytest.approx(share * 300, abs=6)
        found = objects(parts[name])
        assert found["rare"] == pytest.approx(share * total["rare"], abs=1)
        assert found["common"] == pytest.approx(share * total["common"], abs=9)


def test_the_order_of_the_pictures_does_not_matter_but_the_seed_does():
    whole = data_set(60)
    turned = whole.take(range(60)[::-1])
    found = [
        {part: numbers(data) for part, data in parts_of(data, SHARES, seed).items()}
        for data, seed in ((whole, 0), (turned, 0), (whole, 1))
    ]
    assert found[0] == found[1] != found[2]


def test_groups_stay_together():
    groups = [(i, i + 1, i + 2) for i in range(0, 60, 3)]
    parts = parts_of(data_set(60), SHARES, 0, groups)
    for part in parts.values():
        found = numbers(part)
        assert all(len(found & set(group)) in (0, 3) for group in groups)
    assert all(len(part) for part in parts.values())


def test_pictures_without_objects_are_shared_out_too():
    data = data_of({None: [(Path(f"{i}.png"), []) for i in range(20)]}, ())
    parts = parts_of(data, {"train": 0.75, "val": 0.25})
    assert [len(part) for part in parts.values()] == [15, 5]


def test_what_splits_there_were_counts_for_nothing():
    whole = data_set(20)
    before = share_out(whole, {"train": 0.5, "val": 0.5}, 3)
    again, plain = share_out(before, SHARES, 0), share_out(whole, SHARES, 0)
    assert (again.splits, again.members.tolist()) == (plain.splits, plain.members.tolist())


def test_the_labellings_of_one_file_stay_together():
    """A picture that two splits label in different ways is twice in the data, and must not leak."""
    images = [(Path(f"{i}.png"), [(BOX, "dog", False)]) for i in range(10)]
    other = [(path, [(BOX, "dog", False), (BOX, "dog", True)]) for path, _ in images]
    data = data_of({"train": images, "val": other}, ("dog",))
    assert len(data) == 20
    parts = parts_of(data, {"train": 0.5, "val": 0.5})
    assert not numbers(parts["train"]) & numbers(parts["val"])


def test_shares_as_text():
    assert parse_shares("80/20") == {"train": 0.8, "val": 0.2}
    assert parse_shares("6/3/1") == {"train": 0.6, "val": 0.3, "test": 0.1}


@pytest.mark.parametrize("text", ["", "80", "80/x", "80/0/20", "1/1/1/1", "-1/2", "inf/1", "nan/1"])
def test_shares_that_are_none(text):
    with pytest.raises(InputError) as caught:
        parse_shares(text)
    assert str(caught.value) == (
        f"--split-by: found {text!r}, wanted two or three numbers above 0; write 80/20 or 80/10/10"
    )


def test_fewer_pictures_than_parts():
    with pytest.raises(
        InputError, match="--split-by: found 2 pictures, wanted at least 3, one for each part"
    ):
        share_out(data_set(2), SHARES, 0)


def test_pictures_that_are_almost_the_same_are_one():
    with pytest.raises(InputError) as caught:
        share_out(data_set(9), SHARES, 0, [range(5), range(5, 9)])
    assert str(caught.value) == (
        "--split-by: found 9 pictures, 2 where those that are almost the same count as one, wanted at least 3, "
        "one for each part; use fewer parts"
    )


@pytest.mark.parametrize("text", ["99/1", "999/1/1", "1/99", "98/1/1"])
@pytest.mark.parametrize("count", [3, 10, 40])
def test_no_part_is_empty(text, count):
    groups = [(0, 1)] if count > 3 else []
    parts = parts_of(data_set(count, seed=3), parse_shares(text), 0, groups)
    found = {part: [int(path.stem) for path in data.paths] for part, data in parts.items()}
    assert all(found.values())
    assert sorted(number for own in found.values() for number in own) == list(range(count))
    assert all(len({0, 1} & set(own)) in (0, 2) for own in found.values()) or not groups


def test_the_picture_for_an_empty_part_has_objects():
    images = [(Path(f"{i}.png"), [(BOX, "dog", False)] if i < 2 else []) for i in range(9)]
    parts = parts_of(data_of({None: images}, ("dog",)), {"train": 0.999, "val": 0.001})
    assert len(parts["val"]) == 1
    assert len(parts["val"].boxes) == 1


@st.composite
def labelled(draw) -> tuple[Dataset, list[tuple[int, ...]]]:
    """Up to 25 pictures with a few objects, some ignored, and groups of those that are almost the same."""
    count = draw(st.integers(4, 25))
    one = st.tuples(st.just(BOX), st.sampled_from("ab"), st.booleans())
    images = [(Path(f"{i}.png"), draw(st.lists(one, max_size=3))) for i in range(count)]
    owners = draw(st.lists(st.integers(0, 2 * count), min_size=count, max_size=count))
    groups = [tuple(i for i, of in enumerate(owners) if of == owner) for owner in sorted(set(owners))]
    return data_of({None: images}, ("a", "b")), [group for group in groups if len(group) > 1]


@settings(max_examples=60)
@given(made=labelled(), share=st.sampled_from([0.01, 0.2, 0.5]), seed=st.integers(0, 3), data=st.data())
def test_what_is_held_back(made, share, seed, data):
    """Nothing is in both, nothing lost, groups are whole, both have objects, and the order is of no matter."""
    whole, groups = made
    units = len(whole) - sum(len(group) - 1 for group in groups)
    if units < 2:
        with pytest.raises(InputError, match="wanted at least 2"):
            hold_back(whole, share, seed, groups)
        return
    kept, held = hold_back(whole, share, seed, groups)
    assert not numbers(kept) & numbers(held)
    assert numbers(kept) | numbers(held) == numbers(whole)
    assert len(kept) + len(held) == len(whole)
    assert len(held) > 0 < len(kept)
    assert all(
        len(numbers(part) & set(group)) in (0, len(group)) for part in (kept, held) for group in groups
    )
    own = [sum(whole[i].target.ignored.logical_not().sum().item() for i in group) for group in groups]
    lone = set(range(len(whole))).difference(*groups)
    own += [whole[i].target.ignored.logical_not().sum().item() for i in lone]
    if sum(count > 0 for count in own) >= 2:
        assert kept.counts().sum() > 0 < held.counts().sum()
    order = data.draw(st.permutations(range(len(whole))))
    places = {image: at for at, image in enumerate(order)}
    mixed = [tuple(places[i] for i in group) for group in groups]
    again = hold_back(whole.take(order), share, seed, mixed[::-1])
    assert [numbers(part) for part in again] == [numbers(kept), numbers(held)]


def test_an_ignored_object_is_nothing_to_validate_on():
    """A part whose only objects are left out of scoring has no AP."""
    images = [(Path(f"{i}.png"), [(BOX, "dog", i > 1)]) for i in range(20)]
    whole = data_of({None: images}, ("dog",))
    for seed in range(20):
        kept, held = hold_back(whole, 0.2, seed, ())
        assert kept.counts().tolist() == held.counts().tolist() == [1]


def test_held_back_parts_have_the_faults_of_their_images():
    whole = data_set(10)
    about = [Fault("overhang", Path("t.csv"), f"line {i}", "x", "clipped", whole.paths[i]) for i in range(10)]
    lost = Fault("missing-image", Path("t.csv"), "line 99", "no such file", "skipped")
    kept, held = hold_back(whole.with_faults([*about, lost]), 0.2, 0, ())
    for part, more in ((kept, {lost}), (held, set())):
        assert set(part.faults) == {about[i] for i in numbers(part)} | more
    kept.refuse_bad(0)  # counted with those of the whole
    held.refuse_bad(0)


@pytest.mark.parametrize(
    ("training", "validation", "left", "leaks"),
    [
        ("train", "val", {0, 4, 5}, {(1, "train", "val"), (2, "train", "test"), (3, "train", "val")}),
        ("train", None, {0, 4, 5}, {(1, "train", "val"), (2, "train", "test"), (3, "train", "val")}),
        ("trainval", "test", {0}, {(2, "trainval", "test")}),
        ("fold", "train", {6}, {(5, "fold", "train")}),
    ],
)
def test_nothing_is_trained_on_that_is_tested_on(training, validation, left, leaks):
    images = [(Path(f"{i}.png"), [(BOX, "dog", False)]) for i in range(8)]
    of = {"train": range(6), "trainval": (0, 1, 2, 3), "val": (1, 3), "test": (2, 7), "fold": (5, 6)}
    data = data_of({split: [images[i] for i in own] for split, own in of.items()}, ("dog",))
    part = apart(data, training, validation)
    assert numbers(part) == left
    assert {(fault.kind, fault.action) for fault in part.faults} == {("leak", "skipped")}
    assert {(int(fault.file.stem), fault.found) for fault in part.faults} == {
        (number, f"in {one} and in {other}") for number, one, other in leaks
    }


def test_a_training_split_that_is_the_validation_split_is_refused():
    images = [(Path(f"{i}.png"), [(BOX, "dog", False)]) for i in range(2)]
    data = data_of({"train": images, "val": images}, ("dog",))
    with pytest.raises(
        InputError, match=r"found all 2 images of train in val, too, wanted images to learn from"
    ):
        apart(data, "train", None)


def test_held_back_images_are_in_no_test_split():
    images = [(Path(f"{i}.png"), [(BOX, "dog", False)]) for i in range(12)]
    data = data_of({"train": images[:10], "test": images[6:]}, ("dog",))
    training = apart(data, "train", None)
    kept, held = hold_back(training, 0.3, 0, ())
    tested = numbers(data.part("test"))
    assert not numbers(held) & tested
    assert not numbers(kept) & tested
    assert numbers(kept) | numbers(held) == set(range(6))


@settings(max_examples=60)
@given(data=st.data(), count=st.integers(0, 12))
def test_splits_and_what_is_in_none_are_the_whole(data, count):
    splits = ("train", "val", "fold")
    images = [(Path(f"{i}.png"), [(BOX, "dog", False)] * (i % 3)) for i in range(count)]
    whole = data_of({None: images}, ("dog",))
    members = data.draw(
        st.lists(st.lists(st.booleans(), min_size=count, max_size=count), min_size=3, max_size=3)
    )
    whole = replace(whole, splits=splits, members=np.array(members, np.bool_).reshape(3, count))
    parts = whole.parts()
    rest = whole.part(NO_SPLIT)
    assert set().union(*(numbers(part) for part in parts.values())) == numbers(whole)
    assert (None in parts) == (len(rest) > 0)
    assert all(not numbers(rest) & numbers(parts[split]) for split in splits)
    assert sum(len(part) for part in parts.values()) == whole.members.sum() + len(rest)
    for part in parts.values():
        assert len(part.boxes) == sum(number % 3 for number in numbers(part))


def test_very_many_classes_are_shared_out_at_once():
    names = [f"c{number}" for number in range(8_000)]
    images = [(Path(f"{name}.png"), ()) for name in names]
    count = len(names)
    data = replace(
        data_of({None: images}, names),
        starts=np.arange(count + 1),
        boxes=np.tile([[1.0, 2.0, 3.0, 4.0]], (count, 1)),
        labels=np.arange(count, dtype=np.int32),
        flags=np.zeros(count, np.uint8),
    )
    started = time.perf_counter()
    shared = share_out(data, {"train": 0.8, "val": 0.2}, 0)
    assert time.perf_counter() - started < 3
    # the one object of each class is nearer to four fifths than to one; the empty part is given one
    assert shared.members.sum(1).tolist() == [7_999, 1]
