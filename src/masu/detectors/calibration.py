"""Calibrated scores: a rising line through points for each class, from a network's score to what it is worth.

Such a line changes no order within a class, so that average precision stays as it was. It is a sum of clipped
differences, which every runtime knows: the exported graph holds it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, TypeAlias

import torch
from torch import Tensor

from masu.errors import bad_input, listed
from masu.settings import Length, Share, check_fields
from masu.words import Meaning

Points: TypeAlias = Annotated[tuple[tuple[Share, Share], ...], Length(2, 64)]
"""Score of the network and what it is worth, both rising, from a score of 0 to one of 1."""

SAME: Points = ((0.0, 0.0), (1.0, 1.0))
"""Of a class whose scores stay as they are."""


@dataclass(frozen=True)
class Calibration:
    """What the scores of each class become.

    Attributes:
        meaning: what a calibrated score says.
        points: class name → points; the scores of other classes stay as they are.
    """

    meaning: Meaning
    points: Mapping[str, Points]

    def __post_init__(self) -> None:
        check_fields(self)
        for name, points in self.points.items():
            rising = all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(points))
            if not rising or (points[0][0], points[-1][0]) != (0.0, 1.0):
                wanted = "pairs of scores that both rise, the first from 0, the last from 1"
                raise bad_input(f"calibration of class {name!r}", f"{points[:3]} …", wanted)

    def check_names(self, names: Sequence[str]) -> None:
        """Refuse a class that ``names`` lacks.

        Raises:
            InputError: naming it.
        """
        for name in self.points:
            if name not in names:
                raise bad_input(
                    f"calibration of class {name!r}",
                    "no such class",
                    f"one of {listed(names)}",
                    code="unknown-name",
                )

    def scores(self, raw: Tensor, labels: Tensor, names: Sequence[str]) -> Tensor:
        """What scores of the network ``(…)`` of classes ``labels (…)``, which index ``names``, become."""
        score, worth = self._tables(raw, names)
        return _through(raw, labels, score, worth)

    def raw(self, scores: Tensor, labels: Tensor, names: Sequence[str]) -> Tensor:
        """The network's own scores again: the inverse of :meth:`scores`."""
        score, worth = self._tables(scores, names)
        return _through(scores, labels, worth, score)

    def _tables(self, like: Tensor, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Both coordinates of the points, ``(K, n)``, the last point repeated where a class has fewer."""
        lines = [self.points.get(name, SAME) for name in names]
        most = max(map(len, lines), default=2)
        table = torch.tensor([[*line, *[line[-1]] * (most - len(line))] for line in lines]).to(like)
        return table[..., 0], table[..., 1]


def _through(values: Tensor, labels: Tensor, given: Tensor, becomes: Tensor) -> Tensor:
    """Values ``(…)`` along the line of their class: coordinates ``given (K, n)`` to ``becomes (K, n)``."""
    width = given.diff(dim=1)
    slope = torch.where(width > 0, becomes.diff(dim=1) / width.clamp(min=1e-12), 0.0)
    past = (values[..., None] - given[:, :-1][labels]).clamp(min=0)
    risen = (torch.minimum(past, width[labels]) * slope[labels]).sum(dim=-1)
    return (becomes[:, 0][labels] + risen).clamp(0, 1)  # the sum may round to more than 1
