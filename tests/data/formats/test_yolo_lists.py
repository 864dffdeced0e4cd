"""YOLO without a ``data.yaml`` that fits: DarkNet's and CVAT's lists, class files in folders, paths of elsewhere."""

import pytest

from masu.data.formats import read_annotations, read_dataset
from masu.errors import InputError
from tests.data.formats.minimal import picture, text

LINE = "1 0.5 0.5 0.25 0.25\n"


def labelled(root, *names):
    for name in names:
        picture(root / f"{name}.png")
        text(root / f"{name}.txt".replace("images/", "labels/"), LINE)


def stems(root, images=None):
    parts = read_annotations(root, images=images).parts()
    return {split: [part.paths[i].stem for i in range(len(part))] for split, part in parts.items()}


@pytest.mark.parametrize("before", ["", "data/", "build/darknet/x64/data/", "/home/someone/darknet/data/"])
def test_darknet_lists_are_the_splits(tmp_path, before):
    labelled(tmp_path / "data/obj", "a", "b", "c")
    text(tmp_path / "data/obj.names", "cat\ndog\n")
    text(tmp_path / "data/obj.data", "classes = 2\ntrain = data/train.txt\nvalid = data/test.txt\n")
    text(tmp_path / "data/train.txt", f"{before}obj/a.png\n")
    text(tmp_path / "data/test.txt", f"{before}obj/b.png\n{before}obj/d.png\n")
    data = read_annotations(tmp_path)
    assert stems(tmp_path) == {"train": ["a"], "val": ["b"], None: ["c"]}
    assert data.names == ("cat", "dog")
    assert [(fault.kind, fault.where, fault.splits) for fault in data.faults] == [
        ("missing-image", "line 2", ("val",))
    ]


def test_cvat_lists_are_the_splits(tmp_path):
    labelled(tmp_path, "obj_train_data/a", "obj_Validation_data/a")
    text(tmp_path / "obj.names", "cat\ndog\n")
    text(tmp_path / "train.txt", "data/obj_train_data/a.png\n")
    text(tmp_path / "Validation.txt", "data/obj_Validation_data/a.png\n")
    assert {split: len(of) for split, of in stems(tmp_path).items()} == {"train": 1, "val": 1}
    assert read_dataset(tmp_path, "val")[0].image.parent.name == "obj_Validation_data"


def test_a_text_about_training_is_no_list(tmp_path):
    labelled(tmp_path, "images/a")
    text(tmp_path / "train.txt", "trained for three days\n")
    assert stems(tmp_path) == {None: ["a"]}


def test_class_files_in_the_folders_of_the_splits(tmp_path):
    labelled(tmp_path, "train/a", "test/a")
    text(tmp_path / "train/classes.txt", "cat\ndog\n")
    text(tmp_path / "test/classes.txt", "cat\r\ndog")
    assert read_dataset(tmp_path).names == ("cat", "dog")
    text(tmp_path / "test/classes.txt", "dog\ncat\n")
    with pytest.raises(InputError, match=r"train/classes.txt: found other class names, or another order"):
        read_dataset(tmp_path)


def test_a_data_yaml_however_deep(tmp_path):
    labelled(tmp_path / "archive/cells/cells", "images/train/a")
    text(tmp_path / "archive/cells/cells/data.yaml", "train: images/train\nnames: [cat, dog]\n")
    assert read_dataset(tmp_path).names == ("cat", "dog")


def test_two_data_sets_side_by_side_are_not_one(tmp_path):
    for name in ("one", "two"):
        labelled(tmp_path / name, "images/train/a")
        text(tmp_path / name / "data.yaml", "train: images/train\nnames: [cat, dog]\n")
    with pytest.raises(InputError, match=r"one/data.yaml, two/data.yaml, each a data set, wanted one"):
        read_dataset(tmp_path)
    assert len(read_dataset(tmp_path / "two/data.yaml")) == 1


def test_data_yaml_comes_before_others_beside_it(tmp_path):
    labelled(tmp_path, "images/train/a")
    text(tmp_path / "data.yaml", "train: images/train\nnames: [cat, dog]\n")
    text(tmp_path / "a_copy.yaml", "train: images/train\nnames: [x, y]\n")
    assert read_dataset(tmp_path).names == ("cat", "dog")


@pytest.mark.parametrize(
    "entry", ["/content/drive/set/images/train", "set/images/train", "../../set/images/train"]
)
def test_folders_of_another_machine(tmp_path, entry):
    labelled(tmp_path, "images/train/a", "images/val/b")
    text(tmp_path / "data.yaml", f"train: {entry}\nval: images/val\nnames: [cat, dog]\n")
    assert stems(tmp_path) == {"train": ["a"], "val": ["b"]}


def test_an_end_of_a_path_that_is_not_named_as_the_split_means_nothing(tmp_path):
    labelled(tmp_path, "images/a")
    text(tmp_path / "data.yaml", "train: images\nval: /content/other/images\nnames: [cat, dog]\n")
    with pytest.raises(InputError, match="'/content/other/images'"):
        read_dataset(tmp_path)


def test_the_path_of_a_yaml_beside_the_folder(tmp_path):
    labelled(tmp_path / "coco8", "images/train/a")
    text(tmp_path / "coco8.yaml", "path: ../datasets/coco8\ntrain: images/train\nnames: [cat, dog]\n")
    assert stems(tmp_path) == {"train": ["a"]}


def test_labels_without_their_images(tmp_path):
    picture(tmp_path / "photos/x/a.png")
    text(tmp_path / "export/labels/x/a.txt", LINE)
    text(tmp_path / "export/classes.txt", "cat\ndog\n")
    assert stems(tmp_path / "export", tmp_path / "photos") == {None: ["a"]}
    assert len(read_dataset(tmp_path / "export", images=tmp_path / "photos").boxes) == 1


@pytest.mark.parametrize("images", ["images", "img", "JPEGImages"])
def test_other_names_of_the_folder_of_images(tmp_path, images):
    picture(tmp_path / f"train/{images}/a.png")
    text(tmp_path / "train/labels/a.txt", LINE)
    assert len(read_dataset(tmp_path, "train").boxes) == 1


@pytest.mark.parametrize(
    ("images", "labels"), [("{}_images", "{}_labels"), ("images-{}", "Labels-{}"), ("{} img", "{} labels")]
)
def test_folders_of_images_and_labels_that_say_the_split(tmp_path, images, labels):
    for split, name in (("train", "a"), ("val", "b")):
        picture(tmp_path / images.format(split) / f"{name}.png")
        text(tmp_path / labels.format(split) / f"{name}.txt", LINE)
    assert stems(tmp_path) == {"train": ["a"], "val": ["b"]}
    assert len(read_dataset(tmp_path, "val").boxes) == 1
