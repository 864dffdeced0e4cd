"""Completion as the shells themselves do it; zsh's menu needs a terminal, so of it the script and its answers are tried."""

import os
import shutil
import subprocess
import sys

import pytest

from masu.cli import cli
from masu.cli.completion import INSTALLING
from masu.words import DATA_FORMATS

needs = {
    shell: pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")
    for shell in INSTALLING
}


@pytest.fixture
def scripts(run, tmp_path, monkeypatch):
    """The scripts, by shell, and a ``masu`` that the shells find."""
    program = tmp_path / "masu"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m masu "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("HOME", str(tmp_path))
    texts = {}
    for shell, line in INSTALLING.items():
        code, texts[shell], error = run("completion", shell)
        assert (code, error) == (0, "")
        assert texts[shell].startswith(f"# install: {line}\n")
    return texts


def told(*command, **more):
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, **more)
    assert ran.stderr == ""
    return ran.stdout.split()


CASES = [
    ("masu det", {"detect"}),
    ("masu ", {*cli.commands}),
    ("masu --quiet exp", {"explain", "export"}),
    ("masu detect m.safetensors --max", {"--max-detections"}),
    ("masu convert a b --to la", {"labelme", "labelstudio"}),
    ("masu check d --format ", {*DATA_FORMATS}),
    ("masu train d --architecture fcos_l", {"fcos_lite0_fpn"}),
    ("masu train imgsz=640 --schedule c", {"cosine", "constant"}),
    ("masu completion z", {"zsh"}),
]


@needs["bash"]
@pytest.mark.parametrize(("line", "words"), CASES)
def test_bash(scripts, line, words):
    typed = line.split(" ")
    said = (
        f"{scripts['bash']}\nCOMP_WORDS=({' '.join(typed)} ''); COMP_CWORD={len(typed) - 1}\n"
        "_masu_completion masu\nprintf '%s\\n' \"${COMPREPLY[@]}\"; complete -p masu"
    )
    *found, _complete, _o, _nosort, _f, function, _masu = told("bash", "--norc", "-c", said)
    assert {*found} == words
    assert function == "_masu_completion"


@needs["fish"]
@pytest.mark.parametrize(("line", "words"), CASES[:4])
def test_fish(scripts, line, words):
    lines = subprocess.run(
        ["fish", "--no-config", "-c", f"{scripts['fish']}\ncomplete -C '{line}'"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    assert {row.split("\t")[0] for row in lines} == words


@needs["zsh"]
def test_zsh(scripts, tmp_path):
    file = tmp_path / "_masu"
    file.write_text(scripts["zsh"])
    assert told("zsh", "-f", "-n", str(file)) == []
    given = os.environ | {"_MASU_COMPLETE": "zsh_complete", "COMP_WORDS": "masu det", "COMP_CWORD": "1"}
    assert told("zsh", "-f", "-c", "masu", env=given)[:2] == ["plain", "detect"]
    loaded = f"autoload -U compinit; compinit -u; source {file}; echo $_comps[masu]"
    assert told("zsh", "-f", "-c", loaded) == ["_masu_completion"]


def test_no_other_shell(run):
    assert run("completion", "csh")[2] == (
        "masu: error: shell: found 'csh', wanted one of bash, zsh, fish; did you mean zsh?\n"
    )


def test_the_help_says_how_to_install(run):
    shown = run("completion", "--help")[1]
    assert all(line.split("  #")[0] in shown for line in INSTALLING.values())
