"""A training's options in a file: all of them, checked before any work, and the same run again from what a run writes."""

import json
import tomllib
from dataclasses import fields

import click
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import masu
from masu.cli import cli
from masu.cli.config import NEVER, _parameters, as_toml
from masu.data.loading.transforms import Augmentation
from masu.training.recipe import TrainSettings

TRAIN = cli.commands["train"]


def test_every_setting_is_an_option():
    names = {one.name for one in TRAIN.params}
    settings = {one.name for one in fields(TrainSettings)} - {"augmentation"}
    assert settings <= names
    assert {one.name for one in fields(Augmentation)} <= names
    context = click.Context(TRAIN)
    defaults = {one.name: one.get_default(context) for one in TRAIN.params if one.name in settings}
    for one in fields(TrainSettings):
        if one.name in defaults and one.name not in ("architecture", "size_range"):
            default = defaults[one.name]
            assert (default if isinstance(default, str | int | float) else None) == one.default, one.name


def test_a_run_again_from_its_own_file(run, coins, tmp_path, monkeypatch):
    monkeypatch.chdir(coins.parent)
    options = [
        "--epochs",
        1,
        "--image-size",
        64,
        "--seed",
        3,
        "--no-flip",
        "--size-range",
        "0.5..1",
        "--strict",
    ]
    code, out, error = run("train", coins.name, *options, "--out", tmp_path / "a", "--json")
    assert code == 0, error
    file = tmp_path / "a" / "config.toml"
    said = tomllib.loads(file.read_text("utf-8"))
    assert (said["data"], said["seed"], said["max-bad"]) == (str(coins), 3, 0.0)
    assert (said["lr"], said["optimizer"], said["size-range"]) == (5e-4, "adamw", [0.5, 1.0])
    assert (said["horizontal-flip"], "out" in said, "no-flip" in said) == (0.0, False, False)

    monkeypatch.chdir(tmp_path)
    code, again, error = run("train", "--config", file, "--out", tmp_path / "b", "--json")
    assert code == 0, error
    timed = ("best", "seconds", "seconds_per_image", "images_per_second")
    first, second = (
        {name: value for name, value in json.loads(text).items() if name not in timed}
        for text in (out, again)
    )
    assert first == second
    assert (tmp_path / "b" / "config.toml").read_text("utf-8") == file.read_text("utf-8")
    last = [masu.load(tmp_path / one / "last.safetensors").state_dict() for one in "ab"]
    assert all(torch.equal(tensor, last[1][name]) for name, tensor in last[0].items())


def test_the_command_line_wins(run, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('data = "nowhere"\nbatch_size = 2\naccumulate = 4\nmax-bad = "1%"\nno-flip = true\n')
    assert run("train", "--config", file)[2].startswith(
        "masu: error: --accumulate: found 4 parts of a batch of 2"
    )
    code, _, error = run("train", f"--config={file}", "--batch-size", 4, "--strict")
    assert (code, error.startswith("masu: error: nowhere: found no such file")) == (2, True), error
    assert run("train", "elsewhere", "--config", file, "--accumulate", 1)[2].startswith(
        "masu: error: elsewhere: "
    )
    assert run("train", "--config", file, "--accumulate", 1, "--horizontal-flip", 1)[2].startswith(
        "masu: error: --horizontal-flip: found together with --no-flip"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "epoch = 3",
            "{file}, epoch: found an unknown option, wanted one without its dashes; did you mean epochs?",
        ),
        (
            "zzz = 3",
            "{file}, zzz: found an unknown option, wanted one without its dashes; see 'masu train --help'",
        ),
        ("resume = true", "{file}, resume: found an unknown option"),
        ("config = 'x'", "{file}, config: found an unknown option"),
        ("epochs = 0", "{file}, epochs: found 0, wanted a whole number from 1 to 1000000"),
        ("epochs = 1.5", "{file}, epochs: found 1.5, wanted a whole number"),
        ("epochs = true", "{file}, epochs: found True, wanted a whole number"),
        ("epochs = [1]", "{file}, epochs: found [1], wanted a whole number"),
        ("lr = nan", "{file}, lr: found nan, wanted a number above 0"),
        ("lr = inf", "{file}, lr: found inf, wanted a number above 0"),
        ("strict = 1", "{file}, strict: found 1, wanted true or false; write it so"),
        (
            "optimizer = 'adam'",
            "{file}, optimizer: found 'adam', wanted one of sgd, adamw; did you mean adamw?",
        ),
        ("optimizer = 1", "{file}, optimizer: found 1, wanted a text in quotes"),
        ("data = 1979-05-27", "{file}, data: found datetime.date(1979, 5, 27), wanted a text in quotes"),
        ('data = "a\\u0000"', "{file}, data: found 'a\\x00', wanted a text without NUL"),
        ("size-range = [1.0]", "{file}, size-range: found [1.0], wanted two rising numbers above 0"),
        ("size-range = [2, 1]", "{file}, size-range: found [2, 1], wanted two rising numbers above 0"),
        ("size-range = ['a', {}]", "{file}, size-range: found ['a', {}], wanted two rising numbers above 0"),
        ("scale = '1..2..3'", "{file}, scale: found '1..2..3', wanted two rising numbers above 0"),
        ("[train]\nepochs = 1", "{file}, train: found an unknown option"),
        ("epochs = ", "{file}: found no TOML (Invalid value"),
    ],
)
def test_what_a_file_says_wrongly_is_one_line(run, tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "run.toml"
    file.write_text(text)
    code, out, error = run("train", "d", "--config", file)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"masu: error: {said.replace('{file}', str(file))}"), error
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]


def test_what_is_no_file(run, tmp_path):
    for path in (tmp_path, tmp_path / "none.toml"):
        assert run("train", "--config", path)[2] == (
            f"masu: error: --config: found no file {path}, wanted a TOML file of options; check the path\n"
        )
    (tmp_path / "latin.toml").write_bytes(b"data = '\xff'")
    assert "found no TOML ('utf-8' codec" in run("train", "--config", tmp_path / "latin.toml")[2]


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw reads the tables of Unicode
@given(
    st.dictionaries(
        st.sampled_from(sorted(_parameters(TRAIN))),
        st.text(max_size=20)
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
    )
)
def test_what_is_written_is_read_again(values):
    assert tomllib.loads(as_toml(values, "a heading")) == values


def test_a_file_name_that_is_no_text_is_told_and_left_out():
    text = as_toml({"data": "b\udcff", "seed": 1, "val": None}, "a heading")
    assert text == "# a heading\n# data is no text: 'b\\udcff'\nseed = 1\n"


def test_no_file_has_what_says_how_a_command_is_run():
    assert not {*NEVER} & {*_parameters(TRAIN)}
    assert {"data", "out", "workers", "frozen-norms"} <= {*_parameters(TRAIN)}
