"""YOLO's label files and lists of classes changed in place."""

from dataclasses import replace

import pytest

from masu.data.dataset import CROWD
from masu.data.formats import read_dataset
from masu.data.formats.editing import ChangedError, Entry, Loaded
from masu.data.formats.yolo_names import with_names
from masu.errors import InputError
from tests.data.formats.label_files import opened, photograph, read_back

SIZE = (50, 100)
PAGE = "path: .\ntrain: images/train  # all of them\nnc: 2\nnames:\n  0: cat\n  1: dog # barks\nnote: 'x'\n"
LABELS = (
    "0  0.5 0.5000 0.2 0.4\n\n1 0.1 0.2 0.3 0.2 0.3 0.6\nnonsense\n7 0.5 0.5 0.1 0.1\n1 0.75 0.5 0.1 0.2 0.93"
)


def laid(root, labels=LABELS, page=PAGE, name="a.png"):
    photo = photograph(root / "images" / "train" / name, SIZE)
    if labels is not None:
        file = root / "labels" / "train" / "a.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(labels.encode())
    if page is not None:
        (root / "data.yaml").write_bytes(page.encode())
    return photo


def saved(root, photo, change):
    """The label file after the entries that it says were changed."""
    files = opened(root)
    loaded = files.load(photo)
    files.save(photo, SIZE, change(*loaded.entries), loaded.version)
    return files.file_of(photo).read_bytes().decode()


def test_lines_are_objects_and_those_of_no_use_are_not(tmp_path):
    photo = laid(tmp_path)
    loaded = opened(tmp_path).load(photo)
    boxes = [one.box for one in loaded.entries]
    assert boxes[0] == pytest.approx((40.0, 15.0, 60.0, 35.0))
    assert boxes[1] == pytest.approx((10.0, 10.0, 30.0, 30.0))
    assert boxes[2] == pytest.approx((70.0, 20.0, 80.0, 30.0))
    assert [one.name for one in loaded.entries] == ["cat", "dog", "dog"]


def test_a_moved_box_changes_its_own_line_only(tmp_path):
    made = saved(
        tmp_path, laid(tmp_path), lambda one, *more: [replace(one, box=(40.0, 15.0, 62.0, 35.0)), *more]
    )
    assert made == LABELS.replace("0  0.5 0.5000 0.2 0.4", "0 0.510000 0.500000 0.220000 0.400000")


def test_another_class_changes_the_number_only(tmp_path):
    made = saved(
        tmp_path,
        laid(tmp_path),
        lambda one, two, three: [replace(one, name="dog"), replace(two, name="cat"), three],
    )
    assert made == LABELS.replace("0  0.5 0.5000", "1  0.5 0.5000").replace("1 0.1 0.2 0.3", "0 0.1 0.2 0.3")


def test_a_moved_polygon_is_the_corners_of_its_box(tmp_path):
    made = saved(
        tmp_path,
        laid(tmp_path),
        lambda one, two, three: [one, replace(two, box=(10.0, 10.0, 40.0, 30.0)), three],
    )
    corners = "1 0.100000 0.200000 0.400000 0.200000 0.400000 0.600000 0.100000 0.600000"
    assert made == LABELS.replace("1 0.1 0.2 0.3 0.2 0.3 0.6", corners)
    assert opened(tmp_path).load(tmp_path / "images/train/a.png").entries[1].box == pytest.approx(
        (10, 10, 40, 30)
    )


def test_a_moved_box_keeps_its_confidence(tmp_path):
    made = saved(
        tmp_path, laid(tmp_path), lambda *all: [*all[:2], replace(all[2], box=(70.0, 20.0, 80.0, 35.0))]
    )
    assert made == LABELS.replace("0.75 0.5 0.1 0.2 0.93", "0.750000 0.550000 0.100000 0.300000 0.93")


def test_deleted_lines_go_and_new_ones_come_last(tmp_path):
    made = saved(tmp_path, laid(tmp_path), lambda one, *more: [more[1], Entry((0.0, 0.0, 50.0, 25.0), "cat")])
    lines = LABELS.split("\n")
    new = "0 0.250000 0.250000 0.500000 0.500000"
    assert made == "\n".join([lines[1], *lines[3:], new, ""])


def test_line_ends_of_windows_and_the_mark_at_the_start_stay(tmp_path):
    labels = "\ufeff" + LABELS.replace("\n", "\r\n")
    made = saved(tmp_path, laid(tmp_path, labels), lambda *all: [*all, Entry((0.0, 0.0, 50.0, 25.0), "cat")])
    assert made == labels + "\r\n0 0.250000 0.250000 0.500000 0.500000\r\n"


def test_no_objects_are_an_empty_file(tmp_path):
    photo = laid(tmp_path, None)
    files = opened(tmp_path)
    assert files.load(photo) == Loaded(None, "")
    version = files.save(photo, SIZE, [], "")
    assert (tmp_path / "labels/train/a.txt").read_bytes() == b""
    assert files.load(photo) == Loaded((), version)


def test_a_data_set_of_polygons_gets_four_points(tmp_path):
    photo = laid(tmp_path, "0 0.1 0.1 0.2 0.1 0.2 0.2 0.15 0.3 0.1 0.2\n1 0.5 0.5 0.6 0.5 0.6 0.6\n")
    made = saved(tmp_path, photo, lambda *all: [*all, Entry((0.0, 0.0, 50.0, 25.0), "cat")])
    assert made.splitlines()[-1] == "0 " + " ".join(
        ["0.000000 0.000000", "0.500000 0.000000", "0.500000 0.500000", "0.000000 0.500000"]
    )
    assert read_back(tmp_path)["a.png"][-1] == ([0.0, 0.0, 50.0, 25.0], "cat", 0)


def test_turned_boxes_stay_what_they_are_and_get_four_points(tmp_path):
    turned = "0 0.2 0.1 0.3 0.2 0.2 0.3 0.1 0.2\n"
    photo = laid(tmp_path, turned)
    made = saved(tmp_path, photo, lambda *all: [*all, Entry((50.0, 10.0, 60.0, 25.0), "dog")])
    assert made.startswith(turned)
    data = read_dataset(tmp_path)
    assert data.left_out == {"rotated boxes": 2}
    assert data.boxes[1].tolist() == pytest.approx([50, 10, 60, 25])


def test_keypoints_stay_and_new_boxes_have_none_that_is_labelled(tmp_path):
    pose = "0 0.5 0.5 0.2 0.2 0.5 0.5 2 0.55 0.5 1\n"
    photo = laid(tmp_path, pose, PAGE + "kpt_shape: [2, 3]\n")
    made = saved(
        tmp_path,
        photo,
        lambda one: [replace(one, box=(40.0, 20.0, 60.0, 31.0)), Entry((0.0, 0.0, 50.0, 25.0), "cat")],
    )
    assert made == (
        "0 0.500000 0.510000 0.200000 0.220000 0.5 0.5 2 0.55 0.5 1\n"
        "0 0.250000 0.250000 0.500000 0.500000 " + " ".join(["0.000000"] * 6) + "\n"
    )
    assert len(read_back(tmp_path)["a.png"]) == 2


def test_a_large_photograph_is_written_to_a_hundredth_of_a_pixel(tmp_path):
    photo = laid(tmp_path, "")
    files = opened(tmp_path)
    box = (19000.01, 3.33, 19007.77, 9.99)
    size = (12_000, 20_000)
    files.save(photo, size, [Entry(box, "cat")], files.load(photo).version)
    _, *shares = (tmp_path / "labels/train/a.txt").read_text().split()
    x, y, w, h = map(float, shares)
    found = [(x - w / 2) * size[1], (y - h / 2) * size[0], (x + w / 2) * size[1], (y + h / 2) * size[0]]
    assert found == pytest.approx(box, abs=0.001)


def test_flags_are_refused(tmp_path):
    photo = laid(tmp_path)
    with pytest.raises(InputError) as caught:
        saved(tmp_path, photo, lambda *_: [Entry((1.0, 2.0, 3.0, 4.0), "cat", CROWD)])
    assert caught.value.thing == str(photo)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("names: [cat, 'dog']  # two\n", "names: [cat, 'dog', 'no', 'a, b', Ü]  # two\n"),
        ("names: [\n  cat,\n  dog,\n]\nx: 1\n", "names: [\n  cat,\n  dog, 'no', 'a, b', Ü,\n]\nx: 1\n"),
        ("names: []\n", "names: ['no', 'a, b', Ü]\n"),
        ("names: {0: cat, 1: dog}", "names: {0: cat, 1: dog, 2: 'no', 3: 'a, b', 4: Ü}"),
        (
            "nc: 2\nnames:\n- cat # purrs\n- dog\n\nx: 1\n",
            "nc: 5\nnames:\n- cat # purrs\n- dog\n- 'no'\n- 'a, b'\n- Ü\n\nx: 1\n",
        ),
        (
            "names:\r\n   - cat\r\n   - dog",
            "names:\r\n   - cat\r\n   - dog\n   - 'no'\n   - 'a, b'\n   - Ü\n",
        ),
        (
            "names:\n  0: cat\n  1: dog\nnc: 2",
            "names:\n  0: cat\n  1: dog\n  2: 'no'\n  3: 'a, b'\n  4: Ü\nnc: 5",
        ),
    ],
)
def test_more_names_in_every_form_of_a_list(tmp_path, before, after):
    assert with_names(tmp_path, before, ["no", "a, b", "Ü"]) == after


@pytest.mark.parametrize("page", ["a: 1", "names: cat", "- names"])
def test_names_in_no_list_are_not_added_to(tmp_path, page):
    with pytest.raises(InputError) as caught:
        with_names(tmp_path / "data.yaml", page, ["x"])
    assert (caught.value.thing, caught.value.wanted) == (str(tmp_path / "data.yaml"), "a plain list")


def test_a_new_class_is_added_to_the_page_and_nothing_else_of_it_changes(tmp_path):
    photo = laid(tmp_path)
    files = opened(tmp_path)
    loaded = files.load(photo)
    files.save(photo, SIZE, [*loaded.entries, Entry((0.0, 0.0, 50.0, 25.0), "cow")], loaded.version)
    assert (tmp_path / "data.yaml").read_text() == PAGE.replace("nc: 2", "nc: 3").replace(
        "barks\n", "barks\n  2: cow\n"
    )
    assert (
        tmp_path / "labels/train/a.txt"
    ).read_text() == LABELS + "\n2 0.250000 0.250000 0.500000 0.500000\n"


def test_a_form_of_names_that_is_not_understood_is_left_alone(tmp_path):
    page = "train: images/train\nnames:\n  - cat\n  - |\n    dog\nmore: 1\n"
    photo = laid(tmp_path, "0 0.5 0.5 0.2 0.2\n", page)
    files = opened(tmp_path)
    loaded = files.load(photo)
    with pytest.raises(InputError) as caught:
        files.save(photo, SIZE, [Entry((0.0, 0.0, 50.0, 25.0), "cow")], loaded.version)
    assert caught.value.thing == str(tmp_path / "data.yaml")
    assert caught.value.fix == "add cow to it yourself"
    assert (tmp_path / "data.yaml").read_text() == page
    assert files.load(photo) == loaded


def test_a_class_of_two_lines_is_not_added_to_a_list_of_lines(tmp_path):
    photo = photograph(tmp_path / "a.png", SIZE)
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    files = opened(tmp_path)
    with pytest.raises(InputError) as caught:
        files.save(photo, SIZE, [Entry((0.0, 0.0, 50.0, 25.0), "c\nd")], files.load(photo).version)
    assert caught.value.wanted == "a name of one line"
    assert (tmp_path / "classes.txt").read_text() == "cat\n"


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_new_class_is_added_to_every_list_of_labelimg(tmp_path, end):
    for folder in ("one", "two"):
        photo = photograph(tmp_path / folder / "a.png", SIZE)
        photo.with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2\n")
        (tmp_path / folder / "classes.txt").write_text(f"cat\ndog{end}")
    files = opened(tmp_path)
    loaded = files.load(photo)
    files.save(photo, SIZE, [*loaded.entries, Entry((0.0, 0.0, 50.0, 25.0), "cow")], loaded.version)
    for folder in ("one", "two"):
        assert (tmp_path / folder / "classes.txt").read_text() == "cat\ndog\ncow\n"
    assert files.names == opened(tmp_path).names == ("cat", "dog", "cow")


def test_a_data_set_with_nothing_labelled_gets_its_first_list(tmp_path):
    photo = photograph(tmp_path / "images" / "a.png", SIZE)
    (tmp_path / "labels").mkdir()
    files = opened(tmp_path)
    assert files.names == ()
    files.save(photo, SIZE, [Entry((0.0, 0.0, 50.0, 25.0), "cow")], "")
    assert (tmp_path / "classes.txt").read_text() == "cow\n"
    assert read_back(tmp_path) == {"a.png": [([0.0, 0.0, 50.0, 25.0], "cow", 0)]}


def test_numbers_without_names_stay_numbers(tmp_path):
    photo = laid(tmp_path, "3 0.5 0.5 0.2 0.2\n", None)
    files = opened(tmp_path)
    loaded = files.load(photo)
    assert [one.name for one in loaded.entries] == ["3"]
    with pytest.raises(InputError) as caught:
        files.save(photo, SIZE, [Entry((0.0, 0.0, 50.0, 25.0), "cow")], loaded.version)
    assert str(tmp_path / "classes.txt") in caught.value.fix
    assert not (tmp_path / "classes.txt").exists()
    files.save(photo, SIZE, [Entry((0.0, 0.0, 50.0, 25.0), "7")], loaded.version)
    assert (files.names, files.load(photo).entries[0].name) == (("3", "7"), "7")


def test_the_settings_of_darknet_count_a_new_class(tmp_path):
    photo = photograph(tmp_path / "obj_train_data" / "a.png", SIZE)
    photo.with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "obj.names").write_text("cat\n")
    (tmp_path / "obj.data").write_text("classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n")
    files = opened(tmp_path, "yolo")
    loaded = files.load(photo)
    files.save(photo, SIZE, [*loaded.entries, Entry((0.0, 0.0, 50.0, 25.0), "cow")], loaded.version)
    assert (tmp_path / "obj.data").read_text().startswith("classes = 2\ntrain")
    assert (tmp_path / "obj.names").read_text() == "cat\ncow\n"


def test_classes_that_somebody_reorders_are_a_change(tmp_path):
    photo = laid(tmp_path)
    files = opened(tmp_path)
    loaded = files.load(photo)
    (tmp_path / "data.yaml").write_text(PAGE.replace("cat", "x").replace("dog", "cat").replace("x", "dog"))
    with pytest.raises(ChangedError) as caught:
        files.save(photo, SIZE, loaded.entries, loaded.version)
    assert [one.name for one in caught.value.current.entries] == ["dog", "cat", "cat"]


def test_a_list_of_classes_that_breaks_meanwhile_is_told(tmp_path):
    photo = laid(tmp_path)
    files = opened(tmp_path)
    loaded = files.load(photo)
    (tmp_path / "data.yaml").write_text("names: [")
    broken = files.load(photo)
    assert broken.entries is None
    assert "data.yaml" in broken.why
    with pytest.raises(InputError):
        files.save(photo, SIZE, loaded.entries, broken.version)


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/train/b.png", "labels/train/b.txt"),
        ("images/new/b.png", "labels/new/b.txt"),
        ("valid/images/b.png", "valid/labels/b.txt"),
        ("other/b.png", "other/b.txt"),
    ],
)
def test_a_new_label_file_is_where_its_reader_looks(tmp_path, image, labels):
    laid(tmp_path)
    photo = photograph(tmp_path / image, SIZE)
    files = opened(tmp_path)
    assert files.file_of(photo) == tmp_path / labels
    files.save(photo, SIZE, [Entry((0.0, 0.0, 50.0, 25.0), "cat")], "")
    assert opened(tmp_path).load(photo).entries[0].name == "cat"
    assert read_dataset(tmp_path).paths.texts().count(str(photo)) == 1


def test_photographs_of_one_stem(tmp_path):
    laid(tmp_path)
    twin = photograph(tmp_path / "images/train/a.jpg", SIZE)
    files = opened(tmp_path)
    assert "the labels of a.png as well" in files.load(twin).why
    with pytest.raises(InputError):
        files.save(twin, SIZE, [], files.load(twin).version)
    new = [photograph(tmp_path / "images/train" / name, SIZE) for name in ("n.png", "n.jpg")]
    for number, photo in enumerate(new):
        files.save(photo, SIZE, [Entry((0.0, 0.0, 50.0, 25.0 + number), "cat")], "")
    assert [opened(tmp_path).load(photo).entries[0].box[3] for photo in new] == [25.0, 26.0]


def test_a_file_that_is_no_text_is_never_overwritten(tmp_path):
    photo = laid(tmp_path)
    file = tmp_path / "labels/train/a.txt"
    file.write_bytes(b"\xff\xfe0\x000")
    files = opened(tmp_path)
    loaded = files.load(photo)
    assert loaded.entries is None
    assert str(file) in loaded.why
    with pytest.raises(InputError):
        files.save(photo, SIZE, [Entry((0.0, 0.0, 50.0, 25.0), "cow")], loaded.version)
    assert file.read_bytes() == b"\xff\xfe0\x000"
    assert (tmp_path / "data.yaml").read_text() == PAGE


def test_shares_are_of_the_upright_photograph(tmp_path):
    photo = photograph(tmp_path / "images/train/a.jpg", (100, 50), orientation=6)
    laid(tmp_path, "0 0.5 0.25 0.2 0.1\n", name="z.png")
    loaded = opened(tmp_path).load(photo)
    assert loaded.entries[0].box == pytest.approx((20.0, 20.0, 30.0, 30.0))


@pytest.mark.parametrize(
    ("train", "val", "after"),
    [
        ("./images/a.png\r\n", "", "./images/a.png\r\n./images/new.png\r\n"),
        ("images/a.png", "", "images/a.png\nimages/new.png\n"),
        ("images/a.png\n", "images/new.png\n", "images/a.png\n"),
        ("images/more/a.png\n", "", "images/more/a.png\n"),
    ],
)
@pytest.mark.parametrize("page", [True, False])
def test_a_photograph_that_gets_labels_is_listed_for_training_until_they_are_taken_back(
    tmp_path, train, val, after, page
):
    root = tmp_path / "set"
    photographs = [photograph(root / "images" / name) for name in ("a.png", "b.png", "new.png", "more/a.png")]
    for name in ("a", "b", "more/a"):
        file = root / "labels" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("0 0.5 0.5 0.1 0.1\n")
    (root / "train.txt").write_bytes(train.encode())
    (root / "val.txt").write_text("images/b.png\n" + val)
    if page:
        (root / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [cat]\n")
    else:
        (root / "classes.txt").write_text("cat\n")
    files = opened(root)
    version = files.save(photographs[2], SIZE, [], "")
    assert (root / "train.txt").read_bytes() == after.encode()
    if after != train:
        data = read_dataset(root)
        names = [path.rpartition("/")[2] for path in data.paths.texts()]
        assert data.splits_of(names.index("new.png")) == ("train",)
        opened(root).take_back(photographs[2], version, tmp_path / "kept")
        assert (root / "train.txt").read_text().split() == train.split()
