"""The demo's data set: handwritten digits on photographs, all of it installed with scikit-learn."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from masu.atomic import folder_whole, new_file
from masu.errors import InputError, bad_input

Pixels: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.float64]
Box: TypeAlias = tuple[int, int, int, int]

NAMES = tuple("0123456789")
"""Class names of the data set."""

SPLITS = ("train", "val", "test")

# What each split may use, as shares. The digits are in the order in which they were collected, one writer
# after the other: cut in that order, the test set's handwriting is (but for one writer at the cut) unknown.
_DIGITS = {"train": (0.0, 0.72), "val": (0.72, 0.80), "test": (0.80, 1.0)}
# The photographs are cut into upright strips, so that no background pixel is in two splits.
_COLUMNS = {"test": (0.0, 0.3), "val": (0.3, 0.45), "train": (0.45, 1.0)}

_MOST_DIGITS = 6
_INK_HEIGHT = (20, 90)  # pixels, drawn log-uniformly
_WITHOUT_DIGITS = 10  # one scene in so many is a bare photograph
_GAP = 3  # pixels between two boxes
_LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601
_CLEAR = 95.0  # difference in luma, of 255, at which ink is easy to read


@dataclass(frozen=True, eq=False)
class Material:
    """What one split is made of; two splits share none of it.

    Attributes:
        digits: ``(n, 8, 8)`` ink of handwritten digits in 0..1.
        labels: the digit that each one is, ``0..9``.
        photographs: ``(H, W, 3)`` uint8 strips of photographs, backgrounds are cut from them.
    """

    digits: Mask
    labels: tuple[int, ...]
    photographs: tuple[Pixels, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture with its digits.

    Attributes:
        pixels: ``(H, W, 3)`` uint8.
        boxes: x1 y1 x2 y2 of each digit, tight around its ink.
        labels: the digits, in the order of ``boxes``.
    """

    pixels: Pixels
    boxes: tuple[Box, ...]
    labels: tuple[int, ...]


def make_scenes(folder: Path, train: int, val: int, test: int, seed: int = 0) -> None:
    """Write the demo's data set in COCO's layout; the same files for the same numbers.

    Real handwritten digits (scikit-learn's ``load_digits``) stand in random ink on crops of real
    photographs (``load_sample_images``), up to six in a scene of about 320×240 pixels; one scene in ten
    shows none. The splits share neither a digit nor a pixel of a photograph.

    Args:
        folder: new or empty; appears whole, with ``annotations/instances_<split>.json`` and
            ``images/<split>/*.jpg``.
        train: number of scenes to learn from.
        val: number of scenes to choose the best epoch by.
        test: number of scenes to score with.
        seed: any integer from 0.

    Raises:
        InputError: without scikit-learn, for a split of no scenes, a negative seed, or a folder that cannot
            be written.
    """
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    for name, value, least in [*((split, count, 1) for split, count in counts.items()), ("seed", seed, 0)]:
        if value < least:
            raise bad_input("demo scenes", f"{name} = {value}", f"{least} or more", "raise it")
    material = split_material()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_whole(folder) as made:
            for number, (split, count) in enumerate(counts.items()):
                scenes = compose_scenes(material[split], count, np.random.default_rng([seed, number]))
                _write_split(made, split, scenes)
    except OSError as error:
        found, fix = f"cannot be written ({error.strerror})", "choose another folder with --out"
        raise InputError(
            f"{folder}: {found}; {fix}", thing=str(folder), found=found, fix=fix, code="not-written"
        ) from error


def split_material() -> dict[str, Material]:
    """Digits and photographs of each split.

    Raises:
        InputError: without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits, load_sample_images  # optional, and slow to import
    except ImportError:
        raise bad_input(
            "demo",
            "no scikit-learn",
            "its digits and photographs",
            'install them: pip install "masu[demo]"',
            code="missing-package",
        ) from None
    digits = load_digits()
    photographs = [np.asarray(photograph, np.uint8) for photograph in load_sample_images().images]
    return {
        split: Material(
            _share(digits.images / 16.0, *_DIGITS[split]),
            tuple(int(label) for label in _share(digits.target, *_DIGITS[split])),
            tuple(
                _share(photograph.swapaxes(0, 1), *_COLUMNS[split]).swapaxes(0, 1)
                for photograph in photographs
            ),
        )
        for split in SPLITS
    }


def compose_scenes(material: Material, count: int, rng: np.random.Generator) -> list[Scene]:
    """Scenes of one split; every digit is used once before one is used twice."""
    scenes = []
    order: list[int] = []
    for index in range(count):
        # the fifth, so that the few scenes of a report's first page include one
        wanted = 0 if index % _WITHOUT_DIGITS == 4 else int(rng.integers(1, _MOST_DIGITS + 1))
        while len(order) < wanted:
            order.extend(rng.permutation(len(material.labels)).tolist())
        chosen, order = order[:wanted], order[wanted:]
        photograph = material.photographs[int(rng.integers(len(material.photographs)))]
        digits = [(material.digits[i], material.labels[i]) for i in chosen]
        scenes.append(compose(background(photograph, rng), digits, rng))
    return scenes


def background(photograph: Pixels, rng: np.random.Generator) -> Pixels:
    """A random crop of a photograph, perhaps mirrored, as large as a scene: ``(H, W, 3)``."""
    width, height = int(rng.integers(296, 345)), int(rng.integers(224, 257))
    tall, wide = photograph.shape[:2]
    crop = min(wide, tall * width / height) * rng.uniform(0.7, 1.0)
    left = rng.uniform(0, wide - crop)
    top = rng.uniform(0, tall - crop * height / width)
    picture = Image.fromarray(np.ascontiguousarray(photograph)).resize(
        (width, height), Image.Resampling.BICUBIC, box=(left, top, left + crop, top + crop * height / width)
    )
    pixels = np.asarray(picture)
    return pixels[:, ::-1].copy() if rng.random() < 0.5 else pixels.copy()


def compose(
    ground: Pixels,
    digits: Sequence[tuple[Mask, int]],
    rng: np.random.Generator,
    heights: tuple[int, int] = _INK_HEIGHT,
) -> Scene:
    """Write digits on a background, apart from one another; one that finds no room is left out.

    Args:
        ground: ``(H, W, 3)`` uint8, not changed.
        digits: the 8×8 ink of each digit, and which digit it is.
        rng: source of size, slant, place and colour.
        heights: smallest and largest height of the ink in pixels, drawn log-uniformly.
    """
    pixels = ground.copy()
    boxes: list[Box] = []
    labels: list[int] = []
    low, high = heights
    for digit, label in digits:
        height = round(low * (high / low) ** rng.random())
        mask = ink(digit, height, float(rng.uniform(-12, 12)))
        box = _free_place(mask.shape, ground.shape, boxes, rng)
        if box is None:
            continue
        x1, y1, x2, y2 = box
        patch = pixels[y1:y2, x1:x2]
        colour = _legible_colour(patch, rng)
        share = mask[..., None] * rng.uniform(0.88, 1.0)
        pixels[y1:y2, x1:x2] = np.rint(patch * (1 - share) + colour * share)
        boxes.append(box)
        labels.append(label)
    return Scene(pixels, tuple(boxes), tuple(labels))


def ink(digit: Mask, height: int, degrees: float) -> Mask:
    """A digit as a smooth stroke: opacity in 0..1, with ink in each outermost row and column.

    Args:
        digit: ``(8, 8)`` share of ink in each cell, in 0..1.
        height: wanted height of the ink in pixels; met to a pixel or two.
        degrees: turn, anticlockwise.
    """
    fine = 16  # pixels for each of the 8 cells
    cells = Image.fromarray(np.pad(digit, 2).astype(np.float32))
    large = cells.resize((cells.width * fine, cells.height * fine), Image.Resampling.BICUBIC)
    turned = np.asarray(large.rotate(degrees, Image.Resampling.BICUBIC))
    stroke = _cropped(np.clip((turned - 0.42) / 0.1, 0, 1))  # the contour at half the ink, about
    width = max(2, round(stroke.shape[1] * height / stroke.shape[0]))
    small = Image.fromarray(stroke.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    mask = np.asarray(small, np.float64)
    return _cropped(np.where(mask < 0.15, 0.0, mask))  # fainter than one can see


def _cropped(mask: Mask) -> Mask:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _free_place(
    size: tuple[int, ...], room: tuple[int, ...], taken: Sequence[Box], rng: np.random.Generator
) -> Box | None:
    """A place for (height, width) clear of the boxes taken; None after forty tries."""
    for _ in range(40):
        x1 = int(rng.integers(2, room[1] - size[1] - 2))
        y1 = int(rng.integers(2, room[0] - size[0] - 2))
        x2, y2 = x1 + size[1], y1 + size[0]
        if not any(
            x1 < b[2] + _GAP and b[0] < x2 + _GAP and y1 < b[3] + _GAP and b[1] < y2 + _GAP for b in taken
        ):
            return x1, y1, x2, y2
    return None


def _legible_colour(patch: Pixels, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A random ink that stands out from the dark and the light parts of a patch, or the best of some."""
    parts = np.percentile(patch @ _LUMA, (10, 50, 90))
    candidates = [*rng.uniform(0, 255, (24, 3)), np.full(3, 12.0), np.full(3, 245.0)]
    clearness = [float(np.abs(parts - colour @ _LUMA).min()) for colour in candidates]
    clear = (colour for colour, value in zip(candidates, clearness, strict=True) if value >= _CLEAR)
    return next(clear, candidates[int(np.argmax(clearness))])


def _share(values: npt.NDArray[Any], start: float, stop: float) -> npt.NDArray[Any]:
    return values[round(len(values) * start) : round(len(values) * stop)]


def _write_split(folder: Path, split: str, scenes: Sequence[Scene]) -> None:
    pictures = folder / "images" / split
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, scene in enumerate(scenes, 1):
        name = f"{split}-{image_id:04}.jpg"
        content = io.BytesIO()
        Image.fromarray(scene.pixels).save(content, "JPEG", quality=92)
        new_file(pictures / name, content.getvalue())
        height, width = scene.pixels.shape[:2]
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for (x1, y1, x2, y2), label in zip(scene.boxes, scene.labels, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)]
    page = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    new_file(folder / "annotations" / f"instances_{split}.json", page.encode())
