"""The model that drafts: its file, and its name, which is another one as soon as its weights are others."""

from __future__ import annotations

import hashlib
from pathlib import Path

from masu.regular import open_regular
from masu.seal import files_of

_DIGITS = 8
_BLOCK = 1 << 20
_GENERIC = frozenset(("best", "last", "model"))


def version_of(file: Path) -> str:
    """Such as ``cells-1f2e3d4c``: the name of the run or file, and the start of the SHA-256 of its bytes.

    Label Studio asks for predictions anew where the version is another one.

    Args:
        file: the model; weights beside it count too.

    Raises:
        OSError: a file that cannot be read.
    """
    digest = hashlib.sha256()
    file_itself, *weights = files_of(file)
    for part in (file_itself, *(beside for beside in weights if beside.is_file())):
        with open_regular(part) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    name = file.absolute().parent.name if file.stem in _GENERIC else file.stem
    return f"{name or file.stem}-{digest.hexdigest()[:_DIGITS]}"
