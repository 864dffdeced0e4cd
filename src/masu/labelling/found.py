"""What the model found in each photograph, as the drafter told it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from masu.data.audit.likeness import SIDE
from masu.data.pixels.pictures import Array
from masu.labelling.unfinished import Suggestion


@dataclass(frozen=True, eq=False)
class Found:
    """One photograph.

    Attributes:
        model: version of the model.
        boxes: ``(M, 4)`` xyxy in pixels of the upright photograph, best score first, of any score that counts
            for the choice of the next photograph.
        names: the class of each.
        scores: ``(M,)`` 0 to 1.
        feature: ``(C,)``, see :class:`masu.detectors.looking.Look`.
        small: the photograph itself, ``(SIDE, SIDE)`` uint8 grey, see :mod:`masu.data.audit.fingerprints`.
    """

    model: str
    boxes: Array
    names: tuple[str, ...]
    scores: Array
    feature: Array
    small: Array

    @classmethod
    def of(cls, line: dict[str, Any]) -> Found:
        """From what a drafter printed."""
        return cls(
            line["model"],
            np.array(line["boxes"], np.float64).reshape(-1, 4),
            tuple(line["names"]),
            np.array(line["scores"], np.float64),
            np.array(line["feature"], np.float32),
            np.frombuffer(base64.b64decode(line["small"]), np.uint8).reshape(SIDE, SIDE),
        )

    @property
    def drafts(self) -> tuple[Suggestion, ...]:
        """All boxes as drafts."""
        rows = zip(self.boxes.tolist(), self.names, self.scores.tolist(), strict=True)
        return tuple(Suggestion(tuple(box), name, score) for box, name, score in rows)
