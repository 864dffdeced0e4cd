"""The one way in which masu writes: files and folders appear whole or not at all.

So also where the disk is full, the power fails or the process is killed. What is written stands beside its
place until it is whole, as ``.NAME-<32 hexadecimal digits>.part``; then it goes to the disk and is renamed.
Its process holds a lock on it, which the operating system opens when the process ends: so :func:`sweep`, with
which every writing begins, tells what a killed process left from what another one is writing.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO
from uuid import uuid4

from masu.errors import InputError, bad_input

_PART = re.compile(r"\..*-[0-9a-f]{32}\.part", re.DOTALL)
_LOCK = "lock"  # in a folder that is being made; a file is locked itself
_LONGEST = 40  # characters of the name, so that names of any length have room for more


class WriteError(InputError):
    """A file that could not be written; what stood in its place is as it was."""

    default_code = "not-written"


def write_whole(path: Path, chunks: Iterable[bytes | memoryview], *, swept: bool = False) -> None:
    """Write a file beside its place, bring it to the disk, then rename it.

    Args:
        path: the file; its folder exists.
        chunks: its content.
        swept: the folder was swept before; for who writes very many files into one.

    Raises:
        WriteError: where there is no space or no right to write; an earlier file is left as it was.
    """
    with beside(path, chunks, swept=swept) as part:
        put_in_place(part, path)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """:func:`write_whole` of a text, in UTF-8; bytes of file names that are not come as ``\\udce9``.

    Args:
        path: the file; its folder exists.
        text: all of it.
        private: readable for its owner alone, from the first byte on (Windows goes by the folder's rights).
    """
    with beside(path, [text.encode("utf-8", "backslashreplace")], private=private) as part:
        put_in_place(part, path)


def add_line(path: Path, line: str) -> None:
    """Add a line to a file, and bring it to the disk; half a line that a killed process left ends before it.

    Args:
        path: the file; its folder exists.
        line: without its end.

    Raises:
        WriteError: where there is no space or no right to write.
    """
    try:
        with path.open("ab+") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            start = b"\n" if file.read(1) not in (b"", b"\n") else b""
            file.write(start + line.encode("utf-8", "backslashreplace") + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise not_written(path, error) from None


def write_new(path: Path, content: bytes, *, swept: bool = False) -> bool:
    """:func:`write_whole` where there is no such file; where there is one, it is left as it is.

    Args:
        path: the file; its folder exists.
        content: all of it.
        swept: as there.

    Returns:
        Whether it was written.

    Raises:
        WriteError: as there.
    """
    with beside(path, [content], swept=swept) as part:
        try:
            os.link(part, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if os.path.lexists(path):
                return False
            put_in_place(part, path)
        else:
            _sync_folder(path.parent)
    return True


@contextmanager
def beside(
    path: Path, chunks: Iterable[bytes | memoryview], *, swept: bool = False, private: bool = False
) -> Iterator[Path]:
    """A file on the disk that is to become ``path``; it is gone afterwards where nobody renamed it.

    Raises:
        WriteError: as of :func:`write_whole`.
    """
    if not swept:
        sweep(path.parent)
    part, written = _part(path), 0
    with ExitStack() as made:
        file = _begun(path, part, made)
        try:
            if private:
                part.chmod(0o600)
            for chunk in chunks:
                file.write(chunk)
                written += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise not_written(path, error, written) from None
        if os.name == "nt":
            file.close()  # an open file cannot be renamed there
        yield part


@contextmanager
def growing(path: Path) -> Iterator[BinaryIO]:
    """A file that is written bit by bit beside its place, and is put there however the writing ends.

    Where it ends by an error before anything is written, an earlier file is left as it was. A process that
    is killed leaves nothing.

    Args:
        path: the file; its folder exists.

    Yields:
        The file, open to be written and to be sought in.

    Raises:
        WriteError: where there is no space or no right to write.
    """
    sweep(path.parent)
    part = _part(path)
    with ExitStack() as made:
        file = _begun(path, part, made)
        whole = False
        try:
            yield file
            whole = True
        finally:
            try:
                file.flush()
                written = file.seek(0, os.SEEK_END)
                os.fsync(file.fileno())
            except OSError as error:
                raise not_written(path, error) from None
            if whole or written:
                if os.name == "nt":
                    file.close()  # an open file cannot be renamed there
                put_in_place(part, path)


@contextmanager
def workshop(path: Path) -> Iterator[Path]:
    """A new folder on the disk of ``path``, to make in it what is to become ``path``; gone afterwards.

    Raises:
        OSError: where it cannot be made.
    """
    sweep(path.parent)
    part = _part(path)
    with ExitStack() as made:
        made.callback(_remove, part)
        while True:
            part.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):  # somebody swept before there was a lock
                made.enter_context(_locked(part / _LOCK))
                break
        folder = part / "made"
        folder.mkdir()
        yield folder


@contextmanager
def folder_whole(path: Path) -> Iterator[Path]:
    """A folder to fill that becomes ``path``, which is not there or empty, when all went well.

    Raises:
        OSError: where it cannot be made or put in place.
    """
    with workshop(path) as made:
        yield made
        _sync_all(made)
        if os.name == "nt" and path.is_dir():
            path.rmdir()
        os.replace(made, path)
        _sync_folder(path.parent)


def new_file(path: Path, content: bytes) -> None:
    """A file in a folder that is being made; its own folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def new_text(path: Path) -> IO[str]:
    """A text file in a folder that is being made, open to be written in UTF-8; its own folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8", newline="")


def new_copy(source: Path, path: Path, *, link: bool = False) -> None:
    """A copy of a file, or a link to it, in a folder that is being made; its own folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if link:
        path.symlink_to(source.absolute())
    else:
        shutil.copy2(source, path)


def put_together(files: Sequence[Path], folder: Path) -> None:
    """Put files that belong together, and are whole, into a folder, one right after the other.

    Several files cannot appear in one moment: the last one is to tell whether the others are its own.

    Raises:
        WriteError: where one cannot be put there.
    """
    for file in files:
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
    for file in files:
        put_in_place(file, folder / file.name)


@contextmanager
def alone_in(folders: Iterable[Path], name: str) -> Iterator[None]:
    """Nobody else is in here with one of the folders, in this process, another one or on another machine.

    A file of this name in each folder carries the lock as long as it is held. Where the folder or its file
    system takes no locks, as some network drives, and on Windows, there is none: who writes has to look
    whether what it read is still there.

    Args:
        folders: in any order; they are locked in one and the same.
        name: of the lock; a hidden one.
    """
    with ExitStack() as held:
        for folder in sorted({os.path.realpath(folder) for folder in folders}):
            with suppress(OSError):
                lock = Path(folder, name)
                held.callback(_closed, _locked(lock))
                held.callback(_remove, lock)
        yield


def put_in_place(part: Path, path: Path) -> None:
    """Rename a file that is whole to its place; afterwards the folder's entry is on the disk as well."""
    try:
        os.replace(part, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise not_written(path, error) from None


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written in a folder; what a living one writes is left alone."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _PART.fullmatch(entry.name):
                _remove_abandoned(folder / entry.name)


def not_written(path: Path, error: OSError, written: int = 0) -> WriteError:
    """What to say of a file that could not be written."""
    found = (error.strerror or str(error)).lower()
    after = f" after {written / 1e6:.1f} MB" if written else ""
    return bad_input(
        path,
        f"{found}{after}",
        "a folder with room that can be written to",
        "the file is as it was before",
        kind=WriteError,
    )


def _begun(path: Path, part: Path, made: ExitStack) -> BinaryIO:
    """The part of ``path``, open and locked until ``made`` ends; it is gone then where nobody renamed it."""
    made.callback(_remove, part)
    try:
        file = _locked(part)
    except OSError as error:
        raise not_written(path, error) from None
    made.callback(_closed, file)
    return file


def _part(path: Path) -> Path:
    """A name beside ``path`` that nobody else has, since another process may be writing the same."""
    return path.with_name(f".{path.name[:_LONGEST]}-{uuid4().hex}.part")


def _locked(path: Path) -> BinaryIO:
    """A new file that is locked as long as it is open; file systems without locks go without."""
    while True:
        file = path.open("wb")
        try:
            _lock(file.fileno(), wait=True)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass  # somebody swept before there was a lock
        except BaseException:
            file.close()
            raise
        file.close()


def _closed(file: BinaryIO) -> None:
    with suppress(OSError):  # what could not be written is tried again on closing
        file.close()


def _remove_abandoned(part: Path) -> None:
    lock = part
    with suppress(OSError):
        if stat.S_ISDIR(part.lstat().st_mode):
            lock = part / _LOCK
        if os.name == "nt":
            lock.unlink(missing_ok=True)  # refused there while it is open
            _remove(part)
            return
        if not os.path.lexists(lock):
            _remove(part)
            return
        if not stat.S_ISREG(lock.lstat().st_mode):
            return
        descriptor = os.open(lock, os.O_RDWR)
        try:
            if _lock(descriptor, wait=False):
                _remove(part)
        finally:
            os.close(descriptor)


def _remove(part: Path) -> None:
    try:
        _remove_now(part)
    except KeyboardInterrupt:  # a signal in the middle of it stops the process, but not this
        _remove_now(part)
        raise


def _remove_now(part: Path) -> None:
    with suppress(OSError):
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink()


def _sync_all(folder: Path) -> None:
    """Bring a folder with all that is in it to the disk."""
    if hasattr(os, "sync"):
        os.sync()  # very much faster than file by file where there are many
        return
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders; its renames are in the file system's journal
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":

    def _lock(file: int, *, wait: bool) -> bool:
        return False  # an open file cannot be removed there, which is lock enough
else:
    import fcntl

    def _lock(file: int, *, wait: bool) -> bool:
        """Whether the lock was got; without waiting it is not where another process holds it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            return False
        return True
