"""What is found in a large picture: its tiles and the whole, reduced, each an image to the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from masu.data.pixels.sources import in_batches
from masu.data.pixels.windows import Picture
from masu.merging import Layout, merged
from masu.tiles import Tiles

Array = np.ndarray[Any, Any]


Image = TypeVar("Image")
Found = TypeVar("Found")


class Rows(NamedTuple):
    """Boxes of one image.

    Attributes:
        boxes: ``(k, 4)`` float32 x1 y1 x2 y2 in its pixels.
        scores: ``(k,)`` float32.
        labels: ``(k,)`` int64.
    """

    boxes: Array
    scores: Array
    labels: Array


class View(NamedTuple):
    """A part of a picture as an image.

    Attributes:
        pixels: ``(h, w, C)``.
        window: ``(4,)`` what of the picture it shows, x1 y1 x2 y2.
        scale: ``(2,)`` pixels of the picture that one of its pixels has in width and in height.
    """

    pixels: Array
    window: Array
    scale: Array


def fraction(height: int, width: int, min_size: int, max_size: int) -> int:
    """The largest whole factor by which a picture is reduced and stays as large as the network sees it.

    Args:
        height: of the picture in pixels.
        width: likewise.
        min_size: of the input policy.
        max_size: likewise.
    """
    return max(int(max(min(height, width) / min_size, max(height, width) / max_size)), 1)


def views(picture: Picture, tiles: Tiles, min_size: int, max_size: int) -> Iterator[View]:
    """The tiles of a picture, each at its full size, and then the whole, reduced.

    Args:
        picture: one that is cut.
        tiles: how.
        min_size: of the input policy.
        max_size: likewise.

    Yields:
        One after the other, so that few are in memory.
    """
    for window in picture.in_order(tiles.windows(picture.height, picture.width)):
        yield View(tiles.filled(picture.read(*window.tolist())), window, np.ones(2))
    factor = fraction(picture.height, picture.width, min_size, max_size)
    whole = picture.reduced(factor)
    window = np.array([0, 0, picture.width, picture.height])
    yield View(whole.pixels, window, np.array([whole.across, whole.down]))


def found_in_each(
    images: Sequence[Image | Picture],
    whole: Callable[[Sequence[Image]], Sequence[Found]],
    in_tiles: Callable[[Picture], Found],
) -> list[Found]:
    """What is found in each image, the pictures of which parts are read in tiles.

    Args:
        images: both kinds, mixed.
        whole: what is found in images that are looked at as they are, together.
        in_tiles: what is found in a picture.

    Returns:
        In the order of the images.
    """
    pictures = {i: image for i, image in enumerate(images) if isinstance(image, Picture)}
    rest = [image for image in images if not isinstance(image, Picture)]
    found = iter(whole(rest) if rest else ())
    return [in_tiles(pictures[i]) if i in pictures else next(found) for i in range(len(images))]


def find(
    picture: Picture,
    tiles: Tiles,
    iou: float,
    min_size: int,
    max_size: int,
    look: Callable[[Sequence[Array]], Sequence[Rows]],
    batch_size: int,
) -> Rows:
    """What is found in a picture that is cut, each object once.

    Args:
        picture: that is looked at.
        tiles: how it is cut.
        iou: above which two boxes of a class from two views are one object.
        min_size: of the input policy.
        max_size: likewise.
        look: what is found in images ``(h, w, C)``.
        batch_size: images that it is given together.

    Returns:
        Best score first, in pixels of the picture.
    """
    found: list[Rows] = []
    windows: list[Array] = []
    for batch in in_batches(views(picture, tiles, min_size, max_size), batch_size):
        for view, rows in zip(batch, look([view.pixels for view in batch]), strict=True):
            windows.append(view.window)
            found.append(_in_picture(rows, view))
    boxes, scores, labels = (np.concatenate(column) for column in zip(*found, strict=True))
    view_of = np.repeat(np.arange(len(found)), [len(rows.scores) for rows in found])
    seen = Layout(np.stack(windows), picture.height, picture.width, tiles.overlap * tiles.side)
    kept = merged(boxes, scores, labels, view_of, seen, iou)
    return Rows(boxes[kept], scores[kept], labels[kept])


def _in_picture(rows: Rows, view: View) -> Rows:
    """Boxes of a view in pixels of the picture; what lies in its filling only is left out."""
    corner, most = np.tile(view.window[:2], 2), np.tile(view.window[2:], 2)
    boxes = np.minimum(rows.boxes * np.tile(view.scale, 2) + corner, most).astype(np.float32)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return Rows(boxes[kept], rows.scores[kept], rows.labels[kept])
