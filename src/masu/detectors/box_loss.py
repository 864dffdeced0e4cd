"""The loss on boxes by name: on deltas against regression targets, or on the decoded boxes themselves."""

from __future__ import annotations

from torch import Tensor

from masu.ops.coder import Weights, decode, encode
from masu.ops.losses import BOX_LOSSES, giou

NAMES = (*BOX_LOSSES, "giou")
"""The selectable box losses."""


def check_box_loss(name: str) -> None:
    """Raise ``ValueError`` for a name that is none of ``NAMES``."""
    if name not in NAMES:
        raise ValueError(f"box_loss: found {name!r}, wanted one of {', '.join(NAMES)}")


def box_loss(
    name: str,
    deltas: Tensor,
    boxes: Tensor,
    anchors: Tensor,
    norm: float,
    weights: Weights = (1.0, 1.0, 1.0, 1.0),
) -> Tensor:
    """Sum over matched anchors divided by ``norm``.

    Args:
        name: one of ``NAMES``.
        deltas: ``(R, 4)`` predicted dx, dy, dw, dh.
        boxes: ``(R, 4)`` matched objects, xyxy.
        anchors: ``(R, 4)`` anchors or proposals, xyxy.
        norm: see :mod:`masu.ops.losses`.
        weights: factors of dx, dy, dw, dh.
    """
    if name == "giou":
        return giou(decode(deltas, anchors, weights), boxes, norm)
    return BOX_LOSSES[name](deltas, encode(boxes, anchors, weights), norm)
