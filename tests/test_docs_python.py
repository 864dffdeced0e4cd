"""docs/python.md: its code runs, from the top to the bottom, and names what is public."""

import inspect
import re
import shutil
from pathlib import Path

import pytest

import masu
from masu.cli import cli

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_its_names_are_public():
    named = set(re.findall(r"\bmasu\.([A-Za-z]\w*)", PAGE))
    assert named <= {*masu.__all__, "runtime", "__all__"}


@pytest.mark.parametrize(
    ("option", "word", "verbs"),
    [
        ("--to", "to", "convert detect export"),
        ("--format", "form", "anchors check convert evaluate explain export train"),
        ("--images", "images", "anchors check convert evaluate explain export train"),
        ("--split", "split", "anchors evaluate explain export train"),
        ("--worst", "worst", "explain"),
        ("--report", "report", "check"),
    ],
)
def test_an_argument_has_the_word_of_its_option(option, word, verbs):
    for verb in verbs.split():
        assert any(option in one.opts for one in cli.get_command(None, verb).params), verb
        assert word in inspect.signature(getattr(masu, verb)).parameters, verb


def test_no_function_has_an_earlier_word():
    for name in masu.__all__:
        if inspect.isfunction(function := getattr(masu, name)):
            earlier = {"format", "source_form", "html", "most"} & {*inspect.signature(function).parameters}
            assert not earlier, name


def test_its_code_runs(small, coins, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    masu.save(small, tmp_path / "best.safetensors")
    shutil.copy(coins / "images" / "train" / "0.png", tmp_path / "a.jpg")
    coins.rename(tmp_path / "photos")
    values = {}
    for block in BLOCKS:
        exec(block.replace("time_budget=60", "epochs=1, image_size=64"), values)
    assert len(BLOCKS) >= 6
    assert values["metrics"].images == 2
    assert "Detections(" in capsys.readouterr().out
    assert Path("found.jpg").stat().st_size > 1000
