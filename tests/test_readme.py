"""README.md: the way from photographs to a detector runs to its end as it is written."""

import os
import re
import shlex
from pathlib import Path

from tests.readme import README, SERVERS, SHORTER, blocks, walk

ROOT = Path(__file__).parents[1]


def test_what_is_made_shorter_is_on_the_page():
    text = "".join(code for _, code in blocks(README))
    assert [written for written in SHORTER if written not in text] == []
    assert [language for language, _ in blocks(README)] == ["", "python"]
    assert all(f"masu {verb} " in text for verb in SERVERS)


def test_the_wheel_is_tried_with_the_extras_of_the_install_line():
    (extras,) = set(re.findall(r'pip install "\.\[(.+?)\]"', README))
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert f'"$(ls dist/masu-*.whl)[{extras}]"' in workflow  # never what a registry has by this name
    assert "python -m tests.readme" in workflow


def test_every_line_runs(tmp_path, monkeypatch):
    """Without scikit-learn, which the install line does not bring."""
    hidden, way = tmp_path / "hidden", tmp_path / "way"
    hidden.mkdir()
    way.mkdir()
    (hidden / "sklearn.py").write_text("raise ModuleNotFoundError('hidden', name='sklearn')")
    monkeypatch.setenv("PYTHONPATH", str(hidden), prepend=os.pathsep)
    assert len(walk(way)) == 10


def test_the_japanese_page_has_the_same_commands():
    japanese = (ROOT / "README.ja.md").read_text(encoding="utf-8")
    (theirs,) = (code for code in re.findall(r"```\n(.*?)```", japanese, re.DOTALL) if "masu label" in code)
    ours = blocks(README)[0][1]
    assert words_of(theirs) == words_of(ours)


def words_of(code):
    return [shlex.split(line, comments=True) for line in code.splitlines()]
