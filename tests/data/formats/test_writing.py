"""What is written is read back the same, and what a format cannot hold is said."""

import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from masu.data.dataset import CROWD, DIFFICULT, Dataset
from masu.data.formats import formats, read_annotations, read_dataset, splits
from masu.data.formats.writing import writable, write_dataset
from masu.errors import InputError
from masu.verbs.convert import convert
from tests.datasets import data_of

WRITERS = [name for name, form in formats().items() if form.write is not None]
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


def made_of(folder: Path, parts, names, ids=None) -> Dataset:
    """A data set of pictures of noise, from the objects of each by split."""
    images = {}
    for split, pictures in parts.items():
        images[split] = []
        for i, objects in enumerate(pictures):
            path = folder / f"{split}_{i}.png"
            Image.fromarray(np.random.default_rng(i).integers(0, 255, (*SIZE, 3), np.uint8)).save(path)
            images[split].append((path, objects))
    return data_of(images, names, ids, size=SIZE)


def read_back(folder: Path, split: str | None) -> list[tuple[str, list, list]]:
    data = read_dataset(folder, split)
    assert data.faults == ()
    rows = []
    for image, target in data:
        found = [data.names[label] for label in target.labels.tolist()]
        rows.append((image.name, target.boxes.tolist(), found, target.ignored.tolist()))
    return sorted(rows)


def wanted(parts, split: str | None, ignored: bool) -> list[tuple]:
    rows = []
    for i, objects in enumerate(parts[split]):
        kept = [one for one in objects if ignored or not one[2]]
        boxes = [np.float32(box).tolist() for box, *_ in kept]
        rows.append((f"{split}_{i}.png", boxes, [one[1] for one in kept], [one[2] for one in kept]))
    return sorted(rows)


def same(found: list[tuple], expected: list[tuple], tolerance: float) -> None:
    assert [row[::2] for row in found] == [row[::2] for row in expected]
    assert [row[3] for row in found] == [row[3] for row in expected]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a[1], b[1], rtol=0, atol=tolerance)


@pytest.mark.parametrize("form", WRITERS)
@settings(max_examples=10)
@given(made=data_sets())
def test_what_is_written_is_read_back(form, made):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts, names = made
        write_dataset(folder / "out", form, made_of(folder, parts, names))
        assert read_annotations(folder / "out").form == form
        wanted_splits = tuple(split for split in parts if split) or (("train",) if form == "yolo" else ())
        assert splits(folder / "out") == wanted_splits
        for split in parts:
            assert read_dataset(folder / "out", split).names == names
            # COCO keeps width and height, others shares: a last digit is lost in going back to corners
            tolerance = {"coco": 1e-5, "yolo": 1e-4, "labelstudio": 1e-4}.get(form, 0)
            same(read_back(folder / "out", split), wanted(parts, split, form != "yolo"), tolerance)


def test_a_chain_of_formats_ends_where_it_began(tmp_path):
    boxes = [((1.5, 2.25, 30.0, 40.0), "red <cell>", False), ((0.1, 0.2, 9.3, 7.7), 'a "b", c', False)]
    parts = {"train": [boxes, []], "val": [boxes[:1]]}
    source = tmp_path / "voc"
    write_dataset(source, "voc", made_of(tmp_path, parts, ('a "b", c', "red <cell>")))
    for form in ("coco", "csv", "labelme", "cvat", "labelstudio", "yolo", "voc"):
        done = convert(source, tmp_path / f"as_{form}", form)
        assert (done.images, done.objects, done.faults) == (
            {"train": 2, "val": 1},
            {"train": 2, "val": 1},
            (),
        )
        source = tmp_path / f"as_{form}"
    for split in ("train", "val"):
        same(read_back(source, split), wanted(parts, split, True), 1e-4)


@pytest.mark.parametrize("form", WRITERS)
def test_splits_with_other_classes(tmp_path, form):
    parts = {
        "train": [[((1.0, 2.0, 9.0, 8.0), "cat", False)]],
        "val": [[((3.0, 4.0, 9.0, 8.0), "eel", False)]],
    }
    write_dataset(tmp_path / "out", form, made_of(tmp_path, parts, ("cat", "eel")))
    found = [
        name for split in ("train", "val") for row in read_back(tmp_path / "out", split) for name in row[2]
    ]
    assert found == ["cat", "eel"]


UNORDERED = "order and ids of the classes are not kept: they will be alphabetical, from 1"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("coco", ["COCO has no difficult objects: 1 are crowd regions"]),
        ("voc", [UNORDERED, "VOC has no crowd regions: 2 are difficult objects"]),
        ("csv", [UNORDERED]),
        ("labelme", [UNORDERED, "LabelMe has no crowd regions: 2 are flagged iscrowd"]),
        (
            "cvat",
            [
                "ids of the classes are not kept: they will count from 1, in the same order",
                "CVAT has no crowd regions: 2 have the attribute is_crowd",
                "CVAT has no difficult objects: 1 have the attribute difficult",
            ],
        ),
        (
            "labelstudio",
            [
                UNORDERED,
                "Label Studio has no crowd regions: 2 have the note crowd",
                "Label Studio has no difficult objects: 1 have the note difficult",
            ],
        ),
        (
            "yolo",
            [
                "YOLO numbers classes from 0: the ids of the source are not kept",
                "YOLO has no ignored regions: 3 left out",
                "YOLO needs a split: all images are in train",
            ],
        ),
    ],
)
def test_what_a_format_cannot_hold_is_said(tmp_path, form, said):
    objects = [
        ((1, 2, 3, 4), "b", True),
        ((5, 6, 7, 8), "a", True),
        ((9, 6, 12, 8), "a", True),
        ((float("nan"), 0, 1, 1), "a", False),
    ]
    data = made_of(tmp_path, {None: [objects]}, ("b", "a"), ids=(3, 90))
    flags = np.array([CROWD, CROWD, DIFFICULT, 0], np.uint8)
    data = replace(data, flags=flags, left_out={"segmentation": 12})
    found = write_dataset(tmp_path / "out", form, data)
    lost = ["segmentation is not carried: 12 objects"]
    nan = "numbers that are not finite cannot be written: 1 boxes left out"
    assert sorted(found) == sorted([*lost, *said, nan])
    again = read_dataset(tmp_path / "out")
    kept = {"yolo": [], "voc": [DIFFICULT] * 3, "coco": [CROWD] * 3}.get(form, flags[:3].tolist())
    assert again.flags.tolist() == kept


@pytest.mark.parametrize("form", WRITERS)
def test_what_only_coco_holds_is_said(tmp_path, form):
    """Ids, supercategories and areas of masks; COCO to COCO keeps them."""
    parts = {"train": [[((1.0, 2.0, 11.0, 12.0), "cat", False), ((5.0, 6.0, 9.0, 8.0), "dog", False)]]}
    write_dataset(tmp_path / "in", "coco", made_of(tmp_path, parts, ("cat", "dog"), ids=(3, 90)))
    file = tmp_path / "in" / "annotations" / "instances_train.json"
    page = json.loads(file.read_text())
    page["images"][0]["id"] = 77
    page["categories"][0]["supercategory"] = "animal"
    for annotation, key, area in zip(page["annotations"], (500, 600), (40, 8), strict=True):
        annotation |= {"id": key, "image_id": 77, "area": area}
    file.write_text(json.dumps(page))
    done = convert(tmp_path / "in", tmp_path / "out", form)
    said = {
        "supercategories are not kept",
        "areas of masks are not kept: 1 objects",
        "the ids of images and objects are not kept",
    }
    assert said & set(done.lost) == (set() if form == "coco" else said)
    if form == "coco":
        assert json.loads((tmp_path / "out/annotations/instances_train.json").read_text()) == page


def test_ids_of_coco_that_two_splits_give_to_different_classes(tmp_path):
    for split, name in (("train", "cat"), ("val", "dog")):
        image = tmp_path / "in" / f"{split}.png"
        image.parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 48)).save(image)
        page = {
            "images": [{"id": 1, "file_name": image.name, "height": 48, "width": 64}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 2, 8, 6]}],
            "categories": [{"id": 5, "name": name}],
        }
        (tmp_path / "in" / f"instances_{split}.json").write_text(json.dumps(page))
    convert(tmp_path / "in", tmp_path / "out", "coco")
    for split, label in (("train", 0), ("val", 1)):
        data = read_dataset(tmp_path / "out", split)
        assert (data.names, data.category_ids) == (("cat", "dog"), (5, 6))
        assert data[0].target.labels.tolist() == [label]


@pytest.mark.parametrize("form", ["voc", "csv", "labelme"])
def test_classes_without_objects(tmp_path, form):
    """A class that one split lacks is no class without objects."""
    box = (1.0, 2.0, 9.0, 8.0)
    parts = {"train": [[(box, "a", False)]], "val": [[(box, "b", False)]]}
    assert write_dataset(tmp_path / "one", form, made_of(tmp_path, parts, ("a", "b"))) == []
    assert write_dataset(tmp_path / "two", form, made_of(tmp_path, parts, ("a", "b", "c"))) == [
        "classes without objects are not kept: c"
    ]


def test_ids_of_coco_and_faulty_boxes_are_kept(tmp_path):
    objects = [((5, 5, 5, 5), "b", False), ((9, 9, 2, 2), "a", True)]
    write_dataset(tmp_path / "out", "coco", made_of(tmp_path, {None: [objects]}, ("b", "a"), (3, 90)))
    again = read_annotations(tmp_path / "out")
    assert (again.names, again.category_ids) == (("b", "a"), (3, 90))
    assert again.boxes.tolist() == [[5, 5, 5, 5], [9, 9, 2, 2]]
    assert (again.labels.tolist(), again.flags.tolist()) == ([0, 1], [0, CROWD])


@pytest.mark.parametrize("form", WRITERS)
def test_files_of_one_name_are_kept_apart(tmp_path, form):
    images = []
    for name in ("x/a.png", "y/a.png", "y/A.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 48)).save(path)
        images.append((path, [((1, 2, 30, 40), name, False)]))
    names = sorted(objects[0][1] for _, objects in images)
    said = write_dataset(tmp_path / "out", form, data_of({"train": images}, names, size=SIZE))
    count = 2 if form in ("voc", "yolo", "labelme") else 1
    assert f"{count} files renamed, since another has the same name" in said
    data = read_dataset(tmp_path / "out", "train")
    assert len({image.name.lower() for image, _ in data}) == 3
    for image, target in data:
        assert Path(data.names[target.labels[0]]).suffix == image.suffix
    assert len(data) == 3


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "labelme"])
def test_a_picture_of_two_splits_is_copied_once(tmp_path, form):
    data = made_of(tmp_path, {"train": [[((1, 2, 3, 4), "a", False)]]}, ("a",))
    data = replace(data, splits=("train", "trainval"), members=np.ones((2, 1), np.bool_))
    write_dataset(tmp_path / "out", form, data)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 1
    assert [len(read_dataset(tmp_path / "out", split)) for split in ("train", "trainval", None)] == [1, 1, 1]


def test_a_picture_of_two_splits_is_refused_where_splits_are_folders(tmp_path):
    data = made_of(tmp_path, {"train": [[((1, 2, 3, 4), "a", False)]]}, ("a",))
    data = replace(data, splits=("train", "trainval"), members=np.ones((2, 1), np.bool_))
    with pytest.raises(InputError) as caught:
        write_dataset(tmp_path / "out", "labelme", data)
    assert str(caught.value) == (
        f"{tmp_path / 'train_0.png'}: found it in train and trainval, wanted one split, since those of LabelMe "
        "are folders; choose another format, or share out anew with --split-by"
    )


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "labelme"])
def test_splits_of_other_names(tmp_path, form):
    box = [((1, 2, 3, 4), "a", False)]
    parts = {"fold 1": [box], "train": [box], "names2": [box, []]}
    write_dataset(tmp_path / "out", form, made_of(tmp_path, parts, ("a",)))
    assert splits(tmp_path / "out") == ("train", "fold 1", "names2")
    assert [len(read_dataset(tmp_path / "out", split)) for split in parts] == [1, 1, 2]


@pytest.mark.parametrize("form", WRITERS)
def test_a_picture_that_two_splits_label_in_different_ways(tmp_path, form):
    """Neither is written over the other, and pictures labelled alike are still copied once."""
    one, two = ((1.0, 2.0, 30.0, 40.0), "a", False), ((3.0, 4.0, 9.0, 8.0), "a", False)
    first, second = list(made_of(tmp_path, {"train": [[one], [one]]}, ("a",)).paths)
    both = {"train": [(first, [one]), (second, [one])], "val": [(first, [two])]}
    if form != "labelme":
        both["val"].append((second, [one]))
    said = write_dataset(tmp_path / "out", form, data_of(both, ("a",), size=SIZE))
    copies = 3 if form in ("voc", "yolo", "labelme") else 2
    assert len(list((tmp_path / "out").rglob("*.png"))) == copies
    told = "1 images are labelled in different ways by two splits: written once for each"
    assert (told in said) == (copies == 3)
    for split, box in (("train", one[0]), ("val", two[0])):
        boxes = [target.boxes.tolist() for _, target in read_dataset(tmp_path / "out", split)]
        expected = [[list(box)], [list(one[0])]][: len(both[split])]
        np.testing.assert_allclose(sorted(boxes), sorted(expected), atol=1e-4)


def test_what_is_refused(tmp_path):
    data = made_of(tmp_path, {None: [[((1, 2, 3, 4), "a\x01", False)]]}, ("a\x01",))
    cases = [
        (
            "there",
            "tfrecord",
            "--to: found 'tfrecord', wanted one of voc, yolo, labelme, coco, cvat, labelstudio, csv; choose one of these",
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
            write_dataset(tmp_path / name, form, data)
        assert str(caught.value).endswith(message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["None_0.png"]
    with pytest.raises(InputError, match="found no image to write, wanted at least one"):
        write_dataset(tmp_path / "new", "coco", Dataset.of([], ()))


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


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("split_by", [None, "50/50"])
def test_an_image_that_cannot_be_converted_costs_itself(tmp_path, form, split_by):
    folder, images = voc_of_three(tmp_path / "in"), 1
    if split_by is not None:
        Image.new("RGB", (64, 48), "red").save(folder / "more.png")
        xml = (tmp_path / "in/Annotations/good.xml").read_text()
        (tmp_path / "in/Annotations/more.xml").write_text(xml)
        images += 1
    done = convert(tmp_path / "in", tmp_path / "out", form, split_by=split_by)
    assert sum(done.images.values()) == images
    link = "a link to nowhere.png, which does not exist: restore that or delete the link"
    assert done.faults[-1] == f"{folder / 'gone.png'}: image: {link}, skipped"
    assert done.faults[0].startswith(f"{folder / 'cut.png'}: image: a damaged image (")
    assert len(list((tmp_path / "out").rglob("*.png"))) == images


def test_a_damaged_image_of_known_size_is_copied_as_it_is(tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes(b"cut")
    data = data_of({None: [(cut, [])]}, (), size=SIZE)
    assert len(writable(data)) == 1
    write_dataset(tmp_path / "out", "coco", data)
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
    data = made_of(tmp_path, {None: [[]]}, ())
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
            write_dataset(out, "coco", data)
        assert str(caught.value) == f"{out}: {message}"
    assert list((tmp_path / "folder").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file", "link", "gone", "None_0.png"}


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    data = made_of(tmp_path, {None: [[]]}, ())
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(InputError) as caught:
        write_dataset(tmp_path / "out", "csv", data)
    assert str(caught.value) == (
        f"{tmp_path / 'None_0.png'}: found a file that cannot be copied (no space left on device), wanted a copy "
        f"in {tmp_path}; look at the file and at the room on the disk"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["None_0.png"]
