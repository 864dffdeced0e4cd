"""The page of a training run, which no other page replaces."""

from __future__ import annotations

from pathlib import Path

from masu.errors import bad_input

REPORT = "report.html"
"""The page's name in the folder of its run."""

_OF_RUNS = ("metrics.jsonl", "last.safetensors", "resume.safetensors")


def is_run_report(file: Path) -> bool:
    """Whether a file is, or would be, the page of a run: by its name and by what lies beside it."""
    return file.name == REPORT and any((file.parent / name).exists() for name in _OF_RUNS)


def refuse_run_report(file: Path) -> None:
    """Refuse to write a page in the place of a run's.

    Raises:
        InputError: for such a file.
    """
    if is_run_report(file):
        raise bad_input(file, "the report of a training run", "another file", "choose another name")
