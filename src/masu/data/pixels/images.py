"""Images in, tensors out: whatever holds a picture becomes ``(3, H, W)`` RGB, or all of its channels.

With ``channels`` an image has any number of channels and any depth, and its values are kept as they are: one
way for files (PNG, TIFF, NPY and what Pillow reads), arrays and tensors. Pillow reads colour PNG of 16 bits
as 8 bits; TIFF and NPY keep all of them.
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
from masu.data.pixels.large import as_picture
from masu.data.pixels.pictures import planes, read_bands, read_picture, read_rgb, to_bytes
from masu.data.pixels.windows import Held, Picture
from masu.errors import bad_input
from masu.tiles import Tiles


def read_image(image: str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor) -> Tensor:
    """An image as an RGB tensor ``(3, H, W)``.

    Args:
        image: a path, a Pillow image, an array ``(H, W)`` or ``(H, W, C)``, or a tensor ``(C, H, W)``, with
            C = 1, 3 or 4 (the fourth, alpha, is dropped). Values are uint8 in 0–255, uint16 in 0–65535 or
            floats in 0–1. The EXIF orientation of files and Pillow images is applied.

    Returns:
        uint8, contiguous; 16-bit grey scaled to 8 bits. Arrays and tensors of floats give float32 in 0–1.
        Never shares memory with an array or a Pillow image; an RGB tensor is handed back as it is.

    Raises:
        InputError: a file that is missing, damaged, too large or no image; an array or tensor of another
            shape, type or range.
    """
    if isinstance(image, Tensor):
        return _from_tensor(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Image.Image):
        return _from_array(read_picture(image))
    if not isinstance(image, str | os.PathLike):
        raise bad_input(
            "image",
            f"a value of type {type(image).__name__}",
            "a path, a Pillow image, an array (H, W, 3) or a tensor (3, H, W)",
            "pass one of these",
        )
    return _from_array(read_rgb(Path(image)))


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


def read_seen(
    image: str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor | Picture,
    channels: int | None,
    tiles: Tiles | None,
) -> Tensor | Picture:
    """An image as :func:`read_pixels` gives it, or a picture of which tiles are looked at.

    Args:
        image: as of :func:`read_pixels`, or a picture.
        channels: likewise.
        tiles: how large pictures are cut; None: never.

    Returns:
        ``(C, H, W)``, or a picture that is cut.

    Raises:
        InputError: as of :func:`read_pixels`.
    """
    picture = as_picture(image, channels, tiles)
    if picture is not None:
        return picture
    pixels = read_pixels(image, channels)  # type: ignore[arg-type]
    if tiles is None or not tiles.needed(*pixels.shape[1:]):
        return pixels
    return Held(pixels.permute(1, 2, 0).cpu().numpy())


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


def _from_array(array: np.ndarray[Any, Any]) -> Tensor:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise bad_input(
            "image array",
            f"shape {array.shape}",
            "(H, W) or (H, W, 3)",
            "transpose or index it to that shape",
        )
    if array.dtype == np.uint16:
        array = to_bytes(array)
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise bad_input(
            "image array",
            f"values of type {array.dtype}",
            "uint8, uint16 or floats 0–1",
            "convert it to uint8",
        )
    kind = np.uint8 if array.dtype == np.uint8 else np.float32
    planes = np.array(array.transpose(2, 0, 1), dtype=kind, order="C")
    return _from_tensor(torch.from_numpy(planes))


def _from_tensor(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4) or image.numel() == 0:
        colours_last = image.numel() > 0 and image.ndim == 3 and image.shape[-1] in (1, 3, 4)
        hint = "permute(2, 0, 1) it" if colours_last else "index or stack it"
        raise bad_input("image tensor", f"shape {tuple(image.shape)}", "(3, H, W)", f"{hint} to that shape")
    if image.dtype != torch.uint8:
        if not image.is_floating_point():
            raise bad_input(
                "image tensor", f"values of type {image.dtype}", "uint8 or floats 0–1", "convert it to uint8"
            )
        low, high = (float(value) for value in image.aminmax())
        if not (low >= 0 and high <= 1):
            raise bad_input(
                "image", f"floats from {low:g} to {high:g}", "floats 0–1", "divide by 255 or convert to uint8"
            )
        image = image.to(torch.float32)
    if image.shape[0] == 1:
        image = image.expand(3, -1, -1)
    return image[:3].contiguous()
