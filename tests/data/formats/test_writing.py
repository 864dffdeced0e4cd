"""What is written is read back the same, and what a format cannot hold is said."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masu.data.formats.reading import Contents, Marked, Picture
from PIL import Image

from masu.data.formats import open_source, read_dataset, splits
from masu.data.formats.writing import WRITERS, writable, write_dataset
from masu.errors import InputError
from masu.verbs.convert import convert

SIZE = (48, 64)
NAMES = st.lists(
    st.text("abcÄ语 <&>\"',;#:0-_", min_size=1, max_size=6).filter(lambda s: s.strip() == s),
    min_size=1,
    max_size=4,
    unique=True,
)


def number(most: float) -> st.SearchStrategy[float]:
    return st.floats(0, most, width=32).map(float)


@st.composite
def data_sets(draw) -> dict[str | None, tuple[list[tuple[list[tuple], str]], tuple[str, ...]]]:
    names = tuple(sorted(draw(NAMES)))
    parts = {}
    for split in draw(st.sampled_from([[None], ["train"], ["train", "val", "test"]])):
        pictures = []
        for _ in range(draw(st.integers(1, 3))):
            objects = []
            for name in draw(st.lists(st.sampled_from(names), max_size=3)):
                x1, y1, w, h = draw(number(40)), draw(number(30)), draw(number(20)), draw(number(15))
                objects.append(((x1, y1, x1 + w + 1, y1 + h + 1), name, draw(st.booleans())))
            pictures.append(objects)
        parts[split] = pictures
    # every class somewhere, since VOC and CSV know no others
    first = next(iter(parts.values()))[0]
    first += [((1.0, 2.0, 3.0, 4.0), name, False) for name in names]
    return parts, names


def contents_of(folder: Path, parts, names, ids=None) -> dict[str | None, Contents]:
    made = {}
    for split, pictures in parts.items():
        rows = []
        for i, objects in enumerate(pictures):
            path = folder / f"{split}_{i}.png"
            Image.fromarray(np.random.default_rng(i).integers(0, 255, (*SIZE, 3), np.uint8)).save(path)
            marked = [Marked(f"object {k}", *values) for k, values in enumerate(objects)]
            rows.append(Picture(path, folder / "x", SIZE, marked))
        made[split] = Contents(rows, names, ids or tuple(range(1, len(names) + 1)), [])
    return made


def read_back(folder: Path, split: str | None) -> list[tuple[str, list, list]]:
    data = read_dataset(folder, split)
    assert data.faults == ()
    rows = []
    for image, target in data:
        found = [data.names[label] for label in target.labels.tolist()]
        rows.append((image.name, target.boxes.tolist(), found, target.ignored.tolist()))
    return sorted(rows)


def wanted(parts: dict[str | None, Contents], split: str | None, ignored: bool) -> list[tuple]:
    rows = []
    for picture in parts[split].pictures:
        kept = [item for item in picture.objects if ignored or not item.ignored]
        boxes = [np.float32(item.box).tolist() for item in kept]
        rows.append((picture.image.name, boxes, [i.name for i in kept], [i.ignored for i in kept]))
    return sorted(rows)


def same(found: list[tuple], expected: list[tuple], tolerance: float) -> None:
    assert [row[::2] for row in found] == [row[::2] for row in expected]
    assert [row[3] for row in found] == [row[3] for row in expected]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a[1], b[1], rtol=0, atol=tolerance)


@pytest.mark.parametrize("form", WRITERS)
@settings(deadline=None, max_examples=25)
@given(made=data_sets())
def test_what_is_written_is_read_back(form, made):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = contents_of(folder, *made)
        write_dataset(folder / "out", form, parts)
        assert open_source(folder / "out")[0].name == form
        wanted_splits = tuple(split for split in parts if split) or (("train",) if form == "yolo" else ())
        assert splits(folder / "out") == wanted_splits
        for split in parts:
            assert read_dataset(folder / "out", split).names == made[1]
            # COCO keeps width and height, YOLO shares: a last digit is lost in going back to corners
            tolerance = {"coco": 1e-5, "yolo": 1e-4}.get(form, 0)
            same(read_back(folder / "out", split), wanted(parts, split, form != "yolo"), tolerance)


def test_a_chain_of_formats_ends_where_it_began(tmp_path):
    boxes = [((1.5, 2.25, 30.0, 40.0), "red <cell>", False), ((0.1, 0.2, 9.3, 7.7), 'a "b", c', False)]
    parts = contents_of(tmp_path, {"train": [boxes, []], "val": [boxes[:1]]}, ('a "b", c', "red <cell>"))
    source = tmp_path / "voc"
    write_dataset(source, "voc", parts)
    for form in ("coco", "csv", "yolo", "voc"):
        reader, found = open_source(source)
        source = tmp_path / f"as_{form}"
        write_dataset(source, form, {split: reader.read(found, split) for split in found.splits})
    for split in ("train", "val"):
        same(read_back(source, split), wanted(parts, split, True), 1e-4)


@pytest.mark.parametrize("form", WRITERS)
def test_splits_with_other_classes(tmp_path, form):
    train = contents_of(tmp_path, {"train": [[((1.0, 2.0, 9.0, 8.0), "cat", False)]]}, ("cat",))
    val = contents_of(tmp_path, {"val": [[((3.0, 4.0, 9.0, 8.0), "eel", False)]]}, ("eel",), ids=(2,))
    write_dataset(tmp_path / "out", form, train | val)
    found = [
        name for split in ("train", "val") for row in read_back(tmp_path / "out", split) for name in row[2]
    ]
    assert found == ["cat", "eel"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("coco", []),
        ("voc", ["order and ids of the classes are not kept: they will be alphabetical, from 1"]),
        ("csv", ["order and ids of the classes are not kept: they will be alphabetical, from 1"]),
        (
            "yolo",
            [
                "YOLO numbers classes from 0: the ids of the source are not kept",
                "YOLO has no ignored regions: 2 left out",
                "YOLO needs a split: all images are in train",
            ],
        ),
    ],
)
def test_what_a_format_cannot_hold_is_said(tmp_path, form, said):
    objects = [((1, 2, 3, 4), "b", True), ((5, 6, 7, 8), "a", True), ((float("nan"), 0, 1, 1), "a", False)]
    parts = contents_of(tmp_path, {None: [objects]}, ("b", "a"), ids=(3, 90))
    parts[None] = parts[None]._replace(left_out={"segmentation": 12})
    found = write_dataset(tmp_path / "out", form, parts)
    lost = ["segmentation is not carried: 12 objects"]
    nan = "numbers that are not finite cannot be written: 1 boxes left out"
    assert sorted(found) == sorted([*lost, *said, nan])


def test_ids_of_coco_that_two_splits_give_to_different_classes(tmp_path):
    box = (1.0, 2.0, 9.0, 8.0)
    train = contents_of(tmp_path, {"train": [[(box, "cat", False)]]}, ("cat",), ids=(5,))
    val = contents_of(tmp_path, {"val": [[(box, "dog", False)]]}, ("dog",), ids=(5,))
    assert write_dataset(tmp_path / "out", "coco", train | val) == [
        "1 classes get another id, since their ids did not agree"
    ]
    for split, label in (("train", 0), ("val", 1)):
        data = read_dataset(tmp_path / "out", split)
        assert (data.names, data.category_ids) == (("cat", "dog"), (5, 6))
        assert data[0].target.labels.tolist() == [label]


@pytest.mark.parametrize("form", ["voc", "csv"])
def test_classes_without_objects(tmp_path, form):
    """A class that one split lacks is no class without objects."""
    box = (1.0, 2.0, 9.0, 8.0)
    parts = contents_of(tmp_path, {"train": [[(box, "a", False)]], "val": [[(box, "b", False)]]}, ("a", "b"))
    assert write_dataset(tmp_path / "one", form, parts) == []
    parts = {
        split: part._replace(names=("a", "b", "c"), category_ids=(1, 2, 3)) for split, part in parts.items()
    }
    assert write_dataset(tmp_path / "two", form, parts) == ["classes without objects are not kept: c"]


def test_ids_of_coco_and_faulty_boxes_are_kept(tmp_path):
    parts = contents_of(
        tmp_path, {None: [[((5, 5, 5, 5), "b", False), ((9, 9, 2, 2), "a", True)]]}, ("b", "a"), (3, 90)
    )
    write_dataset(tmp_path / "out", "coco", parts)
    reader, source = open_source(tmp_path / "out")
    again = reader.read(source, None)
    assert (again.names, again.category_ids) == (("b", "a"), (3, 90))
    assert [(item.box, item.name, item.ignored) for item in again.pictures[0].objects] == [
        ((5, 5, 5, 5), "b", False),
        ((9, 9, 2, 2), "a", True),
    ]


@pytest.mark.parametrize(("form", "count"), [("coco", 1), ("voc", 2), ("yolo", 2), ("csv", 1)])
def test_files_of_one_name_are_kept_apart(tmp_path, form, count):
    pictures = []
    for name in ("x/a.png", "y/a.png", "y/A.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 48)).save(path)
        pictures.append(Picture(path, tmp_path, None, [Marked("", (1, 2, 30, 40), name, False)]))
    names = tuple(sorted(str(picture.objects[0].name) for picture in pictures))
    said = write_dataset(tmp_path / "out", form, {"train": Contents(pictures, names, (1, 2, 3), [])})
    assert f"{count} files renamed, since another has the same name" in said
    data = read_dataset(tmp_path / "out", "train")
    assert len({image.name.lower() for image, _ in data}) == 3
    for image, target in data:
        assert Path(data.names[target.labels[0]]).suffix == image.suffix
    assert len(data) == 3


@pytest.mark.parametrize("form", WRITERS)
def test_a_picture_of_two_splits_is_copied_once(tmp_path, form):
    parts = contents_of(tmp_path, {"train": [[((1, 2, 3, 4), "a", False)]]}, ("a",))
    write_dataset(tmp_path / "out", form, {"train": parts["train"], "trainval": parts["train"]})
    assert len(list((tmp_path / "out").rglob("*.png"))) == 1
    assert [len(read_dataset(tmp_path / "out", split)) for split in ("train", "trainval", None)] == [1, 1, 1]


@pytest.mark.parametrize("form", WRITERS)
def test_splits_of_other_names(tmp_path, form):
    box = [((1, 2, 3, 4), "a", False)]
    parts = contents_of(tmp_path, {"fold 1": [box], "train": [box], "names2": [box, []]}, ("a",))
    write_dataset(tmp_path / "out", form, parts)
    assert splits(tmp_path / "out") == ("train", "fold 1", "names2")
    assert [len(read_dataset(tmp_path / "out", split)) for split in parts] == [1, 1, 2]


@pytest.mark.parametrize("form", WRITERS)
def test_a_picture_that_two_splits_label_in_different_ways(tmp_path, form):
    """Neither is written over the other, and pictures labelled alike are still copied once."""
    one, two = ((1.0, 2.0, 30.0, 40.0), "a", False), ((3.0, 4.0, 9.0, 8.0), "a", False)
    parts = contents_of(tmp_path, {"train": [[one], [one]]}, ("a",))
    first, second = parts["train"].pictures
    other = first._replace(objects=[Marked("object 1", *two)])
    parts["val"] = parts["train"]._replace(pictures=[other, second])
    said = write_dataset(tmp_path / "out", form, parts)
    copies = 3 if form in ("voc", "yolo") else 2
    assert len(list((tmp_path / "out").rglob("*.png"))) == copies
    told = "1 images are labelled in different ways by two splits: written once for each"
    assert (told in said) == (copies == 3)
    for split, box in (("train", one[0]), ("val", two[0])):
        boxes = [target.boxes.tolist() for _, target in read_dataset(tmp_path / "out", split)]
        np.testing.assert_allclose(sorted(boxes), sorted([[list(box)], [list(one[0])]]), atol=1e-4)


def test_what_is_refused(tmp_path):
    parts = contents_of(tmp_path, {None: [[((1, 2, 3, 4), "a\x01", False)]]}, ("a\x01",))
    cases = [
        (
            "there",
            "tfrecord",
            "--to: found 'tfrecord', wanted one of coco, voc, yolo, csv; choose one of these",
        ),
        (
            ".",
            "coco",
            ": found something that is already there, wanted a new or empty folder; choose another one",
        ),
        (
            "new",
            "voc",
            "class 'a\\x01': found a control character, wanted a name that XML can hold; rename it",
        ),
    ]
    for name, form, message in cases:
        with pytest.raises(InputError) as caught:
            write_dataset(tmp_path / name, form, parts)
        assert str(caught.value).endswith(message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["None_0.png"]
    with pytest.raises(InputError, match="found no image to write, wanted at least one"):
        write_dataset(tmp_path / "new", "coco", {None: Contents([], (), (), [])})


def voc_of_three(folder: Path) -> Path:
    """``good``, ``cut`` (damaged) and ``gone`` (a link that leads nowhere), sizes unsaid."""
    for name in ("good", "cut", "gone"):
        (folder / "Annotations").mkdir(parents=True, exist_ok=True)
        box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
        page = f"<annotation><object><name>dog</name>{box}</object></annotation>"
        (folder / "Annotations" / f"{name}.xml").write_text(page)
    images = folder / "JPEGImages"
    images.mkdir()
    Image.new("RGB", (64, 48)).save(images / "good.png")
    (images / "cut.png").write_bytes((images / "good.png").read_bytes()[:20])
    (images / "gone.png").symlink_to("nowhere.png")
    return images


@pytest.mark.parametrize(("form", "images"), [("coco", 1), ("voc", 1), ("yolo", 1), ("csv", 2)])
@pytest.mark.parametrize("split_by", [None, "50/50"])
def test_an_image_that_cannot_be_converted_costs_itself(tmp_path, form, images, split_by):
    folder = voc_of_three(tmp_path / "in")
    if split_by is not None:
        Image.new("RGB", (64, 48), "red").save(folder / "more.png")
        xml = (tmp_path / "in/Annotations/good.xml").read_text()
        (tmp_path / "in/Annotations/more.xml").write_text(xml)
        images += 1
    done = convert(tmp_path / "in", tmp_path / "out", form, split_by=split_by)
    assert sum(done.images.values()) == images
    link = "a link to nowhere.png, which does not exist: restore that or delete the link"
    assert done.faults[-1] == f"{folder / 'gone.png'}: image: {link}, skipped"
    if form != "csv":
        assert done.faults[0].startswith(f"{folder / 'cut.png'}: image: a damaged image (")
    assert len(list((tmp_path / "out").rglob("*.png"))) == images


def test_a_damaged_image_of_known_size_is_copied_as_it_is(tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes(b"cut")
    contents = Contents([Picture(cut, cut, SIZE, [])], (), (), [])
    assert writable(contents, "coco").pictures == contents.pictures
    write_dataset(tmp_path / "out", "coco", {None: contents})
    assert (tmp_path / "out/images/cut.png").read_bytes() == b"cut"


def test_nothing_to_convert_names_the_first_fault(tmp_path):
    folder = voc_of_three(tmp_path / "in")
    (tmp_path / "in/Annotations/good.xml").unlink()
    (tmp_path / "in/Annotations/cut.xml").unlink()
    with pytest.raises(InputError) as caught:
        convert(tmp_path / "in", tmp_path / "out", "yolo")
    assert str(caught.value) == (
        f"{tmp_path / 'out'}: found no image to write; the first fault: {folder / 'gone.png'}: image: a link to "
        "nowhere.png, which does not exist: restore that or delete the link, skipped, wanted at least one; check "
        "the data set that is read"
    )
    assert not (tmp_path / "out").exists()


def test_places_that_cannot_be_written(tmp_path, monkeypatch):
    contents = contents_of(tmp_path, {None: [[]]}, ())
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "gone").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path / "folder")
    taken = "found something that is already there, wanted a new or empty folder; choose another one"
    unlike = "wanted a new folder that can be written; choose another one"
    for out, message in (
        (Path(), "found the folder that you are in, wanted a new folder; name one that does not exist"),
        (tmp_path / "link", "found a link to folder, wanted a new or empty folder; name the folder itself"),
        (tmp_path / "gone", "found a link to nowhere, wanted a new or empty folder; name the folder itself"),
        (tmp_path / "file", taken),
        (Path(os.devnull), taken),
        (tmp_path / "file" / "out", f"found file exists, {unlike}"),
    ):
        with pytest.raises(InputError) as caught:
            write_dataset(out, "coco", contents)
        assert str(caught.value) == f"{out}: {message}"
    assert list((tmp_path / "folder").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file", "link", "gone", "None_0.png"}


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    contents = contents_of(tmp_path, {None: [[]]}, ())
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(InputError) as caught:
        write_dataset(tmp_path / "out", "csv", contents)
    assert str(caught.value) == (
        f"{tmp_path / 'None_0.png'}: found a file that cannot be copied (no space left on device), wanted a copy "
        f"in {tmp_path}; look at the file and at the room on the disk"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["None_0.png"]
