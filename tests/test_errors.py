"""The one exception: its wording, and the same in fields."""

import ast
import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import masu
from masu.atomic import WriteError, write_whole
from masu.cli.values import Word
from masu.data.pixels.images import read_image
from masu.data.pixels.pictures import UnreadableImageError, damage, find_images
from masu.detectors.build import configuration
from masu.detectors.prediction import too_large
from masu.detectors.torchvision_models import load_torchvision
from masu.errors import InputError, bad_input
from masu.evaluation.choice import classes_of
from masu.evaluation.metrics import coco_metrics
from masu.exports.write import SUFFIXES
from masu.ranges import BATCH_SIZE
from masu.runtime import Model
from masu.thresholds import check_threshold
from masu.training.tracking import check_tracker

SOURCE = Path(masu.__file__).parent
CODES = set(re.findall(r'``"([a-z-]+)"``', InputError.__doc__))


def calls(name):
    """Every call of a name in masu, with its file and line."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", {k.arg: k.value for k in node.keywords}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a few files that are not what they seem."""
    monkeypatch.chdir(tmp_path)
    Path("torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    Path("notes").mkdir()
    Path("notes/a.txt").write_text("milk")
    Path("cells.onnx").write_bytes(b"no graph")
    Image.new("RGB", (4, 4)).save("a.png")


def refuse(error):
    raise error


GOLDEN = [
    (
        lambda: masu.load("no.safetensors"),
        "no.safetensors: found no such file, wanted a model file that masu wrote (RUN/best.safetensors)",
        "missing-file",
    ),
    (
        lambda: masu.load("cells.onnx"),
        "cells.onnx: found an exported model, wanted a model file that masu wrote (RUN/best.safetensors); take the .safetensors file that it was exported from",
        "bad-input",
    ),
    (
        lambda: read_image("no.jpg"),
        "no.jpg: found no such file, wanted an image Pillow can read; check the path",
        "missing-file",
    ),
    (
        lambda: read_image("notes"),
        "notes: found a folder, wanted an image Pillow can read; name the files in it",
        "unreadable-image",
    ),
    (
        lambda: read_image(np.zeros((2, 2, 5), np.uint8)),
        "image array: found shape (2, 2, 5), wanted (H, W) or (H, W, 3); transpose or index it to that shape",
        "bad-input",
    ),
    (
        lambda: find_images(["notes"]),
        "notes: found a folder without images, wanted an image, a folder of images or a pattern such as 'shots/*.jpg'; check the path",
        "no-images",
    ),
    (
        lambda: masu.TrainSettings(epochs=0),
        "--epochs: found 0, wanted a whole number from 1 to 1000000; choose one of these",
        "out-of-range",
    ),
    (
        lambda: masu.TrainSettings(box_loss="huber"),
        "--box-loss: found 'huber', wanted one of smooth_l1, l1, l2, giou",
        "unknown-name",
    ),
    (
        lambda: masu.TrainSettings(optimizer="adam"),
        "--optimizer: found 'adam', wanted sgd or adamw",
        "unknown-name",
    ),
    (
        lambda: check_tracker("comet"),
        "--log-to: found 'comet', wanted tensorboard or wandb or mlflow; choose one of them",
        "unknown-name",
    ),
    (
        lambda: classes_of(["cow"], ("cat", "dog")),
        "--classes: found 'cow', wanted one of cat, dog; choose one of these",
        "unknown-name",
    ),
    (
        lambda: Word(("json", "csv")).convert("jsn", None, None),
        "word: found 'jsn', wanted one of json, csv; did you mean json?",
        "unknown-name",
    ),
    (lambda: load_torchvision("yolo"), None, "unknown-name"),
    (lambda: masu.from_torchvision(nn.Linear(1, 1)), None, "bad-input"),
    (
        lambda: masu.to_torchvision_state_dict(masu.build("rpn_resnet50_fpn", ["a"], "none")),
        None,
        "bad-input",
    ),
    (
        lambda: refuse(too_large("a.png", torch.empty(3, 7, 9))),
        "a.png: found 9×7 pixels, for which the memory does not suffice, wanted a smaller image; cut it into tiles",
        "unreadable-image",
    ),
    (
        lambda: refuse(damage("a.png", MemoryError())),
        "a.png: found a picture for which the memory does not suffice, wanted an image Pillow can read; cut it into tiles",
        "unreadable-image",
    ),
    (
        lambda: check_threshold({"cow": 0.5}, ("cat", "dog")),
        "threshold of class 'cow': found no such class, wanted one of cat, dog",
        "unknown-name",
    ),
    (
        lambda: check_threshold(2, ("cat",)),
        "threshold: found 2, wanted a score from 0 to 1",
        "out-of-range",
    ),
    (
        lambda: Model("no.onnx"),
        "no.onnx: found no such file, wanted a file that masu export wrote; check the path",
        "missing-file",
    ),
    (
        lambda: masu.read_dataset("a.png", form="cocoa"),
        None,
        "unknown-name",
    ),
    (
        lambda: write_whole(Path("no/such/folder.txt"), [b"a"]),
        "no/such/folder.txt: found no such file or directory, wanted a folder with room that can be written to; the file is as it was before",
        "not-written",
    ),
    (
        lambda: coco_metrics([], [masu.Detections([], [], [])], ["a"]),
        "detections: found results of 1 images, wanted 0, one per target",
        "bad-input",
    ),
]
OTHERS = [
    lambda: masu.read_dataset("nowhere"),
    lambda: masu.read_dataset("notes"),
    lambda: masu.check("nowhere"),
    lambda: masu.convert("notes", "out", "coco"),
    lambda: masu.convert("notes", "out", "cocoa"),
    lambda: masu.train("nowhere"),
    lambda: masu.train("notes", weights="no.safetensors"),
    lambda: masu.anchors("nowhere"),
    lambda: masu.anchors("notes", "fcos_lite0_fpn"),
    lambda: masu.build("cat", ["a"]),
    lambda: masu.build("faster_rcnn_lite0_fpn", []),
    lambda: masu.build("faster_rcnn_lite0_fpn", ["a"], "some"),
    lambda: masu.from_torchvision(7),
    lambda: masu.open_detector("cells.onnx"),
    lambda: masu.open_detector(f"cells{SUFFIXES['torch']}"),
    lambda: masu.detect_bulk("no.safetensors", ["a.png"], "out", engine="spark"),
    lambda: configuration("cat"),
    lambda: read_image("torn.jpg"),
    lambda: read_image("https://a.b/c.jpg"),
    lambda: BATCH_SIZE.check("batch_size", 0),
    lambda: masu.Detections([], [], []).plot(),
    lambda: masu.Detections([], [], []).save("a.txt"),
]


@pytest.mark.parametrize(
    ("fails", "line", "code"), GOLDEN, ids=[f"{code}-{i}" for i, (_, _, code) in enumerate(GOLDEN)]
)
def test_the_line_and_its_code(place, fails, line, code):
    with pytest.raises(InputError) as caught:
        fails()
    assert line is None or str(caught.value) == line
    assert caught.value.code == code


@pytest.mark.parametrize("fails", [*(one for one, _, _ in GOLDEN), *OTHERS])
def test_the_fields_are_the_line(place, fails):
    with pytest.raises(InputError) as caught:
        fails()
    error = caught.value
    assert error.thing
    assert error.found
    assert error.wanted
    fix = f"; {error.fix}" if error.fix else ""
    line = " ".join(f"{error.thing}: found {error.found}, wanted {error.wanted}{fix}".split())
    assert str(error) == line
    assert error.code in CODES


def test_every_error_in_the_source_has_fields():
    made = dict(calls("InputError"))
    assert len(made) > 10
    assert [where for where, given in made.items() if not {"thing", "found"} <= given.keys()] == []
    for kind in ("WriteError", "LostProcessError", "LostWorkerError", "StoreError", "OtherSettingsError"):
        assert list(calls(kind)) == [], "bad_input(…, kind=…) fills the fields"


def test_every_code_is_in_the_docstring():
    given = [
        v.value
        for name in ("InputError", "bad_input")
        for _, k in calls(name)
        if isinstance(v := k.get("code"), ast.Constant)
    ]
    kinds = [kind.default_code for kind in (InputError, *InputError.__subclasses__())]
    assert {*given, *kinds} - {""} == CODES


@pytest.mark.parametrize(
    "error",
    [
        bad_input("a", "b", "c", "d", code="missing-file"),
        bad_input("a", "b", "c", kind=WriteError),
        UnreadableImageError("a.jpg", "no end", "leave it out"),
    ],
)
def test_an_error_goes_through_a_pickle(error):
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def test_a_line_that_goes_on_keeps_kind_and_fields():
    error = bad_input("a", "b", "c", "d", kind=WriteError).because("e")
    assert isinstance(error, WriteError)
    assert str(error) == "a: found b, wanted c; d; e"
    assert (error.fix, error.code) == ("d; e", "not-written")


def test_what_was_found_is_cut_in_line_and_field_alike():
    error = bad_input("a", "b " * 400, "c")
    assert error.found == f"{('b ' * 150)[:300]}…"
    assert str(error) == f"a: found {error.found}, wanted c"
    assert str(bad_input("", "b", "c")) == "found b, wanted c"
