"""Boxes as distances from a point to their four sides, and which object each point stands for.

A point is the middle of a square anchor; the anchor's side is the unit of its distances. Law:
``decode(encode(b, a), a) == b``.

Source: Tian et al. 2019 (FCOS), sections 3.1 to 3.3, and its second version (arXiv:2006.09214).
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from masu.ops.geometry import area
from masu.records import BACKGROUND, OBJECT

NEAREST, FARTHEST = 4.0, 8.0
"""A point of a level looks for boxes whose farthest side is between these, in units of its anchor's side."""

PAIRS = 2**17
"""Pairs of point and object that are compared at a time, so that they fit a processor's cache."""


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Distances from the middle of each anchor to the sides of its box; negative where it lies outside.

    Args:
        boxes: ``(..., 4)`` xyxy.
        anchors: ``(..., 4)`` xyxy with positive sides.

    Returns:
        ``(..., 4)`` to the left, top, right and bottom, in anchor widths and heights.
    """
    middle, side = _middles(anchors)
    return torch.cat([middle - boxes[..., :2], boxes[..., 2:] - middle], dim=-1) / torch.cat([side, side], -1)


def decode(distances: Tensor, anchors: Tensor) -> Tensor:
    """Boxes from distances, the inverse of :func:`encode`.

    Args:
        distances: ``(..., 4)`` to the left, top, right and bottom.
        anchors: ``(..., 4)`` xyxy, broadcast against ``distances``.

    Returns:
        ``(..., 4)`` xyxy.
    """
    middle, side = _middles(anchors)
    return torch.cat([middle - distances[..., :2] * side, middle + distances[..., 2:] * side], dim=-1)


def centreness(distances: Tensor) -> Tensor:
    """How near points are to the middle of their boxes, ``(..., 4) → (...)``: 1 in it, 0 on a side (eq. 3).

    Args:
        distances: to the left, top, right and bottom, of points inside.
    """
    low, high = distances[..., :2], distances[..., 2:]
    return (torch.minimum(low, high) / torch.maximum(low, high)).prod(dim=-1).sqrt()


def match_points(
    anchors: Tensor, objects: Tensor, radius: float, finest: float, coarsest: float
) -> tuple[Tensor, Tensor]:
    """The object that each point stands for: the smallest that it is inside and near the middle of.

    Its farthest side must be as far away as the point's level looks (``NEAREST``, ``FARTHEST``), the finest
    level also nearer, the coarsest also farther. Memory is in proportion to points plus objects.

    Args:
        anchors: ``(R, 4)`` xyxy, squares around the points.
        objects: ``(M, 4)`` xyxy; ``M`` may be 0.
        radius: a point's largest distance on each axis to the middle of its object, in sides of its anchor.
        finest: side of the anchors of the finest level.
        coarsest: that of the coarsest.

    Returns:
        ``index (R,)`` int64, the object (the first of equally large ones; 0 without), and ``label (R,)``
        int64, ``OBJECT`` or ``BACKGROUND``.
    """
    middle, sides = _middles(anchors)
    (x, y), side = middle.T, sides[:, 0]
    least = torch.where(side > finest, NEAREST * side, 0.0)
    most = torch.where(side < coarsest, FARTHEST * side, torch.inf)
    smallest = torch.full_like(side, torch.inf)
    index = torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device)
    start = 0
    for part in torch.split(objects.to(anchors), max(PAIRS // max(len(anchors), 1), 1)):
        x1, y1, x2, y2 = part.T[..., None]  # (m, 1) each: a plane per side is faster than sides innermost
        left, top, right, bottom = x - x1, y - y1, x2 - x, y2 - y  # (m, R)
        inside = reduce(torch.minimum, (left, top, right, bottom)) > 0
        farthest = reduce(torch.maximum, (left, top, right, bottom))
        off = torch.maximum((left - right).abs_(), (top - bottom).abs_())  # twice as far from the middle
        fits = inside & (off < 2 * radius * side) & (farthest > least) & (farthest < most)
        if len(part):
            size, place = torch.where(fits, area(part)[:, None], torch.inf).min(dim=0)
            smaller = size < smallest
            smallest[smaller], index[smaller] = size[smaller], place[smaller] + start
        start += len(part)
    return index, torch.where(smallest < torch.inf, OBJECT, BACKGROUND)


def _middles(anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Middles and sides of anchors, ``(..., 2)`` each, x before y."""
    low, high = anchors[..., :2], anchors[..., 2:]
    return 0.5 * (low + high), high - low
