"""Boxes as offsets from anchors and back. Law: ``decode(encode(b, a), a) == b``.

Source: Girshick et al. 2014 (R-CNN), appendix C; Ren et al. 2015, section 3.1.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MAX_LOG_SCALE = math.log(1000 / 16)
"""Largest ``dw`` and ``dh`` that :func:`decode` follows: an anchor of 16 px grows to 1000 px, not beyond."""

Weights = tuple[float, float, float, float]


def _centres(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    width, height = x2 - x1, y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height


def encode(boxes: Tensor, anchors: Tensor, weights: Weights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Regression targets: where each box lies as seen from its anchor.

    Args:
        boxes: ``(..., 4)`` xyxy with positive sides.
        anchors: ``(..., 4)`` xyxy with positive sides.
        weights: factors of dx, dy, dw, dh.

    Returns:
        ``(..., 4)`` dx, dy (in anchor widths and heights) and dw, dh (natural logarithms of the ratio).
    """
    bx, by, bw, bh = _centres(boxes)
    ax, ay, aw, ah = _centres(anchors)
    wx, wy, ww, wh = weights
    return torch.stack(
        [wx * (bx - ax) / aw, wy * (by - ay) / ah, ww * torch.log(bw / aw), wh * torch.log(bh / ah)], dim=-1
    )


def decode(deltas: Tensor, anchors: Tensor, weights: Weights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Boxes from deltas, the inverse of :func:`encode`, with dw and dh clamped to ``MAX_LOG_SCALE``.

    Args:
        deltas: ``(..., 4)`` dx, dy, dw, dh.
        anchors: ``(..., 4)`` xyxy, broadcast against ``deltas``.
        weights: factors of dx, dy, dw, dh.

    Returns:
        ``(..., 4)`` xyxy.
    """
    ax, ay, aw, ah = _centres(anchors)
    dx, dy, dw, dh = deltas.unbind(-1)
    wx, wy, ww, wh = weights
    x = dx / wx * aw + ax
    y = dy / wy * ah + ay
    half_width = 0.5 * (torch.exp((dw / ww).clamp(max=MAX_LOG_SCALE)) * aw)
    half_height = 0.5 * (torch.exp((dh / wh).clamp(max=MAX_LOG_SCALE)) * ah)
    return torch.stack([x - half_width, y - half_height, x + half_width, y + half_height], dim=-1)
