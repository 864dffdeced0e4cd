"""Margins that keep a promise: of the objects found in a new image, a wanted share lies whole in their boxes.

Conformal margins (Andéol et al. 2023, "Confident Object Detection via Conformal Prediction and Conformal Risk
Control") with the image as unit: boxes of one image are not exchangeable alone, images are. The loss of an
image is the share of its found objects that stick out of their enlarged boxes; it only falls as the margin
grows, so that conformal risk control (Angelopoulos et al. 2022) chooses the smallest margin with
``(n · mean loss + 1) / (n + 1) ≤ 1 − share`` over the ``n`` images with a found object.

The margin is a share of the box's size ``√(w·h)``, the same on all four sides: an object sticks out as far as
its worst side. On blood cells and cards such boxes are as small as those with a margin in pixels, which would
mean nothing for images of another resolution, and smaller than with margins of widths and heights, or with
one for each side and a quarter of the error (``python -m studies.guarantees``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from masu.errors import bad_input, counted
from masu.evaluation.matches import ImageMatch
from masu.evaluation.overlaps import Array
from masu.thresholds import DEFAULT_THRESHOLD

_ROOM = 1e-6
"""Added to a margin, as a share of the box's size: rounding in another runtime changes nothing."""


def box_margins(
    matches: Sequence[ImageMatch], names: Sequence[str], share: float, thresholds: Mapping[str, float]
) -> dict[str, float]:
    """The smallest margin of each class that promises to hold a share of the found objects whole.

    Args:
        matches: of each image, of all detections.
        names: class names.
        share: mean share of an image's found objects of the class that are to lie whole in their enlarged
            boxes, in images in which one is found.
        thresholds: from which boxes are shown, 0.5 for a class without one. An object is found by a shown
            box of its class with an IoU of at least 0.5.

    Returns:
        Class name → share of a box's size, of the classes of which an object is found.

    Raises:
        InputError: for a class of which an object is found in too few images, or where none is found at all.
    """
    margins = {}
    for k, name in enumerate(names):
        least = thresholds.get(name, DEFAULT_THRESHOLD)
        of_images = [one for one in (needed_margins(match, k, least) for match in matches) if len(one)]
        if of_images:
            margins[name] = _margin(of_images, name, share)
    if not margins:
        raise bad_input(f"--store-margins {share:g}", "no object that is found", "some")
    return margins


def needed_margins(match: ImageMatch, k: int, threshold: float) -> Array:
    """``(m,)`` the least margin with which each found object of a class lies whole in its box.

    Args:
        match: an image.
        k: the class.
        threshold: smallest score of a shown box.
    """
    scores = match.detections.scores.float().cpu().numpy()
    own = match.right & (match.labels == k) & (scores >= np.float32(threshold))
    boxes = match.detections.boxes.double().cpu().numpy()[own]
    objects = match.target.boxes.double().cpu().numpy()[match.partner[own]]
    out = np.concatenate([boxes[:, :2] - objects[:, :2], objects[:, 2:] - boxes[:, 2:]], axis=1)
    size = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
    needed: Array = np.maximum(out.max(1), 0) / size if len(out) else np.zeros(0)
    return needed


def _margin(of_images: Sequence[Array], name: str, share: float) -> float:
    images = len(of_images)
    allowed = (1 - share) * (images + 1) - 1  # sum of the images' shares of objects that stick out
    if allowed < -1e-9:
        raise bad_input(
            f"--store-margins {share:g}",
            f"{counted(images, 'image')} in which an object of class {name!r} is found",
            f"at least {math.ceil(1 / (1 - share) - 1 - 1e-9)}",
            "or a smaller share",
            code="out-of-range",
        )
    values, place = np.unique(np.concatenate(of_images), return_inverse=True)
    weights = np.bincount(place, np.concatenate([np.full(len(one), 1 / len(one)) for one in of_images]))
    above = weights[::-1].cumsum()[::-1] - weights
    return float(values[above <= allowed + 1e-9].min()) + _ROOM
