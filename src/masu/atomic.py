"""Files that appear whole or not at all, also where the power fails or the process is killed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from masu.errors import InputError, bad_input


class WriteError(InputError):
    """A file that could not be written; what stood in its place is as it was."""


def write_whole(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Write a file beside its place, bring it to the disk, then rename it.

    Raises:
        WriteError: where there is no space or no right to write; an earlier file is left as it was.
    """
    part = write_part(path, chunks)
    try:
        put_in_place(part, path)
    except WriteError:
        with suppress(OSError):
            part.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """:func:`write_whole` of a text, in UTF-8; bytes of file names that are not come as ``\\udce9``."""
    write_whole(path, [text.encode("utf-8", "backslashreplace")])


def write_part(path: Path, chunks: Iterable[bytes | memoryview]) -> Path:
    """Write what is to become ``path`` to a file beside it and bring it to the disk; returns that file.

    It has a name of its own, since another process may be writing the same; see :func:`sweep`.
    """
    part = path.with_name(f".{path.name}-{uuid4().hex}.part")
    written = 0
    try:
        with part.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                written += len(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise not_written(path, error, written) from None
    return part


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written in a folder; nobody else may be writing there."""
    for part in folder.glob(f".*-{'[0-9a-f]' * 32}.part"):
        part.unlink(missing_ok=True)


def put_in_place(part: Path, path: Path) -> None:
    """Rename a file that is whole to its place; afterwards the folder's entry is on the disk as well."""
    try:
        os.replace(part, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise not_written(path, error) from None


def not_written(path: Path, error: OSError, written: int = 0) -> WriteError:
    """What to say of a file that could not be written."""
    found = (error.strerror or str(error)).lower()
    after = f" after {written / 1e6:.1f} MB" if written else ""
    said = bad_input(
        path, f"{found}{after}", "a folder with room that can be written to", "the file is as it was before"
    )
    return WriteError(str(said))


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders; its renames are in the file system's journal
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
