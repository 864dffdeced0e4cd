"""One table of exit codes: in the program, its help and its page."""

from pathlib import Path

from masu.cli import cli
from masu.cli.exit_codes import EXIT_CODES

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


def test_the_page_has_the_table():
    part = PAGE.read_text("utf-8").split("## Exit codes")[1].split("##")[0]
    rows = [row.strip("| ").split(" | ", 1) for row in part.splitlines() if row.startswith("| ")][2:]
    plain = {int(code): meaning.replace("`", "").replace("\\", "") for code, meaning in rows}
    assert plain == EXIT_CODES
    assert [*EXIT_CODES] == [0, 1, 2, 3, 130, 141]


def test_help_shows_it(run):
    shown = run("--help")[1]
    assert all(f"{code:>3}  {meaning}\n" in shown for code, meaning in EXIT_CODES.items())


def test_images_that_cannot_be_read(run, model, coins, tmp_path):
    good, bad = coins / "images" / "val" / "0.png", tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    code, _, error = run("detect", model, good, bad, "--out", tmp_path / "found")
    assert code == 3
    assert f"masu: error: {bad}: found " in error
    assert (tmp_path / "found" / "detections.json").exists()
    assert run("detect", model, good)[0] == 0
    code, out, error = run("detect", model, bad)
    assert (code, out, error.count("\n")) == (2, "", 1)


def test_stopped(run, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.commands["models"], "callback", stopped)
    code, out, error = run("models")
    assert (code, out, error.strip()) == (130, "", "masu: stopped")
