"""Rows that belong to groups, one group after another in flat arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def rows_of(starts: Array, chosen: Array) -> tuple[Array, Array]:
    """Where the rows of chosen groups lie.

    Args:
        starts: ``(N + 1,)``; group ``i`` has the rows ``starts[i]`` to ``starts[i + 1]``.
        chosen: ``(n,)`` groups.

    Returns:
        Their rows one after another, and the ``(n + 1,)`` starts of the groups among these.
    """
    lengths = starts[chosen + 1] - starts[chosen]
    ends = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    rows = np.arange(ends[-1]) + np.repeat(starts[chosen] - ends[:-1], lengths)
    return rows, ends
