"""Boxes as rectangles: area, overlap, clipping, resizing.

Boxes in half precision or whole numbers are computed with in float32, and so is what comes of them; another
shape than ``(..., 4)`` is a ValueError.
"""

from __future__ import annotations

import torch
from torch import Tensor

from masu.ops.checks import as_single, check_boxes, check_shape


def area(boxes: Tensor) -> Tensor:
    """Area of each box, ``(..., 4) → (...)``, in square pixels."""
    check_boxes("boxes", boxes)
    boxes = as_single(boxes)
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Area shared by every pair of boxes, ``(..., R, 4) × (..., S, 4) → (..., R, S)``, in square pixels."""
    check_boxes("a", a, "...", "R")
    check_boxes("b", b, "...", "S")
    a, b = as_single(a), as_single(b)
    ax1, ay1, ax2, ay2 = a[..., None, :].unbind(-1)
    bx1, by1, bx2, by2 = b.movedim(-1, 0).contiguous()[..., None, :]  # a plane per coordinate: fast rows
    width = torch.minimum(ax2, bx2).sub_(torch.maximum(ax1, bx1)).clamp_(min=0)
    height = torch.minimum(ay2, by2).sub_(torch.maximum(ay1, by1)).clamp_(min=0)
    return width.mul_(height)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every pair of boxes, ``(..., R, 4) × (..., S, 4) → (..., R, S)`` in 0..1."""
    shared = intersection(a, b)
    union = (area(a)[..., None] + area(b)[..., None, :]).sub_(shared)
    return shared.div_(union)


def covered(boxes: Tensor, regions: Tensor) -> Tensor:
    """Largest share of each box that lies in one region, ``(R, 4) × (S, 4) → (R,)``; 0 without regions."""
    check_boxes("boxes", boxes, "R")
    check_boxes("regions", regions, "S")
    boxes = as_single(boxes)
    if len(regions) == 0:
        return boxes.new_zeros(len(boxes))
    return (intersection(boxes, regions) / area(boxes)[:, None]).amax(dim=1)


def clip(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes cut to their image.

    Args:
        boxes: ``(..., 4)`` xyxy pixels.
        sizes: ``(..., 2)`` height and width, broadcast against ``boxes``.
    """
    check_boxes("boxes", boxes)
    check_shape("sizes", sizes, ("...", 2))
    boxes = as_single(boxes)
    limits = sizes.flip(-1).repeat_interleave(2, dim=-1)  # (h, w) → (w, w, h, h)
    limits = limits[..., [0, 2, 1, 3]].to(boxes.dtype)  # → (w, h, w, h)
    return torch.minimum(boxes.clamp(min=0), limits)


def resize(boxes: Tensor, old: Tensor, new: Tensor) -> Tensor:
    """Boxes of an image of size ``old`` in the same image at size ``new``.

    Args:
        boxes: ``(..., 4)`` xyxy pixels.
        old: ``(..., 2)`` height and width, broadcast against ``boxes``.
        new: the same.
    """
    check_boxes("boxes", boxes)
    check_shape("old", old, ("...", 2))
    check_shape("new", new, ("...", 2))
    ratio = (new.to(torch.float32) / old.to(torch.float32)).flip(-1)  # (rh, rw) → (rw, rh)
    return as_single(boxes) * torch.cat([ratio, ratio], dim=-1)


def degenerate(boxes: Tensor, min_size: float) -> Tensor:
    """True for boxes with a side under ``min_size`` pixels or not a number, ``(..., 4) → (...)``."""
    check_boxes("boxes", boxes)
    boxes = as_single(boxes)
    sides = boxes[..., 2:] - boxes[..., :2]
    return ~(sides >= min_size).all(dim=-1)
