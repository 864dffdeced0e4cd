"""Images of a data set as a graph is given them, small enough that many are in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from masu.data.pixels.images import read_pixels
from masu.data.pixels.large import GLADLY, windowed
from masu.data.pixels.windows import Held
from masu.ops.images import InputPolicy
from masu.views import fraction


def graph_input(path: Path, policy: InputPolicy, number: int) -> Tensor:
    """A file as one image for the graph.

    Of a picture that is cut into tiles it is what prediction gives the graph: the whole, reduced, or for odd
    numbers a tile near the middle. An image that is not cut is given as it is; only a file too large to be
    decoded at once is reduced to about what the network sees.

    Args:
        path: the file.
        policy: how the network sees images.
        number: of the file among those that are read.

    Returns:
        ``(C, H, W)`` as of :func:`masu.data.pixels.images.read_pixels`.

    Raises:
        InputError: a file that cannot be read.
    """
    picture = windowed(path, policy.channels)
    if picture is None:
        picture = Held(read_pixels(path, policy.channels).permute(1, 2, 0).numpy())
    height, width, tiles = picture.height, picture.width, policy.tiles
    tiled = tiles is not None and tiles.needed(height, width)
    if tiles is not None and tiled and number % 2:
        windows = tiles.windows(height, width)
        seen = tiles.filled(picture.read(*windows[len(windows) // 2].tolist()))
    else:
        as_it_is = not tiled and height * width <= GLADLY
        factor = 1 if as_it_is else fraction(height, width, policy.min_size, policy.max_size)
        seen = picture.reduced(factor).pixels
    return torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)))
