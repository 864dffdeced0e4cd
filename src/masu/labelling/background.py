"""The two processes beside the server: one that trains, one that drafts."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

Line = dict[str, Any]
Told = Callable[[Line], None]

_SECONDS_TO_END = 5


class Process:
    """A module of masu that runs by itself, and is told and tells JSON objects, one a line.

    It ends when this process does, whatever ends that: its standard input is closed then.

    Args:
        module: run as ``python -m``.
        told: called with each object it prints, from a thread of its own.
        ended: called once when it has ended, with the last line of its standard error, or
            what went wrong here.
    """

    def __init__(self, module: str, told: Told, ended: Callable[[str], None]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is for the server, which stops this one
        )
        self._tail: list[str] = []
        self._writing = threading.Lock()
        errors = threading.Thread(target=self._keep_errors, daemon=True)
        errors.start()
        self._reader = threading.Thread(target=self._read, args=(told, ended, errors), daemon=True)
        self._reader.start()

    def tell(self, line: Line) -> None:
        """Send an object; to a process that has ended, nothing."""
        with self._writing, suppress(OSError, ValueError):
            stream = _open(self._process.stdin)
            stream.write(f"{json.dumps(line)}\n".encode())
            stream.flush()

    def stop(self) -> None:
        """End it now."""
        self._process.terminate()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not threading.current_thread():
            self._reader.join(_SECONDS_TO_END)

    def _read(self, told: Told, ended: Callable[[str], None], errors: threading.Thread) -> None:
        fault = ""
        try:
            with _open(self._process.stdout) as lines:
                for line in lines:
                    if (said := _object(line)) is not None:
                        told(said)
        except (ValueError, LookupError, TypeError, OSError) as error:  # what it says is not understood
            fault = f"{type(error).__name__}: {error}"
            self._process.kill()
        finally:
            self._process.wait()
            errors.join(_SECONDS_TO_END)
            with suppress(OSError):
                _open(self._process.stdin).close()
            ended(fault or "".join(self._tail[-1:]) or "the process has ended")

    def _keep_errors(self) -> None:
        with _open(self._process.stderr) as lines:
            for line in lines:
                self._tail = [*self._tail, line.decode(errors="replace").rstrip()][-20:]


def _object(line: bytes) -> Line | None:
    """A JSON object; None for what a library prints, which is not speaking to us."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
