"""One word, one meaning over all verbs; what options were called before still works and says what it is called now."""

import json
from pathlib import Path

import click

from masu.cli import cli
from masu.cli.grammar import Option

OPTIONS = [(verb, one) for verb, command in cli.commands.items() for one in command.params]
OLD = [(verb, one) for verb, one in OPTIONS if isinstance(one, Option) and one.old]
PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


def test_an_option_has_one_type_and_one_meaning_wherever_it_is():
    """``--to`` has the words of each verb, ``--workers`` the numbers of each kind of process.

    ``--precision`` is of numbers in ``train`` and of detections in ``evaluate``: both are called so everywhere.
    Tiles that a model has can be switched off, ``--tiles none``, where it is used; where it is trained it has none yet. The image size may
    be ``auto`` where there are objects to choose it by. A pool of workers has a fewest and a most, those of ``train`` are so many.
    """
    types = {}
    for _, one in OPTIONS:
        if isinstance(one, click.Option):
            types.setdefault(one.opts[0], set()).add((type(one.type).__name__, one.is_flag))
    assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {
        "--to": {("DataFormat", False), ("Word", False)},
        "--out": {("Path", False), ("Page", False), ("StringParamType", False)},
        "--precision": {("Word", False), ("Number", False)},
        "--tiles": {("TileSide", False), ("Number", False)},
        "--image-size": {("ImageSize", False), ("Number", False)},
        "--workers": {("Workers", False), ("Number", False)},
    }


def test_the_earlier_spellings():
    assert [f"{verb} {one.old} {one.opts[0]}" for verb, one in OLD] == [
        "check --html --report",
        "anchors --model --architecture",
        "anchors --html --report",
        "train --model --architecture",
        "train --track --log-to",
        "explain --images --worst",
        "detect --format --to",
    ]


def test_each_earlier_spelling_works_and_says_the_new_one(run, model, odd_coins, tmp_path):
    image = odd_coins / "images" / "val" / "0.png"
    page = tmp_path / "page.html"
    for arguments, said in (
        (["check", odd_coins, "--html", page], "--html is now --report"),
        (["anchors", odd_coins, f"--html={page}"], "--html is now --report"),
        (["anchors", odd_coins, "--model", "retinanet_lite0_fpn"], "--model is now --architecture"),
        (["explain", model, odd_coins, "--images", 2, "--out", page], "--images is now --worst"),
        (["detect", "--format=csv", model, image], "--format is now --to"),
    ):
        code, out, error = run(*arguments)
        assert code == (arguments[0] == "check"), error  # these coins leak between splits
        assert error.splitlines()[0] == f"masu: {said}"
        assert out.startswith("file,x1") or "--format=csv" not in arguments
    assert "2 images, " in error or page.exists()
    code, out, error = run("train", odd_coins, "--model", "fcos_lite0_fpn", "--box-loss", "l2")
    assert (code, out) == (2, "")
    assert error.splitlines()[0] == "masu: --model is now --architecture"


def test_a_value_that_looks_like_an_earlier_spelling_is_a_value(run, odd_coins, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, error = run("check", odd_coins, "--report", "--html")
    assert (code, error.count("is now")) == (1, 0)
    assert (tmp_path / "--html").exists()
    assert run("check", odd_coins, "--html")[2] == (
        "masu: error: Option '--report' requires an argument. See 'masu check --help'.\n"
    )
    assert run("check", "--", "--html")[2].startswith("masu: error: --html: found a file of no known kind")


def test_explains_images_are_a_folder_or_were_a_number(run, model, odd_coins, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (odd_coins / "images").rename(tmp_path / "4")
    code, out, error = run("explain", model, odd_coins, "--images", "4", "--worst", 1, "--json")
    assert (code, "is now" in error) == (0, False), error
    assert json.loads(out)["objects"] > 0


def test_the_page_has_every_option_of_every_verb():
    rows = [
        line
        for line in PAGE.read_text("utf-8").split("## All options")[1].splitlines()
        if line.startswith("| `--")
    ]
    told = {}
    for row in rows:
        name, _, verbs = [cell.strip() for cell in row.strip("|").split("|")][:3]
        told[name.split("`")[1]] = set(verbs.split(", "))
    there = {}
    for verb, one in OPTIONS:
        if isinstance(one, click.Option):
            there.setdefault(one.opts[0], set()).add(verb)
    every = set(cli.commands)
    assert told == {name: {"all"} if verbs == every else verbs for name, verbs in there.items()}
