"""masu check --model: from files to a list of labels to look at."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masu
from masu.cli import cli
from masu.data.dataset import DIFFICULT, Dataset, Sample
from masu.data.formats.writing import write_dataset
from masu.errors import InputError
from masu.records import Target
from masu.terminal import print_findings
from masu.training.recipe import TrainSettings
from masu.verbs.wrong_labels import LabelReview, WrongLabel, followed, settings_for, write_suggestions
from tests.datasets import data_of


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    """Nine pictures with a bright disc on a dark ground."""
    folder = tmp_path_factory.mktemp("discs")
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    pictures = []
    for number in range(9):
        ground = draw.integers(0, 40, (64, 64, 3))
        cx, cy, radius = draw.integers(18, 46), draw.integers(18, 46), draw.integers(10, 16)
        ground[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] = (250, 220, 60)
        box = tuple(float(v) for v in (cx - radius, cy - radius, cx + radius, cy + radius))
        Image.fromarray(ground.astype(np.uint8)).save(folder / f"{number}.png")
        pictures.append((folder / f"{number}.png", [(box, "disc", False)]))
    write_dataset(folder / "data", "coco", data_of({None: pictures}, ("disc",)))
    return folder / "data"


@pytest.fixture(scope="module")
def report(discs, tmp_path_factory):
    page = tmp_path_factory.mktemp("page") / "labels.html"
    settings = TrainSettings(image_size=64, weights="none")
    return masu.check(discs, model=settings, epochs=1, report=page), page


def test_every_label_is_judged_and_said_to_be(report):
    review = report[0].review
    assert (review.images, review.objects, review.folds) == (9, 9, 3)
    assert 0 <= review.ap50 <= 1
    assert report[0].as_dict()["label_review"]["objects"] == 9
    assert "9 labels in 9 images were judged by detectors that had not seen them" in report[1].read_text()


def label(**changes):
    given = {"kind": "missing", "likelihood": 0.9, "image": Path("a.png"), "file": Path("a.json")}
    more = {
        "where": "",
        "object": None,
        "split": None,
        "name": "dog",
        "box": (1.0, 2.0, 3.0, 4.0),
        "instead": None,
    }
    return WrongLabel(**(given | more | {"moved": None, "score": 0.75} | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "dog seen with a score of 0.75, no label there"),
        (
            {"kind": "wrong-class", "instead": "cat"},
            "labelled dog, seen as cat with a score of 0.75",
        ),
        (
            {"kind": "misplaced", "moved": (2.0, 3.0, 4.0, 5.0)},
            "labelled dog, seen in another place with a score of 0.75",
        ),
        (
            {"kind": "spurious"},
            "labelled dog, nothing that belongs to it is seen with a score above 0.75",
        ),
        ({"kind": "spurious", "score": 0.0}, "labelled dog, nothing that belongs to it is seen at all"),
    ],
)
def test_what_contradicts_a_label_is_said_in_words(changes, said):
    assert label(**changes).found == said


def test_a_label_is_json():
    assert json.loads(json.dumps(label(moved=(2.0, 3.0, 4.0, 5.0)).as_dict()))["moved"] == [2, 3, 4, 5]


def test_suggestions_hold_every_label_with_the_doubtful_ones_followed(discs):
    data = masu.read_dataset(discs)
    with_two = Dataset.of(
        [
            Sample(data.paths[0], Target([[1, 1, 9, 9], [20, 20, 30, 30], [40, 40, 50, 50]], [0, 1, 1])),
            Sample(data.paths[1], Target([[2, 2, 8, 8]], [0])),
            Sample(data.paths[2], Target([[3, 3, 7, 7]], [0])),
        ],
        ("cat", "dog"),
    )
    with_two = replace(with_two, flags=np.array([0, 0, DIFFICULT, 0, 0], np.uint8))
    doubts = (
        label(kind="misplaced", index=2, object=0, name="cat", moved=(4.0, 4.0, 9.0, 9.0)),
        label(kind="wrong-class", index=0, object=0, name="cat", box=(1, 1, 9, 9), instead="dog"),
        label(kind="spurious", index=0, object=1, box=(20, 20, 30, 30), likelihood=0.7),
        label(index=0, name="cat", box=(10.0, 10.0, 15.0, 15.0), likelihood=0.6),
    )
    drafts, scores = followed(with_two, LabelReview(doubts, 3, 5, 3, None, 1.0))
    assert drafts.flags.tolist() == [0, 0, DIFFICULT, 0]
    assert list(drafts.paths) == [data.paths[2], data.paths[0]]
    assert drafts.boxes.tolist() == [[4, 4, 9, 9], [1, 1, 9, 9], [40, 40, 50, 50], [10, 10, 15, 15]]
    assert drafts.labels.tolist() == [0, 1, 1, 0]
    assert scores.tolist() == [0.9, 0.9, 1.0, 0.6]


@pytest.mark.parametrize("tool", ["labelme", "labelstudio"])
def test_suggestions_are_a_data_set_of_the_tool(discs, tmp_path, tool):
    data = masu.read_dataset(discs)
    doubt = label(index=3, name="disc", box=(1.0, 2.0, 11.0, 12.0))
    write_suggestions(tmp_path / "out", tool, data, LabelReview((doubt,), 9, 9, 3, None, 1.0))
    written = [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".png"]
    assert [path.name for path in written] == [data.paths[3].name]
    texts = " ".join(path.read_text() for path in (tmp_path / "out").rglob("*.json"))
    assert "0.9" in texts


def test_without_a_model_no_label_is_judged(discs):
    report = masu.check(discs)
    assert report.review is None
    assert report.as_dict()["label_review"] is None


def test_a_run_says_how_to_train(tmp_path):
    masu_settings = TrainSettings(architecture="retinanet_lite0_fpn", image_size=256, seed=3).described()
    (tmp_path / "settings.json").write_text(json.dumps(masu_settings | {"trained_on": {"data": "x"}}))
    for named in (tmp_path, tmp_path / "best.safetensors"):
        settings = settings_for(named)
        assert settings == TrainSettings(architecture="retinanet_lite0_fpn", image_size=256, seed=3)


def test_weights_that_may_have_seen_the_images_are_not_started_from(tmp_path):
    said = TrainSettings(weights="earlier.safetensors").described()
    (tmp_path / "settings.json").write_text(json.dumps(said))
    assert settings_for(tmp_path).weights == "auto"


def test_an_architecture_is_enough():
    assert settings_for("fcos_lite0_fpn").architecture == "fcos_lite0_fpn"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no settings.json, which says how a model was trained"),
        ("{", "settings that cannot be read"),
        ('{"augmentation": null, "architecture": "vgg"}', "settings that cannot be read"),
    ],
)
def test_a_run_without_settings_is_refused(tmp_path, content, found):
    if content is not None:
        (tmp_path / "settings.json").write_text(content)
    with pytest.raises(InputError) as error:
        settings_for(tmp_path)
    assert error.value.found.startswith(found)


def test_what_is_neither_run_nor_architecture_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(InputError) as error:
        cli(["check", str(tmp_path / "none"), "--model", str(tmp_path / "gone")])
    assert error.value.found == "nothing"
    assert error.value.wanted == "the folder of a training, or an architecture"


def test_a_time_without_anything_to_train_is_refused(discs):
    with pytest.raises(InputError) as error:
        cli(["check", str(discs), "--time-budget", "9s"])
    assert (error.value.thing, error.value.found) == ("--time-budget", "without --model")


def test_a_mended_copy_and_suggestions_in_one_folder_are_refused(discs, tmp_path):
    with pytest.raises(InputError) as error:
        masu.check(discs, fix=tmp_path / "a", suggestions=tmp_path / "a", model="fcos_lite0_fpn")
    assert (error.value.thing, error.value.wanted) == ("--suggestions", "another one")


def test_a_tool_that_nobody_knows_is_refused_before_anything_is_trained(discs, tmp_path):
    with pytest.raises(InputError) as error:
        masu.check(discs, suggestions=tmp_path / "a", to="paint", model="fcos_lite0_fpn")
    assert (error.value.thing, error.value.code) == ("--to", "unknown-name")


def test_an_image_that_could_not_be_judged_is_told(report, capsys):
    review = replace(report[0].review, faults=("a.png: found nothing, wanted an image",))
    print_findings(replace(report[0], review=review))
    assert "not judged: a.png: found nothing, wanted an image" in capsys.readouterr().out
