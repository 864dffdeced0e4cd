"""Augmentation: flips, zoom and colour, applied to an image and its boxes together."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from masu.errors import bad_input
from masu.records import Target

LEAST_VISIBLE = 0.3
"""Share of a box's area that a crop must leave for the object to stay."""

_LONGEST = 2000  # pixels; a zoomed-out canvas grows to this or to the image's own size, whichever is more

# Ranges of the colour change: the usual ones of SSD (Liu et al. 2016, section 2.2), a little narrower.
_BRIGHTNESS = 0.2
_CONTRAST = 0.3
_SATURATION = 0.4
_HUE = math.pi / 10

# Rec. 601: luma, and two axes of chroma (YIQ) in which a turn is a change of hue.
_TO_YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], dtype=torch.float64
)


@dataclass(frozen=True)
class Augmentation:
    """How much to vary the training images; the default suits most photographs.

    Attributes:
        horizontal_flip: probability of a left-right mirror image.
        vertical_flip: probability of an upside-down one; 0.5 for pictures without an up.
        photometric: probability of a change of brightness, contrast, saturation and hue.
        scale: smallest and largest zoom, drawn log-uniformly for each image. Below 1 the image is set into a
            larger canvas of its mean colour, above 1 a part of it is cut out: either way the content's size
            relative to the canvas changes, and a later resize to a fixed side does not undo it.

    Raises:
        InputError: a probability outside 0–1 or a scale that is not ``0.1 <= smallest <= largest <= 10``.
    """

    horizontal_flip: float = 0.5
    vertical_flip: float = 0.0
    photometric: float = 0.5
    scale: tuple[float, float] = (0.75, 1.33)

    alone: ClassVar[bool] = True

    @property
    def enlarges(self) -> float:
        """See :attr:`masu.data.loading.callables.Variation.enlarges`."""
        return self.scale[1]

    def __post_init__(self) -> None:
        for name in ("horizontal_flip", "vertical_flip", "photometric"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise bad_input(f"Augmentation.{name}", f"{value}", "a probability", "choose 0 to 1")
        scale = tuple(self.scale)
        if len(scale) != 2 or not 0.1 <= scale[0] <= scale[1] <= 10:
            raise bad_input(
                "Augmentation.scale",
                f"{self.scale}",
                "(smallest, largest) zoom within 0.1 and 10",
                "choose (1, 1) for no zoom or, say, (0.75, 1.33)",
            )
        object.__setattr__(self, "scale", scale)

    def varied(
        self, image: Tensor, target: Target, *, seed: int, bands: bool, classes: int
    ) -> tuple[Tensor, Target]:
        """A varied copy, see :func:`augment`; ``classes`` is for those who might change labels."""
        return augment(image, target, self, seed, bands)

    def described(self) -> dict[str, Any]:
        """It as JSON has it."""
        return asdict(self)


def augment(
    image: Tensor, target: Target, augmentation: Augmentation, seed: int, bands: bool = False
) -> tuple[Tensor, Target]:
    """A varied copy of an image and its boxes, the same for the same seed.

    Boxes are clipped to a crop; a labelled object of which less than 30 % of the area stays visible is left
    out, an ignored region only when nothing of it is left. A crop that would show none of an image's objects
    is not made. The global random state is neither read nor changed.

    Args:
        image: ``(3, H, W)`` uint8, or float 0–1, on the CPU; with ``bands`` ``(C, H, W)`` and floats of any
            range.
        target: its objects, xyxy in pixels of ``image``.
        augmentation: what to vary, and how much.
        seed: any integer from 0 below 2**63.
        bands: the channels are no colours: all become brighter and steeper together.

    Returns:
        The image, same dtype but perhaps another size, and its target.
    """
    draw = torch.Generator().manual_seed(seed)
    # All numbers are drawn at once: switching one kind of variation off leaves the others as they were.
    flip_x, flip_y, recolour, zoom, *place = torch.rand(6, generator=draw, dtype=torch.float64).tolist()
    colour = torch.rand(4, generator=draw, dtype=torch.float64).tolist()
    smallest, largest = augmentation.scale
    # Colour and flips first: zooming out makes the image larger.
    if recolour < augmentation.photometric:
        image = _steeper(image, colour) if bands else _recoloured(image, colour)
    picture = tv_tensors.Image(image)
    if flip_x < augmentation.horizontal_flip:
        boxes = F.horizontal_flip(_boxes(picture, target))
        picture, target = F.horizontal_flip(picture), _with(target, boxes)
    if flip_y < augmentation.vertical_flip:
        boxes = F.vertical_flip(_boxes(picture, target))
        picture, target = F.vertical_flip(picture), _with(target, boxes)
    picture, target = _zoomed(picture, target, smallest * (largest / smallest) ** zoom, place)
    return picture.as_subclass(Tensor), target


def _boxes(image: Tensor, target: Target) -> tv_tensors.BoundingBoxes:
    height, width = image.shape[-2:]
    return tv_tensors.BoundingBoxes(target.boxes, format="XYXY", canvas_size=(height, width))


def _with(target: Target, moved: Tensor) -> Target:
    """The target with its boxes moved; one that rounding leaves without area is left out."""
    boxes = moved.as_subclass(Tensor)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return Target(boxes[kept], target.labels[kept], target.ignored[kept])


def _zoomed(image: Tensor, target: Target, zoom: float, place: list[float]) -> tuple[Tensor, Target]:
    height, width = image.shape[-2:]
    if round(height / zoom) > height or round(width / zoom) > width:
        return _set_into_canvas(image, target, zoom, place)
    if round(height / zoom) < height or round(width / zoom) < width:
        return _cut_out(image, target, zoom, place)
    return image, target


def _set_into_canvas(image: Tensor, target: Target, zoom: float, place: list[float]) -> tuple[Tensor, Target]:
    boxes = _boxes(image, target)
    longest = max(image.shape[-2:])
    shrink = max(longest, _LONGEST) / (longest / zoom)
    if shrink < 1:
        size = [max(1, round(side * shrink)) for side in image.shape[-2:]]
        image, boxes = F.resize(image, size, antialias=True), F.resize(boxes, size)
    height, width = image.shape[-2:]
    down, right = round(height / zoom) - height, round(width / zoom) - width
    top, left = round(place[0] * down), round(place[1] * right)
    # In NumPy, as the colours: F.pad with a colour makes a dozen small threaded steps.
    pixels = image.numpy()
    canvas = np.empty((len(pixels), height + down, width + right), pixels.dtype)
    canvas[:] = pixels[:, ::4, ::4].mean((1, 2), dtype=np.float64)[:, None, None]
    canvas[:, top : top + height, left : left + width] = pixels
    padded = F.pad(boxes, [left, top, right - left, down - top])
    return torch.from_numpy(canvas), _with(target, padded)


def _cut_out(image: Tensor, target: Target, zoom: float, place: list[float]) -> tuple[Tensor, Target]:
    whole_height, whole_width = image.shape[-2:]
    height, width = max(1, round(whole_height / zoom)), max(1, round(whole_width / zoom))
    top, left = round(place[0] * (whole_height - height)), round(place[1] * (whole_width - width))
    cut = F.crop(_boxes(image, target), top, left, height, width).as_subclass(Tensor)
    before = (target.boxes[:, 2:] - target.boxes[:, :2]).prod(1)
    sides = cut[:, 2:] - cut[:, :2]
    share = sides.prod(1) / before
    visible = (sides >= 1).all(1) & ((share >= LEAST_VISIBLE) | target.ignored)
    objects = ~target.ignored
    if objects.any() and not (visible & objects).any():
        return image, target
    kept = Target(cut[visible], target.labels[visible], target.ignored[visible])
    return F.crop(image, top, left, height, width), kept


def _recoloured(image: Tensor, draws: list[float]) -> Tensor:
    """Brightness, contrast, saturation and hue as one matrix on the colours, in a single pass.

    Written out as products and sums in NumPy: a matrix product would depend on the number of threads, and
    torch's threads, one barrier for each small step, cost ten times as much on a busy machine.
    """
    brightness, contrast, saturation, hue = (2 * value - 1 for value in draws)
    lighter, steeper = 1 + _BRIGHTNESS * brightness, 1 + _CONTRAST * contrast
    chroma, angle = 1 + _SATURATION * saturation, _HUE * hue
    turn = torch.eye(3, dtype=torch.float64)
    turn[1, 1] = turn[2, 2] = chroma * math.cos(angle)
    turn[2, 1] = chroma * math.sin(angle)
    turn[1, 2] = -turn[2, 1]
    matrix = (lighter * steeper * (torch.linalg.inv(_TO_YIQ) @ turn @ _TO_YIQ)).tolist()
    values = image.numpy().astype(np.float32)  # (3, H, W)
    # Contrast turns about the brightened mean luma, as in torchvision's adjust_contrast.
    mean = values[:, ::4, ::4].mean((1, 2), dtype=np.float64)
    offset = (1 - steeper) * lighter * float(_TO_YIQ[0] @ torch.from_numpy(mean))
    changed = np.empty_like(values)
    term = np.empty_like(values[0])
    for row, (red, green, blue) in zip(changed, matrix, strict=True):
        np.multiply(values[0], red, out=row)
        row += np.multiply(values[1], green, out=term)
        row += np.multiply(values[2], blue, out=term)
        row += offset
    if image.dtype == torch.uint8:
        return torch.from_numpy(changed.round(out=changed).clip(0, 255, out=changed).astype(np.uint8))
    return torch.from_numpy(changed.clip(0, 1, out=changed)).to(image.dtype)


def _steeper(image: Tensor, draws: list[float]) -> Tensor:
    """Brightness and contrast about each channel's mean, without limits for floats."""
    lighter, steeper = 1 + _BRIGHTNESS * (2 * draws[0] - 1), 1 + _CONTRAST * (2 * draws[1] - 1)
    values = image.numpy().astype(np.float32)  # (C, H, W)
    mean = values[:, ::4, ::4].mean((1, 2), dtype=np.float64).astype(np.float32)[:, None, None]
    changed = lighter * (mean + steeper * (values - mean))
    if image.dtype == torch.uint8:
        return torch.from_numpy(changed.round().clip(0, 255).astype(np.uint8))
    return torch.from_numpy(changed).to(image.dtype)
