"""What the images themselves say of their annotations: sizes, orientations, and boxes that do not fit."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from masu.data.dataset import Dataset
from masu.data.kinds import Fault
from masu.data.pixels.headers import read_headers
from masu.errors import bad_input, listed

Array = np.ndarray[Any, Any]
Box = tuple[float, float, float, float]

_FARTHEST = 1e7  # float32 no longer holds single pixels beyond 2**24
_ROUNDING = 0.1  # pixels by which annotation tools overshoot when they round
_BLOCK = 1_000_000
KEPT = "boxes are taken to be those of the image as it is"
"""What is done where an annotation says another size than the image's: nothing."""


class Fitted(NamedTuple):
    """A box inside its image (None: nothing of use), and the kind, text and action of its fault, if any."""

    box: Box | None
    kind: str = ""
    found: str = ""
    action: str = ""


def measured(
    data: Dataset, progress: Callable[[int, int], None] | None = None, channels: int | None = None
) -> Dataset:
    """The data set after a look at the head of every image file.

    Sizes become those of the upright images, shares pixels. Where an image is turned by its EXIF data and the
    annotation's size is that of the picture as it is stored, its boxes are, too: they are turned with it. Any
    other size than the image's is a fault. An image that cannot be read is left out.

    Args:
        data: as a reader gives it.
        progress: called with (images looked at, images in total).
        channels: of the images where they are no RGB photographs.
    """
    found = read_headers(data.paths, progress, channels=channels)
    faults = [
        Fault("unreadable-image", data.paths[i], "image", text, "skipped", splits=data.splits_of(i))
        for i, text in sorted(found.faults.items())
    ]
    said, true = data.sizes, found.sizes
    known = said.any(1) & true.any(1)
    stored = known & of_stored_picture(said, true, found.orientations)
    boxes = data.boxes
    if stored.any() or data.relative.any():
        boxes = np.array(boxes, np.float64)
    for i in np.flatnonzero(stored).tolist():
        own = data.objects(i)
        boxes[own] = upright(boxes[own], int(found.orientations[i]), (int(true[i, 1]), int(true[i, 0])))
        faults.append(
            Fault(
                "stored-frame",
                data.files[data.image_files[i]],
                f"image {data.paths[i].name}",
                f"{said[i, 1]}×{said[i, 0]} pixels, the size before EXIF turns it (orientation "
                f"{found.orientations[i]})",
                "boxes turned with the picture",
                data.paths[i],
                data.splits_of(i),
            )
        )
    other = known & ~stored & (said != true).any(1)
    for i in np.flatnonzero(other).tolist():
        path = data.paths[i]
        text = f"{said[i, 1]}×{said[i, 0]} pixels in the annotation, {true[i, 1]}×{true[i, 0]} in {path.name}"
        file = data.files[data.image_files[i]]
        where = f"image {path.name}"
        faults.append(Fault("wrong-size", file, where, text, KEPT, path, data.splits_of(i)))
    if data.relative.any():
        owner = data.image_of
        shares = data.relative[owner]
        boxes[shares] *= true[owner[shares]][:, [1, 0, 1, 0]]
    made = replace(
        data,
        boxes=boxes,
        sizes=np.where(true.any(1, keepdims=True), true, said).astype(np.int32),
        claimed=np.where(other[:, None], said, 0).astype(np.int32),
        relative=np.zeros(len(data), np.bool_),
    )
    made = made.with_faults(faults)
    if found.faults:
        made = made.take(np.setdiff1d(np.arange(len(data)), sorted(found.faults)))
    return made


def of_stored_picture(said: Array, true: Array, orientations: Array) -> Array:
    """``(N,)`` bool: whether boxes are of the picture as it is stored, and are to be turned with it.

    Args:
        said: ``(N, 2)`` height and width that the annotation says.
        true: ``(N, 2)`` height and width of the upright image.
        orientations: ``(N,)`` EXIF orientation 1..8.
    """
    other = (said == true[:, ::-1]).all(1) & (said != true).any(1)
    turned: Array = (orientations >= 5) & other
    return turned


def upright(boxes: Array, orientation: int, stored: tuple[int, int]) -> Array:
    """Boxes of a picture as it is stored in those of the upright picture.

    Args:
        boxes: ``(M, 4)`` xyxy.
        orientation: EXIF orientation 1..8.
        stored: height and width as stored.
    """
    height, width = stored
    x1, y1, x2, y2 = boxes.T
    columns = {
        1: (x1, y1, x2, y2),
        2: (width - x2, y1, width - x1, y2),
        3: (width - x2, height - y2, width - x1, height - y1),
        4: (x1, height - y2, x2, height - y1),
        5: (y1, x1, y2, x2),
        6: (height - y2, x1, height - y1, x2),
        7: (height - y2, width - x2, height - y1, width - x1),
        8: (y1, width - x2, y2, width - x1),
    }[orientation]
    return np.stack(columns, axis=1)


def as_stored(boxes: Array, orientation: int, size: tuple[int, int]) -> Array:
    """What :func:`upright` undoes: boxes of the upright picture in those of the picture as it is stored.

    Args:
        boxes: ``(M, 4)`` xyxy.
        orientation: EXIF orientation 1..8.
        size: height and width, upright.
    """
    return upright(boxes, {6: 8, 8: 6}.get(orientation, orientation), size)


def fitted(data: Dataset) -> Dataset:
    """The data set with boxes that a detector can learn: inside their images, with an area, as float32.

    Boxes that reach outside are cut, those of no use left out; each is a fault. An overhang of up to 0.1 px
    is rounding and no fault.
    """
    single = _cut(data)[1]
    kept = np.ones(len(single), np.bool_)
    faults = []
    for row, image, fit in unfit(data):
        if fit.kind:
            file, where, path = data.file_of(row), data.where(row), data.paths[image]
            splits = data.splits_of(image)
            faults.append(Fault(fit.kind, file, where, fit.found, fit.action, path, splits))
        if fit.box is None:
            kept[row] = False
        else:
            single[row] = fit.box
    return replace(data, boxes=single).with_faults(faults).keep(kept)


def unfit(data: Dataset) -> Iterator[tuple[int, int, Fitted]]:
    """The objects whose boxes do not fit as they stand: row, image, and what fits."""
    good, owner = _cut(data)[0], data.image_of
    for row in np.flatnonzero(~good).tolist():
        image = int(owner[row])
        x1, y1, x2, y2 = data.boxes[row].tolist()
        height, width = data.sizes[image].tolist()
        yield row, image, fit_box((x1, y1, x2, y2), (height, width) if height else None)


def _cut(data: Dataset) -> tuple[Array, Array]:
    """Which boxes fit as they stand, and all of them cut to their images, as float32."""
    single = np.empty((len(data.boxes), 4), np.float32)
    good = np.empty(len(single), np.bool_)
    limits = np.where(data.sizes > 0, data.sizes, np.iinfo(np.int32).max)[:, [1, 0]]
    owner = data.image_of
    for start in range(0, len(single), _BLOCK):
        rows = slice(start, start + _BLOCK)
        boxes = data.boxes[rows]
        with np.errstate(invalid="ignore", over="ignore"):
            cut = np.concatenate(
                [np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], limits[owner[rows]])], 1
            )
            some = single[rows]
            some[:] = cut
            fits = np.isfinite(boxes).all(1) & (np.abs(boxes - cut) <= _ROUNDING).all(1)
            good[rows] = fits & (some[:, 2:] > some[:, :2]).all(1) & (np.abs(some) <= _FARTHEST).all(1)
    return good, single


def fit_box(box: Box, size: tuple[int, int] | None) -> Fitted:
    """The part of a box inside its image, and what was wrong with it.

    Args:
        box: xyxy in pixels, any numbers.
        size: height and width of the image; None skips the check against the image.

    Returns:
        The box to use; an overhang of up to 0.1 px is rounding: clipped and not a fault.
    """
    shown = "box " + " ".join(f"{value:.7g}" for value in box)
    if not all(math.isfinite(value) for value in box):
        return Fitted(None, "not-finite", f"{shown} is not finite", "skipped")
    if box[2] < box[0] or box[3] < box[1]:
        return Fitted(None, "inverted", f"{shown} has its corners in the wrong order", "skipped")
    if box[2] == box[0] or box[3] == box[1]:
        return Fitted(None, "no-area", f"{shown} has no area", "skipped")
    inside, kind, found, action = box, "", "", ""
    if size is not None:
        height, width = size
        x1, y1, x2, y2 = box
        inside = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            found = f"{shown} lies outside the image of {width}×{height} pixels"
            return Fitted(None, "outside", found, "skipped")
        if max(abs(a - b) for a, b in zip(box, inside, strict=True)) > _ROUNDING:
            kind, found = "overhang", f"{shown} reaches outside the image of {width}×{height} pixels"
            action = "clipped to " + " ".join(f"{value:.7g}" for value in inside)
    if max(abs(value) for value in inside) > _FARTHEST:
        return Fitted(None, "outside", f"{shown} lies beyond any image", "skipped")
    x1, y1, x2, y2 = struct.unpack("4f", struct.pack("4f", *inside))
    if x2 <= x1 or y2 <= y1:
        return Fitted(None, "no-area", f"{shown} has no area", "skipped")
    return Fitted((x1, y1, x2, y2), kind, found, action)


def with_names(data: Dataset, names: Sequence[str]) -> Dataset:
    """The data set with labels as indices into a model's names.

    Raises:
        InputError: names that are no sequence of distinct texts, or an object of a class not among them.
    """
    if isinstance(names, str) or len(set(names)) != len(names):
        raise bad_input("names", repr(names), "a sequence of distinct class names", "pass a model's names")
    number = {name: i for i, name in enumerate(names)}
    table = np.array([number.get(name, -1) for name in data.names], np.int32)
    if (unknown := np.flatnonzero(table[data.labels] < 0)).size:
        row = int(unknown[0])
        raise bad_input(
            f"{data.file_of(row)}, {data.where(row)}",
            f"class {data.names[data.labels[row]]!r}",
            f"one of the known classes ({listed(names)})",
            "rename the class in the annotations, or use a model trained with it",
            code="unknown-name",
        )
    ids = dict(zip(data.names, data.category_ids, strict=True))
    above = dict(zip(data.names, data.supercategories or [""] * len(data.names), strict=True))
    free = max(ids.values(), default=0) + 1
    for name in names:
        if name not in ids:
            ids[name], free = free, free + 1
    return data.relabelled(
        table,
        names=tuple(names),
        category_ids=tuple(ids[name] for name in names),
        supercategories=tuple(above.get(name, "") for name in names),
    )
