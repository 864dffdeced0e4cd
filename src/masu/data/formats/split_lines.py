"""A line more or less in the list of a split; all others stay to the letter."""

from __future__ import annotations

import re


def with_line(content: bytes, line: bytes) -> bytes:
    """The list with a line at its end; as it is where it has it already, or where this is not one line."""
    lines = content.splitlines(keepends=True)
    if line.splitlines() != [line] or any(_says(one, line) for one in lines):
        return content
    end = b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"
    gap = end if lines and lines[-1].splitlines()[0] == lines[-1] else b""
    return content + gap + line + end


def without_line(content: bytes, line: bytes) -> bytes:
    """The list without a line, wherever it stands."""
    lines = content.splitlines(keepends=True)
    return b"".join(one for one in lines if not _says(one, line))


def _says(whole: bytes, line: bytes) -> bool:
    """Whether a line of a list is this one, with VOC's number after it or without."""
    bare = whole.removeprefix(b"\xef\xbb\xbf").strip()
    return re.fullmatch(re.escape(line) + rb"(?:\s+(?:-1|0|1))?", bare) is not None
