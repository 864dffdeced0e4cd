"""The model that drafts: its file, and its name, which is another one as soon as its weights are others."""

from __future__ import annotations

import hashlib
from pathlib import Path

from masu.regular import open_regular

_DIGITS = 8
_BLOCK = 1 << 20
_GENERIC = frozenset(("best", "last", "model"))


def version_of(file: Path) -> str:
    """Such as ``cells-1f2e3d4c``: the name of the run or file, and the start of the SHA-256 of its bytes.

    Label Studio asks for predictions anew where the version is another one.

    Args:
        file: the model; the weights beside an OpenVINO ``.xml`` count too.

    Raises:
        OSError: a file that cannot be read.
    """
    digest = hashlib.sha256()
    weights = file.with_suffix(".bin")
    for part in (file, weights) if file.suffix == ".xml" and weights.is_file() else (file,):
        with open_regular(part) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    name = file.absolute().parent.name if file.stem in _GENERIC else file.stem
    return f"{name or file.stem}-{digest.hexdigest()[:_DIGITS]}"
