"""What strangers call their files and classes never reaches the terminal raw."""

from pathlib import Path

from masu.data.audit.checks import Finding
from masu.errors import visible
from masu.terminal import TrainingDisplay, print_findings, print_metrics
from masu.training.run_state import RunState
from masu.verbs.check import CheckReport

EVIL = "do\x1b[31mg\x00\x07\x9b\r"
SHOWN = r"do\x1b[31mg\x00\x07\x9b\x0d"


def test_visible_leaves_everything_else_as_it_is():
    assert visible(EVIL) == SHOWN
    assert visible("Größe 语\t[red]\n") == "Größe 语\t[red]\n"


def test_control_characters_are_written_out_in_lines_and_tables(capsys):
    finding = Finding("no-area", Path(EVIL), EVIL, EVIL)
    print_findings(CheckReport(Path(EVIL), "coco", {EVIL: 1}, {EVIL: 1}, (EVIL,), (finding,), 0.0))
    row = {"ap": 0.5, "ap50": 0.5, "ar100": 0.5, "objects": 1}
    print_metrics({"images": 1, "objects": 1, "per_class": {EVIL: row}}, EVIL)
    TrainingDisplay().report({"event": "fault", "fault": EVIL})
    out, err = capsys.readouterr()
    assert out.count(SHOWN) == 7
    assert SHOWN in err
    assert not any(letter in out + err for letter in "\x1b\x00\x07\x9b\r")


def test_a_finding_is_one_line_whatever_the_class_is_called():
    assert str(Finding("no-area", Path("a\nb"), "class c\nd", "e")) == "a b: class c d: e"


def test_a_step_shows_every_term_of_the_loss_whatever_its_name():
    state = RunState(images=2, epoch_seconds=1.0, sums={"classes": 1.0, "curliness": 3.0})
    with TrainingDisplay() as display:
        display.report({"event": "step", "steps": 3, **state.progress(2, 0.5)})
        (task,) = display._bar.tasks
    text = task.fields["text"]
    bar, task.fields["text"] = display._bar, "[/x] [red]"
    assert [str(bar.columns[i].render(task)) for i in (0, 3)] == ["epoch 1/2", "[/x] [red]"]
    assert text.startswith("loss 2.000 (classes 0.500 curliness 1.500) 2.0 images/s")
