"""The safetensors format: what a file holds, read and checked before any of its tensors are.

The package of that name writes it; it opens no path that is not UTF-8, so files are read here, with plain
file reads into memory of the tensor's own.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}
"""The format's words for the types that are read."""

LARGEST_HEADER = 100_000_000
"""Bytes, as in the safetensors package."""


class TensorFileError(ValueError):
    """A file that is none of the format; the message says why."""


@dataclass(frozen=True)
class Entry:
    """Where one tensor is.

    Attributes:
        dtype: of its numbers.
        shape: its sizes.
        start: of its bytes, counted from the end of the header.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int

    @property
    def end(self) -> int:
        """Of its bytes."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


class TensorFile:
    """An open file, to be used in a ``with`` statement.

    Args:
        path: of a regular file.

    Attributes:
        metadata: texts by name.
        entries: tensors by name; their bytes follow one another and fill the file.

    Raises:
        TensorFileError: for a file that is none of the format.
        OSError: for one that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        try:
            self.metadata, self.entries, self._data = self._header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def tensor(self, name: str) -> Tensor:
        """One tensor, in memory of its own."""
        entry = self.entries[name]
        tensor = torch.empty(entry.shape, dtype=entry.dtype)
        room = tensor.reshape(-1).view(torch.uint8).numpy().data
        self._file.seek(self._data + entry.start)
        while len(room):
            read = self._file.readinto(room)
            if not read:
                raise TensorFileError("it ended while it was read")
            room = room[read:]
        return tensor

    def tensors(self) -> dict[str, Tensor]:
        """All of them by name."""
        return {name: self.tensor(name) for name in self.entries}

    def _header(self) -> tuple[dict[str, str], dict[str, Entry], int]:
        length = int.from_bytes(self._read(8), "little")
        left = os.fstat(self._file.fileno()).st_size - 8
        if length > min(left, LARGEST_HEADER):
            raise TensorFileError(f"a header of {length} bytes in a file of {left + 8}")
        try:
            header = json.loads(self._read(length))
        except (ValueError, RecursionError):
            raise TensorFileError("a header that is no JSON") from None
        if not isinstance(header, dict):
            raise TensorFileError("a header without names")
        metadata = header.pop("__metadata__", {})
        texts = isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values())
        if not texts:
            raise TensorFileError("metadata that is no text")
        entries = {name: _entry(name, described) for name, described in header.items()}
        end = 0
        for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
            if entry.start != end:
                raise TensorFileError(f"bytes of {name[:80]!r} that do not follow those before")
            end = entry.end
        if end != left - length:
            raise TensorFileError(f"{left - length} bytes of tensors where its header says {end}")
        return metadata, entries, 8 + length

    def _read(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = self._file.read(size - len(parts))
            if not part:
                raise TensorFileError("it ends before its header does")
            parts += part
        return parts


def _entry(name: str, described: Any) -> Entry:
    try:
        dtype, shape, (start, end) = (described[key] for key in ("dtype", "shape", "data_offsets"))
        sizes = [*shape, start, end]
        whole = all(type(size) is int and 0 <= size < 2**62 for size in sizes)
        found = Entry(DTYPES[dtype], tuple(shape), start) if whole and len(shape) <= 16 else None
    except (KeyError, TypeError, ValueError):
        found = None
    if found is None or found.end != end or math.prod(size or 1 for size in found.shape) >= 2**62:
        known = isinstance(described, Mapping) and described.get("dtype")
        why = "" if isinstance(known, str) and known in DTYPES else f" (numbers of type {str(known)[:20]!r})"
        raise TensorFileError(f"a description of {name[:80]!r} that cannot be understood{why}")
    return found
