"""Only regular files are opened: opening a pipe waits for who writes into it, and a device has no end."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegularError(OSError):
    """What is there is a pipe, a socket or a device."""


def require_regular(path: str | os.PathLike[str]) -> None:
    """For what a library opens by its name; see :func:`open_regular`.

    Raises:
        OSError: where there is none, or what is there is no regular file.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a null byte in its name
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from None
    _refuse(mode, path)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, if it is one or a link to one.

    Raises:
        OSError: where there is none, it is not ours to read, its name is none that a file can have, or what
            is there is a folder, a pipe, a socket or a device.
    """
    require_regular(path)
    # what was a file a moment ago may be a pipe now: not to wait, and to look again
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        _refuse(os.fstat(descriptor).st_mode, path)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def open_text(
    path: str | os.PathLike[str], encoding: str, *, errors: str = "strict", newline: str | None = None
) -> io.TextIOWrapper:
    """:func:`open_regular` of a text; the arguments are those of :func:`open`."""
    return io.TextIOWrapper(open_regular(path), encoding=encoding, errors=errors, newline=newline)


def read_bytes(path: str | os.PathLike[str], most: int = -1) -> bytes:
    """The content of a file, at most ``most`` bytes of it; errors as of :func:`open_regular`."""
    with open_regular(path) as file:
        return file.read(most)


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8-sig") -> str:
    """The text of a file.

    Raises:
        OSError: as of :func:`open_regular`.
        UnicodeDecodeError: for another encoding.
    """
    with open_text(path, encoding) as file:
        return file.read()


def size_of(path: Path) -> int:
    """Bytes of a regular file; errors as of :func:`require_regular`."""
    require_regular(path)
    return path.stat().st_size


def _refuse(mode: int, path: str | os.PathLike[str]) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    what = next((name for is_kind, name in _KINDS if is_kind(mode)), "no regular file")
    raise NotRegularError(errno.EINVAL, f"{what}, which is never opened", os.fspath(path))
