"""Conversions and copies that must neither lose anything nor touch anything outside."""

import json
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from masu.cli import cli
from masu.data.audit.fingerprints import SIDE, Fingerprint, near_duplicates
from masu.data.formats import read_dataset, splits
from masu.data.formats.naming import file_names
from masu.data.splits import evaluation_split, training_split
from masu.errors import InputError
from masu.ops.images import InputPolicy
from masu.verbs.check import DataCheck, write_page
from masu.verbs.convert import convert
from tests.datasets import data_of

POLICY = InputPolicy(320, 640)


def image(path, seed=0, size=(64, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def coco(file, images, names=("cat",)):
    """``images``: ``(file name, width, height, class)``; one box each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [
            {"id": i, "file_name": n, "width": w, "height": h} for i, (n, w, h, _) in enumerate(images)
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": names.index(c), "bbox": [1, 1, 20, 20]}
            for i, (*_, c) in enumerate(images)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
    }
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("form", ["voc", "yolo", "coco", "csv", "labelme", "cvat", "labelstudio"])
@pytest.mark.parametrize("split", ["../victim", "/somewhere/victim"])
def test_a_split_named_after_a_file_elsewhere_is_refused_and_that_file_left_alone(tmp_path, form, split):
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    for number, name in enumerate("ab"):
        image(tmp_path / "in" / f"{name}.png", number)
    (tmp_path / "in" / "t.csv").write_text(
        f"file,x1,y1,x2,y2,class,split\na.png,1,1,20,20,cat,train\nb.png,1,1,20,20,cat,{split}\n"
    )
    with pytest.raises(InputError) as caught:
        convert(tmp_path / "in", tmp_path / "out", form)
    assert str(caught.value) == (
        f"{tmp_path / 'out'}: found the split {split!r}, wanted a name that a file can have; rename the split"
    )
    assert victim.read_text() == "precious"
    assert not (tmp_path / "out").exists()


def test_a_mended_copy_stays_within_its_folder_too(tmp_path):
    (tmp_path / "victim.txt").write_text("precious")
    for name in "ab":
        image(tmp_path / "in" / "images" / f"{name}.png", ord(name))
        (tmp_path / "in" / "labels").mkdir(exist_ok=True)
        (tmp_path / "in" / "labels" / f"{name}.txt").write_text("0 .5 .5 .2 .2\n")
        (tmp_path / "in" / f"{name}.txt").write_text(f"images/{name}.png\n")
    (tmp_path / "in" / "data.yaml").write_text('names: [cat]\ntrain: a.txt\n"../victim": b.txt\n')
    with pytest.raises(InputError, match=r"found the split '../victim', wanted a name that a file can have"):
        DataCheck(tmp_path / "in", None, POLICY).write_mended(tmp_path / "out")
    assert (tmp_path / "victim.txt").read_text() == "precious"


def test_a_split_that_the_format_would_not_read_back_is_refused(tmp_path):
    for number, split in enumerate(("train", "night_train")):
        image(tmp_path / "in" / "images" / f"{split}.png", number)
        coco(tmp_path / "in" / "annotations" / f"instances_{split}.json", [(f"{split}.png", 64, 48, "cat")])
    with pytest.raises(InputError, match=r"would not be read back as it is \(no split 'night_train'\)"):
        convert(tmp_path / "in", tmp_path / "out", "voc")


def test_labels_in_a_folder_of_no_split_come_along(tmp_path):
    for number, folder in enumerate(("train", "val", "extra")):
        image(tmp_path / "in" / "images" / folder / f"{folder}.png", number)
        (tmp_path / "in" / "labels" / folder).mkdir(parents=True)
        (tmp_path / "in" / "labels" / folder / f"{folder}.txt").write_text("0 .5 .5 .2 .2\n")
    checked = DataCheck(tmp_path / "in", None, POLICY)
    assert [f.kind for f in checked.report.findings if f.file.stem == "extra"] == ["unlisted-image"]
    assert "1 images of no split are in the split unlisted" in checked.write_mended(tmp_path / "mended")
    again = DataCheck(tmp_path / "mended", None, POLICY).report
    assert again.images == {"train": 1, "val": 1, "unlisted": 1}
    assert convert(tmp_path / "in", tmp_path / "out", "coco").objects == {"train": 1, "val": 1, "no split": 1}


def test_a_misspelt_class_in_an_image_of_another_size_is_renamed_as_elsewhere(tmp_path):
    for name in "abc":
        image(tmp_path / "in" / "images" / f"{name}.png", ord(name))
    sizes = [("a.png", 64, 48, "cat"), ("b.png", 64, 48, "cat"), ("c.png", 640, 480, "Cat")]
    coco(tmp_path / "in" / "instances.json", sizes, ("cat", "Cat"))
    assert DataCheck(tmp_path / "in", None, POLICY).write_mended(tmp_path / "out") == [
        "class 'Cat': renamed 'cat'"
    ]
    assert read_dataset(tmp_path / "out").names == ("cat",)


def test_a_page_without_the_picture_of_a_decompression_bomb(tmp_path):
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    image(tmp_path / "in" / "images" / "a.png")
    coco(tmp_path / "in" / "instances.json", [("a.png", 64, 48, "cat")])
    (tmp_path / "in" / "images" / "map.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )
    write_page(DataCheck(tmp_path / "in", None, POLICY).report, tmp_path / "page.html")
    assert "map.png" in (tmp_path / "page.html").read_text().replace("<wbr>", "")


@pytest.mark.parametrize(
    ("header", "rows", "boxes"),
    [
        (
            "x1,y1,x2,y2",
            ["0.1,0.1,0.5,0.5", "-0.001,0.2,0.3,0.4", "0,0,1,nan"],
            [[64, 48, 320, 240], [0, 96, 192, 192]],
        ),
        ("x,y,w,h", ["0.5,0.5,0.2,0.2", "0.85,0.5,0.3,0.2"], None),
    ],
)
def test_shares_of_the_image_with_one_value_just_outside(tmp_path, header, rows, boxes):
    image(tmp_path / "a.png", size=(640, 480))
    lines = "".join(f"a.png,{row},cat\n" for row in rows)
    (tmp_path / "t.csv").write_text(f"file,{header},class\n{lines}")
    if boxes is None:
        with pytest.raises(InputError, match="found x, y, w and h all from 0 to 1"):
            read_dataset(tmp_path)
    else:
        assert read_dataset(tmp_path).boxes == pytest.approx(np.array(boxes), abs=1e-4)


def test_a_table_of_splits_finds_images_in_folders_of_their_names(tmp_path):
    for number, name in enumerate(("train/a", "train/b", "val/c")):
        image(tmp_path / "in" / f"{name}.png", number)
    (tmp_path / "in" / "t.csv").write_text(
        "file,x1,y1,x2,y2,class,split\na.png,1,1,20,20,cat,train\nb.png,1,1,20,20,cat,train\nc.png,1,1,20,20,cat,val\n"
    )
    assert [len(read_dataset(tmp_path / "in", split)) for split in (None, "train", "val")] == [3, 2, 1]
    assert sum(convert(tmp_path / "in", tmp_path / "out", "coco", split_by="50/50").images.values()) == 3


def test_one_more_table_does_not_hide_the_splits(tmp_path):
    for number, name in enumerate(("train", "test", "extra")):
        image(tmp_path / f"{name}.png", number)
        (tmp_path / f"{name}.csv").write_text(f"file,x1,y1,x2,y2,class\n{name}.png,1,1,20,20,cat\n")
    assert splits(tmp_path) == ("train", "test")
    assert len(read_dataset(tmp_path)) == 3


def test_a_broken_file_beside_the_one_that_is_checked(tmp_path):
    image(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .2 .2\n")
    (tmp_path / "zdata.yaml").write_text("names: [cat]\ntrain: images\n")
    (tmp_path / "args.yaml").write_text("names: x\npath: y\n")
    assert DataCheck(tmp_path / "zdata.yaml", None, POLICY).report.images == {"train": 1}


@pytest.mark.parametrize(
    ("names", "learnt", "measured"),
    [
        (("train", "validation"), "train", "val"),
        (("trainval", "test"), "trainval", "test"),
        (("train", "trainval", "val"), "train", "val"),
    ],
)
def test_nothing_is_measured_on_what_was_learnt(tmp_path, names, learnt, measured):
    for number, name in enumerate(names):
        image(tmp_path / "images" / f"{name}.png", number)
        coco(tmp_path / "annotations" / f"instances_{name}.json", [(f"{name}.png", 64, 48, "cat")])
    there = splits(tmp_path)
    assert training_split(None, there, tmp_path) == learnt
    assert evaluation_split(None, there, tmp_path) == measured
    assert training_split(f"{learnt.title()}_2017", there, tmp_path) == learnt
    with pytest.raises(InputError, match="found no split 'x', wanted one of"):
        evaluation_split("x", there, tmp_path)


def test_ten_thousand_images_of_one_name_are_named_at_once(tmp_path):
    data = data_of({"train": [(tmp_path / f"seq_{i}" / "img" / "0.png", []) for i in range(10_000)]}, ())
    started = time.perf_counter()
    names, _ = file_names(data, (), by_stem=True, said=[])
    assert len(set(names)) == 10_000
    assert time.perf_counter() - started < 5  # the square of it took minutes


def test_many_pictures_alike_are_one_group(tmp_path):
    small = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE), dtype=np.uint8)
    fingerprints = [
        Fingerprint(tmp_path / f"{i}.png", "", (48, 64), 1, str(i).encode(), small) for i in range(2_000)
    ]
    started = time.perf_counter()
    assert near_duplicates(fingerprints) == [tuple(range(2_000))]
    assert time.perf_counter() - started < 5


@pytest.fixture
def two(tmp_path, monkeypatch):
    """A set of two splits and an image without annotation, in the folder that the test runs in."""
    for number, name in enumerate("abc"):
        image(tmp_path / "in" / "images" / f"{name}.png", number)
    for split, name in (("train", "a"), ("val", "b")):
        coco(tmp_path / "in" / "annotations" / f"instances_{split}.json", [(f"{name}.png", 64, 48, "cat")])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", ["voc", "yolo", "coco", "csv", "labelme", "cvat", "labelstudio"])
def test_links_in_place_of_copies(two, form):
    """Also from a path that is relative: a link is read from its own folder."""
    before = {path: path.read_bytes() for path in two.rglob("*") if path.is_file()}
    linked, copied = Path(f"{form}_linked"), Path(f"{form}_copied")
    assert convert(Path("in"), linked, form, link=True) == convert(Path("in"), copied, form)
    images = list(linked.rglob("*.png"))
    assert sorted(path.name for path in images) == ["a.png", "b.png", "c.png"]
    assert all(path.is_symlink() for path in images)
    assert {path.resolve() for path in images} == set((two / "in" / "images").iterdir())
    assert not any(path.is_symlink() for path in linked.rglob("*") if path.suffix != ".png")
    assert not any(path.is_symlink() for path in copied.rglob("*"))
    for split in ("train", "val"):
        one, other = (read_dataset(folder, split) for folder in (linked, copied))
        assert (one.faults, one.names, [path.name for path in one.paths]) == (
            other.faults,
            other.names,
            [path.name for path in other.paths],
        )
        assert one.boxes.tolist() == other.boxes.tolist()
    kinds = [[f.kind for f in DataCheck(folder, None, POLICY).report.findings] for folder in (linked, copied)]
    assert kinds[0] == kinds[1]
    assert "unlabelled-image" in kinds[0]
    assert {path: path.read_bytes() for path in before} == before


def test_a_mended_copy_of_links_is_one_of_files(two):
    convert(Path("in"), Path("linked"), "coco", link=True)
    DataCheck(Path("linked"), None, POLICY).write_mended(Path("mended"))
    files = {path.name: path for path in Path("mended").rglob("*.png")}
    assert sorted(files) == ["a.png", "b.png", "c.png"]
    assert not any(path.is_symlink() for path in files.values())
    assert all(path.read_bytes() == (two / "in/images" / name).read_bytes() for name, path in files.items())


def test_links_on_the_command_line(two):
    result = CliRunner().invoke(cli, ["convert", "in", "out", "--to", "voc", "--link"], standalone_mode=False)
    assert result.exception is None
    assert all(path.is_symlink() for path in Path("out").rglob("*.png"))
    assert read_dataset("out").paths[0].is_file()
