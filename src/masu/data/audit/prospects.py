"""What may be expected of a model before it is trained, from the numbers of its pictures alone, in words."""

from __future__ import annotations

import numpy as np

from masu.data.dataset import Dataset
from masu.errors import counted

ENOUGH = 20
"""Pictures from which it is worth a word that none is empty, and under which little can be expected."""


def said_of_no_empty(data: Dataset) -> str | None:
    """That no picture is empty, what that does to a model and what helps; None where some are.

    Args:
        data: the images to learn from, or a whole data set.
    """
    if len(data) < ENOUGH or (np.diff(data.starts) == 0).any():
        return None
    add = "add pictures without any, saved without a box (a tenth of all is a good start)"
    if len(data.names) == 1:
        name = data.names[0]
        return (
            f"each of the {len(data)} pictures has a {name}: a model that saw nothing else calls everything "
            f"that resembles it {name}, such as every animal; {add}"
        )
    return f"each of the {len(data)} pictures has an object: a model may then see some in empty ones; {add}"


def said_of_few(training: Dataset, validation: Dataset | None) -> str | None:
    """How little few pictures promise; None for enough of them.

    Args:
        training: the images to learn from.
        validation: those to measure on.
    """
    if len(training) >= ENOUGH:
        return None
    measured = "" if validation is None else f"; AP on {counted(len(validation), 'image')} is a rough guess"
    return (
        f"{counted(len(training), 'training image')}: enough to try it out, and it finds again what looks "
        f"just like them{measured}; masu draft helps to label more"
    )
