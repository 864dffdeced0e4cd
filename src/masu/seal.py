"""The checksum that an exported file carries of its own bytes, and of the file that lies beside it.

It tells damage, and halves of two exports under one name. It is no signature: who alters a file on purpose
can make a new one.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_START = b"masu-sha256:"
BLANK = (_START + b"0" * 64).decode()
"""What to write into a file, once, in the place of its checksum; :func:`seal` fills it."""

CHECKSUM = "masu.checksum"
"""Name of the entry in a file's metadata that holds it."""

_SEAL = re.compile(_START + rb"([0-9a-f]{64})")
_BLOCK = 1 << 22


def files_of(file: Path) -> tuple[Path, ...]:
    """The files that a model consists of: with a graph of OpenVINO or ncnn its weights.

    Args:
        file: a model of any kind.

    Returns:
        The file itself first, then the weights beside it.
    """
    return (file, file.with_suffix(".bin")) if file.suffix in (".xml", ".param") else (file,)


def seal(file: Path, beside: Sequence[Path] = ()) -> None:
    """Put the checksum of all bytes into a file that holds :data:`BLANK`.

    Args:
        file: to be sealed.
        beside: files that belong to it, in order.

    Raises:
        ValueError: a file without a blank.
    """
    with file.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as text:
        at = text.find(BLANK.encode())
        if at < 0:
            raise ValueError(f"{file}: found no blank for its checksum, wanted one")
        at += len(_START)
        text[at : at + 64] = _digest(text, at, beside).encode()


def broken(file: Path, beside: Sequence[Path] = ()) -> str | None:
    """What is wrong with a sealed file, in words; None where nothing is, or where it has no seal.

    Args:
        file: as it is.
        beside: as for :func:`seal`.

    Raises:
        OSError: a file that cannot be read.
    """
    with file.open("rb") as stream:
        if not file.stat().st_size:
            return "an empty file"
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
            found = _SEAL.search(text)
            if found is None or _digest(text, found.start(1), beside).encode() == found[1]:
                return None
    if beside:
        names = " and ".join(path.name for path in (file, *beside))
        return f"another checksum than its own: {names} are damaged, or not of one export"
    return "another checksum than its own: it is damaged"


def _digest(text: mmap.mmap, at: int, beside: Sequence[Path]) -> str:
    """Of all bytes, with the checksum's own place blank."""
    made = hashlib.sha256()
    for part in (_blocks(text, 0, at), iter([b"0" * 64]), _blocks(text, at + 64, len(text))):
        for block in part:
            made.update(block)
    for path in beside:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                made.update(block)
    return made.hexdigest()


def _blocks(text: mmap.mmap, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _BLOCK):
        yield text[at : min(at + _BLOCK, end)]
