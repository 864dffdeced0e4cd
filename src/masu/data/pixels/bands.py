"""Images that are no RGB photographs: any number of channels, any depth, values kept as they are.

One path for files (PNG, TIFF, NPY and what Pillow reads), arrays and tensors, used wherever a detector
was trained with ``channels``. Pillow reads colour PNG of 16 bits as 8 bits; TIFF and NPY keep all of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from masu.data.pixels.headers import read_header
from masu.data.pixels.images import read_image
from masu.data.pixels.pictures import planes, read_bands


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
