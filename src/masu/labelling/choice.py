"""Which photograph to label next: one that the model is unsure of, and unlike those that are labelled.

Uncertainty and diversity as in Yang et al. 2024 (PPAL, arXiv 2211.11612), in one step in place of two: the
next is the one with the largest product of both, and then counts as labelled. Photographs that show the same
as one before come last. Pure arithmetic, the same for the same input.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from masu.evaluation.overlaps import Array

MOST = 100
"""Photographs that are ordered with regard to one another; what follows is ordered by uncertainty alone."""


@dataclass(frozen=True, eq=False)
class Open:
    """What the last model saw in a photograph without an answer.

    Attributes:
        scores: ``(D,)`` of its detections, all down to the model's own low one.
        feature: ``(C,)``, see :class:`masu.detectors.looking.Look`.
        group: number of its group of photographs that show the same.
    """

    scores: Array
    feature: Array
    group: int


def uncertainty(scores: Array) -> float:
    """How unsure a model is of a photograph, per object that it expects there.

    The entropy of each detection's score, in bits, over one more than the expected number of objects: a
    photograph is not chosen for holding many.

    Args:
        scores: ``(D,)`` in 0..1.
    """
    p = np.clip(np.asarray(scores, np.float64), 1e-6, 1 - 1e-6)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return float(entropy.sum() / (1 + p.sum()))


def in_order(
    photographs: Sequence[Open],
    answered: Array,
    answered_groups: Collection[int] = (),
    most: int = MOST,
) -> list[int]:
    """The photographs without an answer, the one to label next first.

    Args:
        photographs: those without an answer.
        answered: ``(A, C)`` features of the others, from the same model; ``A`` may be 0.
        answered_groups: numbers of their groups.
        most: photographs that are ordered with regard to one another.

    Returns:
        Positions in ``photographs``.
    """
    if not photographs:
        return []
    features = np.stack([one.feature for one in photographs])
    theirs = np.asarray(answered, np.float64).reshape(-1, features.shape[1])
    directions = _directions(np.concatenate([features, theirs]))
    worth = np.array([uncertainty(one.scores) for one in photographs])
    groups = np.array([one.group for one in photographs])
    return _in_turn(
        directions[: len(features)],
        directions[len(features) :],
        worth,
        groups,
        np.isin(groups, list(answered_groups)),
        most,
    )


def _directions(features: Array) -> Array:
    """Rows of length 1 from the middle of all; where all are alike, zeros."""
    apart = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    length = np.linalg.norm(apart, axis=1, keepdims=True)
    found: Array = np.where(length > 1e-9, apart / np.maximum(length, 1e-9), 0.0)
    return found


def _in_turn(
    open_: Array, answered: Array, worth: Array, groups: Array, again: Array, most: int
) -> list[int]:
    """Positions, the best first; each that is taken makes those that are like it less good."""
    nearest = (open_ @ answered.T).max(axis=1) if len(answered) else np.full(len(open_), -1.0)
    left, again = np.ones(len(open_), np.bool_), again.copy()
    order: list[int] = []
    for _ in range(min(most, len(open_))):
        fresh = left & ~again
        value = np.where(fresh if fresh.any() else left, worth * (1 - nearest), -np.inf)
        at = int(np.argmax(value))
        order.append(at)
        left[at] = False
        again |= groups == groups[at]
        nearest = np.maximum(nearest, open_ @ open_[at])
    rest = np.flatnonzero(left)
    order += rest[np.lexsort((rest, -worth[rest], again[rest]))].tolist()
    return order
