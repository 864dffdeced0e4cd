"""TEMP."""

from __future__ import annotations

import numpy as np


def _t(b):
    x1, y1, x2, y2 = np.asarray(b, np.float64).reshape(-1, 4).T
    w = (np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)).clip(0)
    h = (np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)).clip(0)
    a = (x2 - x1) * (y2 - y1)
    return w * h / (a[:, None] + a - w * h)


def close_pairs(boxes, least):
    t = np.triu(_t(boxes), 1)
    for a, b in np.argwhere(t >= least):
        yield int(a), int(b), float(t[a, b])


def first_twins(boxes, groups, least):
    t = _t(boxes)
    out = np.full(len(boxes), -1)
    for i in range(len(boxes)):
        for j in range(i):
            if out[j] < 0 and groups[i] == groups[j] and t[i, j] >= least:
                out[i] = j
                break
    return out
