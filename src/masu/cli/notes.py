"""What the command line prints: its result, and lines beside it from the first process only."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from masu.errors import counted, visible

if TYPE_CHECKING:
    from masu.data.formats import Dataset


def note(message: str) -> None:
    """A line beside the result."""
    if not rank():
        print_error(f"masu: {message}")


def print_result(text: str, *, nl: bool = True) -> None:
    """A text on standard output."""
    click.echo(text, nl=nl, file=sys.stdout)  # without the file click puts one of its own around ASCII's


def print_error(line: str) -> None:
    """A line on standard error; control characters of strangers are shown, not obeyed."""
    click.echo(visible(line), file=sys.stderr)


def print_faults(*datasets: Dataset) -> None:
    """The first faults that reading has left out or clipped, and their number."""
    faults = [fault for dataset in datasets for fault in dataset.faults]
    for fault in faults[:20]:
        note(f"{fault}")
    if faults:
        were = "was" if len(faults) == 1 else "were"
        shown = ", 20 shown" if len(faults) > 20 else ""
        note(f"{counted(len(faults), 'fault')} in the data {were} skipped or clipped{shown}")


def rank() -> int:
    """The number of this process among those that a launcher has started; only the first speaks."""
    return _said("RANK", 0) if processes_started() > 1 else 0


def processes_started() -> int:
    """How many processes a launcher has started."""
    return _said("WORLD_SIZE", 1)


def _said(variable: str, otherwise: int) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else otherwise
