"""Many paths in two flat arrays: a million of them take their own bytes and eight more each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Paths:
    """A sequence of paths that processes share without copying an object for each.

    Attributes:
        text: uint8, the bytes of all paths one after another, as :func:`os.fsencode` gives them.
        ends: ``(N + 1,)`` int64; path ``i`` is ``text[ends[i]:ends[i + 1]]``.
    """

    text: Array
    ends: Array

    @classmethod
    def of(cls, paths: Iterable[str | os.PathLike[str]]) -> Paths:
        """The paths, in their order."""
        encoded = [os.fsencode(path) for path in paths]
        ends = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(one) for one in encoded], out=ends[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def text_of(self, index: int) -> str:
        """One path as a string."""
        index = range(len(self))[index]
        return os.fsdecode(self.text[self.ends[index] : self.ends[index + 1]].tobytes())

    def __getitem__(self, index: int) -> Path:
        return Path(self.text_of(index))

    def __iter__(self) -> Iterator[Path]:
        return (self[index] for index in range(len(self)))

    def texts(self) -> list[str]:
        """All paths as strings."""
        whole, ends = self.text.tobytes(), self.ends.tolist()
        return [os.fsdecode(whole[a:b]) for a, b in pairwise(ends)]

    def take(self, indices: Sequence[int] | Array) -> Paths:
        """The paths at the indices, in that order."""
        chosen = np.asarray(indices, np.int64)
        at, ends = ragged(self.ends, chosen)
        return Paths(self.text[at], ends)


def ragged(starts: Array, chosen: Array) -> tuple[Array, Array]:
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
