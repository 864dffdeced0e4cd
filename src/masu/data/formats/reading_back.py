"""What was written must be readable again, else it is refused before it takes its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from masu.data.dataset import Dataset
from masu.data.formats import read_annotations
from masu.errors import InputError, bad_input


def read_back(made: Path, out: Path, form: str, data: Dataset) -> Dataset:
    """Read a new data set as anybody will; damaged pictures may be in it, since they are copied as they are.

    Args:
        made: where it is now.
        out: where it is to be.
        form: its format.
        data: what it was made of.

    Returns:
        What was read.

    Raises:
        InputError: where images or classes are missing or others than they were.
    """
    try:
        again = read_annotations(made)
        problem = _difference(form, data, again)
    except InputError as error:
        problem = str(error)
    if problem:
        raise bad_input(
            out,
            f"{form} that would not be read back as it is ({problem.replace(str(made), str(out))})",
            "names that this format can hold",
            "rename files, splits or classes, or choose another format; nothing was written",
        )
    return again


def _difference(form: str, data: Dataset, again: Dataset) -> str:
    """The first difference, empty for none."""
    if again.form != form:
        return f"it looks like {again.form}"
    for fault in again.faults:
        if fault.action != "kept":
            return str(fault)
    for split in (*data.splits, None):
        written = len(data) if split is None else int(data.members[data.splits.index(split)].sum())
        if not written:
            continue
        if split is not None and split not in again.splits:
            return f"no split {split!r}"
        found = len(again) if split is None else int(again.members[again.splits.index(split)].sum())
        if found != written:
            return f"{found} images instead of {written}"
    if strange := sorted(_used(again) - _used(data)):
        return f"a class {strange[0]!r}"
    return ""


def _used(data: Dataset) -> set[str]:
    return {data.names[label] for label in np.unique(data.labels).tolist()}
