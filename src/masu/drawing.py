"""Boxes, class names and scores drawn on a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont

from masu.data.pixels.images import read_image
from masu.records import Detections, Target

Colour: TypeAlias = tuple[int, int, int]
_Box: TypeAlias = tuple[int, int, int, int]

# Okabe and Ito 2008, "Color Universal Design", without black; vivid ones first.
_PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (213, 94, 0),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
)
_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)
_GREY: Colour = (150, 150, 150)
_SMALLEST_TEXT = 8
_ROWS = 64


@dataclass(frozen=True)
class Mark:
    """A box to be drawn.

    Attributes:
        box: x1 y1 x2 y2 in pixels of the picture; parts outside are drawn along the edge.
        colour: of its line and of its label's ground.
        name: first part of its label, shortened where there is no room; empty with ``score``: no label.
        score: last part of its label.
        dashed: dashes rimmed black instead of a line.
        thin: a line of half the width.
    """

    box: Sequence[float]
    colour: Colour
    name: str = ""
    score: str = ""
    dashed: bool = False
    thin: bool = False


@dataclass(frozen=True)
class _Label:
    """A label's text, letter size, and the width and height of its ground in pixels."""

    text: str
    size: int
    width: int
    height: int


def draw(
    image: str | Path | Image.Image | npt.NDArray[np.generic] | torch.Tensor,
    detections: Detections,
    target: Target | None = None,
) -> Image.Image:
    """Draw detections, and labelled objects if given, on a copy of an image.

    Lines and letters grow with the image. A detection is a box in the colour of its class with class name
    and score, the label moved to stay inside the picture. A labelled object is a thin box of white dashes
    rimmed black, an ignored region one of grey dashes.

    Args:
        image: file, PIL image, array or tensor, as :func:`masu.data.pixels.images.read_image` takes it.
        detections: boxes in pixels of the image; parts outside are drawn along the edge.
        target: labelled objects of the image.

    Returns:
        An RGB picture of the image's size.

    Raises:
        InputError: for an image that cannot be read.
    """
    rows = zip(
        detections.boxes.tolist(),
        detections.labels.tolist(),
        detections.names,
        detections.scores.tolist(),
        strict=True,
    )
    found = [Mark(box, class_colour(label), name, f"{score:.2f}") for box, label, name, score in rows]
    return draw_marks(image, [*found, *([] if target is None else object_marks(target))])


def object_marks(target: Target) -> list[Mark]:
    """Labelled objects as :func:`draw` shows them: thin white dashes, grey for ignored regions."""
    return [
        Mark(box, _GREY if ignored else _WHITE, dashed=True, thin=True)
        for box, ignored in zip(target.boxes.tolist(), target.ignored.tolist(), strict=True)
    ]


def draw_marks(
    image: str | Path | Image.Image | npt.NDArray[np.generic] | torch.Tensor, marks: Sequence[Mark]
) -> Image.Image:
    """Draw boxes on a copy of an image: lines, over them dashes, over these the labels.

    Lines and letters grow with the image; labels are moved to stay inside the picture.

    Args:
        image: file, PIL image, array or tensor, as :func:`masu.data.pixels.images.read_image` takes it.
        marks: most important first, which stays on top.

    Returns:
        An RGB picture of the image's size.

    Raises:
        InputError: for an image that cannot be read.
    """
    pixels = read_image(image)
    if pixels.is_floating_point():
        pixels = (pixels * 255).round().to(torch.uint8)
    picture = as_picture(pixels)
    canvas = ImageDraw.Draw(picture)
    side = math.sqrt(picture.width * picture.height)
    full = max(1, round(side / 280))

    boxes = [_inside(mark.box, picture.size) for mark in marks]
    pairs = list(zip(boxes, marks, strict=True))[::-1]  # the first is drawn last
    for box, mark in (pair for pair in pairs if not pair[1].dashed):
        line = max(1, full // 2) if mark.thin else full
        if line > 1:
            x1, y1, x2, y2 = box
            rim = max(1, line // 3)
            canvas.rectangle((x1 - rim, y1 - rim, x2 + rim, y2 + rim), outline=_BLACK, width=line + 2 * rim)
        canvas.rectangle(box, outline=mark.colour, width=line)
    for box, mark in (pair for pair in pairs if pair[1].dashed):
        _dashed(canvas, box, max(1, full // 2) if mark.thin else full, mark.colour)

    size = max(10, round(side / 38))
    named = [(box, mark) for box, mark in zip(boxes, marks, strict=True) if mark.name or mark.score]
    labels = [_fitted(" ".join(mark.name.split()), mark.score, size, picture.width) for _, mark in named]
    places = _placed([box for box, _ in named], labels, picture.size)
    for label, (x, y), (_, mark) in reversed(list(zip(labels, places, named, strict=True))):
        canvas.rectangle((x, y, x + label.width - 1, y + label.height - 1), fill=mark.colour)
        middle = (x + label.width / 2, y + label.height / 2)
        canvas.text(middle, label.text, fill=_on(mark.colour), font=_font(label.size), anchor="mm")
    return picture


def as_picture(pixels: torch.Tensor) -> Image.Image:
    """``(3, H, W)`` uint8 as a picture; in strips, since every copy of a large one takes many megabytes."""
    picture = Image.new("RGB", (pixels.shape[2], pixels.shape[1]))
    for top in range(0, picture.height, _ROWS):
        strip = pixels[:, top : top + _ROWS].permute(1, 2, 0)  # (3, h, W) → (h, W, 3)
        picture.paste(Image.fromarray(strip.contiguous().cpu().numpy()), (0, top))
    return picture


def class_colour(label: int) -> Colour:
    """The colour of a class id: Okabe and Ito's seven, then their light and dark shades, then again."""
    colour = _PALETTE[label % len(_PALETTE)]
    shade = label // len(_PALETTE) % 3
    if shade == 0:
        return colour
    other, share = (_WHITE, 0.5) if shade == 1 else (_BLACK, 0.4)
    red, green, blue = (round((1 - share) * c + share * o) for c, o in zip(colour, other, strict=True))
    return red, green, blue


def _on(colour: Colour) -> Colour:
    """Black or white, whichever has the higher contrast (WCAG 2 relative luminance) on a colour."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return _BLACK if luminance > 0.179 else _WHITE


def _inside(box: Sequence[float], size: tuple[int, int]) -> _Box:
    """The box in whole pixels of the picture; one outside of it becomes a line on the edge."""
    width, height = size
    x1, x2 = sorted(min(max(round(x), 0), width - 1) for x in (box[0], box[2]))
    y1, y2 = sorted(min(max(round(y), 0), height - 1) for y in (box[1], box[3]))
    return x1, y1, x2, y2


def _dashed(canvas: ImageDraw.ImageDraw, box: _Box, width: int, colour: Colour) -> None:
    """Dashes with a black rim: visible on any ground, and what lies below shows in the gaps."""
    x1, y1, x2, y2 = box
    thick, dash = width - 1, 4 * width + 2
    dashes = [
        part
        for at in range(x1, x2 + 1, 2 * dash)
        for part in ((at, y1, min(at + dash, x2), y1 + thick), (at, y2 - thick, min(at + dash, x2), y2))
    ] + [
        part
        for at in range(y1, y2 + 1, 2 * dash)
        for part in ((x1, at, x1 + thick, min(at + dash, y2)), (x2 - thick, at, x2, min(at + dash, y2)))
    ]
    for left, top, right, bottom in dashes:
        canvas.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=_BLACK)
    for part in dashes:
        canvas.rectangle(part, fill=colour)


def _fitted(name: str, score: str, size: int, room: int) -> _Label:
    """The label of a detection, at most ``room`` pixels wide: smaller letters first, then a shorter name."""
    text = f"{name} {score}".strip()
    while size > _SMALLEST_TEXT and _extent(text, size)[0] > room:
        size -= 1
    while name and _extent(text, size)[0] > room:
        name = name[:-1].rstrip()
        text = f"{name}… {score}" if name else score
    return _Label(text, size, *_extent(text, size))


def _extent(text: str, size: int) -> tuple[int, int]:
    """Width and height of a label's ground; the height is the same for every text."""
    left, _, right, _ = _font(size).getbbox(text)
    return math.ceil(right - left) + size // 2, math.ceil(1.3 * size)


def _placed(boxes: list[_Box], labels: list[_Label], size: tuple[int, int]) -> list[tuple[int, int]]:
    """Left upper corner of each label: above, in or below its box, inside the picture.

    The first of these places that covers no label placed before (of a better detection) is taken; if all
    do, the first.
    """
    taken: list[_Box] = []
    for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
        above, below = y1 - label.height, y2 + 1
        wanted = [(x1, above if above >= 0 else y1), (x1, y1), (x1, below), (x2 - label.width + 1, above)]
        places = [
            (x, y, x + label.width, y + label.height)
            for x, y in (
                (max(0, min(x, size[0] - label.width)), max(0, min(y, size[1] - label.height)))
                for x, y in wanted
            )
        ]
        free = (place for place in places if not any(_overlap(place, other) for other in taken))
        taken.append(next(free, places[0]))
    return [(x, y) for x, y, _, _ in taken]


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
