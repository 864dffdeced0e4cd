"""Repeats: images with rare classes come more than once in an epoch (Gupta et al. 2019, LVIS).

A class that is in the share ``f`` of the images wants each of them ``√(t / f)`` times, if that is more than
once. LVIS sets the threshold ``t`` for 1,200 classes by hand. Here it is the median of the shares, so that a
class is rare by comparison with the others, and classes that are equally frequent change nothing.
"""

from __future__ import annotations

import math

import numpy as np

from masu.data.dataset import Array, Dataset
from masu.errors import counted

MOST = 10.0
"""Times that an image comes in an epoch: of a single picture, more would be learnt by heart."""


def repeat_factors(data: Dataset) -> Array:
    """How often an epoch shows each image, in the mean.

    Args:
        data: images and objects; ignored objects count as none.

    Returns:
        ``(N,)`` float64, from 1 to ``MOST``: what the rarest class in the image wants.
    """
    factors = np.ones(len(data))
    own = ~data.ignored
    seen = np.unique(np.stack([data.image_of[own], data.labels[own]], 1), axis=0)  # (pairs, 2) image, class
    images_of = np.bincount(seen[:, 1], minlength=len(data.names))
    if len(seen) == 0:
        return factors
    present = np.sort(images_of[images_of > 0])
    wanted = np.sqrt(present[len(present) // 2] / np.maximum(images_of, 1)).clip(1.0, MOST)
    np.maximum.at(factors, seen[:, 0], wanted[seen[:, 1]])
    return factors


def shown_in_all(factors: Array) -> int:
    """How many an epoch shows in all, the same in every epoch.

    Args:
        factors: ``(N,)``, at least 1.
    """
    return math.ceil(float(factors.sum()) - 1e-6)


def repeated(factors: Array, draw: float) -> Array:
    """Which an epoch shows, by systematic sampling: points at equal distances on a line of all factors.

    Args:
        factors: ``(N,)``, at least 1.
        draw: random number from 0 and below 1, where the points begin.

    Returns:
        ``(shown_in_all(factors),)`` int64, rising: each number below N at least once, and about as often as
        its factor says.
    """
    count = shown_in_all(factors)
    if count == 0:
        return np.zeros(0, np.int64)
    ends = np.cumsum(factors)
    points = (np.arange(count) + draw) * (ends[-1] / count)
    found: Array = np.searchsorted(ends, points, side="right").clip(max=len(factors) - 1)
    return found


def described(factors: Array, shown: int) -> str:
    """What is repeated, in words.

    Args:
        factors: of each image.
        shown: how many an epoch shows in all.
    """
    often = int((factors > 1).sum())
    if often == 0:
        return "balance: no class is rarer than the others, each image is shown once an epoch"
    return (
        f"balance: an epoch shows {often} of {counted(len(factors), 'image')}, those with rarer classes, "
        f"up to {factors.max():.1f} times, and has {shown} in all"
    )
