"""Pictures of a page: embedded here and nowhere else, and boxes that lie over them as SVG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

SIDE = 720
"""Pixels of the longer side of an embedded picture, unless the page says otherwise."""

_HIGH = 0.08
"""Share of the picture's height below which a box has no room for its words above it."""


@dataclass(frozen=True)
class Mark:
    """A box over a picture.

    Attributes:
        box: x1 y1 x2 y2 in pixels of the picture as it was before it was made small.
        kind: what it is, one word: the CSS class of its line, and what the page's switches go by.
        words: written at the box; empty: nothing is.
    """

    box: Sequence[float]
    kind: str
    words: str = ""


@dataclass(frozen=True)
class Chip:
    """Words at a box, placed in percent of the picture.

    Attributes:
        kind: of the box.
        words: to write.
        style: CSS that says where.
    """

    kind: str
    words: str
    style: str


@dataclass(frozen=True)
class Shown:
    """A picture on a page.

    Attributes:
        name: the image's file name.
        uri: the picture as a ``data:`` address; None where the file can no longer be read.
        size: its width and height in pixels, as the boxes mean them.
        marks: boxes, the most important last.
        alt: the picture and its boxes in words.
    """

    name: str
    uri: str | None
    size: tuple[int, int]
    marks: tuple[Mark, ...]
    alt: str

    @property
    def chips(self) -> list[Chip]:
        """The words of the boxes that have some: above the box, or in it where there is no room."""
        return [_chip(mark, *self.size) for mark in self.marks if mark.words]


def embedded(
    picture: Image.Image,
    form: Literal["JPEG", "PNG"] = "JPEG",
    *,
    side: int | None = None,
    quality: int = 82,
) -> str:
    """A picture as an address that holds it.

    Args:
        picture: any; the caller's stays as it is.
        form: how it is encoded.
        side: pixels of the longer side, to which a larger one is made smaller; None: as it is.
        quality: of a JPEG.

    Returns:
        ``data:image/…;base64,…``.
    """
    if side is not None and max(picture.size) > side:
        picture = picture.copy()
        picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, form, quality=quality, optimize=True)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _chip(mark: Mark, width: int, height: int) -> Chip:
    x1, y1, x2, _ = (100 * side / of for side, of in zip(mark.box, (width, height) * 2, strict=True))
    x1, x2, y1 = (min(max(value, 0.0), 100.0) for value in (x1, x2, y1))
    across = f"left:{x1:.1f}%" if x1 <= 50 else f"right:{100 - x2:.1f}%"
    down = f"top:{y1:.1f}%" if y1 < 100 * _HIGH else f"bottom:{100 - y1:.1f}%"
    return Chip(mark.kind, mark.words, f"{across};{down}")
