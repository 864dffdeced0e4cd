"""Thresholds that keep a promise: of the objects of a new image, a wanted share is found on average.

Conformal risk control (Angelopoulos et al. 2022, "Conformal Risk Control", theorem 1): with ``n`` images that
are exchangeable with the new one, and the share of an image's objects that is missed as loss, the threshold
``t`` is the largest with ``(n · mean loss(t) + 1) / (n + 1) ≤ 1 − recall``. The promise holds for any
detector and any number of images, on average over such images; it says nothing of images of another kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from masu.data.dataset import Dataset
from masu.errors import bad_input, counted
from masu.evaluation.matches import ImageMatch
from masu.evaluation.overlaps import Array

_SAFE = 1e-3
"""A threshold lies at most this far below the score that it has to let pass: rounding changes nothing."""


def recall_thresholds(matches: Sequence[ImageMatch], names: Sequence[str], recall: float) -> dict[str, float]:
    """The largest threshold of each class that promises a recall at IoU 0.5.

    Args:
        matches: of each image, of all detections.
        names: class names.
        recall: mean share of an image's objects of the class that are to be found, in images that have any.

    Returns:
        Class name → threshold, of the classes that have objects.

    Raises:
        InputError: for a class for which it cannot be promised: with too few images, or where too many
            objects are not found at any score.
    """
    thresholds = {}
    for k, name in enumerate(names):
        of_images = [found for found in (finders(match, k) for match in matches) if len(found)]
        if of_images:
            thresholds[name] = _threshold(of_images, name, recall)
    return thresholds


def images_of_classes(data: Dataset) -> dict[str, int]:
    """Class name → images with objects of it, of the classes that have any."""
    counts = {}
    for k, name in enumerate(data.names):
        own = (data.labels == k) & ~data.ignored
        counts[name] = len(np.unique(data.image_of[own]))
    return {name: count for name, count in counts.items() if count}


def refuse_recall(recall: float, images: Mapping[str, int], option: str = "--recall") -> None:
    """Refuse, before the network runs, what so few images cannot promise whatever it finds.

    Args:
        recall: that is to be promised.
        images: class name → images with objects of it.
        option: that asks for the promise; margins of boxes need as many images.

    Raises:
        InputError: naming the class with fewest images; for a recall of 1, which nothing can promise.
    """
    if recall >= 1:
        raise bad_input(
            option, f"{recall:g}", "a share below 1: no data can promise all", code="out-of-range"
        )
    least = math.ceil(1 / (1 - recall) - 1 - 1e-9)
    name = min(images, key=images.__getitem__, default=None)
    if name is not None and images[name] < least:
        raise bad_input(
            f"{option} {recall:g}",
            f"{counted(images[name], 'image')} with objects of class {name!r}",
            f"at least {least}",
            "or a smaller share" if option != "--recall" else "or a smaller --recall",
            code="out-of-range",
        )


def finders(match: ImageMatch, k: int) -> Array:
    """Score of the detection that found each object of a class, 0 for none."""
    scores = np.zeros(len(match.object_labels))
    scores[match.partner[match.right]] = match.detections.scores.double().cpu().numpy()[match.right]
    own: Array = scores[(match.object_labels == k) & ~match.ignored]
    return own


def _threshold(of_images: Sequence[Array], name: str, recall: float) -> float:
    images = len(of_images)
    allowed = (1 - recall) * (images + 1) - 1  # sum of the images' shares of missed objects
    scores = np.unique(np.concatenate(of_images))
    missed = np.array([sum(float((one < score).mean()) for one in of_images) for score in scores])
    kept = scores[(missed <= allowed + 1e-9) & (scores > 0)]
    if not len(kept):
        possible = 1 - (sum(float((one == 0).mean()) for one in of_images) + 1) / (images + 1)
        raise bad_input(
            f"--recall {recall:g}",
            f"{counted(images, 'image')} of class {name!r}, which can promise {max(possible, 0):.3f} at most",
            "a better model or more images",
            "or a smaller --recall",
            code="out-of-range",
        )
    best = float(kept.max())
    below = scores[scores < best]
    return max((best + (float(below.max()) if len(below) else 0.0)) / 2, best - _SAFE)
