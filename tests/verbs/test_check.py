"""masu check: each fault once, by hand; the page; the mended copy."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masu.cli import cli
from masu.data.formats import read_annotations
from masu.data.formats.writing import write_dataset
from masu.data.kinds import KINDS
from masu.data.pixels.images import image_size
from masu.ops.images import InputPolicy
from masu.pages.page import breakable
from masu.verbs.check import DataCheck, check, write_page
from tests.datasets import Object, data_of


def noise(path: Path, seed: int, size: tuple[int, int] = (48, 64), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    picture.save(path, **options)
    return path


def obj(box: tuple[float, ...], name: str = "dog", ignored: bool = False) -> Object:
    return box, name, ignored


GOOD = obj((4, 5, 30, 40))


@pytest.fixture
def data(tmp_path):
    """Writes parts ``{split: {picture: objects}}`` as COCO and returns the folder."""

    def make(parts: dict, names: tuple[str, ...] = ("dog",), sizes: dict | None = None) -> Path:
        images, true = {}, {}
        for split, pictures in parts.items():
            for seed, name in enumerate(pictures):
                path = tmp_path / "images" / name
                if not path.exists():
                    noise(path, seed + 100 * len(images))
                true[name] = image_size(path)
            images[split] = [(tmp_path / "images" / name, objects) for name, objects in pictures.items()]
        made = data_of(images, names, sizes=true | (sizes or {}))
        write_dataset(tmp_path / "data", "coco", made)
        return tmp_path / "data"

    return make


def found(path: Path) -> list[tuple[str, str, str]]:
    return [(f.kind, f.where, f.found) for f in check(path).findings]


MANY = [obj((x, y, x + 12, y + 12)) for x in (0, 13, 26, 39) for y in (0, 13, 26)]


def test_nothing_is_found_in_sound_data(data):
    path = data({"train": {"a.png": MANY, "b.png": [GOOD]}, "test": {"c.png": [GOOD]}})
    report = check(path)
    assert report.findings == ()
    assert (report.format, report.images, report.objects) == (
        "coco",
        {"train": 2, "test": 1},
        {"train": 13, "test": 1},
    )


@pytest.mark.parametrize(
    ("bad", "kind", "text"),
    [
        (obj((5, 5, 5, 9)), "no-area", "box 5 5 5 9 has no area"),
        (obj((9, 5, 5, 9)), "inverted", "box 9 5 5 9 has its corners in the wrong order"),
        (obj((70, 5, 75, 9)), "outside", "box 70 5 75 9 lies outside the image of 64×48 pixels"),
        (obj((50, 5, 75, 19)), "overhang", "box 50 5 75 19 reaches outside the image of 64×48 pixels"),
        (obj((5, 5, 5.5, 30)), "sub-pixel", "box of 0.5×25 pixels"),
        (obj((0, 0, 12, 12)), "duplicate-box", "the same box as annotation id 1"),
        (obj((0, 0, 12, 12.5)), "near-duplicate-box", "IoU 0.96 with annotation id 1"),
        (obj((0, 0, 12, 12), "cat"), "two-classes", "cat, but dog in annotation id 1 (IoU 1.00)"),
    ],
)
def test_each_fault_of_a_box(data, bad, kind, text):
    cats = [obj((x, y, x + 9, y + 9), "cat") for x in (0, 11, 22, 33, 44) for y in (0, 11, 22)]
    path = data({None: {"a.png": [*MANY, bad], "b.png": cats}}, ("dog", "cat"))
    wanted = [(kind, "annotation id 13", text)]
    assert [row for row in found(path) if row[0] != "too-small"] == wanted
    report = check(path)
    assert report.errors == (KINDS[kind].severity == "error")
    assert report.findings[0].image == path / "images" / "a.png"


def test_a_double_of_an_ignored_region_is_none(data):
    path = data({None: {"a.png": [*MANY, obj((0, 0, 12, 12), ignored=True)]}})
    assert found(path) == []


def test_faults_of_classes(data):
    path = data(
        {None: {"a.png": [*MANY, obj((50, 20, 60, 30), "D og"), obj((50, 0, 60, 10), "hen")]}},
        ("dog", "D og", "hen", "cow"),
    )
    assert sorted(found(path)) == [
        ("few-objects", "class D og", "1 object"),
        ("few-objects", "class hen", "1 object"),
        ("similar-names", "", "'dog' and 'D og'"),
        ("unused-class", "class cow", "no objects"),
    ]


def test_splits_with_other_classes(tmp_path):
    """The classes are those of all splits, and a mended copy has one list for all."""
    parts = {}
    for number, (split, name) in enumerate((("train", "cat"), ("val", "dog"))):
        image = noise(tmp_path / f"{split}.png", number)
        parts[split] = [(image, [(box, name, False) for box, *_ in MANY])]
    write_dataset(tmp_path / "data", "coco", data_of(parts, ("cat", "eel", "dog"), size=(48, 64)))
    for split, name in (("train", "cat"), ("val", "dog")):
        file = tmp_path / "data" / "annotations" / f"instances_{split}.json"
        page = json.loads(file.read_text())
        page["categories"] = [c for c in page["categories"] if c["name"] in (name, "eel")]
        file.write_text(json.dumps(page))
    report = check(tmp_path / "data")
    assert report.names == ("cat", "eel", "dog")
    assert [(f.kind, f.where, f.found) for f in report.findings] == [
        ("split-classes", "split train", "no dog"),
        ("split-classes", "split val", "no cat"),
        ("unused-class", "class eel", "no objects"),
    ]
    DataCheck(tmp_path / "data", None, InputPolicy(320, 640)).write_mended(tmp_path / "mended")
    assert [f.kind for f in check(tmp_path / "mended").findings] == ["unused-class"]


def test_imbalance_empty_images_and_tiny_objects(data):
    crowd = [obj((x, y, x + 4, y + 4)) for x in range(0, 60, 5) for y in range(0, 45, 5)]
    path = data({None: {"a.png": crowd, "b.png": [], "c.png": [obj((1, 1, 20, 20), "cat")]}}, ("dog", "cat"))
    report = DataCheck(path, None, InputPolicy(32, 64)).report
    assert sorted((f.kind, f.found) for f in report.findings) == [
        ("empty-images", "1: b.png"),
        ("few-objects", "1 object"),
        ("imbalance", "108 objects of dog, 1 of cat"),
        (
            "too-small",
            "108 of 109 objects have a side under 4 pixels as the network sees them (32 px); the smallest, "
            "2.7 pixels: a.png, annotation id 1",
        ),
    ]


def test_faults_of_image_files(data, tmp_path):
    noise(tmp_path / "images" / "turned.jpg", 50, (64, 48), exif=_exif(6))
    stored = [obj((x, y, x + 12, y + 12)) for x in (0, 13, 26) for y in (0, 13, 26, 39)]
    names = {"a.png": MANY, "b.png": MANY, "c.png": MANY, "turned.jpg": stored}
    path = data({None: names}, sizes={"turned.jpg": (64, 48), "a.png": (99, 64)})
    content = (path / "images" / "b.png").read_bytes()
    (path / "images" / "b.png").write_bytes(content[:200])
    (path / "images" / "c.png").unlink()
    rows = {kind: text for kind, _, text in found(path)}
    assert rows.keys() == {"unreadable-image", "missing-image", "wrong-size", "stored-frame", "rotated"}
    assert rows["unreadable-image"].startswith("a damaged image (")
    assert rows["missing-image"].startswith("no such file c.png, looked in ")
    assert rows["rotated"] == "EXIF orientation 6: upright it is 64×48 pixels"
    assert rows["wrong-size"] == "64×99 pixels in the annotation, 64×48 in a.png"
    assert rows["stored-frame"] == "48×64 pixels, the size before EXIF turns it (orientation 6)"


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_the_same_picture_twice(data, tmp_path):
    for name in ("a.png", "same.png", "leak.png", "other.png"):
        noise(tmp_path / "images" / name, 7)
    noise(tmp_path / "images" / "near.jpg", 7, (96, 128))
    noise(tmp_path / "images" / "other.png", 8)
    parts = {
        "train": {"a.png": MANY, "same.png": MANY, "other.png": MANY},
        "test": {"leak.png": [GOOD], "near.jpg": [GOOD]},
    }
    path = data(parts)
    images = path / "images"
    assert [(f.kind, f.file, f.found) for f in check(path).findings] == [
        (
            "leak",
            images / "a.png",
            f"the same file as {images / 'leak.png'}, which is in test, this in train",
        ),
        ("same-image", images / "a.png", f"the same file as {images / 'same.png'}"),
        (
            "near-leak",
            images / "a.png",
            f"almost the same picture as {images / 'near.jpg'}, which is in test, this in train",
        ),
    ]


def test_one_picture_in_train_and_test_but_trainval_is_meant(data):
    path = data(
        {"train": {"a.png": MANY}, "trainval": {"a.png": MANY, "b.png": [GOOD]}, "test": {"b.png": [GOOD]}}
    )
    assert found(path) == [("leak", "", "in trainval and in test")]


def test_one_picture_labelled_in_two_ways(data, tmp_path):
    bad = obj((5, 5, 5, 9))
    path = data({"train": {"a.png": MANY}, "val": {"a.png": [GOOD, bad]}})
    assert found(path) == [
        ("no-area", "annotation id 2", "box 5 5 5 9 has no area"),
        ("leak", "", "in train and in val"),
        ("other-labels", "", "other objects in val than in train"),
    ]
    DataCheck(path, None, InputPolicy(320, 640)).write_mended(tmp_path / "mended")
    assert check(tmp_path / "mended").objects == {"train": 12, "val": 1}


@pytest.fixture
def forgotten(data, tmp_path):
    """Writes a set of a format in which each of two splits has an image, one is in no split, one unlabelled."""

    def make(form: str) -> Path:
        path = data({"train": {"a.png": MANY}, "val": {"b.png": [GOOD]}, "extra": {"c.png": [GOOD]}})
        noise(path / "images" / "d.png", 99)
        made = read_annotations(path)
        named = [made.splits.index(split) for split in ("train", "val")]
        made = replace(made, splits=("train", "val"), members=made.members[named])
        write_dataset(tmp_path / form, form, made, [path / "images" / "d.png"])
        return tmp_path / form

    return make


@pytest.mark.parametrize("form", ["voc", "csv"])
def test_images_that_no_list_names_and_images_without_annotation(forgotten, tmp_path, form):
    path = forgotten(form)
    images = path / ("JPEGImages" if form == "voc" else "images")
    report = check(path)
    assert [(f.kind, f.file, f.found) for f in report.findings] == [
        ("unlisted-image", images / "c.png", "no split names it"),
        ("unlabelled-image", images / "d.png", "no annotation names it"),
    ]
    assert report.images == {"train": 1, "val": 1, "no split": 1}
    stays = "1 images without annotation are copied and stay without"
    assert DataCheck(path, None, InputPolicy(320, 640)).write_mended(tmp_path / "mended") == [stays]
    again = check(tmp_path / "mended")
    assert (again.images, again.objects) == (report.images, report.objects)
    assert [f.kind for f in again.findings] == [f.kind for f in report.findings]


@pytest.mark.parametrize("form", ["coco", "yolo"])
def test_formats_without_a_place_for_images_of_no_split(forgotten, form):
    """They are a split of their own there."""
    report = check(forgotten(form))
    assert [(f.kind, f.file.name) for f in report.findings] == [("unlabelled-image", "d.png")]
    assert report.images == {"train": 1, "val": 1, "unlisted": 1}
    assert report.objects == {"train": 12, "val": 1, "unlisted": 1}


def test_convert_loses_no_image(forgotten, tmp_path):
    code, _, err = run("convert", forgotten("voc"), tmp_path / "out", "--to", "yolo")
    assert code == 0
    assert "masu: 1 images of no split are in the split unlisted\n" in err
    assert "masu: 1 images without annotation are copied and stay without\n" in err
    assert "train 1 image with 12 objects, val 1 image with 1 object, no split 1 image" in err
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == [
        "a.png",
        "b.png",
        "c.png",
        "d.png",
    ]
    run("convert", tmp_path / "voc", tmp_path / "shared", "--to", "coco", "--split-by", "50/50")
    assert sum(check(tmp_path / "shared").images.values()) == 3
    assert (tmp_path / "shared" / "images" / "d.png").is_file()


def test_one_annotation_file_of_several_says_nothing_of_the_images_of_the_others(data):
    path = data({"train": {"a.png": MANY}, "val": {"b.png": [GOOD]}})
    assert check(path / "annotations" / "instances_train.json").findings == ()
    (path / "annotations" / "instances_val.json").unlink()
    for place in (path, path / "annotations" / "instances_train.json"):
        assert [(f.kind, f.file.name) for f in check(place).findings] == [("unlabelled-image", "b.png")]


def test_files_that_are_not_read_are_told_kind_by_kind(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = data({None: {"a.png": MANY}})
    for name in ("shot.HEIC", "b.mov", "c.mp4", "d.nef", "notes.txt"):
        (path / "images" / name).write_bytes(b"x")
    shown = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    shown[0].save(path / "images" / "moving.gif", save_all=True, append_images=shown[1:])
    assert [(f.kind, f.file.name, f.found) for f in check(path).findings] == [
        ("unlabelled-image", "moving.gif", "no annotation names it"),
        ("unread-file", "data", f"2 films not read (b.mov, c.mp4): masu detect MODEL {path}/images/b.mov"),
        (
            "unread-file",
            "data",
            "1 HEIC photograph not read (shot.HEIC): pip install 'masu[heic]' reads them",
        ),
        ("unread-file", "data", "1 file not read (d.nef): convert to JPEG or PNG"),
    ]
    DataCheck(path, None, InputPolicy(320, 640)).write_mended(tmp_path / "mended")
    assert any(tmp_path.glob("mended/**/shot.HEIC"))


def test_labelled_photographs_without_their_package_are_one_finding(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = data({None: {"a.png": MANY, "b.jpg": [GOOD], "c.jpg": [GOOD]}})
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
    for name in ("b.jpg", "c.jpg"):
        (path / "images" / name).write_bytes(heic)
    assert [(f.kind, f.found) for f in check(path).findings if f.kind != "few-objects"] == [
        ("missing-package", "2 HEIC photographs not read (b.jpg, c.jpg): pip install 'masu[heic]' reads them")
    ]


def test_a_set_without_an_empty_picture_is_told_once(data):
    every = {f"{number}.png": MANY for number in range(20)}
    assert [f.kind for f in check(data({None: every})).findings] == ["no-empty-images"]


def test_a_mended_copy_has_no_errors_and_the_original_is_untouched(data, tmp_path):
    for name in ("a.png", "same.png", "leak.png"):
        noise(tmp_path / "images" / name, 7)
    bad = [
        obj((5, 5, 5, 9)),
        obj((49, 30, 40, 20)),
        obj((70, 5, 75, 9)),
        obj((50, 5, 75, 19)),
        obj((55, 25, 55.5, 40)),
        obj((0, 0, 12, 12)),
        obj((55, 25, 60, 40), "DOG"),
    ]
    parts = {
        "train": {"a.png": MANY, "same.png": MANY, "b.png": [*MANY, *bad], "broken.png": MANY},
        "test": {"leak.png": MANY},
    }
    path = data(parts, ("dog", "DOG"))
    (path / "images" / "broken.png").write_bytes(b"")
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    said = DataCheck(path, None, InputPolicy(320, 640)).write_mended(tmp_path / "mended")
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before
    images, page = path / "images", path / "annotations" / "instances_train.json"
    assert said == [
        f"{images / 'broken.png'}: image: left out: an empty file",
        "class 'DOG': renamed 'dog'",
        f"{page}: annotation id 37: left out: box 5 5 5 9 has no area",
        f"{page}: annotation id 39: left out: box 70 5 75 9 lies outside the image of 64×48 pixels",
        f"{page}: annotation id 41: left out: 0.5×15 pixels",
        f"{page}: annotation id 38: corners swapped",
        f"{page}: annotation id 40: clipped to 50 5 64 19",
        f"{page}: annotation id 42: left out: the same as annotation id 25",
        f"{images / 'a.png'}: split train: image left out: the same file is in test",
        f"{images / 'same.png'}: split train: image left out: the same file as another of this split",
    ]
    written = json.loads((tmp_path / "mended" / "changes.json").read_text())
    assert [line.endswith(row["done"]) for line, row in zip(said, written, strict=True)] == [True] * len(said)
    again = check(tmp_path / "mended")
    assert again.findings == ()
    assert (again.images, again.objects, again.names) == (
        {"train": 1, "test": 1},
        {"train": 15, "test": 12},
        ("dog",),
    )


def test_a_box_far_outside_is_drawn_at_once(data, tmp_path):
    path = data({None: {"a.png": [*MANY, obj((5, 5, 2_000_000_000, 2_000_000_000))]}})
    started = time.perf_counter()
    write_page(check(path), tmp_path / "page.html")
    assert time.perf_counter() - started < 10
    assert (tmp_path / "page.html").read_text().count("data:image/jpeg;base64,") >= 1


def test_the_page_escapes_what_the_data_says(data, tmp_path):
    evil = "<script>alert(1)</script>"
    path = data({None: {"a.png": [*MANY, obj((5, 5, 5, 9), evil)]}}, ("dog", evil))
    write_page(check(path), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert evil not in text
    assert "&lt;script&gt;" in text
    assert text.count("data:image/jpeg;base64,") == 1
    assert "http" not in text.replace("http-equiv", "")


def test_file_names_that_are_not_utf8(tmp_path):
    """Findings, page, mended copy and changes can all be written, and the copy is read again."""
    name = os.fsdecode(b"caf\xe9.png")
    image = noise(tmp_path / "a" / "images" / name, 1)
    page = {
        "images": [{"id": 1, "file_name": name}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 2, 0, 40]},
        ],
        "categories": [{"id": 1, "name": "d\ud800g"}],
    }
    (tmp_path / "a" / "all.json").write_text(json.dumps(page))
    image.with_name(os.fsdecode(b"\xe9.png")).write_bytes(b"")
    mended = tmp_path / "mended"
    code, out, _ = run("check", tmp_path / "a", "--report", tmp_path / "p.html", "--fix", mended)
    assert code == 1
    assert "a/images/\\udce9.png: no annotation names it" in out
    assert "class d\\ud800g: 2 objects" in out
    assert "\\udce9.<wbr>png<" in (tmp_path / "p.html").read_text(encoding="utf-8")
    assert [row["done"] for row in json.loads((mended / "changes.json").read_text(encoding="utf-8"))]
    assert check(mended).images == {"all": 1}
    assert sorted(path.name for path in (mended / "images").iterdir()) == ["%E9.png", "caf%E9.png"]


def test_data_without_any_image(data, tmp_path):
    """An empty data set, and an empty split, are errors; nothing to find is not nothing found."""
    (tmp_path / "empty.json").write_text('{"images": [], "annotations": [], "categories": []}')
    code, out, _ = run("check", tmp_path / "empty.json")
    assert code == 1
    assert out.startswith(f"{tmp_path} (coco): all 0 images with 0 objects; 0 classes\n")
    assert "error: no image with an annotation, 1 found" in out
    assert "\n1 error, 0 other findings, " in out
    path = data({"train": {"a.png": MANY}, "val": {}})
    assert found(path) == [("no-images", "split val", "nothing in it")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a/b_c.png", "a/<wbr>b_<wbr>c.<wbr>png"),
        ("C:\\x", "C:\\<wbr>x"),
        ("IoU 0.96 and -3.", "IoU 0.96 and -3."),
        ("<b>_x", "&lt;b&gt;_<wbr>x"),
    ],
)
def test_where_a_long_name_may_be_broken(text, wanted):
    assert str(breakable(text)) == wanted


def run(*arguments: object) -> tuple[int, str, str]:
    from click.testing import CliRunner

    result = CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.stdout, result.stderr


def test_the_command_line(data, tmp_path):
    path = data({None: {"a.png": [*MANY, obj((5, 5, 5, 9))]}})
    code, out, _ = run("check", path)
    assert code == 1
    assert "error: box without area, 1 found: correct the box or delete it" in out
    assert "annotation id 13: box 5 5 5 9 has no area" in out
    code, out, err = run(
        "check", path, "--json", "--fix", tmp_path / "mended", "--report", tmp_path / "p.html"
    )
    assert code == 1
    report = json.loads(out)
    assert report["errors"] == 1
    assert report["findings"][0]["kind"] == "no-area"
    assert report["findings"][0]["boxes"] == [[5, 5, 5, 9]]
    assert "1 change; the mended copy and changes.json are in" in err
    assert run("check", tmp_path / "mended")[0] == 0


def test_convert_on_the_command_line(data, tmp_path):
    path = data({None: {f"{i}.png": MANY for i in range(10)}})
    code, out, err = run("convert", path, tmp_path / "out", "--to", "yolo", "--split-by", "80/20", "--json")
    assert code == 0
    assert json.loads(out)["images"] == {"train": 8, "val": 2}
    assert (
        f"coco to yolo: train 8 images with 96 objects, val 2 images with 24 objects; in {tmp_path / 'out'}"
        in err
    )
    assert check(tmp_path / "out").findings == ()


def test_a_mended_copy_decides_nothing_that_a_person_has_to(data, tmp_path):
    """An annotation for a picture of another size, and one file under two labels, stay as they are."""
    first = noise(tmp_path / "images" / "a.png", 1)
    noise(tmp_path / "images" / "c.png", 2)
    (tmp_path / "images" / "b.png").write_bytes(first.read_bytes())
    large = obj((200, 100, 500, 400))
    source = data({None: {"a.png": [], "b.png": [GOOD], "c.png": [large]}}, sizes={"c.png": (480, 640)})
    before = check(source)
    assert DataCheck(source, None, InputPolicy(320, 640)).write_mended(tmp_path / "mended") == []
    after = check(tmp_path / "mended")
    assert [(f.kind, f.where) for f in after.findings] == [(f.kind, f.where) for f in before.findings]
    assert any(f.kind == "wrong-size" for f in after.findings)
