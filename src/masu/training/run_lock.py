"""One training in a folder at a time: a lock that ends with its process, however that ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from masu.atomic import not_written, sweep
from masu.errors import bad_input

NAME = "lock"
"""The locked file; it holds the number of the process and is gone when that ends in order."""

_held: set[int] = set()


@contextmanager
def alone_in(folder: Path, what: str = "a training") -> Iterator[None]:
    """Hold a folder for this process, without what a killed one left half written.

    The operating system lets go of the lock when the process ends, so a file that a killed process left
    holds nobody up. File systems that know no locks (some network ones) are used without.

    Args:
        folder: it is made.
        what: runs in it, for the message.

    Raises:
        InputError: where another one runs in the folder, or it cannot be written to.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(path, what)
    except OSError as error:
        raise not_written(path, error) from None
    try:
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())
        sweep(folder)
        sweep(folder / "samples")
    except OSError as error:
        os.close(file)
        raise not_written(path, error) from None
    _held.add(file)
    try:
        yield
    finally:
        _held.discard(file)
        if os.name == "nt":
            os.close(file)  # an open file cannot be removed there
        with suppress(OSError):
            path.unlink()
        if os.name != "nt":
            os.close(file)


def _locked(path: Path, what: str) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(file)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                holder = os.read(file, 20).decode(errors="replace") or "unknown"
                os.close(file)
                raise bad_input(
                    path.parent,
                    f"{what} that is running there (process {holder})",
                    "a folder of its own",
                    "wait for its end, stop it or choose another folder (--out)",
                ) from None
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                os.close(file)
                raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        os.close(file)  # its holder has just removed it


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # behind the text, which others may read
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _let_go() -> None:
        """A forked worker would otherwise hold the lock for some seconds after the training was killed."""
        for file in _held:
            os.close(file)
        _held.clear()

    os.register_at_fork(after_in_child=_let_go)
