"""What the exit code of ``masu`` says; ``masu --help`` and docs/command-line.md show this table."""

from __future__ import annotations

from masu.streams import CLOSED_PIPE

DONE, FINDINGS, BAD_INPUT, LEFT_OUT, STOPPED = 0, 1, 2, 3, 130

EXIT_CODES = {
    DONE: "done",
    FINDINGS: "findings: the data has faults (check), or a gate does not hold (compare)",
    BAD_INPUT: "bad input: one line says what it is",
    LEFT_OUT: "done, but for images that are named on standard error (detect)",
    STOPPED: "stopped by Ctrl-C or SIGTERM",
    CLOSED_PIPE: "nobody reads the result any more (| head)",
}


def as_epilog() -> str:
    """The table below ``masu --help``; the mark keeps click from filling its lines."""
    rows = (f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
    return "\n".join(["\b", "Exit codes:", *rows])
