"""Smallest scores of what is shown: one number, or one per class by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TypeAlias

from masu.errors import bad_input, listed

Threshold: TypeAlias = float | Mapping[str, float]
"""A score in 0..1 for all classes, or class name → score; a class without one has ``DEFAULT_THRESHOLD``."""

DEFAULT_THRESHOLD = 0.5
"""Smallest score shown where neither the user nor the model says another."""


def check_threshold(threshold: Threshold, names: Sequence[str]) -> None:
    """Refuse a score outside 0..1 and a class that ``names`` lacks.

    Raises:
        InputError: for either.
    """
    scores = threshold if isinstance(threshold, Mapping) else {None: threshold}
    known = frozenset(names)
    for name, score in scores.items():
        thing = "threshold" if name is None else f"threshold of class {name!r}"
        if name is not None and name not in known:
            raise bad_input(thing, "no such class", f"one of {listed(names)}", code="unknown-name")
        if not _is_number(score) or not 0 <= score <= 1:
            raise bad_input(thing, f"{score!r}", "a score from 0 to 1", code="out-of-range")


def shown_from(thresholds: Mapping[str, float], name: str) -> float:
    """The smallest score of a class that is shown, where a model has these thresholds of its own."""
    return thresholds.get(name, DEFAULT_THRESHOLD)


def said_of_thresholds(thresholds: Mapping[str, float]) -> str:
    """From which score on boxes are shown: ``0.5``, or ``the model's thresholds (cat 0.41, dog 0.57)``."""
    if not thresholds:
        return f"{DEFAULT_THRESHOLD:g}"
    return (
        f"the model's thresholds ({listed((f'{name} {score:.2f}' for name, score in thresholds.items()), 5)})"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)  # also NumPy's
