"""What a verb says that was called without something that it needs, and of a path that is not there."""

import pytest
from PIL import Image

from masu.cli import cli
from masu.cli.unsaid import _EXAMPLES, _MEANS, _name
from masu.misspelt import meant_by


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("detect", "big.tif", "--tiles", 640),
            "masu detect: found big.tif for MODEL and no SOURCES, wanted SOURCES, photographs, folders or films; "
            "such as: masu detect runs/train-1 big.tif --tiles 640",
        ),
        (
            ("detect", "runs/mine", "--track"),
            "masu detect: found runs/mine for MODEL and no SOURCES, wanted SOURCES, photographs, folders or "
            "films; such as: masu detect runs/mine photos/ --track",
        ),
        (
            ("train", "--epochs=3"),
            "masu train: found no DATA, wanted DATA, the folder of labelled images; such as: "
            "masu train photos/ --epochs=3",
        ),
        (
            ("compare", "one two", "b"),
            "masu compare: found one two for A, b for B and no DATA, wanted DATA, the folder of labelled images; "
            "such as: masu compare 'one two' b photos/",
        ),
        (
            ("draft", "runs/mine", "a.jpg"),
            "masu draft: found no --to, wanted --to with one of labelstudio, cvat, labelme, xanylabeling, coco, "
            "yolo, voc; such as: masu draft runs/mine a.jpg --to labelstudio",
        ),
    ],
)
def test_it_says_what_is_missing_and_a_whole_command(run, arguments, said):
    code, printed, error = run(*arguments)
    assert (code, printed, error.strip()) == (2, "", f"masu: error: {said}")


def test_a_folder_of_pictures_is_no_model(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shots").mkdir()
    assert "such as: masu evaluate runs/train-1 shots" in run("evaluate", "shots")[2]
    (tmp_path / "shots" / "best.safetensors").write_bytes(b"")
    assert "such as: masu evaluate shots photos/" in run("evaluate", "shots")[2]


def test_every_argument_of_a_verb_on_models_or_data_is_explained():
    said = {
        _name(one)
        for verb in cli.commands.values()
        if verb.name not in ("schema", "completion", "demo", "models")
        for one in verb.params
        if one.param_type_name == "argument"
    }
    assert said == _MEANS.keys() == _EXAMPLES.keys()


def test_a_path_that_is_not_there_is_one_short_line(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    wanted = "found no such file or folder, wanted a data set, its folder or its file of annotations"
    for verb, *others in (("check",), ("train",), ("convert", "out", "--to", "coco"), ("anchors",)):
        code, _, error = run(verb, "photoss", *others)
        assert (code, error.strip()) == (2, f"masu: error: photoss: {wanted}; did you mean photos?")
    assert run("check", "elsewhere")[2].strip() == f"masu: error: elsewhere: {wanted}; check the path"


def test_what_a_path_may_have_meant(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "Photos" / "train").mkdir(parents=True)
    assert meant_by(tmp_path / "photo" / "train") == f"did you mean {tmp_path / 'Photos' / 'train'}?"
    assert meant_by(tmp_path / "photo" / "val") == f"did you mean {tmp_path / 'Photos'}?"
    assert meant_by(tmp_path / "a.pngg") == f"did you mean {tmp_path / 'a.png'}?"
    assert meant_by(tmp_path / "a.png" / "zzz") == f"did you mean {tmp_path / 'a.png'}?"
    assert meant_by(tmp_path / "zzz") == "check the path"
    assert meant_by(tmp_path / "zzz", "") == ""
