"""Made-up scenes to pretrain on: rendered things on photographs and textures, boxes known exactly.

The things are pictures with transparency, one file each; Microsoft's Fluent Emoji (MIT licence), rendered in
3D, are 1,900 of them. Backgrounds are noise and those
photographs that scikit-image installs which show no thing: what is pasted is then all there is to find.
Nothing of any data set that masu is measured on is used.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from masu.records import Target

Pixels = npt.NDArray[np.uint8]
Draw = np.random.Generator

_SKIN = re.compile(r"-1f3f[b-f]")  # the same thing in another colour of skin
_SIDE = 200  # pixels; things are kept at this size
_SOLID = 0.3  # alpha from which a pixel belongs to a thing
_LEAST_VISIBLE = 0.4  # share of a thing that must not be covered for it to count

_PHOTOGRAPHS = (
    "brick.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "page.png",
    "text.png",
)


class Scenes:
    """Endless scenes.

    Args:
        things: folder of pictures with transparency, one thing each.
    """

    def __init__(self, things: Path) -> None:
        files = [path for path in sorted(things.glob("*.webp")) if not _SKIN.search(path.stem)]
        self.things = [thing for path in files if (thing := _thing(path)) is not None]
        folder = Path(skimage.__file__).parent / "data"
        self.photographs = [Image.open(folder / name).convert("RGB") for name in _PHOTOGRAPHS]

    def scene(self, draw: Draw, height: int, width: int) -> tuple[torch.Tensor, Target]:
        """A picture ``(3, height, width)`` uint8 with up to 19 things; labels are places in ``things``."""
        canvas = np.asarray(self._background(draw, height, width), np.float32).copy()
        owner = np.full((height, width), -1)
        boxes: list[list[int]] = []
        labels: list[int] = []
        areas: list[int] = []
        few = draw.integers(len(self.things), size=int(draw.integers(1, 4))) if draw.random() < 0.4 else None
        typical = math.exp(draw.uniform(math.log(14), math.log(220)))
        spread = 0.15 if draw.random() < 0.4 else 0.8
        look = _Look.draw(draw)
        for _ in range(int(draw.integers(1, 20 if typical < 120 else 6))):
            label = int(draw.choice(few) if few is not None else draw.integers(len(self.things)))
            size = float(np.clip(typical * math.exp(draw.normal(0, spread)), 10, 300))
            picture = np.asarray(_turned(draw, Image.fromarray(self.things[label]), size), np.float32)
            tall, wide = picture.shape[:2]
            x = int(draw.integers(-(wide // 4), max(width - 3 * wide // 4, 1)))
            y = int(draw.integers(-(tall // 4), max(height - 3 * tall // 4, 1)))
            x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + wide, width), min(y + tall, height)
            if min(x2 - x1, y2 - y1) < 4:
                continue
            picture = picture[y1 - y : y2 - y, x1 - x : x2 - x]
            alpha = picture[..., 3:] / 255
            solid = alpha[..., 0] > _SOLID
            part = owner[y1:y2, x1:x2]
            if solid.sum() < 20 or (part[solid] >= 0).mean() > draw.uniform(0, 0.6):
                continue
            place = canvas[y1:y2, x1:x2]
            place[:] = (
                place * (1 - alpha * look.opacity) + look.colours(picture[..., :3]) * alpha * look.opacity
            )
            part[solid] = len(boxes)
            rows, columns = np.where(solid)
            box = [x1 + columns.min(), y1 + rows.min(), x1 + columns.max() + 1, y1 + rows.max() + 1]
            boxes.append([int(v) for v in box])
            labels.append(label)
            areas.append(int(solid.sum()))
        seen = [i for i, area in enumerate(areas) if (owner == i).sum() >= _LEAST_VISIBLE * area]
        kept = np.array([boxes[i] for i in seen], np.float32).reshape(-1, 4)
        kinds = np.array([labels[i] for i in seen], np.int64)
        target = Target(torch.from_numpy(kept), torch.from_numpy(kinds))
        return torch.from_numpy(_developed(draw, canvas).transpose(2, 0, 1).copy()), target

    def _background(self, draw: Draw, height: int, width: int) -> Image.Image:
        if draw.random() < 0.6:
            whole = self.photographs[draw.integers(len(self.photographs))]
            zoom = draw.uniform(0.3, 1.0)
            wide = max(int(whole.width * zoom), 32)
            tall = max(min(int(wide * height / width), whole.height), 32)
            x, y = draw.integers(whole.width - wide + 1), draw.integers(whole.height - tall + 1)
            picture = whole.crop((x, y, x + wide, y + tall)).resize(
                (width, height), Image.Resampling.BILINEAR
            )
            picture = ImageOps.mirror(picture) if draw.random() < 0.5 else picture
            picture = ImageOps.flip(picture) if draw.random() < 0.3 else picture
        else:
            picture = _noise(draw, height, width)
        if draw.random() < 0.3:
            picture = picture.filter(ImageFilter.GaussianBlur(draw.uniform(0.5, 4)))
        if draw.random() < 0.3:
            picture = ImageOps.grayscale(picture).convert("RGB")
        if draw.random() < 0.5:
            colour = tuple(int(v) for v in draw.integers(0, 256, 3))
            picture = Image.blend(picture, Image.new("RGB", picture.size, colour), draw.uniform(0, 0.6))
        return picture


class _Look:
    """What the things of one scene have in common: tint, grey or not, opacity."""

    def __init__(self, tint: npt.NDArray[np.float64] | None, grey: bool, opacity: float) -> None:
        self.tint, self.grey, self.opacity = tint, grey, opacity

    @classmethod
    def draw(cls, draw: Draw) -> _Look:
        tint = None if draw.random() < 0.6 else draw.uniform(0.3, 1.2, 3)
        grey = bool(draw.random() < 0.25)
        return cls(tint, grey, draw.uniform(0.5, 1.0) if draw.random() < 0.35 else 1.0)

    def colours(self, rgb: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.grey:
            rgb = rgb.mean(2, keepdims=True).repeat(3, 2)
        return rgb if self.tint is None else np.clip(rgb * self.tint, 0, 255)


def _thing(path: Path) -> Pixels | None:
    picture = Image.open(path).convert("RGBA")
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    box = picture.getchannel("A").point(lambda a: 255 * (a > 40)).getbbox()
    return None if box is None else np.asarray(picture.crop(box))


def _turned(draw: Draw, picture: Image.Image, size: float) -> Image.Image:
    """Mirrored, stretched, turned, of about ``size`` pixels."""
    picture = ImageOps.mirror(picture) if draw.random() < 0.5 else picture
    stretch, scale = math.exp(draw.normal(0, 0.2)), size / math.sqrt(picture.width * picture.height)
    sides = max(4, int(picture.width * scale * stretch)), max(4, int(picture.height * scale / stretch))
    picture = picture.resize(sides, Image.Resampling.BILINEAR)
    if draw.random() < 0.7:
        angle = draw.uniform(-180, 180) if draw.random() < 0.5 else draw.normal(0, 15)
        picture = picture.rotate(angle, expand=True, resample=Image.Resampling.BILINEAR)
    return picture


def _noise(draw: Draw, height: int, width: int) -> Image.Image:
    """Smooth noise of several scales about a colour."""
    total = np.zeros((height, width, 3), np.float32)
    for cells in (2, 4, 8, 16, 32, 64):
        if draw.random() < 0.6:
            small = draw.random((cells + 1, cells + 1, 3))
            if draw.random() < 0.5:
                small = small.mean(2, keepdims=True).repeat(3, 2)
            picture = Image.fromarray((small * 255).astype(np.uint8))
            large = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), np.float32)
            total += (large - 128) * draw.uniform(0.1, 1) / math.sqrt(cells / 2)
    colour = draw.uniform(20, 235, 3) if draw.random() < 0.7 else np.full(3, draw.uniform(20, 235))
    return Image.fromarray(np.clip(total + colour, 0, 255).astype(np.uint8))


def _developed(draw: Draw, canvas: npt.NDArray[Any]) -> Pixels:
    """Blur, contrast, brightness and grain of a camera."""
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    if draw.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(draw.uniform(0.3, 1.5)))
    if draw.random() < 0.5:
        picture = ImageEnhance.Contrast(picture).enhance(draw.uniform(0.5, 1.3))
    if draw.random() < 0.5:
        picture = ImageEnhance.Brightness(picture).enhance(draw.uniform(0.6, 1.4))
    pixels: npt.NDArray[Any] = np.asarray(picture, np.float32)
    if draw.random() < 0.4:
        pixels = pixels + draw.normal(0, draw.uniform(1, 12), pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)
