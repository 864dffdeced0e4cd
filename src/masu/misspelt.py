"""A path that is not there: what one may have meant."""

from __future__ import annotations

import os
from pathlib import Path

from masu.words import nearest


def meant_by(path: str | os.PathLike[str], otherwise: str = "check the path") -> str:
    """What to do about a path that does not exist.

    Args:
        path: as it was written.
        otherwise: said where nothing of a similar name is beside it.

    Returns:
        ``did you mean photos?``, or ``otherwise``.
    """
    wanted = Path(path)
    there = next((parent for parent in wanted.parents if parent.is_dir()), None)
    if there is None:
        return otherwise
    first, *rest = wanted.relative_to(there).parts
    try:
        names = [name for name in os.listdir(there) if not name.startswith(".")]
    except OSError:
        names = []
    near = nearest(first, names)
    if near is None:
        return otherwise
    whole = there.joinpath(near, *rest)
    return f"did you mean {whole if whole.exists() else there / near}?"
