"""Pictures to compare answers on: made, not taken, so that an export needs no photographs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

HEIGHT, WIDTH = 427, 640

SHAPES = 400
"""In a picture; the largest are drawn first, so that edges lie at every scale."""

SMALLEST, LARGEST = 5.0, 220.0
"""Pixels of a shape's sides, drawn log-uniformly."""

NOISE = 4.0
"""Standard deviation in grey levels."""


def made_picture(seed: int) -> Tensor:
    """Turned ellipses, boxes and stripes of every size on a slope of colour; the same one for a seed.

    Returns:
        ``(3, 427, 640)`` uint8.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    corner, down, across = random.uniform(40, 215, 3), *random.uniform(-90, 90, (2, 3))
    pixels = corner + down * rows[..., None] / HEIGHT + across * columns[..., None] / WIDTH
    sides = np.exp(random.uniform(np.log(SMALLEST), np.log(LARGEST), (SHAPES, 2)))
    for width, height in sides[sides.max(1).argsort()[::-1]]:
        middle, angle = random.uniform((0, 0), (WIDTH, HEIGHT)), random.uniform(0, np.pi)
        kind, colour, shade = random.integers(3), random.uniform(0, 255, 3), random.uniform(-60, 60)
        reach = int(np.hypot(width, height) / 2) + 1
        left, top = (max(int(m) - reach, 0) for m in middle)
        part = np.s_[top : int(middle[1]) + reach + 1, left : int(middle[0]) + reach + 1]
        x, y = columns[part] - middle[0], rows[part] - middle[1]
        u = (x * np.cos(angle) + y * np.sin(angle)) / width  # −0.5 to 0.5 inside
        v = (y * np.cos(angle) - x * np.sin(angle)) / height
        inside = np.hypot(u, v) < 0.5 if kind == 0 else np.maximum(abs(u), abs(v)) < 0.5
        if kind == 2:
            inside &= (u * 6).astype(int) % 2 == 0
        pixels[part][inside] = colour + shade * u[inside][:, None]
    pixels += random.normal(0, NOISE, pixels.shape)
    return torch.from_numpy(pixels.clip(0, 255).round().astype(np.uint8)).permute(2, 0, 1).contiguous()
