"""Which labels a round learns from."""

import json

import pytest
from PIL import Image

from masu.errors import InputError
from masu.labelling import learner
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
        "answered": [f"JPEGImages/{number}.png" for number in range(12) if number != 1],
        "drawn": ["JPEGImages/7.png", "JPEGImages/9.png"],
        "held_back": str(tmp_path / "held.json"),
    }


def names(data):
    return [] if data is None else [int(path.stem) for path in data.paths]


def test_without_splits_one_of_five_is_held_back_and_what_is_unfinished_left_out(task):
    parts = parts_of(task)
    assert sorted(names(parts.training) + names(parts.held)) == [0, *range(2, 12)]
    assert names(parts.held) == [7, 9]
    assert names(parts_of(task | {"drawn": []}).held) == [7, 9]  # once and for all


def test_a_model_goes_on_only_where_it_is_known_what_taught_it(task, tmp_path):
    assert [parts_of(task).goes_on, parts_of(task).goes_on] == [False, True]
    (tmp_path / "held.json").write_text("{")
    assert not parts_of(task).goes_on


def test_splits_are_kept_and_what_no_list_names_teaches(task, tmp_path):
    lists = tmp_path / "set" / "ImageSets" / "Main"
    for split, numbers in {"train": range(5), "val": (5, 6), "test": (7, 8)}.items():
        (lists / f"{split}.txt").write_text("".join(f"{number}\n" for number in numbers))
    parts = parts_of(task)
    assert sorted(names(parts.training)) == [0, 2, 3, 4, 9, 10, 11]
    assert names(parts.held) == [5, 6]
    assert parts.goes_on


def test_without_a_list_for_training_what_no_list_names_teaches(task, tmp_path):
    (tmp_path / "set" / "ImageSets" / "Main" / "test.txt").write_text("0\n2\n3\n")
    parts = parts_of(task)
    assert sorted(names(parts.training) + names(parts.held)) == [4, 5, 6, 7, 8, 9, 10, 11]


def yolo_task(root, answered):
    return {
        "folder": str(root),
        "form": "yolo",
        "answered": answered,
        "drawn": [],
        "held_back": str(root.parent / "h.json"),
    }


def test_a_photograph_in_a_folder_for_testing_never_teaches(tmp_path):
    """``data.yaml`` names the folder for training alone, and YOLO's reader knows of no other split."""
    root = tmp_path / "set"
    for name in ("train/0", "train/1", "train/2", "test/3"):
        for kind in ("images", "labels"):
            (root / kind / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 30), 50 + 20 * int(name[-1])).convert("RGB").save(
            root / "images" / f"{name}.png"
        )
        (root / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (root / "data.yaml").write_text("train: images/train\nnames: [cat]\n")
    answered = [f"images/train/{number}.png" for number in range(3)] + ["images/test/3.png"]
    parts = parts_of(yolo_task(root, answered))
    assert sorted(names(parts.training) + names(parts.held)) == [0, 1, 2]


def test_yolo_photographs_without_an_answer_are_no_background(tmp_path):
    root = tmp_path / "set"
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    for number in range(8):
        picture = Image.effect_noise((40, 30), 40 + 10 * number).convert("RGB")
        picture.save(root / "images" / f"{number}.png")
    for number in range(3):
        (root / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (root / "data.yaml").write_text("train: images\nnames: [cat]\n")
    answered = [f"images/{number}.png" for number in range(3)]
    parts = parts_of(yolo_task(root, answered))
    assert sorted(names(parts.training) + names(parts.held)) == [0, 1, 2]


def test_nothing_to_learn_from_is_said(task):
    task["answered"] = []
    with pytest.raises(InputError):
        parts_of(task)


@pytest.mark.parametrize(("flip", "mirrored"), [(True, 0.5), (False, 0.0)])
def test_what_is_no_longer_itself_in_a_mirror_is_not_mirrored(
    task, tmp_path, monkeypatch, capsys, flip, mirrored
):
    asked = {}

    class Learned:
        def as_dict(self):
            return {}

    def learn(_training, _held, _out, *, settings, tta, **_more):
        asked.update(mirrored=settings.augmentation.horizontal_flip, looks=2 if tta else 1)
        return Learned()

    monkeypatch.setattr(learner, "learn", learn)
    learner.main(task | {"out": str(tmp_path / "run"), "weights": None, "seconds": 1.0, "flip": flip})
    assert json.loads(capsys.readouterr().out) == {"event": "learned"}
    assert asked == {"mirrored": mirrored, "looks": 2 if flip else 1}
