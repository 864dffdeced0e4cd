"""Labels that the model doubts, for a second look while one labels.

These are plain rules on the predictions of one model, which may have learned from the very labels; what
``masu check DATA --model RUN`` finds is surer, and takes three trainings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from masu.data.dataset import CROWD
from masu.data.formats.editing import Entry
from masu.drafts.draft import Box
from masu.labelling.found import Found
from masu.ops.geometry import covered, iou

SURE = 0.8
"""Score from which a box says something against a label."""

APART = 0.3
"""IoU below which two boxes are not about the same object."""

LOOSE = 0.5
"""IoU below which a box of the same object is misplaced."""

SAME = 0.7
"""IoU from which two boxes are about the same object, whatever their classes."""


@dataclass(frozen=True)
class Doubt:
    """One thing to look at.

    Attributes:
        kind: what may be wrong.
        box: where, xyxy in pixels.
        name: the class that the model says.
        text: the doubt in a sentence.
    """

    kind: Literal["missing", "wrong class", "misplaced"]
    box: Box
    name: str
    text: str


def doubts_of(entries: Sequence[Entry], found: Found) -> tuple[Doubt, ...]:
    """What a model doubts in the labels of one photograph, the surest first.

    Args:
        entries: the labels.
        found: what the model found.
    """
    boxes = torch.from_numpy(found.boxes)
    labels = torch.tensor([entry.box for entry in entries], dtype=torch.float64).reshape(-1, 4)
    regions = labels[[bool(entry.flag & CROWD) for entry in entries]]
    overlaps, inside = iou(boxes, labels).numpy(), covered(boxes, regions).numpy()
    agreeing = np.array([[name == entry.name for entry in entries] for name in found.names], bool)
    agreeing = agreeing.reshape(overlaps.shape)
    confirmed = np.logical_and(agreeing, overlaps >= LOOSE).any(axis=0).tolist()
    doubts = []
    for row in np.flatnonzero((found.scores >= SURE) & (inside <= LOOSE)).tolist():
        name, said = found.names[row], f"score {found.scores[row]:.2f}"
        best = int(overlaps[row].argmax()) if len(entries) else -1
        overlap = float(overlaps[row, best]) if len(entries) else 0.0
        x1, y1, x2, y2 = found.boxes[row].tolist()
        box = (x1, y1, x2, y2)
        if overlap < APART:
            text = f"The model sees {name} here ({said}), and there is no label."
            doubts.append(Doubt("missing", box, name, text))
        elif agreeing[row, best]:
            if overlap < LOOSE:
                text = f"The model draws this {name} otherwise ({said}, IoU {overlap:.2f})."
                doubts.append(Doubt("misplaced", box, name, text))
        elif overlap >= SAME and not confirmed[best]:
            text = f"The label says {entries[best].name}, the model {name} ({said})."
            doubts.append(Doubt("wrong class", box, name, text))
    return tuple(doubts)
