"""What the command line says beside its result: lines on stderr, from the first process only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from masu.errors import counted, visible

if TYPE_CHECKING:
    from masu.data.formats import Dataset


def note(message: str) -> None:
    """A line beside the result."""
    if not rank():
        click.echo(f"masu: {visible(message)}", err=True)


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
    return int(os.environ.get("RANK", "0")) if os.environ.get("WORLD_SIZE", "1") != "1" else 0
