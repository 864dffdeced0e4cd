"""Mending decides what needs no judgement, once: a mended data set has nothing more to mend."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from masu.data.audit.checks import Looked, find_faults
from masu.data.audit.mending import mend
from masu.data.dataset import CROWD, Dataset
from masu.data.fitting import measured
from masu.data.formats import formats
from masu.data.formats.writing import write_dataset
from masu.data.kinds import KINDS
from masu.ops.images import InputPolicy
from masu.verbs.check import DataCheck
from tests.datasets import data_of

POLICY = InputPolicy(320, 640)
SIZE = (48, 64)
NAMES = ("dog", "Dog ", "hen", "cow")
COLUMNS = ("paths", "starts", "boxes", "labels", "flags", "sizes", "claimed", "members")
WRITERS = [name for name, form in formats().items() if form.write is not None]


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[Path]:
    """Pictures of which two are the same file, one is damaged, one empty and one turned."""
    folder = tmp_path_factory.mktemp("images")
    for number, name in enumerate(("a.png", "b.png", "c.png", "cut.png", "turned.png")):
        pixels = np.random.default_rng(number).integers(0, 255, (*SIZE, 3), np.uint8)
        picture = Image.fromarray(pixels)
        picture.getexif()[0x0112] = 3 if name == "turned.png" else 1
        picture.save(folder / name, exif=picture.getexif())
    (folder / "same.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:3000])
    (folder / "empty.png").write_bytes(b"")
    return sorted(folder.iterdir())


def columns(data: Dataset) -> list[object]:
    values = {name: getattr(data, name) for name in COLUMNS} | {"paths": [path.name for path in data.paths]}
    return [
        data.splits,
        data.names,
        data.category_ids,
        *(repr(np.asarray(v).tolist()) for v in values.values()),
    ]


EDGE = st.sampled_from(
    [-5.0, -0.05, 0.0, 0.1, 3.0, 3.5, 10.0, 10.05, 30.0, 47.95, 63.0, 64.0, 64.08, 70.0, 1e9, math.nan]
)
OBJECT = st.tuples(st.tuples(EDGE, EDGE, EDGE, EDGE), st.sampled_from(NAMES), st.booleans())


@settings(max_examples=80)
@given(draw=st.data())
def test_mending_twice_is_mending_once(images, draw):
    splits = draw.draw(st.sampled_from([(None,), ("train", "val"), ("train", "trainval", "test", None)]))
    parts = {}
    for split in splits:
        chosen = draw.draw(st.lists(st.sampled_from(images), unique=True, max_size=4))
        parts[split] = [(path, draw.draw(st.lists(OBJECT, max_size=5))) for path in chosen]
    sizes = {"b.png": draw.draw(st.sampled_from([SIZE, (96, 128), (0, 0)]))}
    data = measured(data_of(parts, NAMES, (3, 4, 7, 9), size=SIZE, sizes=sizes))
    once, _ = mend(Looked.of(data))
    again, changes = mend(Looked.of(measured(replace(once, sizes=sizes_said(once)))))
    assert changes == []
    assert columns(again) == columns(once)


def sizes_said(data: Dataset) -> np.ndarray:
    """Sizes as a copy of the data set says them."""
    return np.where(data.claimed.any(axis=1, keepdims=True), data.claimed, data.sizes)


def faulty(folder: Path) -> Dataset:
    """One of everything that is mended, and what is left to a person."""
    for number, name in enumerate(("a.png", "b.png", "large.png")):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (*SIZE, 3), np.uint8)).save(
            folder / name
        )
    (folder / "same.png").write_bytes((folder / "a.png").read_bytes())
    boxes = [
        (1, 2, 30, 40),
        (1, 2, 30, 40),
        (9, 9, 2, 2),
        (5, 5, 5, 5),
        (50, 30, 70, 47),
        (80, 1, 90, 9),
        (3, 3, 3.5, 9),
    ]
    objects = [(tuple(map(float, box)), "dog", False) for box in boxes]
    objects.append(((10.0, 10.0, 40.0, 40.0), "DOG", False))
    good = [((4.0, 5.0, 30.0, 40.0), "dog", False)]
    far = [((200.0, 100.0, 500.0, 400.0), "hen", False)]
    parts = {
        "train": [(folder / "a.png", good), (folder / "b.png", objects), (folder / "large.png", far)],
        "val": [(folder / "same.png", good)],
    }
    return data_of(parts, ("DOG", "dog", "hen"), size=SIZE, sizes={"large.png": (480, 640)})


@pytest.mark.parametrize("form", [form for form in WRITERS if form not in ("yolo", "labelstudio")])
def test_a_mended_copy_is_not_mended_again(tmp_path, form):
    """On disk, in every format that can hold all faults: the copy's findings are those left to a person."""
    (tmp_path / "images").mkdir()
    write_dataset(tmp_path / "in", form, measured(faulty(tmp_path / "images")))
    first = DataCheck(tmp_path / "in", None, POLICY)
    assert first.write_mended(tmp_path / "once")
    wanted = 7 if form == "labelme" else 8  # the corners of a LabelMe rectangle have no order
    assert len(json.loads((tmp_path / "once" / "changes.json").read_text())) == wanted
    second = DataCheck(tmp_path / "once", None, POLICY)
    left = [finding.kind for finding in second.report.findings if KINDS[finding.kind].severity == "error"]
    assert left == ["outside", "wrong-size"] or left == ["wrong-size", "outside"]
    second.write_mended(tmp_path / "twice")
    assert json.loads((tmp_path / "twice" / "changes.json").read_text()) == []
    assert columns(DataCheck(tmp_path / "twice", None, POLICY).looked.data) == columns(second.looked.data)


def test_what_is_told_as_a_double_is_what_is_left_out(tmp_path):
    """A chain: near the first, the same as the second; each box once, and the copy has no double."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)).save(tmp_path / "a.png")
    boxes = [(0, 0, 40, 40), (0, 0, 40, 38), (0, 0, 40, 38), (0, 0, 40, 38.1), (0, 0, 40, 38)]
    names = ["dog", "dog", "dog", "dog", "cat"]
    objects = [(tuple(map(float, box)), name, False) for box, name in zip(boxes, names, strict=True)]
    data = data_of({None: [(tmp_path / "a.png", objects)]}, ("dog", "cat"), size=SIZE)
    looked = Looked.of(measured(data))
    found = [(f.kind, f.where, f.found) for f in find_faults(looked, POLICY) if f.boxes]
    assert found == [
        ("duplicate-box", "object 3", "the same box as object 2"),
        ("duplicate-box", "object 4", "the same box as object 2"),
        ("near-duplicate-box", "object 2", "IoU 0.95 with object 1"),
        ("two-classes", "object 5", "cat, but dog in object 1 (IoU 0.95)"),
    ]
    mended, changes = mend(looked)
    assert [change.where for change in changes] == ["object 3", "object 4"]
    assert len(mended.boxes) == 3


def test_a_heap_of_equal_boxes_is_told_box_by_box(tmp_path):
    """Ten thousand labels on one place: one finding each, not one for each pair, and no table of pairs."""
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.png")
    objects = [((1.0, 2.0, 30.0, 40.0), "dog", False)] * 10_000
    looked = Looked.of(measured(data_of({None: [(tmp_path / "a.png", objects)]}, ("dog",), size=SIZE)))
    found = [f for f in find_faults(looked, POLICY) if f.kind == "duplicate-box"]
    assert len(found) == 9_999
    assert {f.found for f in found} == {"the same box as object 1"}
    assert len(mend(looked)[0].boxes) == 1


def test_ignored_regions_are_no_doubles_of_objects_but_of_each_other(tmp_path):
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.png")
    objects = [((1.0, 2.0, 30.0, 40.0), "dog", ignored) for ignored in (False, True, True)]
    mended, changes = mend(
        Looked.of(measured(data_of({None: [(tmp_path / "a.png", objects)]}, ("dog",), size=SIZE)))
    )
    assert mended.flags.tolist() == [0, CROWD]
    assert [change.done for change in changes] == ["left out: the same as object 2"]


def test_a_heap_of_classes_on_one_box_is_told_in_no_time(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 48)).save(path)
    names = [f"c{number}" for number in range(6_000)]
    objects = [((1, 2, 31, 22), name, False) for name in names]
    looked = Looked.of(measured(data_of({None: [(path, objects)]}, names)))
    started = time.perf_counter()
    found = [f.found for f in find_faults(looked, POLICY) if f.kind == "two-classes"]
    assert time.perf_counter() - started < 4
    assert len(found) == 5_999
    assert found[-1] == "c5999, but c0 in object 1 (IoU 1.00)"


def test_infinite_and_giant_boxes_are_mended_without_a_warning(tmp_path, recwarn):
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 48)).save(path)
    boxes = [(math.inf, 2.0, math.inf, 20.0), (1.0, 2.0, 1e308, 1e308)]
    data = measured(data_of({None: [(path, [(box, "dog", False) for box in boxes])]}, ["dog"]))
    mended, _ = mend(Looked.of(data))
    assert mended.boxes.tolist() == [[1, 2, 64, 48]]
    write_dataset(tmp_path / "out", "csv", data)
    assert "1e+308" in (tmp_path / "out/annotations.csv").read_text()
    assert not list(recwarn)
