"""An image size at which the network can see the objects: ``--image-size auto``."""

from __future__ import annotations

import math
from typing import NamedTuple

from masu.data.loading.network_scale import ScaledObjects
from masu.training.recipe import SIZE_STEP

CELLS = 3
"""Cells of the finest map that an object should span in height and width (the square root of its area)."""

SMALLER = 0.1
"""Share of the objects that may be smaller: a few tiny ones should not slow everything down."""

LARGEST = 2.0
"""Times the architecture's own size, at most: a step then takes four times as long. Tiles go further."""


class FittingSize(NamedTuple):
    """An image size and why.

    Attributes:
        size: shorter side of the network's input, in pixels.
        own: the architecture's.
        smallest: the side under which ``SMALLER`` of the objects are, in pixels at ``own``; 0 without any.
        wanted: the same as it should be.
    """

    size: int
    own: int
    smallest: float
    wanted: int

    def __str__(self) -> str:
        share = f"{SMALLER:.0%} of the objects are under {self.smallest:.0f} px there"
        if self.size == self.own:
            said = f"{self.size} px, as the model has it"
            return f"image size auto: {said}; {share}, {self.wanted} are wanted"
        times = (self.size / self.own) ** 2
        return (
            f"image size auto: {self.size} px instead of {self.own}; {share}, {self.wanted} are wanted; "
            f"a step takes about {times:.1f} times as long"
        )


def advice_on_size(fitting: FittingSize) -> str | None:
    """What ``--image-size auto`` would do, for who chose no size; None where it would change nothing."""
    if fitting.size == fitting.own:
        return None
    return (
        f"{SMALLER:.0%} of the objects are under {fitting.smallest:.0f} px as the network sees them: with "
        f"--image-size auto it would see {fitting.size} px instead of {fitting.own}, "
        "and learn small objects better"
    )


def fitting_size(objects: ScaledObjects, own: int, stride: int) -> FittingSize:
    """The smallest size, but for the architecture's own, at which most objects span ``CELLS`` cells.

    Args:
        objects: as the network sees them at its own size.
        own: that size, in pixels.
        stride: pixels per cell of the finest map.

    Returns:
        A size from ``own`` to ``LARGEST`` times it.
    """
    wanted = CELLS * stride
    sides = objects.shapes.prod(1).sqrt()
    if len(sides) == 0:
        return FittingSize(own, own, 0.0, wanted)
    smallest = float(sides.sort().values[int(SMALLER * (len(sides) - 1))])
    factor = min(wanted / max(smallest, 1e-9), LARGEST)
    size = own if factor <= 1 else min(math.ceil(own * factor / SIZE_STEP) * SIZE_STEP, int(own * LARGEST))
    return FittingSize(size, own, smallest, wanted)
