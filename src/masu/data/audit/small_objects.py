"""Objects that are small only because their pictures are large: what tiles are for."""

from __future__ import annotations

import numpy as np

from masu.data.dataset import Dataset
from masu.ops.images import InputPolicy, resized_size

SMALL_SIDE = 16.0
"""Pixels of the network's input: where half of the objects are smaller, they are hard to find."""

MUCH_LARGER = 2.0
"""Factor by which tiles enlarge the objects where they are worth their time."""

SUGGESTED_TILE = 640
"""Pixels of a side."""


def advice_on_tiles(data: Dataset, policy: InputPolicy) -> str | None:
    """Whether objects are so small for the network, and so much larger in their pictures, that tiles help.

    Args:
        data: with the sizes of its images; those of unknown size are left out.
        policy: how the network sees the images.

    Returns:
        One sentence with the figures; None where tiles would not help or are there already.
    """
    owner = data.image_of
    sizes, own = data.sizes[owner], (data.flags == 0) & (data.sizes[owner] > 0).all(1)
    if policy.tiles is not None or not own.any():
        return None
    boxes = data.boxes[own].astype(np.float64)
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(1)
    shapes, which = np.unique(sizes[own], axis=0, return_inverse=True)
    scales = np.array([resized_size(height, width, policy)[0] / height for height, width in shapes.tolist()])
    scale = scales[which.reshape(-1)]
    whole, seen = float(np.median(areas**0.5)), float(np.median(areas**0.5 * scale))
    if seen >= SMALL_SIDE or whole < MUCH_LARGER * seen:
        return None
    return (
        f"half of the objects have a side under {seen:.1f} pixels as the network sees them, "
        f"{whole:.1f} in their pictures: training with --tiles {SUGGESTED_TILE} shows them in full size"
    )
