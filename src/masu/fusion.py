"""Fusion: what was found in a picture and in its mirror image, each object once.

Weighted boxes fusion (Solovyev et al. 2019) with equal weights. Boxes of one look are never compared: the
detector has told them apart. A box has at most one partner in the other look.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from masu.merging import ious
from masu.views import Rows

Array = np.ndarray[Any, Any]

NEAR = 0.55
"""IoU above which two boxes of a class from two looks are one object, as in the paper."""


def mirrored(found: Rows, width: int) -> Rows:
    """Boxes of a picture as they lie in its mirror image, left and right exchanged.

    Args:
        found: boxes in pixels of the picture.
        width: of the picture in pixels.
    """
    x1, y1, x2, y2 = found.boxes.astype(np.float64).T  # single precision would move them
    return found._replace(boxes=np.stack([width - x2, y1, width - x1, y2], axis=1))


def fused(first: Rows, second: Rows, limit: int | None = None) -> Rows:
    """What two looks at the same pixels found, each object once.

    Partners become one: box and score are the means of theirs. A box without a partner has half its score,
    since one look of two has found it. The order of the looks decides nothing.

    Args:
        first: what one look found.
        second: what the other one found, in the same pixels.
        limit: the most boxes; None: all.

    Returns:
        Best score first.
    """
    a, b = _partners(first, second)
    c, d = (np.setdiff1d(np.arange(len(x.scores)), paired) for x, paired in ((first, a), (second, b)))
    boxes = np.concatenate([(first.boxes[a] + second.boxes[b]) / 2, first.boxes[c], second.boxes[d]])
    both = first.scores[a] + second.scores[b]
    scores = np.concatenate([both, first.scores[c], second.scores[d]]) / 2
    labels = np.concatenate([first.labels[a], first.labels[c], second.labels[d]])
    order = np.lexsort((*boxes.T, labels, -scores))[:limit]
    return Rows(boxes[order].astype(np.float32), scores[order].astype(np.float32), labels[order])


def _partners(first: Rows, second: Rows) -> tuple[Array, Array]:
    """Rows of both looks that are one object, the closest pairs first."""
    i, j = np.nonzero(first.labels[:, None] == second.labels)
    close = ious(first.boxes[i], second.boxes[j])
    i, j, close = (column[close > NEAR] for column in (i, j, close))
    order = np.lexsort((-first.scores[i] - second.scores[j], -close))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in zip(i[order].tolist(), j[order].tolist(), strict=True):
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return np.array(list(pairs), np.int64), np.array(list(pairs.values()), np.int64)
