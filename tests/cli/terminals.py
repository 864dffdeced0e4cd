"""Runs ``masu`` in processes with streams of their own, forked from one that has imported everything.

``python -m tests.cli.terminals SCENARIOS OUT``: both are JSON, a list of scenarios and a list of answers.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import struct
import sys
import termios
from pathlib import Path
from typing import Any

import masu.detectors.zoo
import masu.terminal
import masu.verbs.check
from masu.cli import main


def _sink(kind: str, file: Path, columns: int) -> tuple[int | None, int | None]:
    """What a stream of the program is written to, and for a terminal the other end of it."""
    if kind == "closed":
        return None, None
    if kind == "full":
        return os.open("/dev/full", os.O_WRONLY), None
    if kind == "unread":
        read, write = os.pipe()
        os.close(read)
        return write, None
    if kind == "terminal":
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        return theirs, ours
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), None


def _read(ours: int) -> bytes:
    """What a program shows in its terminal, until it ends."""
    text = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:
            return text
        if not more:
            return text
        text += more


def _run(scenario: dict[str, Any]) -> int:
    """The program, from the start of a process to its end; the exit code as Python itself makes it."""
    for name, value in scenario.get("env", {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    encoding = scenario.get("encoding", "utf-8")
    for name, number, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        kind = scenario.get(name, "file")
        if kind == "closed":
            setattr(sys, name, None)
        else:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding, errors))
    sys.argv = ["masu", *scenario["arguments"]]
    code = 99
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except OSError:
                code = 120
    return code


def _answer(scenario: dict[str, Any], folder: Path) -> dict[str, Any]:
    kinds = [scenario.get(name, "file") for name in ("stdout", "stderr")]
    files = [folder / "stdout", folder / "stderr"]
    sinks = [_sink(kind, file, scenario.get("columns", 80)) for kind, file in zip(kinds, files, strict=True)]
    child = os.fork()
    if not child:
        code = 98
        try:
            for number, (theirs, _) in enumerate(sinks, 1):
                os.close(number)
                if theirs is not None:
                    os.dup2(theirs, number)
            code = _run(scenario)
        finally:
            os._exit(code)
    for theirs, _ in sinks:
        if theirs is not None:
            os.close(theirs)
    shown = [b"" if ours is None else _read(ours) for _, ours in sinks]
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = [
        (file.read_bytes() if kind == "file" else text).decode("latin-1")
        for kind, file, text in zip(kinds, files, shown, strict=True)
    ]
    return {"code": code, "out": said[0], "err": said[1]}


if __name__ == "__main__":
    given, written = map(Path, sys.argv[1:])
    scenarios = json.loads(given.read_text(encoding="utf-8"))
    masu.verbs.check.check(Path(scenarios[0]["arguments"][1]))  # what is imported late is imported now
    answers = [_answer(scenario, written.parent) for scenario in scenarios]
    written.write_text(json.dumps(answers), encoding="utf-8")
