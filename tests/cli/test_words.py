"""Options that are one word of a list: what masu knows, what help shows, what is refused and how."""

import importlib.metadata
import json
import subprocess
import sys
from typing import get_args

import click
import pytest

from masu import words
from masu.bulk.job import detect_bulk
from masu.cli import cli
from masu.cli.values import DataFormat, Word
from masu.data.formats import coco, formats
from masu.detectors import box_loss
from masu.detectors.zoo import ARCHITECTURES, DEFAULT
from masu.exports.write import SUFFIXES
from masu.films.rows import SUFFIXES as SUFFIXES_OF_FILMS
from masu.training.recipe import TrainSettings
from masu.verbs import detect

WORDS = [
    (verb, option)
    for verb, command in cli.commands.items()
    for option in command.params
    if isinstance(option, click.Option) and isinstance(option.type, Word)
]
IDS = [f"{verb} {option.opts[0]}" for verb, option in WORDS]


def test_the_lists_are_what_there_is():
    assert tuple(ARCHITECTURES) == words.ARCHITECTURES
    assert words.ARCHITECTURES[0] == DEFAULT
    assert tuple(formats()) == words.DATA_FORMATS
    assert tuple(name for name, one in formats().items() if one.write is not None) == words.WRITTEN_FORMATS
    assert box_loss.NAMES == words.BOX_LOSSES
    assert tuple(SUFFIXES) == words.EXPORT_TARGETS
    assert (*detect.FORMATS, "parquet") == words.DETECTION_FORMATS
    assert tuple(SUFFIXES_OF_FILMS) == words.FILM_FORMATS
    assert detect_bulk.__annotations__["engine"] == "BulkEngine"


@pytest.mark.parametrize("name", ["anchors", "optimizer", "schedule", "precision", "on_nonfinite"])
def test_settings_and_options_have_the_same_words(name):
    (option,) = (one for one in cli.commands["train"].params if one.name == name)
    for word in option.type.words:
        assert getattr(TrainSettings(**{name: word}), name) == word


def test_every_option_with_a_list_of_words_is_typed():
    assert set(IDS) == {
        *("check --format", "convert --format", "anchors --format", "train --format", "evaluate --format"),
        *("compare --format", "tune --format", "label --format", "label --order", "label --export"),
        *(
            "explain --format",
            "export --format",
            "convert --to",
            "export --to",
            "detect --to",
            "draft --to",
            "check --to",
        ),
        *(
            "anchors --architecture",
            "train --architecture",
            "train --anchors",
            "train --box-loss",
            "train --precision",
        ),
        *(
            "evaluate --calibrate",
            "train --optimizer",
            "train --schedule",
            "train --on-nonfinite",
            "train --log-to",
            "detect --engine",
            "detect --precision",
        ),
    }


ARGUMENTS = {
    "detect": ["m", "a.jpg"],
    "draft": ["m", "a.jpg"],
    "evaluate": ["m", "d"],
    "compare": ["a", "b", "d"],
    "tune": ["m", "d"],
    "explain": ["m", "d"],
    "export": ["m"],
}
ARGUMENTS |= {"convert": ["d", "out", "--to", "coco"]}


@pytest.mark.parametrize(("verb", "option"), WORDS, ids=IDS)
def test_help_lists_the_words_and_all_else_is_refused_first(run, tmp_path, monkeypatch, verb, option):
    """Neither data nor model is there: whoever looks at them first says so."""
    monkeypatch.chdir(tmp_path)
    shown = " ".join(option.get_help_record(click.Context(cli.commands[verb], info_name=verb)))
    assert all(word in shown for word in option.type.words)
    name, first = option.opts[0], option.type.words[0]
    wanted = ", ".join(option.type.words)
    for text, fix in (("", f"see 'masu {verb} --help'"), (first + "x", f"did you mean {first}?")):
        code, out, error = run(verb, *ARGUMENTS.get(verb, ["d"]), f"{name}={text}")
        assert (code, out) == (2, "")
        assert error == f"masu: error: {name}: found {text!r}, wanted one of {wanted}; {fix}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "near"),
    [("COCO", "coco"), ("one_cycle", "one-cycle"), ("faster_rcnn", None), ("9" * 5000, None)],
)
def test_the_nearest_word(text, near):
    assert words.nearest(text, [*words.DATA_FORMATS, *words.SCHEDULES]) == near


class _Entry:
    name = "ours"

    def load(self):
        return coco.FORMAT._replace(name="Ours 2")


def test_a_packages_format_is_taken_by_its_own_name(run, monkeypatch, coins):
    monkeypatch.setattr("masu.cli.values.entry_points", lambda **_: [_Entry()])
    monkeypatch.setattr("masu.data.formats.entry_points", lambda **_: [_Entry()])
    formats.cache_clear()
    try:
        assert DataFormat().words == (*words.DATA_FORMATS, "ours")
        out = run("check", coins, "--format", "Ours 2", "--json")[1]
        assert json.loads(out)["format"] == "Ours 2"
        assert DataFormat(written=True).knows("Ours 2")
        assert not DataFormat(written=True).knows("kitti")
        error = run("check", coins, "--format", "ors")[2]
        assert error.endswith("csv, ours; did you mean ours?\n")
    finally:
        formats.cache_clear()


def test_without_packages_nothing_is_loaded_to_know_a_format():
    assert not importlib.metadata.entry_points(group="masu.formats")
    code = (
        "import sys\nfrom masu.cli import cli, main\n"
        "sys.argv = ['masu', 'train', 'd', '--format', 'xml']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "2 False\n"


def test_literals_are_the_lists():
    assert get_args(words.Precision) == words.PRECISIONS == ("auto", "fp32", "bf16", "fp16")
