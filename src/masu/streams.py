"""Standard output and standard error that no terminal, pipe or full disk makes end in a traceback.

Letters that the encoding of a stream cannot hold are written as JSON escapes them, ``\\ud83d\\ude00``:
JSON stays JSON. What is said beside a result is lost where it cannot be written; a result that is lost is an
:class:`OutputError`.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

ESCAPED = "masu-escaped"
"""Name of the error handler of ``str.encode`` that writes ``\\u`` and the UTF-16 units of a letter."""

CLOSED_PIPE = 141
"""Exit code where nobody reads the result any more: that of a program which SIGPIPE ends."""


class OutputError(Exception):
    """The result cannot be written to standard output.

    Attributes:
        closed: nobody reads it any more, such as after ``| head``.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"standard output: found no way to write the result ({error.strerror}), wanted a file or pipe "
            "that takes it; write it to another place"
        )
        self.closed = isinstance(error, BrokenPipeError)


@contextmanager
def kept_safe() -> Iterator[None]:
    """Guard both streams while a program runs; afterwards they are what they were.

    Standard output raises :class:`OutputError` where it cannot be written; flush it to know. What is written
    to a closed stream goes nowhere.
    """
    before = sys.stdout, sys.stderr
    _fill_closed()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout, sys.stderr = _Guarded(before[0] or nowhere, True), _Guarded(before[1] or nowhere, False)
        try:
            yield
        finally:
            for stream in before:
                if stream is not None:
                    _drop_unwritten(stream)
            sys.stdout, sys.stderr = before


class _Guarded:
    """A stream whose faults are one exception, or nothing."""

    def __init__(self, stream: Any, lost: bool) -> None:
        self._stream, self._lost = stream, lost
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ESCAPED)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError as error:
            self._failed(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        if self._lost:
            raise OutputError(error) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _fill_closed() -> None:
    """Else the next file that is opened gets the number of a closed stream, and what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _drop_unwritten(stream: Any) -> None:
    """What could not be written would be tried again, and fail again, when Python ends."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2)), error.end


codecs.register_error(ESCAPED, _escape)
