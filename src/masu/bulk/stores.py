"""The folder that a job writes to, on disk or in an object store: files appear whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from masu.atomic import sweep, write_whole
from masu.bulk.remote import is_url, open_filesystem, store_errors
from masu.errors import InputError


class Store(Protocol):
    """A folder of small files."""

    def names(self) -> set[str]:
        """Names of the files in it; none where there is no folder yet."""

    def read(self, name: str) -> bytes:
        """A file's content."""

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, whole or not at all, over one of the same name.

        Raises:
            InputError: where it cannot be written.
        """

    def remove(self, name: str) -> None:
        """Remove a file; nothing where there is none."""

    def open(self, name: str) -> IO[bytes]:
        """A file, to read parts of it."""

    def sweep(self) -> None:
        """Remove what a killed process left half written."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder on disk; the path is absolute, so that workers may stand elsewhere."""

    path: str

    def __str__(self) -> str:
        return self.path

    def names(self) -> set[str]:
        """See :class:`Store`."""
        try:
            return set(os.listdir(self.path))
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def read(self, name: str) -> bytes:
        """See :class:`Store`."""
        return Path(self.path, name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See :class:`Store`."""
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from None
        write_whole(Path(self.path, name), [content])

    def remove(self, name: str) -> None:
        """See :class:`Store`."""
        try:
            Path(self.path, name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def open(self, name: str) -> IO[bytes]:
        """See :class:`Store`."""
        return Path(self.path, name).open("rb")

    def sweep(self) -> None:
        """See :class:`Store`."""
        sweep(Path(self.path))


@dataclass(frozen=True)
class ObjectFolder:
    """A prefix of an object store, where every put is whole by itself."""

    url: str

    def __str__(self) -> str:
        return self.url

    def names(self) -> set[str]:
        """See :class:`Store`."""
        filesystem, path = open_filesystem(self.url)
        filesystem.invalidate_cache()
        try:
            with store_errors(self.url):
                return {str(name).rsplit("/", 1)[-1] for name in filesystem.ls(path, detail=False)}
        except FileNotFoundError:
            return set()

    def read(self, name: str) -> bytes:
        """See :class:`Store`."""
        filesystem, path = open_filesystem(f"{self.url}/{name}")
        with store_errors(self.url):
            return bytes(filesystem.cat_file(path))

    def write(self, name: str, content: bytes) -> None:
        """See :class:`Store`."""
        filesystem, path = open_filesystem(f"{self.url}/{name}")
        try:
            with store_errors(self.url):
                filesystem.pipe_file(path, content)
        except FileNotFoundError as error:
            found, fix = f"cannot be written ({error})", "make the bucket first"
            raise InputError(
                f"{self.url}: {found}; {fix}", thing=self.url, found=found, fix=fix, code="not-written"
            ) from None

    def remove(self, name: str) -> None:
        """See :class:`Store`."""
        filesystem, path = open_filesystem(f"{self.url}/{name}")
        with suppress(FileNotFoundError), store_errors(self.url):
            filesystem.rm_file(path)

    def open(self, name: str) -> IO[bytes]:
        """See :class:`Store`."""
        filesystem, path = open_filesystem(f"{self.url}/{name}")
        with store_errors(self.url):
            opened: IO[bytes] = filesystem.open(path, "rb")
        return opened

    def sweep(self) -> None:
        """See :class:`Store`; a put that was cut short has left nothing."""


def open_store(out: str | os.PathLike[str]) -> Store:
    """The folder of a path or URL; nothing is made yet."""
    text = os.fspath(out)
    return ObjectFolder(text.rstrip("/")) if is_url(text) else LocalFolder(os.path.abspath(text))


def _unwritable(path: str, error: OSError) -> InputError:
    found, fix = f"cannot be written ({error.strerror})", "choose another folder"
    return InputError(f"{path}: {found}; {fix}", thing=str(path), found=found, fix=fix, code="not-written")
