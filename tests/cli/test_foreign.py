"""Words of other tools: one line with masu's spelling, and never in the way of masu's own words."""

import click
import pytest

from masu.cli import cli
from masu.cli.foreign import ARGUMENTS, OPTIONS, PROGRAMS, VERBS

OWN = {
    verb: {name for one in command.params for name in (*one.opts, getattr(one, "old", None))}
    for verb, command in cli.commands.items()
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("yolo train data=coco.yaml", "yolo: found another tool, wanted masu train; see 'masu --help'"),
        ("yolo detect predict", "yolo: found another tool, wanted masu detect; see 'masu --help'"),
        ("yolo", "yolo: found another tool, wanted masu train; see 'masu --help'"),
        (
            "predict m a.jpg",
            "predict: found another tool's verb, wanted masu detect; see 'masu detect --help'",
        ),
        ("val m d", "val: found another tool's verb, wanted masu evaluate; see 'masu evaluate --help'"),
        (
            "train d imgsz=640",
            "imgsz=640: found another tool's spelling, wanted --image-size 640; see 'masu train",
        ),
        (
            "train d epochs=10",
            "epochs=10: found another tool's spelling, wanted --epochs 10; see 'masu train",
        ),
        ("train d resume=True", "resume=True: found another tool's spelling, wanted --resume; see"),
        ("train d lr0=0.01", "lr0=0.01: found another tool's spelling, wanted --lr 0.01; see"),
        (
            "train model=yolov8n.pt data=d",
            "model=yolov8n.pt: found another tool's spelling, wanted --architecture",
        ),
        ("train data=d", "data=d: found another tool's spelling, wanted DATA without a name: masu train"),
        ("train d --lr0 0.01", "--lr0: found another tool's spelling, wanted --lr >0..1000; see 'masu train"),
        (
            "train d --imgsz 640",
            "--imgsz: found another tool's spelling, wanted --image-size 32..16384|auto; see",
        ),
        (
            "train d --img_size 640",
            "--img_size: found another tool's spelling, wanted --image-size 32..16384|auto; see",
        ),
        ("train d --batch 4", "--batch: found another tool's spelling, wanted --batch-size 1..65536; see"),
        ("detect m a.jpg --conf 0.3", "--conf: found another tool's spelling, wanted --threshold 0..1; see"),
        (
            "detect --weights m",
            "--weights: found another tool's spelling, wanted MODEL without a name: masu detect",
        ),
        (
            "detect m --source a.jpg",
            "--source: found another tool's spelling, wanted SOURCES without a name: masu",
        ),
        (
            "detect model=m source=a.jpg",
            "model=m: found another tool's spelling, wanted MODEL without a name: masu",
        ),
        (
            "detect m a.jpg --lr0 1",
            "--lr0: found another tool's spelling, wanted --lr, an option of train; see",
        ),
        (
            "evaluate --model m --data d",
            "--model: found another tool's spelling, wanted MODEL without a name: masu",
        ),
    ],
)
def test_one_line_with_masus_spelling(run, line, said):
    code, out, error = run(*line.split())
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"masu: error: {said}")


def test_no_word_that_masu_knows_is_in_the_table():
    assert not ({*VERBS, *PROGRAMS} & {*cli.commands})
    assert {*VERBS.values()} <= {*cli.commands}
    known = {name for names in OWN.values() for name in names}
    assert not {f"--{word}" for word in OPTIONS} & known
    assert {*OPTIONS.values()} <= known
    assert not {*OPTIONS} & {*ARGUMENTS}
    places = {
        one.human_readable_name
        for command in cli.commands.values()
        for one in command.params
        if isinstance(one, click.Argument)
    }
    assert {*ARGUMENTS.values()} <= places


@pytest.mark.parametrize(("verb", "word"), [(v, w) for v in OWN for w in ARGUMENTS if f"--{w}" in OWN[v]])
def test_an_option_of_the_verb_itself_is_taken(run, verb, word):
    first = {"detect": ["m", "a.jpg"], "evaluate": ["m", "d"], "explain": ["m", "d"], "export": ["m"]}
    assert "another tool" not in run(verb, *first.get(verb, ["d"]), f"--{word}", "x")[2]


def test_a_file_of_that_name_is_a_file(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "another tool" in run("check", "data=1")[2]
    (tmp_path / "data=1").mkdir()
    assert run("check", "data=1")[2].startswith("masu: error: data=1: found an empty folder")
    assert run("check", "--", "data=2")[2].startswith("masu: error: data=2: found no such file")


def test_what_nobody_calls_so_is_no_such_option(run):
    assert run("detect", "m", "a.jpg", "--zzz")[2] == (
        "masu: error: No such option '--zzz'. See 'masu detect --help'.\n"
    )
    assert "Did you mean" in run("trian", "d")[2]
    assert "another tool" not in run("train", "d", "zzz=1")[2]
