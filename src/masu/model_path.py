"""Where a model is: a file, or the best one of a run's folder."""

from __future__ import annotations

import os
from pathlib import Path

from masu.errors import bad_input

BEST = "best.safetensors"
"""The model of a run."""


def model_file(path: str | os.PathLike[str]) -> Path:
    """The file of a model: the path itself, or ``best.safetensors`` of a run's folder.

    Args:
        path: a file, which need not exist, or a folder.

    Returns:
        The file.

    Raises:
        InputError: a folder without one.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if (path / BEST).is_file():
        return path / BEST
    raise bad_input(path, f"a folder without {BEST}", "a model, an exported file or a run", "check the path")
