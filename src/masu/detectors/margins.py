"""Margins: how far a box is enlarged on every side so that it holds its object whole.

A margin is a share of the box's size, the square root of its area, one for each class. ``masu evaluate
--store-margins`` measures it (:mod:`masu.evaluation.box_margins`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import torch

from masu.errors import bad_input, listed
from masu.ranges import MARGIN
from masu.records import Detections

Margins: TypeAlias = Mapping[str, float]
"""Class name → share of the box's size; boxes of other classes stay as they are."""


def check_margins(margins: Margins, names: Sequence[str]) -> None:
    """Refuse a number that is no margin and a class that ``names`` lacks.

    Raises:
        InputError: for either.
    """
    for name, share in margins.items():
        if name not in names:
            raise bad_input(
                f"margin of class {name!r}", "no such class", f"one of {listed(names)}", code="unknown-name"
            )
        MARGIN.check(f"margin of class {name!r}", share)


def check_can_enlarge(margins: Margins, otherwise: str = "") -> None:
    """Refuse to enlarge boxes where the model has no margins, or where they do not hold.

    Args:
        margins: of the model.
        otherwise: how they were measured, where the model looks in another way now.

    Raises:
        InputError: for none, with the command that measures them; for another way of looking.
    """
    if not margins:
        raise bad_input(
            "margins",
            "none in the model",
            "a model that has some",
            "measure them: masu evaluate MODEL DATA --split val --store-margins 0.9",
        )
    if otherwise:
        fix = "ask the model so (masu.with_tta, masu.with_image_size), or measure them anew"
        raise bad_input("margins", f"measured {otherwise}", "the same way of looking", fix)


def enlarged(found: Detections, margins: Margins, height: int, width: int) -> Detections:
    """The same detections with boxes enlarged by the margins of their classes, within the image.

    Args:
        found: boxes in pixels of the image.
        margins: of the classes.
        height: of the image, in pixels.
        width: likewise.
    """
    boxes = found.boxes
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    reach = sides.prod(dim=1).sqrt() * boxes.new_tensor([margins.get(name, 0.0) for name in found.names])
    grown = boxes + torch.stack([-reach, -reach, reach, reach], dim=1)
    limit = boxes.new_tensor([width, height, width, height])
    return replace(found, boxes=torch.minimum(grown.clamp(min=0), limit))
