"""What the pixels of a data set are like: the mean and deviation of each channel that a network is given."""

from __future__ import annotations

import math

import numpy as np
import torch

from masu.data.dataset import Dataset
from masu.data.pixels.images import read_pixels
from masu.data.pixels.pictures import UnreadableImageError

MOST_MEASURED = 200
"""Images, evenly spread over a data set, from which mean and deviation are measured."""

_AT_ONCE = 4_000_000  # pixels


def pixel_statistics(data: Dataset, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over the pixels of a data set, uint8 counted as 0..1.

    At most ``MOST_MEASURED`` images are read; unreadable ones are left out. A channel that never changes has
    deviation 1.

    Raises:
        InputError: where no image can be read; the first one's fault.
    """
    count, total, squares = 0, np.zeros(channels), np.zeros(channels)
    first_fault: UnreadableImageError | None = None
    for index in range(0, len(data), -(-len(data) // MOST_MEASURED)):
        try:
            image = read_pixels(data[index].image, channels)
        except UnreadableImageError as error:
            first_fault = first_fault or error
            continue
        pixels = image.numpy().reshape(channels, -1)
        for start in range(0, pixels.shape[1], _AT_ONCE):  # a large picture in float64 is many gigabytes
            values = pixels[:, start : start + _AT_ONCE].astype(np.float64)
            values = values / 255 if image.dtype == torch.uint8 else values
            count += values.shape[1]
            total += values.sum(1)
            squares += (values**2).sum(1)
    if count == 0:
        assert first_fault is not None
        raise first_fault
    mean = total / count
    deviation = [math.sqrt(max(v, 0.0)) or 1.0 for v in squares / count - mean**2]
    return tuple(mean.tolist()), tuple(deviation)
