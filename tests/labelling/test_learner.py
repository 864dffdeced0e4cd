"""Which labels a round learns from."""

import pytest
from PIL import Image

from masu.errors import InputError
from masu.labelling.learner import parts_of

VOC = """<annotation><filename>{0}.png</filename><size><width>40</width><height>30</height></size>
<object><name>cat</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>25</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def task(tmp_path):
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for number in range(12):
        picture = Image.effect_noise((40, 30), 40 + 10 * number).convert("RGB")
        picture.save(tmp_path / "set" / "JPEGImages" / f"{number}.png")
        (tmp_path / "set" / "Annotations" / f"{number}.xml").write_text(VOC.format(number))
    return {
        "folder": str(tmp_path / "set"),
        "form": "voc",
        "left_out": ["JPEGImages/1.png"],
        "held_back": str(tmp_path / "held.json"),
    }


def names(data):
    return [] if data is None else [int(path.stem) for path in data.paths]


def test_without_splits_one_of_five_is_held_back_and_what_is_unfinished_left_out(task):
    training, held = parts_of(task)
    assert sorted(names(training) + names(held)) == [0, *range(2, 12)]
    assert len(names(held)) == 2
    assert names(parts_of(task)[1]) == names(held)


def test_splits_are_kept_and_what_no_list_names_teaches(task, tmp_path):
    lists = tmp_path / "set" / "ImageSets" / "Main"
    for split, numbers in {"train": range(5), "val": (5, 6), "test": (7, 8)}.items():
        (lists / f"{split}.txt").write_text("".join(f"{number}\n" for number in numbers))
    training, held = parts_of(task)
    assert sorted(names(training)) == [0, 2, 3, 4, 9, 10, 11]
    assert names(held) == [5, 6]


def test_nothing_to_learn_from_is_said(task):
    task["left_out"] = [f"JPEGImages/{number}.png" for number in range(12)]
    with pytest.raises(InputError):
        parts_of(task)
