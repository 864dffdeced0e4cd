"""Tensors and text that outlive a kill: a safetensors file with a checksum, and the one before it.

The new file is written beside, brought to the disk, read back and compared with its checksum; only then the
present file becomes the one before and the new one takes its place. So at every moment one file is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from masu.atomic import WriteError, beside, put_in_place
from masu.errors import InputError, bad_input
from masu.tensor_file import DTYPES, TensorFile, TensorFileError

MOST_TIME = 0.02
"""Largest share of a run that is spent on checkpoints within its epochs."""

CHECKSUM = "sha256"
"""The entry of a file's metadata that holds the sum over everything else."""

_WORDS = {dtype: word for word, dtype in DTYPES.items()}


class Content(NamedTuple):
    """What a file holds."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


class Checkpoint:
    """A file and the one before it, ``NAME.safetensors`` and ``NAME-before.safetensors``.

    Args:
        path: the file.
        every: seconds between two writings that :meth:`due` asks for, more where writing takes long; 0 always
            asks.

    Attributes:
        before: the file before.
        read_from: which of the two was read last.
    """

    def __init__(self, path: Path, every: float) -> None:
        self.path, self.every = path, every
        self.before = path.with_stem(f"{path.stem}-before")
        self.read_from = path
        self._present_is_good = True
        self._written, self._took = time.monotonic(), 0.0

    def due(self) -> bool:
        """Whether it is time to write again."""
        pause = max(self.every, self._took / MOST_TIME) if self.every else 0.0
        return time.monotonic() - self._written >= pause

    def write(self, content: Content) -> None:
        """Replace the file by a new one, once that has been read back.

        Raises:
            WriteError: where it cannot be written or reads otherwise than it was written; both files are
                as they were.
        """
        start = time.monotonic()
        with beside(self.path, _chunks(content)) as part:
            fault = damage(part)
            if fault is not None:
                found = f"{fault} on reading back"
                raise bad_input(part, found, "what was written", "check the disk", kind=WriteError)
            if self._present_is_good and self.path.exists():
                put_in_place(self.path, self.before)
            put_in_place(part, self.path)
        self._present_is_good = True
        self._written = time.monotonic()
        self._took = self._written - start

    def drop(self) -> None:
        """Remove the file and the one before it: nothing is left to go on with."""
        for path in (self.before, self.path):
            path.unlink(missing_ok=True)

    def read(self, say: Callable[[str], None]) -> Content:
        """The file's content, or that of the one before where the file is damaged, of which ``say`` is told.

        Raises:
            InputError: where both are damaged or missing.
        """
        faults: list[str] = []
        for path in (self.path, self.before):
            fault = damage(path)
            if fault is None:
                content = read_file(path)
                self.read_from = path
                self._present_is_good = path == self.path
                if faults:
                    say(f"{faults[0]}; going on from {path}, the checkpoint before it")
                return content
            faults.append(f"{path}: found {fault}")
        wanted, fix = "the state of a training in one of them", "start anew in another folder (--out)"
        found = "; ".join(faults)
        raise InputError(
            f"{found}; wanted {wanted}; {fix}", thing=str(self.path), found=found, wanted=wanted, fix=fix
        )


def damage(path: Path) -> str | None:
    """What is wrong with a file, or None; every byte is read."""
    if not path.is_file():
        return "no such file"
    try:
        with path.open("rb") as file:
            if hasattr(os, "posix_fadvise"):  # from the disk, not from memory
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            size = int.from_bytes(file.read(8), "little")
            if not 0 < size <= path.stat().st_size:
                return "a damaged file (truncated)"
            header = json.loads(file.read(size))
            wanted = header["__metadata__"].pop(CHECKSUM)
            found = hashlib.sha256(_canonical(header))
            while data := file.read(1 << 20):
                found.update(data)
    except OSError as error:
        return f"a file that cannot be read ({error.strerror})"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "a damaged file (its header cannot be read)"
    if found.hexdigest() != wanted:
        return "a damaged file (its checksum differs)"
    try:
        with TensorFile(path):
            return None
    except TensorFileError as error:
        return f"a file that is no safetensors ({error})"


def metadata_of(path: Path) -> dict[str, str]:
    """The texts of a file that is whole, without reading its tensors."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    found: dict[str, str] = header["__metadata__"]
    return found


def read_file(path: Path) -> Content:
    """What a file holds that is whole."""
    with TensorFile(path) as file:
        texts = {name: text for name, text in file.metadata.items() if name != CHECKSUM}
        return Content(file.tensors(), texts)


def _chunks(content: Content) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file, tensor by tensor, so that no second copy of all is made."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in content.tensors.items()}
    names = sorted(
        tensors, key=lambda name: (-tensors[name].element_size(), name)
    )  # aligned, as the format wants
    header: dict[str, Any] = {"__metadata__": dict(content.metadata)}
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + tensor.numel() * tensor.element_size()
        shape = list(tensor.shape)
        header[name] = {"dtype": _WORDS[tensor.dtype], "shape": shape, "data_offsets": [start, end]}
    data = [_bytes(tensors[name]) for name in names]
    checksum = hashlib.sha256(_canonical(header))
    for part in data:
        checksum.update(part)
    header["__metadata__"][CHECKSUM] = checksum.hexdigest()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    yield from data


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _canonical(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True).encode()
