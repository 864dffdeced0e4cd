"""What the pixels of a data set are like: the mean and deviation of each channel that a network is given."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from masu.data.dataset import Dataset
from masu.data.pixels.images import read_pixels
from masu.data.pixels.large import GLADLY, large_picture
from masu.data.pixels.pictures import Array, UnreadableImageError
from masu.tiles import Tiles

MOST_MEASURED = 200
"""Images, evenly spread over a data set, from which mean and deviation are measured."""

_AT_ONCE = 4_000_000  # pixels


def pixel_statistics(
    data: Dataset, channels: int, tiles: Tiles | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over the pixels of a data set, uint8 counted as 0..1.

    At most ``MOST_MEASURED`` images are read; unreadable ones are left out. A channel that never changes has
    deviation 1. Of a file that is read by windows evenly spread tiles count, of about ``GLADLY`` pixels.

    Args:
        data: the images.
        channels: of an image.
        tiles: how large pictures are cut; None: never.

    Returns:
        Means and deviations, one of each for every channel.

    Raises:
        InputError: where no image can be read; the first one's fault.
    """
    count, total, squares = 0, np.zeros(channels), np.zeros(channels)
    first_fault: UnreadableImageError | None = None
    for index in range(0, len(data), -(-len(data) // MOST_MEASURED)):
        try:
            sums = [_sums(part) for part in _parts(data[index].image, channels, tiles)]
        except UnreadableImageError as error:
            first_fault = first_fault or error
            continue
        for pixels, own, own_squares in sums:
            count, total, squares = count + pixels, total + own, squares + own_squares
    if count == 0:
        assert first_fault is not None
        raise first_fault
    mean = total / count
    deviation = [math.sqrt(max(v, 0.0)) or 1.0 for v in squares / count - mean**2]
    return tuple(mean.tolist()), tuple(deviation)


def _parts(path: Path, channels: int, tiles: Tiles | None) -> Iterator[Array]:
    """``(channels, n)`` pixels of a file, few at once: in float64 a large picture is many gigabytes."""
    picture = large_picture(path, channels, tiles)
    if picture is None or tiles is None:
        pixels = read_pixels(path, channels).numpy().reshape(channels, -1)
        yield from (pixels[:, start : start + _AT_ONCE] for start in range(0, pixels.shape[1], _AT_ONCE))
        return
    windows = tiles.windows(picture.height, picture.width)
    step = -(-len(windows) * tiles.side**2 // GLADLY)
    for window in picture.in_order(windows[::step]).tolist():
        yield picture.read(*window).transpose(2, 0, 1).reshape(channels, -1)


def _sums(pixels: Array) -> tuple[int, Array, Array]:
    """Of ``(channels, n)`` the number, and of each channel sum and sum of squares."""
    values = pixels.astype(np.float64)
    values = values / 255 if pixels.dtype == np.uint8 else values
    return values.shape[1], values.sum(1), (values**2).sum(1)
