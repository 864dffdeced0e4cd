"""Images that are no RGB photographs: any number of channels, any depth, values kept as they are.

One path for files (PNG, TIFF, NPY and what Pillow reads), arrays and tensors, used wherever a detector
was trained with ``channels``. Pillow reads colour PNG of 16 bits as 8 bits; TIFF and NPY keep all of them.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from masu.data.dataset import Dataset
from masu.data.pixels.headers import read_header
from masu.data.pixels.images import read_image
from masu.data.pixels.pictures import UnreadableImageError, planes, read_bands

MOST_MEASURED = 200
"""Images, evenly spread over a data set, from which mean and deviation are measured."""


def read_pixels(
    image: str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor, channels: int | None = None
) -> Tensor:
    """An image as the detector wants it.

    Args:
        image: a path, a Pillow image, an array ``(H, W)`` or ``(H, W, C)`` (a file may also hold
            ``(C, H, W)``), or a tensor ``(C, H, W)``.
        channels: None: an RGB photograph, see ``read_image``. A number: an image of so
            many channels, its values as they are.

    Returns:
        ``(3, H, W)`` as of ``read_image``, or ``(channels, H, W)``: uint8, float32 0..1 from uint16, or
        float32 of any range from every other type. The orientation of a file is applied.

    Raises:
        InputError: a file that cannot be read, values that are not finite, or another number of channels.
    """
    if channels is None:
        return read_image(image)
    if isinstance(image, Tensor):
        array = image.detach().cpu().numpy()
        thing, array = "image tensor", array.transpose(1, 2, 0) if array.ndim == 3 else array
    elif isinstance(image, np.ndarray):
        thing, array = "image array", image
    elif isinstance(image, Image.Image):
        thing, array = "image", np.asarray(ImageOps.exif_transpose(image))
    else:
        thing, array = str(image), read_bands(Path(image), channels)
    return torch.from_numpy(planes(array, channels, thing))


def image_size(path: Path, channels: int | None = None) -> tuple[int, int]:
    """Height and width of an image file, upright; it is not decoded for it.

    Raises:
        InputError: a file that cannot be read.
    """
    height, width, _ = read_header(path, channels)
    return height, width


def displayable(image: Tensor) -> Tensor:
    """A picture of an image with any channels: ``(C, H, W)`` → ``(3, H, W)`` uint8.

    One or two channels are shown grey, of more the first three; floats are stretched from their smallest to
    their largest value unless they lie in 0..1.
    """
    shown = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    if shown.dtype == torch.uint8:
        return shown
    low, high = (float(v) for v in shown.aminmax())
    if low < 0 or high > 1:
        shown = (shown - low) / max(high - low, 1e-12)
    return (shown * 255).round().to(torch.uint8)


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
        values = image.numpy().reshape(channels, -1).astype(np.float64)
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
