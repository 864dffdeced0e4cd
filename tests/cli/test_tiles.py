"""``--tiles`` on the command line, and a model with tiles wherever it goes: the same boxes."""

import json

import numpy as np
import pytest
from PIL import Image

import masu
from masu.runtime import Model
from masu.tiles import Tiles
from tests.detectors.test_tiling import same


@pytest.fixture(scope="module")
def files(small, tmp_path_factory):
    """A model as it is, one with tiles, and a photograph that is cut."""
    folder = tmp_path_factory.mktemp("tiles")
    masu.save(small, folder / "plain.safetensors")
    masu.save(masu.tiled(small, 100), folder / "tiled.safetensors")
    noise = np.random.default_rng(0).integers(0, 256, (90, 190, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((190, 90)).save(folder / "a.png")
    return folder


def found(run, *words):
    code, out, error = run("detect", *words, "--threshold", "0.3")
    assert code == 0, error
    (one,) = json.loads(out)
    return [(each["box"], each["score"], each["name"]) for each in one["detections"]]


def test_detect_with_the_model_s_own_tiles_and_with_those_that_were_said(run, files):
    photograph = files / "a.png"
    tiled = found(run, files / "tiled.safetensors", photograph)
    whole = found(run, files / "plain.safetensors", photograph)
    assert tiled != whole
    assert found(run, files / "plain.safetensors", photograph, "--tiles", 100) == tiled
    assert found(run, files / "tiled.safetensors", photograph, "--tiles", "none") == whole


def test_what_cannot_be_combined_is_refused(run, files):
    plain, photograph = files / "plain.safetensors", files / "a.png"
    for words, thing in (
        (("detect", plain, photograph, "--overlap", 0.5), "--overlap"),
        (("detect", plain, photograph, "--tiles", 31), "--tiles"),
        (("detect", plain, photograph, "--tiles", 640, "--to", "parquet", "--out", files / "x"), "--tiles"),
        (("detect", plain, photograph, "--tiles", 640, "--track"), "--tiles"),
        (("evaluate", plain, files, "--tiles", 640, "--store-thresholds"), "--tiles"),
        (("explain", plain, photograph, "--tiles", 100, "--out", files / "x.html"), "explain"),
    ):
        code, _, error = run(*words)
        assert code == 2, words
        assert error.splitlines()[-1].startswith(f"masu: error: {thing}"), error
    with pytest.raises(masu.InputError, match="which is cut into tiles of 100"):
        masu.saliency(masu.load(files / "tiled.safetensors"), photograph, 0)
    with pytest.raises(masu.InputError, match=r"masu\.tiled\(detector, None\)"):
        masu.to_torchvision(masu.load(files / "tiled.safetensors"))


def test_evaluate_in_tiles(run, files, coins):
    file, figures = coins / "annotations" / "instances_val.json", {}
    file.write_text(file.read_text().replace('"coin"', '"cat"'))
    for name, words in {
        "tiled": ["tiled.safetensors"],
        "said": ["plain.safetensors", "--tiles", 100],
        "funnel": ["tiled.safetensors", "--funnel"],
    }.items():
        code, out, error = run("evaluate", files / words[0], coins, *words[1:], "--split", "val", "--json")
        assert code == 0, error
        figures[name] = {key: value for key, value in json.loads(out).items() if "seconds" not in key}
    objects = figures["funnel"].pop("funnel")["objects"]
    assert figures["tiled"] == figures["said"] == figures["funnel"]
    assert objects == figures["tiled"]["objects"] > 0


def test_the_server_finds_in_tiles(files):
    from masu.serving.models import opened

    picture = np.asarray(Image.open(files / "a.png"))
    (served,) = opened(files / "tiled.safetensors", threshold=0.3)
    answer = served.find(picture)
    wanted = masu.load(files / "tiled.safetensors").predict([picture], threshold=0.3)[0]
    assert np.array_equal(answer.boxes, wanted.boxes.numpy())
    assert answer.size == (90, 190)


def test_a_drawn_picture_is_a_reduced_one(files, tmp_path, monkeypatch):
    from masu.verbs import detect

    monkeypatch.setattr(detect, "MOST_DRAWN_OF_TILES", 90 * 190 // 4)
    report = masu.detect(masu.load(files / "tiled.safetensors"), files / "a.png", out=tmp_path / "out")
    with Image.open(report.pictures[0]) as picture:
        assert picture.size == (95, 45)


def test_looks_have_the_detections_of_tiles(files):
    from masu.data.pixels.images import read_pixels
    from masu.detectors.looking import looks

    detector = masu.load(files / "tiled.safetensors")
    pixels = read_pixels(files / "a.png")
    (look,) = looks(detector.prediction_network(), [pixels])
    assert same(look.detections, detector.predict([pixels])[0])


def test_a_damaged_part_is_a_fault_of_its_file(files, tmp_path, monkeypatch):
    import shutil

    from masu.data.pixels import large

    monkeypatch.setattr(large, "GLADLY", 0)
    shutil.copy(files / "a.png", tmp_path / "a.png")
    content = (files / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(content[: len(content) // 2])
    detector = masu.load(files / "tiled.safetensors")
    report = masu.detect(detector, tmp_path, batch_size=2)
    assert report.images == 1
    assert len(report.faults) == 1
    assert "b.png" in report.faults[0]


def test_the_runtime_reads_by_windows_too(files, onnx_file, monkeypatch):
    from masu.data.pixels import large

    model = Model(onnx_file).with_tiles(Tiles(100))
    wanted = model.predict(files / "a.png")
    monkeypatch.setattr(large, "GLADLY", 0)
    again = model.predict(files / "a.png")
    assert again.path == files / "a.png"
    assert np.array_equal(wanted.boxes, again.boxes)
