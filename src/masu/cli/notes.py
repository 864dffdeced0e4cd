"""What the command line prints: its result, and as much beside it as is wanted; the first process alone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import click

from masu.errors import bad_input, counted, visible

if TYPE_CHECKING:
    from masu.data.formats import Dataset

_LOUDNESS = "masu.loudness"
_SAME = 5  # files with the same fault that are named one by one


def set_loudness(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """``--quiet`` and ``--verbose``, before or after the verb.

    Raises:
        InputError: for both of them.
    """
    if wanted:
        before = context.meta.setdefault(_LOUDNESS, parameter.name)
        if before != parameter.name:
            raise bad_input("--quiet", "together with --verbose", "one of them", "leave one out")


def _loudness() -> Literal["quiet", "verbose", "normal"]:
    context = click.get_current_context(silent=True)
    said: Literal["quiet", "verbose", "normal"] = "normal"
    return said if context is None else context.meta.get(_LOUDNESS, said)


def quiet() -> bool:
    """Whether only results and errors are wanted."""
    return _loudness() == "quiet"


def _for_a_program() -> bool:
    """Whether the result is JSON: whoever reads that does not look at bars."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("as_json"))


def note(message: str) -> None:
    """A line beside the result."""
    if not rank() and not quiet():
        print_error(f"masu: {message}")


def detail(message: str) -> None:
    """A line for who wants to know what was decided, and how long it took."""
    if _loudness() == "verbose":
        note(message)


@contextmanager
def working(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for ``progress(done, total)`` where a person looks; who wants to know it is told the time."""
    started = time.perf_counter()
    if quiet() or _for_a_program():
        yield lambda _done, _total: None
    else:
        from masu.terminal import counter

        with counter(what) as progress:
            yield progress
    detail(f"{what}: {time.perf_counter() - started:.1f} s")


def print_result(text: str, *, nl: bool = True) -> None:
    """A text on standard output."""
    click.echo(text, nl=nl, file=sys.stdout)  # without the file click puts one of its own around ASCII's


def print_error(line: str) -> None:
    """A line on standard error; control characters of strangers are shown, not obeyed."""
    click.echo(visible(line), file=sys.stderr)


def print_left_out(faults: Sequence[str]) -> None:
    """What could not be done of images: a line each, but one line where the same is wrong with very many.

    Args:
        faults: sentences that begin with the file and a colon.
    """
    of: dict[str, list[str]] = {}
    for fault in faults:
        file, found, rest = fault.partition(": found ")
        if not found:
            file, found, rest = fault.partition(": ")
        of.setdefault(found + rest, []).append(file)
    for said, files in of.items():
        together = [f"{files[0]} and {len(files) - 1} more"] if len(files) > _SAME else files
        for file in together:
            print_error(f"masu: error: {file}{said}")


def print_faults(*datasets: Dataset) -> None:
    """The first faults that reading has left out or clipped, and their number."""
    for dataset in datasets:
        split = f", split {dataset.split}" if dataset.split else ""
        detail(f"{dataset.root}: format {dataset.form}{split}, {counted(len(dataset), 'image')}")
    from masu.verbs.reading import tell_faults

    tell_faults(note, *datasets)


def rank() -> int:
    """The number of this process among those that a launcher has started; only the first speaks."""
    return _said("RANK", 0) if processes_started() > 1 else 0


def processes_started() -> int:
    """How many processes a launcher has started."""
    return _said("WORLD_SIZE", 1)


def _said(variable: str, otherwise: int) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else otherwise
