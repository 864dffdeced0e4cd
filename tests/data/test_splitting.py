from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from masu.data.formats.reading import Contents, Marked, Picture

from masu.data.splitting import parse_shares, split_contents
from masu.errors import InputError


def data_set(count: int, seed: int = 0) -> Contents:
    draw = np.random.default_rng(seed)
    pictures = []
    for i in range(count):
        names = ["common"] * draw.integers(0, 9) + ["rare"] * (draw.random() < 0.1)
        marked = [Marked("", (0, 0, 1, 1), name, False) for name in names]
        pictures.append(Picture(Path(f"{i}.png"), Path(), None, marked))
    return Contents(pictures, ("common", "rare"), (1, 2), [])


def objects(contents: Contents) -> Counter[str]:
    return Counter(item.name for picture in contents.pictures for item in picture.objects)


SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def test_shares_of_pictures_and_of_each_class():
    whole = data_set(300)
    parts = split_contents(whole, SHARES, seed=0)
    total = objects(whole)
    assert sum(len(part.pictures) for part in parts.values()) == 300
    assert {picture.image for part in parts.values() for picture in part.pictures} == {
        p.image for p in whole.pictures
    }
    for name, share in SHARES.items():
        assert len(parts[name].pictures) == pytest.approx(share * 300, abs=6)
        found = objects(parts[name])
        assert found["rare"] == pytest.approx(share * total["rare"], abs=1)
        assert found["common"] == pytest.approx(share * total["common"], abs=9)


def test_the_order_of_the_pictures_does_not_matter_but_the_seed_does():
    whole = data_set(60)
    turned = whole._replace(pictures=whole.pictures[::-1])
    names = [
        {
            part: {p.image for p in contents.pictures}
            for part, contents in split_contents(data, SHARES, seed).items()
        }
        for data, seed in ((whole, 0), (turned, 0), (whole, 1))
    ]
    assert names[0] == names[1] != names[2]


def test_groups_stay_together():
    groups = [(i, i + 1, i + 2) for i in range(0, 60, 3)]
    parts = split_contents(data_set(60), SHARES, 0, groups)
    for part in parts.values():
        numbers = {int(picture.image.stem) for picture in part.pictures}
        assert all(len(numbers & set(group)) in (0, 3) for group in groups)
    assert all(part.pictures for part in parts.values())


def test_pictures_without_objects_are_shared_out_too():
    pictures = [Picture(Path(f"{i}.png"), Path(), None, []) for i in range(20)]
    parts = split_contents(Contents(pictures, (), (), []), {"train": 0.75, "val": 0.25}, 0)
    assert [len(part.pictures) for part in parts.values()] == [15, 5]


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
        split_contents(data_set(2), SHARES, 0)


def test_pictures_that_are_almost_the_same_are_one():
    with pytest.raises(InputError) as caught:
        split_contents(data_set(9), SHARES, 0, [range(5), range(5, 9)])
    assert str(caught.value) == (
        "--split-by: found 9 pictures, 2 where those that are almost the same count as one, wanted at least 3, "
        "one for each part; use fewer parts"
    )


@pytest.mark.parametrize("text", ["99/1", "999/1/1", "1/99", "98/1/1"])
@pytest.mark.parametrize("count", [3, 10, 40])
def test_no_part_is_empty(text, count):
    groups = [(0, 1)] if count > 3 else []
    parts = split_contents(data_set(count, seed=3), parse_shares(text), 0, groups)
    found = {part: [int(p.image.stem) for p in contents.pictures] for part, contents in parts.items()}
    assert all(found.values())
    assert sorted(number for numbers in found.values() for number in numbers) == list(range(count))
    assert all(len({0, 1} & set(numbers)) in (0, 2) for numbers in found.values()) or not groups


def test_the_picture_for_an_empty_part_has_objects():
    marked = [Marked("", (0, 0, 1, 1), "dog", False)]
    pictures = [Picture(Path(f"{i}.png"), Path(), None, marked if i < 2 else []) for i in range(9)]
    parts = split_contents(Contents(pictures, ("dog",), (1,), []), {"train": 0.999, "val": 0.001}, 0)
    assert [len(p.objects) for p in parts["val"].pictures] == [1]
