"""Crops: what an epoch shows of each image, where large ones are cut into tiles.

A photograph that fits in a tile is shown once, as it is. Of a larger one an epoch shows

- the whole, reduced: prediction looks at it too, for what is larger than a tile;
- windows as large as a tile around the objects, such that each that fits in one is whole in one of them;
- some windows anywhere.

How many there are is decided by the data alone, so that all epochs are of one length. Where they lie is drawn
anew in each, and so is which come more than once, where some should (:mod:`masu.data.loading.repeats`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from masu.data.dataset import Array, Dataset
from masu.data.loading.randomness import mixed
from masu.data.loading.repeats import repeated, shown_in_all
from masu.errors import counted
from masu.ops.images import InputPolicy, resized_size
from masu.records import Target
from masu.tiles import Tiles

LEAST_VISIBLE = 0.7
"""Share of a box that a window must show for the object to be one in it, as DOTA's tools (Xia et al. 2018).

Less of it is an ignored region: prediction sees the object whole in another tile, and parts that are found
are boxes too many.
"""

LEAST_SIDE = 8.0
"""Pixels of the network's input that the shorter side of an object needs in a reduced picture: a cell of the
finest map of most detectors. Smaller ones are found in the tiles."""

TILES_PER_BACKGROUND = 4
"""Of so many tiles that a picture has, an epoch shows one anywhere in it."""

MORE_BACKGROUND = 4
"""Windows anywhere that there may be beyond those around objects: a picture of a billion pixels with three
objects is no epoch by itself."""

Window = tuple[int, int, int, int]


class Crop(NamedTuple):
    """One of the images that an epoch has.

    Attributes:
        image: position in the data set.
        number: of the crop among those of its image; 0 is the whole.
        window: x1 y1 x2 y2 in pixels of the image; None for the whole.
        times: it was shown in this epoch before.
    """

    image: int
    number: int
    window: Window | None
    times: int = 0

    @property
    def drawn(self) -> tuple[int, ...]:
        """What the random changes of this crop depend on, beside seed and epoch."""
        if self.times:
            return (self.image, self.number, self.times)
        return (self.image, self.number) if self.number else (self.image,)


class Crops:
    """The crops that there are, by number: ``crops.crop(at, seed, epoch)``, and those that an epoch shows.

    ``len(crops)`` is how many an epoch shows.

    Args:
        data: with the sizes of its images; one of unknown size is not cut.
        policy: how the network sees images; None cuts none.
        factors: ``(N,)`` how often an epoch shows the crops of each image, at least 1; None: once.

    Attributes:
        tiled: ``(N,)`` bool, which images are cut.
        ends: ``(N + 1,)`` int64; crops ``ends[i]`` to ``ends[i + 1]`` are those of image ``i``.
    """

    def __init__(
        self, data: Dataset, policy: InputPolicy | None = None, factors: Array | None = None
    ) -> None:
        self.policy, self.sizes = policy, data.sizes
        self.tiles = tiles = None if policy is None else policy.tiles
        self.tiled = np.zeros(len(data), np.bool_)
        # lowest and highest left, lowest and highest top of a window
        spans: list[Array] = [np.full((1, 4), -1, np.int64)] * len(data)
        if tiles is not None:
            self.tiled = data.sizes.max(1, initial=0) > tiles.side
            for index in np.flatnonzero(self.tiled).tolist():
                own = data.objects(index)
                boxes = data.boxes[own][data.flags[own] == 0]
                height, width = data.sizes[index].tolist()
                spans[index] = np.concatenate([spans[index], _spans(boxes, height, width, tiles)])
        self.side = 0 if tiles is None else tiles.side
        self.ends = np.concatenate([[0], np.cumsum([len(one) for one in spans], dtype=np.int64)])
        self._spans = np.concatenate([np.zeros((0, 4), np.int64), *spans])
        self.factors = None if factors is None else np.repeat(factors, np.diff(self.ends))

    def __len__(self) -> int:
        return int(self.ends[-1]) if self.factors is None else shown_in_all(self.factors)

    def of_epoch(self, seed: int, epoch: int) -> Array:
        """The numbers of the crops that an epoch shows: ``(len(crops),)`` int64, rising."""
        if self.factors is None:
            return np.arange(len(self))
        draw = torch.Generator().manual_seed(mixed(seed, epoch, len(self)))
        return repeated(self.factors, torch.rand((), generator=draw, dtype=torch.float64).item())

    def of_image(self, image: int) -> range:
        """The numbers of an image's crops."""
        return range(int(self.ends[image]), int(self.ends[image + 1]))

    def crop(self, at: int, seed: int, epoch: int, times: int = 0) -> Crop:
        """A crop as it is in an epoch, the same whoever asks; ``times`` it was shown in it before."""
        image = int(np.searchsorted(self.ends, at, side="right")) - 1
        number = at - int(self.ends[image])
        if number == 0:
            return Crop(image, 0, None, times)
        again = (times,) if times else ()
        draw = torch.Generator().manual_seed(mixed(seed, epoch, image, number, self.side, *again))
        shares = torch.rand(2, generator=draw, dtype=torch.float64).tolist()
        lows, highs = self._spans[at, ::2].tolist(), self._spans[at, 1::2].tolist()
        left, top = (
            min(low + int(share * (high - low + 1)), high)
            for low, high, share in zip(lows, highs, shares, strict=True)
        )
        height, width = self.sizes[image].tolist()
        right, bottom = min(left + self.side, width), min(top + self.side, height)
        return Crop(image, number, (left, top, right, bottom), times)

    def shorter(self, crop: Crop) -> int | None:
        """Pixels that the shorter side of a reduced picture needs; None: the same as of any photograph.

        Prediction reduces such a picture with a filter, to about what the network sees.
        """
        if self.policy is None or crop.window is not None or not self.tiled[crop.image]:
            return None
        height, width = self.sizes[crop.image].tolist()
        return min(resized_size(height, width, self.policy))

    def filled(self, crop: Crop, image: Tensor) -> Tensor:
        """A crop's image ``(C, h, w)`` for the network: windows ``(C, side, side)``, zeros beyond."""
        if crop.window is None or self.tiles is None:
            return image
        filled = self.tiles.filled(image.permute(1, 2, 0).numpy())
        return torch.from_numpy(np.ascontiguousarray(filled.transpose(2, 0, 1)))

    def shown(self, crop: Crop, target: Target) -> Target:
        """The objects of a crop in its own pixels.

        Args:
            crop: as of :meth:`crop`.
            target: all objects of the image, in its pixels.

        Returns:
            Those that it shows; too little of one, and in a reduced picture one that is too small, is an
            ignored region.
        """
        if crop.window is not None:
            return in_window(target, crop.window)
        if self.policy is None or not self.tiled[crop.image]:
            return target
        height, width = self.sizes[crop.image].tolist()
        return without_tiny(target, (height, width), self.policy)

    def described(self) -> str | None:
        """What is cut, in words; None where nothing is to be."""
        if self.side == 0:
            return None
        cut = int(self.tiled.sum())
        if cut == 0:
            return f"no image is larger than a tile of {self.side} pixels: none is cut"
        parts = int(self.ends[-1]) - len(self.tiled)
        return (
            f"{cut} of {counted(len(self.tiled), 'image')} larger than a tile of {self.side} pixels: "
            f"an epoch shows {counted(parts, 'part')} of them and each whole"
        )

    def shapes(self) -> set[tuple[int, int]]:
        """Heights and widths of all that is shown, in pixels of the images; unknown ones are left out."""
        shapes = {(height, width) for height, width in self.sizes.tolist() if height}
        return shapes | ({(self.side, self.side)} if self.tiled.any() else set())


def _spans(boxes: Array, height: int, width: int, tiles: Tiles) -> Array:
    """Where the windows of a picture may lie: ``(V, 4)`` lowest and highest left, lowest and highest top.

    Args:
        boxes: ``(M, 4)`` xyxy of its objects.
        height: of the picture in pixels.
        width: likewise.
        tiles: how it is cut.
    """
    last_left, last_top = max(width - tiles.side, 0), max(height - tiles.side, 0)
    around = [
        (max(x2 - tiles.side, 0), min(x1, last_left), max(y2 - tiles.side, 0), min(y1, last_top))
        for x1, y1, x2, y2 in hulls(boxes, height, width, tiles.side).tolist()
    ]
    count = -(-len(tiles.windows(height, width)) // TILES_PER_BACKGROUND)
    anywhere = [(0, last_left, 0, last_top)] * min(count, len(around) + MORE_BACKGROUND)
    return np.array([*around, *anywhere], np.int64)


def hulls(boxes: Array, height: int, width: int, side: int) -> Array:
    """Objects in groups that one window shows whole: bands from the top, in each band from the left.

    Args:
        boxes: ``(M, 4)`` xyxy, in pixels of the picture.
        height: of the picture.
        width: likewise.
        side: of a window.

    Returns:
        ``(G, 4)`` int64 xyxy, the box around each group in whole pixels, no longer than ``side``; objects
        that are longer are in none.
    """
    outer = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1).astype(np.int64)
    outer = outer.clip(0, np.array([width, height] * 2))
    sides = outer[:, 2:] - outer[:, :2]
    left = outer[((sides > 0) & (sides <= side)).all(1)]
    found = []
    while len(left):
        within = left[:, 3] <= left[:, 1].min() + side
        band, left = left[within], left[~within]
        while len(band):
            within = band[:, 2] <= band[:, 0].min() + side
            group, band = band[within], band[~within]
            found.append([*group[:, :2].min(0), *group[:, 2:].max(0)])
    return np.array(found, np.int64).reshape(-1, 4)


def in_window(target: Target, window: Window) -> Target:
    """The objects that a window shows, in its pixels.

    Args:
        target: objects in pixels of the picture.
        window: x1 y1 x2 y2 in the same.

    Returns:
        Boxes cut to the window; one of which less than ``LEAST_VISIBLE`` is left is an ignored region.
    """
    start, end = torch.tensor(window[:2]).float(), torch.tensor(window[2:]).float()
    boxes = torch.cat(
        [target.boxes[:, :2].maximum(start) - start, target.boxes[:, 2:].minimum(end) - start], 1
    )
    sides, before = boxes[:, 2:] - boxes[:, :2], target.boxes[:, 2:] - target.boxes[:, :2]
    seen = (sides > 0).all(1)
    enough = sides.prod(1) >= LEAST_VISIBLE * before.prod(1)
    return Target(boxes[seen], target.labels[seen], (target.ignored | ~enough)[seen])


def without_tiny(target: Target, size: tuple[int, int], policy: InputPolicy) -> Target:
    """The objects of a reduced picture; those too small for the network are ignored regions.

    Such a region is at least twice as long as the smallest object that is one, since of a smaller one every
    anchor would be background.

    Args:
        target: objects in pixels of the picture.
        size: its height and width.
        policy: how the network sees it.
    """
    scale = resized_size(*size, policy)[0] / size[0]
    sides = target.boxes[:, 2:] - target.boxes[:, :2]
    tiny = sides.min(1).values * scale < LEAST_SIDE
    middle, half = target.boxes[:, :2] + sides / 2, (sides / 2).clamp(min=LEAST_SIDE / scale)
    limit = torch.tensor([size[1], size[0]])
    wide = torch.cat([(middle - half).clamp(min=0), (middle + half).minimum(limit)], 1)
    boxes = torch.where((tiny & ~target.ignored)[:, None], wide, target.boxes)
    return Target(boxes, target.labels, target.ignored | tiny)
