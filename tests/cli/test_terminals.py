"""Terminals, pipes and disks of every kind: letters are escaped, tables stay whole, no traceback, a right exit code."""

import codecs
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from masu.streams import ESCAPED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and writes to /dev/full")

ROOT = Path(__file__).parents[2]
CLASSES = ("😀 wide", "Größe")
SCENARIOS = {
    **{f"encoding {name}": {"encoding": name} for name in ("utf-8", "cp1252", "latin-1", "ascii")},
    "json": {"options": ["--json"], "encoding": "ascii"},
    "unread": {"stdout": "unread"},
    "unread ascii": {"stdout": "unread", "encoding": "ascii", "options": ["--json"]},
    "unread notes": {"stderr": "unread", "options": ["--report", "{folder}/unread.html"]},
    "closed": {"stdout": "closed"},
    "closed notes": {"stderr": "closed", "options": ["--report", "{folder}/closed.html"]},
    "both closed": {"stdout": "closed", "stderr": "closed"},
    "full": {"stdout": "full"},
    "full notes": {"stderr": "full", "options": ["--report", "{folder}/full.html"]},
    "both full": {"stdout": "full", "stderr": "full"},
    "no home": {"env": {"HOME": None}},
    "home of nobody": {"env": {"HOME": "/nonexistent/home"}},
    "home in the way": {"env": {"HOME": "/proc"}},
    "dumb": {"stdout": "terminal", "stderr": "terminal", "env": {"TERM": "dumb", "NO_COLOR": None}},
    "narrow bar": {"stderr": "terminal", "columns": 20, "env": {"TERM": "xterm", "COLUMNS": None}},
    "no columns": {"stdout": "terminal", "env": {"COLUMNS": "0", "LINES": "0", "TERM": "xterm"}},
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terminals")
    data = folder / "data"
    (data / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, name in enumerate(("a.png", "é😀.png", os.fsdecode(b"b\xff.png"))):
        Image.new("RGB", (64, 48), (40 * number, 9, 9)).save(data / "images" / "new.png")
        (data / "images" / "new.png").rename(data / "images" / name)
        images.append({"id": number, "file_name": name, "width": 64, "height": 48})
        box = [1, 1, 20 * bool(number), 20]
        annotations.append(
            {"id": number, "image_id": number, "category_id": number % 2, "bbox": box, "iscrowd": 0}
        )
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES)]
    text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    (data / "coco.json").write_text(text)
    scenarios = []
    for scenario in SCENARIOS.values():
        options = [option.format(folder=folder) for option in scenario.get("options", [])]
        scenarios.append(scenario | {"arguments": ["check", str(data), *options]})
    given, written = folder / "scenarios.json", folder / "answers.json"
    given.write_text(json.dumps(scenarios))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.cli.terminals", given, written]
    subprocess.run(command, check=True, timeout=120, cwd=ROOT, env=environment)
    return dict(zip(SCENARIOS, json.loads(written.read_text()), strict=True)) | {"folder": folder}


def test_letters_that_the_encoding_lacks_are_escaped(answers):
    for encoding, names in {
        "utf-8": CLASSES,
        "cp1252": (r"\ud83d\ude00 wide", "Größe"),
        "latin-1": (r"\ud83d\ude00 wide", "Größe"),
        "ascii": (r"\ud83d\ude00 wide", r"Gr\u00f6\u00dfe"),
    }.items():
        answer = answers[f"encoding {encoding}"]
        assert (answer["code"], answer["err"]) == (1, "")
        text = answer["out"].encode("latin-1").decode(encoding)
        assert all(f"class {name}: " in text for name in names)
    assert set(json.loads(answers["json"]["out"])["names"]) == set(CLASSES)


def test_nobody_reads_on(answers):
    """As programs end that SIGPIPE ends, and not with the exit code for findings."""
    for name in ("unread", "unread ascii"):
        assert answers[name] == {"code": 141, "out": "", "err": ""}


def test_a_full_disk_under_the_result_is_said(answers):
    said = "masu: error: standard output: found no way to write the result (No space left on device), wanted"
    assert answers["full"]["code"] == answers["both full"]["code"] == 2
    assert answers["full"]["err"].startswith(said)
    assert answers["full"]["err"].count("\n") == 1


def test_what_stands_beside_the_result_never_ends_the_work(answers):
    for name in ("unread", "closed", "full"):
        answer = answers[f"{name} notes"]
        assert (answer["code"], answer["err"]) == (1, "")
        assert "1 error, " in answer["out"]
        assert (answers["folder"] / f"{name}.html").exists()


def test_a_closed_stream_is_silence(answers):
    assert answers["closed"] == answers["both closed"] == {"code": 1, "out": "", "err": ""}


def test_no_home_is_needed(answers):
    for name in ("no home", "home of nobody", "home in the way"):
        assert (answers[name]["code"], answers[name]["err"]) == (1, "")


def test_a_terminal_that_cannot_move_its_cursor_is_not_asked_to(answers):
    assert answers["dumb"]["code"] == 1
    assert "1 error, " in answers["dumb"]["out"]
    assert "\x1b" not in answers["dumb"]["out"] + answers["dumb"]["err"]


def test_a_bar_in_a_narrow_terminal(answers):
    assert answers["narrow bar"]["code"] == 1
    assert "1 error, " in answers["narrow bar"]["out"]


def test_no_width_is_an_unknown_width(answers):
    assert answers["no columns"]["code"] == 1
    assert "1 error, " in answers["no columns"]["out"]


@given(st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cc"])))
def test_escaped_json_is_the_same_json(text):
    for encoding in ("ascii", "cp1252", "utf-8"):
        shown = f'"{text}"'.encode(encoding, ESCAPED).decode(encoding)
        assert json.loads(shown) == text


def test_only_writing_escapes():
    with pytest.raises(UnicodeDecodeError):
        codecs.decode(b"\xff", "utf-8", ESCAPED)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_help_in_any_encoding_and_into_a_closed_pipe(encoding):
    """Python itself starts and ends here; there is nothing left to be said when it ends."""
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "masu", "train", "--help"]
    shown = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=True)
    assert (b"1..65536" in shown.stdout, shown.stderr) == (True, b"")
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, env=environment, timeout=60, check=False
    )
    os.close(write)
    if encoding != "ascii":  # there click writes past the stream, and ends with 1
        assert ended.returncode == 141
    assert ended.stderr == b""
