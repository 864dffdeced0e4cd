"""``--image-size`` of verbs that find objects: what Python finds so, what is said, and what is refused."""

import json

import pytest
from PIL import Image

import masu
from tests.films.scenes import scene


@pytest.fixture(scope="module")
def files(small, tmp_path_factory):
    """A model with thresholds, a picture and two frames of a film."""
    folder = tmp_path_factory.mktemp("sizes")
    masu.save(small, folder / "model.safetensors")
    masu.store_thresholds(folder / "model.safetensors", dict.fromkeys(small.names, 0.3))
    (folder / "film").mkdir()
    for number in range(2):
        Image.fromarray(scene(number)).save(folder / "film" / f"{number}.png")
    return folder


def boxes(found):
    return [[round(side, 3) for side in box] for box in found.boxes.tolist()]


def test_what_is_found_is_what_python_finds(run, files, small, tmp_path):
    model, picture = files / "model.safetensors", files / "film" / "0.png"
    detector = masu.with_image_size(masu.load(model), 96)
    found = detector.predict(picture, threshold=0.3)
    assert len(found) > 0
    assert boxes(found) != boxes(small.predict(picture, threshold=0.3))

    said = "masu: the model's thresholds: cat 0.30, dog 0.30, hen 0.30"
    own = small.input.min_size
    code, out, error = run("detect", model, picture, "--image-size", 96)
    assert code == 0
    assert [one["box"] for one in json.loads(out)[0]["detections"]] == boxes(found)
    assert error.splitlines()[0] == f"{said}; measured with --image-size {own}"
    assert run("detect", model, picture, "--image-size", own)[2].splitlines()[0] == said

    code, out, error = run("detect", model, picture, "--image-size", 96, "--tta", "--tiles", "none")
    assert error.splitlines()[0] == f"{said}; measured with --image-size {own} and without --tta"
    twice = masu.with_tta(detector).predict(picture, threshold=0.3)
    assert [one["box"] for one in json.loads(out)[0]["detections"]] == boxes(twice)

    code, out, error = run("detect", model, files / "film", "--to", "jsonl", "--image-size", 96)
    assert code == 0, error
    assert f"{said}; measured with --image-size {own}" in error
    assert [one["box"] for one in json.loads(out.splitlines()[0])["detections"]] == boxes(found)

    words = ("--to", "coco", "--out", tmp_path / "drafts", "--image-size", 96)
    assert run("draft", model, picture, *words)[0] == 0
    (drafts,) = (tmp_path / "drafts").glob("**/*.json")
    assert len(json.loads(drafts.read_text())["annotations"]) == len(found)


def test_evaluate_measures_at_that_size(run, files, coins, tmp_path):
    file = coins / "annotations" / "instances_val.json"
    file.write_text(file.read_text().replace('"coin"', '"cat"'))
    model, saved = files / "model.safetensors", tmp_path / "found.json"
    words = ("--split", "val", "--image-size", 96, "--save-predictions", saved)
    code, _, error = run("evaluate", model, coins, *words)
    assert code == 0, error
    detector = masu.with_image_size(masu.load(model), 96)
    found = detector.stream(masu.read_dataset(coins, "val").paths)
    scores = [score for one in found for score in one[one.labels == 0].scores.tolist()]
    assert len(scores) > 10
    assert sorted(one["score"] for one in json.loads(saved.read_text())) == pytest.approx(sorted(scores))


@pytest.mark.parametrize("verb", ["detect", "evaluate", "compare", "draft", "serve", "export"])
@pytest.mark.parametrize("size", ["0", "-96", "16385", "96.5", "large"])
def test_a_size_that_is_none_is_refused_before_anything_is_opened(run, tmp_path, verb, size):
    beside = {"detect": ["x"], "evaluate": ["x"], "compare": ["x", "x"], "draft": ["x", "--to", "coco"]}
    more = beside.get(verb, [])
    code, out, error = run(verb, tmp_path / "none.safetensors", *more, f"--image-size={size}")
    assert (code, out) == (2, "")
    wanted = f"found {size!r}, wanted a whole number from 32 to 16384; see 'masu {verb} --help'"
    assert error == f"masu: error: --image-size: {wanted}\n"


def test_an_exported_file_has_the_size_that_it_was_exported_at(run, onnx_file, files, small):
    picture, own = files / "film" / "0.png", small.input.min_size
    assert run("detect", onnx_file, picture, "--image-size", own)[0] == 0
    code, out, error = run("detect", onnx_file, picture, "--image-size", 96)
    assert (code, out) == (2, "")
    assert error == (
        f"masu: error: --image-size: found 96 for an exported file, whose graph brings images to {own} pixels, "
        f"wanted {own}, or a model of masu (.safetensors); export the model at that size: masu export MODEL "
        "--image-size 96\n"
    )
