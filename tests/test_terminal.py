"""What strangers call their files and classes never reaches the terminal raw."""

import io
import sys
from pathlib import Path

import pytest

from masu.data.audit.checks import Finding
from masu.detectors.zoo import ARCHITECTURES
from masu.errors import visible
from masu.terminal import TrainingDisplay, print_findings, print_metrics, print_models
from masu.training.run_state import RunState
from masu.verbs.check import CheckReport

MODEL = {"name": "an_architecture_fpn", "parameters": 4.7e6, "gflop": 3.5, "height": 320, "width": 448}

EVIL = "do\x1b[31mg\x00\x07\x9b\r"
SHOWN = r"do\x1b[31mg\x00\x07\x9b\x0d"


def test_visible_leaves_everything_else_as_it_is():
    assert visible(EVIL) == SHOWN
    assert visible("Größe 语\t[red]\n") == "Größe 语\t[red]\n"


def test_control_characters_are_written_out_in_lines_and_tables(capsys):
    finding = Finding("no-area", Path(EVIL), EVIL, EVIL)
    print_findings(CheckReport(Path(EVIL), "coco", {EVIL: 1}, {EVIL: 1}, (EVIL,), (finding,), 0.0))
    row = {"ap": 0.5, "ap50": 0.5, "ar100": 0.5, "objects": 1}
    print_metrics({"images": 1, "objects": 1, "max_detections": [1, 10, 100], "per_class": {EVIL: row}}, EVIL)
    TrainingDisplay().report({"event": "fault", "fault": EVIL})
    out, err = capsys.readouterr()
    assert out.count(SHOWN) == 7
    assert SHOWN in err
    assert not any(letter in out + err for letter in "\x1b\x00\x07\x9b\r")


def test_a_finding_is_one_line_whatever_the_class_is_called():
    assert str(Finding("no-area", Path("a\nb"), "class c\nd", "e")) == "a b: class c d: e"


def step_at(columns, monkeypatch, *before):
    monkeypatch.setenv("COLUMNS", str(columns))
    state = RunState(images=2, epoch_seconds=1.0, seconds=65.0, sums={"classes": 1.0, "curliness": 3.0})
    with TrainingDisplay() as display:
        for event in before:
            display.report(event)
        display.report({"event": "step", "steps": 3, **state.progress(2, 0.5)})
        (task,) = display._bar.tasks
        line = [column.render(task) for column in display._bar.columns]
        return line[0].plain, line[3].plain, display, task


EPOCH = {"event": "epoch", "epoch": 1, "epochs": 2, "loss": 2.0, "images_per_second": 2.0, "seconds": 65.0}


def test_a_step_shows_every_term_of_the_loss_whatever_its_name(monkeypatch):
    epoch, text, display, task = step_at(200, monkeypatch)
    assert (epoch, text) == (
        "epoch 1/2",
        "1 min 05 s left, loss 2.000, 2.0 images/s, classes 0.500 curliness 1.500",
    )
    bar, task.fields["text"] = display._bar, "[/x] [red]"
    assert bar.columns[3].render(task).plain == "[/x] [red]"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (200, "AP50 0.625, 1 min 05 s left, loss 2.000, 2.0 images/s, classes 0.500 curliness 1.500"),
        (90, "AP50 0.625, 1 min 05 s left, loss 2.000"),
        (80, "AP50 0.625, 1 min 05 s left, loss 2.000"),
        (70, "AP50 0.625, 1 min 05 s left"),
        (50, "AP50 0.625"),
    ],
)
def test_where_there_is_little_room_the_terms_of_the_loss_go_first(monkeypatch, columns, said):
    assert step_at(columns, monkeypatch, EPOCH | {"ap": 0.5, "ap50": 0.625})[1] == said


@pytest.mark.parametrize("columns", ["", "0", "1", "20", "200"])
def test_a_table_in_a_file_is_whole_whatever_the_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    print_models([MODEL | {"imagenet": "to be fetched from " + "far " * 30 + "away"}])
    out = capsys.readouterr().out
    assert [
        word for word in ("an_architecture_fpn", "params", "far away", "320×448") if word not in out
    ] == []
    assert (len(out.splitlines()), "…" in out) == (5, False)


@pytest.mark.parametrize("columns", ["1", "20", "40"])
def test_a_table_in_a_terminal_that_is_too_narrow_is_shown_row_by_row(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")  # taken for a terminal
    print_models([MODEL | {"imagenet": "installed"}] * 2)
    row = "model: an_architecture_fpn\nparams: 4.7 M\nGFLOP: 3.5\nat: 320×448\nweights: installed\n\n"
    assert capsys.readouterr().out == row * 2


def test_a_common_terminal_shows_the_table_of_models(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    rows = [MODEL | {"name": name, "imagenet": "installed", "parameters": 41e6} for name in ARCHITECTURES]
    for colour in ("", "1"):
        monkeypatch.setenv("NO_COLOR", colour)
        print_models(rows)
        out = capsys.readouterr().out
        assert len(out.splitlines()) == len(rows) + 4
        assert all(name in out for name in ARCHITECTURES)


def test_a_class_is_escaped_before_a_table_is_drawn(monkeypatch):
    """Every line of a table has one width, in an encoding without boxes and smileys, too."""
    file = io.TextIOWrapper(io.BytesIO(), "ascii", "strict")
    monkeypatch.setattr(sys, "stdout", file)
    print_models([MODEL | {"name": "😀", "imagenet": "–"}])
    file.flush()
    lines = file.buffer.getvalue().decode().splitlines()
    assert r"\ud83d\ude00" in lines[3]
    assert len({len(line) for line in lines}) == 1
