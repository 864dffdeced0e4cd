"""Average precision as the Pascal VOC challenge defines it: IoU 0.5, eleven points of the curve, later all.

Source: Everingham et al. 2010, "The PASCAL Visual Object Classes (VOC) Challenge", section 4.2, and the rules
of its development kits. A pixel has no width of its own here, as everywhere in masu: a box from 3 to 5 is 2
wide, in the kit 3, which changes the IoU of small boxes a little.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from masu.evaluation.overlaps import Array, overlaps
from masu.evaluation.table import Table

LEAST_IOU = 0.5
"""IoU from which a detection is right."""

ELEVEN = np.concatenate([0.1 * np.arange(6), 1 - 0.1 * np.arange(4, -1, -1)])
"""``(11,)`` recalls of 2007 as the kit's ``0:0.1:1`` gives them: the fourth, 3 · 0.1, is just above 3/10."""


class VocAP(NamedTuple):
    """Average precision of a class after both rules, each in 0..1.

    Attributes:
        all_points: area under the curve (2010 and later).
        eleven_points: mean over eleven recalls (2007 to 2009).
    """

    all_points: float
    eleven_points: float


def voc_ap(objects: Table, found: Table) -> dict[int, VocAP]:
    """AP of each category that has objects, crowd regions and difficult ones aside.

    Over all images best score first, a detection means the object of its class with the largest IoU, of equal
    ones the first, whether found before or not. From IoU 0.5 it is right if it is the first that means this
    object and wrong after that; where the object is difficult it is left out. Below it is wrong. One that
    is wrong for this and lies to half within a crowd region of its class, which VOC does not know, is left
    out too.

    Args:
        objects: of all images.
        found: detections in them.
    """
    means, left_out = _meant(objects, found)
    order = np.argsort(-found.score, kind="stable")
    order = order[~left_out[order]]
    aps = {}
    for category in np.unique(objects.category[~objects.ignored]).tolist():
        meant = means[order[found.category[order] == category]]
        right = np.zeros(len(meant), np.bool_)
        values, first = np.unique(meant, return_index=True)
        right[first[values >= 0]] = True
        count = int((objects.category[~objects.ignored] == category).sum())
        aps[category] = VocAP(_area(right, count), _eleven(right, count))
    return aps


def _meant(objects: Table, found: Table) -> tuple[Array, Array]:
    """``(D,)`` the object that each detection means, −1 for none, and whether the detection is left out."""
    means, left_out = np.full(len(found.image), -1, np.int64), np.zeros(len(found.image), np.bool_)
    for image in np.unique(objects.image).tolist():
        of, at = objects.rows(image), found.rows(image)
        crowd = objects.ignored[of] & ~objects.difficult[of]
        same = found.category[at, None] == objects.category[of]
        share = np.where(same, overlaps(found.xyxy[at], objects.xyxy[of], crowd), 0.0)
        alone = np.where(crowd, 0.0, share)
        best = alone.argmax(1)
        near = alone.max(1) >= LEAST_IOU
        means[at] = np.where(near, of.start + best, -1)
        left_out[at] = np.where(near, objects.difficult[of][best], (share >= LEAST_IOU).any(1))
    return means, left_out


def _area(right: Array, objects: int) -> float:
    """Area under precision over recall, where precision is the largest at that recall or a higher one.

    Args:
        right: ``(D,)`` bool, best score first.
        objects: number of them.
    """
    return float(_best_from_here(right)[right].sum() / objects)


def _eleven(right: Array, objects: int) -> float:
    """Mean over eleven recalls of the largest precision at that recall or a higher one; as :func:`_area`."""
    first = np.searchsorted(np.cumsum(right) / objects, ELEVEN)
    return float(np.append(_best_from_here(right), 0.0)[first].mean())


def _best_from_here(right: Array) -> Array:
    """``(D,)`` the largest precision at each detection or a later one."""
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    best: Array = np.maximum.accumulate(precision[::-1])[::-1]
    return best
