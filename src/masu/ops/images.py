"""Images of any size to one batch the network takes: resize, normalise, pad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from masu.records import ImageBatch
from masu.settings import Length, Pixels, Within, check_fields
from masu.tiles import Tiles

MOST_CHANNELS = 4096
"""Of the images that a network may be made for."""


LARGE = 25_000_000
"""Pixels of an image of bytes from which it is not made floats as a whole."""


@dataclass(frozen=True)
class InputPolicy:
    """How an image is brought to the network, stored with the model.

    Attributes:
        min_size: wanted length of the shorter side in pixels.
        max_size: largest length of the longer side in pixels; wins over ``min_size``.
        mean: per channel, of values 0..1.
        std: per channel, of values 0..1.
        divisor: the batch is padded right and below to a multiple of this.
        channels: None for RGB photographs; else images of so many channels, their values as they are.
        tiles: how pictures larger than a tile are cut; each tile is resized as an image is. None: never.
    """

    min_size: Annotated[int, Within(1, 16_384)] = 800
    max_size: Pixels = 1333
    mean: Annotated[tuple[Annotated[float, Within(-1e12, 1e12)], ...], Length(1, MOST_CHANNELS)] = (
        0.485,
        0.456,
        0.406,
    )
    std: Annotated[tuple[Annotated[float, Within(1e-12, 1e12)], ...], Length(1, MOST_CHANNELS)] = (
        0.229,
        0.224,
        0.225,
    )
    divisor: Annotated[int, Within(1, 1024)] = 32
    channels: Annotated[int, Within(1, MOST_CHANNELS)] | None = None
    tiles: Tiles | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        wanted = 3 if self.channels is None else self.channels
        if not len(self.mean) == len(self.std) == wanted:
            raise ValueError(
                f"mean and std: found {len(self.mean)} and {len(self.std)} numbers, wanted {wanted} of each, "
                "one per channel"
            )

    def of_size(self, min_size: int) -> InputPolicy:
        """The same with another shorter side, the longer one limited in proportion."""
        return replace(self, min_size=min_size, max_size=self.max_size * min_size // self.min_size)


def resized_size(height: int, width: int, policy: InputPolicy) -> tuple[int, int]:
    """Height and width after resizing with unchanged aspect ratio, cut to whole pixels.

    In the arithmetic of the reference implementation: where ``height * (size / height)`` is not exact, a
    side comes out one pixel shorter.
    """
    scale = min(policy.min_size / min(height, width), policy.max_size / max(height, width))
    return max(int(height * scale), 1), max(int(width * scale), 1)


def padded_size(height: int, width: int, policy: InputPolicy) -> tuple[int, int]:
    """Height and width of the canvas that the network sees for one image, resized and padded."""
    resized = resized_size(height, width, policy)
    return _up(resized[0], policy), _up(resized[1], policy)


def _up(side: int, policy: InputPolicy) -> int:
    return -(-side // policy.divisor) * policy.divisor


def bilinear(image: Tensor, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """``(C, H, W)`` at another size ``(h, w)``, between the four nearest pixels."""
    return F.interpolate(image.to(dtype)[None], size=size, mode="bilinear", align_corners=False)[0]


def bilinear_of_large(image: Tensor, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """:func:`bilinear`, for which only the rows and columns that it looks at become floats."""
    top, bottom, down = _neighbours(image.shape[1], size[0], image.device)
    left, right, across = _neighbours(image.shape[2], size[1], image.device)
    down, across = down.to(dtype)[:, None], across.to(dtype)
    rows = [image[:, row].to(dtype) for row in (top, bottom)]
    upper, lower = (row[:, :, left] * (1 - across) + row[:, :, right] * across for row in rows)
    return upper * (1 - down) + lower * down


def _neighbours(length: int, wanted: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each of ``wanted`` pixels those before and after its middle, and the share of the one after."""
    at = (torch.arange(wanted, dtype=torch.float64) + 0.5) * (length / wanted) - 0.5
    at = at.clamp(0, length - 1)
    first = at.floor().to(torch.int64)
    share = (at - first).to(torch.float32 if device.type == "mps" else torch.float64)  # which has no other
    return first.to(device), (first + 1).clamp(max=length - 1).to(device), share.to(device)


def batch_images(
    images: Sequence[Tensor], policy: InputPolicy, dtype: torch.dtype = torch.float32
) -> ImageBatch:
    """Resize, normalise and pad images into one channels-last batch; gradients flow back to float images.

    Args:
        images: each ``(C, H, W)``, uint8 0..255 (taken as 0..1) or float, of any size.
        policy: the model's input policy.
        dtype: of the batch, the network's own.

    Raises:
        ValueError: for no image, or one of another shape or type.
    """
    if len(images) == 0:
        raise ValueError("images: found none, wanted at least one")
    channels = len(policy.mean)
    for i, image in enumerate(images):
        if not isinstance(image, Tensor):
            raise TypeError(
                f"images[{i}]: found {type(image).__name__}, wanted a tensor ({channels}, H, W); "
                "detector.predict takes files, Pillow images and arrays too"
            )
        if image.ndim != 3 or image.shape[0] != channels or 0 in image.shape:
            raise ValueError(f"images[{i}]: found shape {tuple(image.shape)}, wanted ({channels}, H, W)")
        if image.dtype != torch.uint8 and not image.is_floating_point():
            raise ValueError(f"images[{i}]: found {image.dtype}, wanted uint8 0..255 or float 0..1")
    device = images[0].device
    original = [(int(i.shape[1]), int(i.shape[2])) for i in images]
    sizes = [resized_size(h, w, policy) for h, w in original]
    height, width = _up(max(h for h, _ in sizes), policy), _up(max(w for _, w in sizes), policy)
    pixels = torch.zeros((len(images), channels, height, width), dtype=dtype, device=device)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    std = torch.tensor(policy.std, dtype=dtype, device=device)[:, None, None]
    shift = torch.tensor(policy.mean, dtype=dtype, device=device)[:, None, None] / std
    for i, (image, (h, w)) in enumerate(zip(images, sizes, strict=True)):
        largest = 255 if image.dtype == torch.uint8 else 1
        whole = image.dtype != torch.uint8 or image.shape[1] * image.shape[2] <= LARGE
        resized = (bilinear if whole else bilinear_of_large)(image, (h, w), dtype)
        pixels[i, :, :h, :w] = (resized / (std * largest)).sub_(shift)
    return ImageBatch(pixels, torch.tensor(sizes, device=device), torch.tensor(original, device=device))
