"""``--tta``: every verb that finds objects looks twice, and says or refuses what was measured with one look."""

import json

import pytest
from PIL import Image

import masu
from masu.evaluation.choice import set_suppression
from masu.records import Detections
from tests.films.scenes import scene


@pytest.fixture(scope="module")
def files(small, tmp_path_factory):
    """A model with thresholds, a picture and two frames of a film."""
    folder = tmp_path_factory.mktemp("tta")
    masu.save(small, folder / "model.safetensors")
    masu.store_thresholds(folder / "model.safetensors", dict.fromkeys(small.names, 0.3))
    for number in range(2):
        (folder / "film").mkdir(exist_ok=True)
        Image.fromarray(scene(number)).save(folder / "film" / f"{number}.png")
    return folder


def boxes(found: Detections):
    return [[round(side, 3) for side in box] for box in found.boxes.tolist()]


def test_what_is_found_is_what_python_finds(run, files, tmp_path):
    model, picture = files / "model.safetensors", files / "film" / "0.png"
    detector = masu.load(model)
    twice = masu.with_tta(detector).predict(picture, threshold=0.3)
    assert len(twice) > 0
    assert boxes(twice) != boxes(detector.predict(picture, threshold=0.3))

    code, out, error = run("detect", model, picture, "--tta")
    assert code == 0
    assert [one["box"] for one in json.loads(out)[0]["detections"]] == boxes(twice)
    said = "masu: the model's thresholds: cat 0.30, dog 0.30, hen 0.30"
    assert error.splitlines()[0] == f"{said}; measured without --tta"
    assert run("detect", model, picture)[2].splitlines()[0] == said

    code, out, error = run("detect", model, files / "film", "--track", "--tta", "--to", "jsonl")
    assert code == 0, error
    assert f"{said}; measured without --tta" in error
    frame = json.loads(out.splitlines()[0])["detections"]
    assert [one["box"] for one in frame if one["score"] >= 0.3] == boxes(twice)

    assert run("draft", model, picture, "--to", "coco", "--out", tmp_path / "drafts", "--tta")[0] == 0
    (found,) = (tmp_path / "drafts").glob("**/*.json")
    assert len(json.loads(found.read_text())["annotations"]) == len(twice)


def test_the_most_boxes_and_the_classes_hold_for_both_looks_together(run, files):
    model, picture = files / "model.safetensors", files / "film" / "0.png"
    detector = masu.load(model)
    set_suppression(detector, most=2)
    wanted = boxes(masu.with_tta(detector).predict(picture, threshold=0))
    words = ("--tta", "--max-detections", 2, "--threshold", 0)
    found = json.loads(run("detect", model, picture, *words)[1])[0]["detections"]
    assert [one["box"] for one in found] == wanted
    assert len(found) == 2
    found = json.loads(run("detect", model, picture, *words, "--classes", "dog")[1])[0]["detections"]
    every = masu.with_tta(masu.load(model)).predict(picture)
    assert [one["box"] for one in found] == boxes(every[every.labels == 1][:2])


def test_evaluate_measures_both_looks(run, files, coins, tmp_path):
    file = coins / "annotations" / "instances_val.json"
    file.write_text(file.read_text().replace('"coin"', '"cat"'))
    model, saved = files / "model.safetensors", tmp_path / "found.json"
    code, _, error = run("evaluate", model, coins, "--split", "val", "--tta", "--save-predictions", saved)
    assert code == 0, error
    found = masu.with_tta(masu.load(model)).stream(masu.read_dataset(coins, "val").paths)
    scores = [score for one in found for score in one[one.labels == 0].scores.tolist()]
    assert len(scores) > 10
    assert sorted(one["score"] for one in json.loads(saved.read_text())) == pytest.approx(sorted(scores))


@pytest.mark.parametrize(
    ("words", "beside"),
    [
        (["evaluate", "MODEL", "DATA", "--calibrate", "right"], "--calibrate"),
        (["evaluate", "MODEL", "DATA", "--funnel"], "--funnel"),
    ],
)
def test_what_is_of_one_look_is_refused_beside_two(run, files, words, beside):
    places = {
        "MODEL": files / "model.safetensors",
        "PICTURE": files / "film" / "0.png",
        "FILM": files / "film",
        "DATA": files,
    }
    before = (files / "model.safetensors").read_bytes()
    code, out, error = run(*(places.get(word, word) for word in words), "--tta")
    assert (code, out) == (2, "")
    assert error.startswith("masu: error: --tta: found")
    assert beside in error
    assert (files / "model.safetensors").read_bytes() == before
