"""The words of masu: shape letters, label constants and the records passed between its parts.

Shape letters, used in every docstring:

======  ======================================================================
``N``   images in a batch
``L``   feature levels
``A``   anchors per cell of a level
``K``   classes (without background)
``M``   labelled objects of one image
``P``   proposals of one image
``H W`` height and width, always in this order
======  ======================================================================

Boxes are ``(..., 4)`` float32 tensors ``x1 y1 x2 y2`` in pixels, x to the right, y down.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from masu.thresholds import DEFAULT_THRESHOLD, Threshold

if TYPE_CHECKING:
    from PIL import Image

BACKGROUND = 0
"""Label of an anchor or proposal that matches no object."""

OBJECT = 1
"""Label of an anchor or proposal that matches an object."""

IGNORE = -1
"""Label of an anchor or proposal that takes no part in the loss."""

Record = TypeVar("Record")


def _boxes(value: object, owner: str) -> Tensor:
    boxes = torch.as_tensor(value, dtype=torch.float32)
    if boxes.numel() == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{owner}.boxes: found shape {tuple(boxes.shape)}, wanted (m, 4) as x1 y1 x2 y2")
    if not torch.isfinite(boxes).all():
        raise ValueError(f"{owner}.boxes: found a value that is not finite, wanted pixels")
    return boxes


def _per_box(value: object, name: str, count: int, dtype: torch.dtype) -> Tensor:
    try:
        given = torch.as_tensor(value)
        tensor = given.to(dtype)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name}: found {value!r}, wanted {count} numbers, one per box") from None
    if dtype == torch.int64 and given.is_floating_point() and not torch.equal(tensor.to(given.dtype), given):
        raise ValueError(f"{name}: found {given.tolist()}, wanted whole numbers")
    if tensor.shape != (count,):
        raise ValueError(f"{name}: found shape {tuple(tensor.shape)}, wanted ({count},), one per box")
    return tensor


def _unchecked(kind: type[Record], **values: object) -> Record:
    """A record of values that one like it held: to look at them again would wait for their device."""
    made = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _box_areas(boxes: Tensor) -> Tensor:
    """``(M,)`` float64 areas of ``(M, 4)`` xyxy boxes."""
    corners = boxes.to(_areas_on(boxes.device))
    return (corners[:, 2:] - corners[:, :2]).prod(1)


def _areas_on(device: torch.device) -> torch.dtype:
    """The type of areas: ``mps`` has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def _refuse_boxes_without_area(boxes: Tensor) -> None:
    wrong = (boxes[:, 2:] <= boxes[:, :2]).any(1)
    if not wrong.any():
        return
    row = int(wrong.nonzero()[0, 0])
    numbers = " ".join(f"{value:.7g}" for value in boxes[row].tolist())
    # equal corners are more likely an object without area, and sides are above 0 in every row
    habit = bool((boxes[row, 2:] != boxes[row, :2]).all() and (boxes[:, 2:] > 0).all())
    fix = "; this looks like x y width height: give x, y, x + width, y + height" if habit else ""
    raise ValueError(
        f"Target.boxes: found {numbers} in row {row}, wanted x1 y1 x2 y2 with x1 < x2 and y1 < y2{fix}"
    )


@dataclass(frozen=True, eq=False)
class Target:
    """The labelled objects of one image.

    Args:
        boxes: ``(M, 4)`` xyxy in pixels of the image, each with an area; tensor, array or nested list.
        labels: ``(M,)`` class ids ``0..K-1``, in the order of the detector's ``names``.
        ignored: ``(M,)`` booleans, true where a box marks a region to leave out of training and scoring
            (COCO crowd, VOC difficult). Default: none.
        areas: ``(M,)`` float64, square pixels that each object covers, such as those of its mask; scoring
            by size goes by them. Default: the box's own area.
        difficult: ``(M,)`` booleans, true where the object is one, but too hard to ask for (VOC); these are
            ignored too. The other ignored boxes are regions of many objects (crowds). Training makes no
            difference between the two, scoring does: see :mod:`masu.evaluation.difficult`. Default: none.

    Raises:
        ValueError: for a wrong shape, a value that is not finite, a box without area, a negative label or
            an area that is negative or not finite.
    """

    boxes: Tensor
    labels: Tensor
    ignored: Tensor = field(default=None)  # type: ignore[assignment]
    areas: Tensor = field(default=None)  # type: ignore[assignment]
    difficult: Tensor = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        boxes = _boxes(self.boxes, "Target").clone()  # what was given may be changed later
        _refuse_boxes_without_area(boxes)
        count = len(boxes)
        labels = _per_box(self.labels, "Target.labels", count, torch.int64)
        if (labels < 0).any():
            raise ValueError(
                f"Target.labels: found {int(labels.min())}, wanted class ids from 0; background has none"
            )
        none = torch.zeros(count, dtype=torch.bool)
        ignored = _per_box(
            none if self.ignored is None else self.ignored, "Target.ignored", count, torch.bool
        )
        difficult = _per_box(
            none if self.difficult is None else self.difficult, "Target.difficult", count, torch.bool
        )
        areas = _box_areas(boxes) if self.areas is None else self.areas
        areas = _per_box(areas, "Target.areas", count, torch.float64)
        if not (torch.isfinite(areas) & (areas >= 0)).all():
            raise ValueError("Target.areas: found one below 0 or not finite, wanted square pixels")
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "ignored", ignored | difficult.to(ignored.device))
        object.__setattr__(self, "areas", areas)
        object.__setattr__(self, "difficult", difficult)

    def __len__(self) -> int:
        return len(self.boxes)

    def to(self, device: torch.device | str) -> Target:
        """The same target on another device."""
        return Target._trusted(
            self.boxes.to(device),
            self.labels.to(device),
            self.ignored.to(device),
            self.areas.to(device, _areas_on(torch.device(device))),
            self.difficult.to(device),
        )

    def with_boxes(self, boxes: Tensor) -> Target:
        """The same objects elsewhere: ``(M, 4)`` xyxy in other pixels, areas those of the boxes."""
        return Target._trusted(boxes, self.labels, self.ignored, None, self.difficult)

    def taken(self, rows: Tensor) -> Target:
        """Only the objects of these rows, ``(m,)`` indices or ``(M,)`` booleans."""
        rows = torch.where(rows)[0] if rows.dtype == torch.bool else rows
        return Target._trusted(
            self.boxes[rows], self.labels[rows], self.ignored[rows], self.areas[rows], self.difficult[rows]
        )

    def without_ignored(self) -> Target:
        """Only the objects that are not ignored."""
        return self.taken(~self.ignored)

    @classmethod
    def _trusted(
        cls,
        boxes: Tensor,
        labels: Tensor,
        ignored: Tensor,
        areas: Tensor | None = None,
        difficult: Tensor | None = None,
    ) -> Target:
        """Of tensors that come from a target; a box scaled down may have lost its area to rounding."""
        return _unchecked(
            cls,
            boxes=boxes,
            labels=labels,
            ignored=ignored,
            areas=_box_areas(boxes) if areas is None else areas,
            difficult=torch.zeros_like(ignored) if difficult is None else difficult,
        )


def check_labels(targets: Sequence[Target], names: Sequence[str]) -> None:
    """Refuse class ids that a detector has no name for.

    Args:
        targets: of any number of images.
        names: the detector's class names; ``K`` of them.

    Raises:
        TypeError: for what is no target.
        ValueError: for a label from ``K``; with the fix where all labels together look like ``1..K``.
    """
    for i, target in enumerate(targets):
        if not isinstance(target, Target):
            raise TypeError(
                f"targets[{i}]: found {type(target).__name__}, wanted masu.Target(boxes=…, labels=…), whose "
                "labels count from 0"
            )
    count = len(names)
    largest = [int(target.labels.max()) if len(target) else -1 for target in targets]
    worst = max(largest, default=-1)
    if worst < count:
        return
    image = next(i for i, label in enumerate(largest) if label >= count)
    habit = worst == count and not any((target.labels == 0).any() for target in targets)
    fix = (
        f"; all labels lie in 1..{count}, as torchvision counts with 0 for background: subtract 1, since "
        "masu counts classes from 0"
        if habit
        else ""
    )
    raise ValueError(
        f"targets[{image}].labels: found {largest[image]}, wanted class ids 0..{count - 1}, one per name{fix}"
    )


class Detection(NamedTuple):
    """One object that was found, as plain numbers.

    Attributes:
        box: x1 y1 x2 y2 in pixels of the image as it was given.
        score: in 0..1.
        label: class id ``0..K-1``.
        name: class name.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    name: str


Rows: TypeAlias = int | slice | Tensor | Sequence[int] | np.ndarray[Any, Any]
"""Which detections are meant: one, a range, ``(k,)`` booleans or any number of indices."""

_NAMES_SHOWN = 5


@dataclass(frozen=True, eq=False, repr=False)
class Detections:
    """What a detector found in one image, best score first.

    ``for one in found`` gives each object as a :class:`Detection`; ``found[0]``, ``found[:5]``,
    ``found[found.scores > 0.9]`` and ``found[[2, 0]]`` give :class:`Detections` of those alone.

    Attributes:
        boxes: ``(k, 4)`` float32 xyxy in pixels of the image as it was given.
        scores: ``(k,)`` float32 in 0..1.
        labels: ``(k,)`` int64 class ids ``0..K-1``.
        names: ``k`` strings, the class name of each detection. Default: its label as text, ``"0"``.
        path: the image file; None where ``predict`` was given pixels.

    Raises:
        ValueError: for a wrong shape, a value that is not finite, or not as many names as boxes.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    names: tuple[str, ...] = field(default=None)  # type: ignore[arg-type]
    path: Path | None = None

    def __post_init__(self) -> None:
        boxes = _boxes(self.boxes, "Detections")
        count = len(boxes)
        labels = _per_box(self.labels, "Detections.labels", count, torch.int64)
        names = map(str, labels.tolist()) if self.names is None else self.names
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", _per_box(self.scores, "Detections.scores", count, torch.float32))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "path", None if self.path is None else Path(self.path))
        if len(self.names) != count:
            raise ValueError(f"Detections.names: found {len(self.names)} names, wanted {count}, one per box")

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        if not len(self):
            return "Detections(0)"
        counts = [f"{many} {name}" for name, many in Counter(self.names).most_common()]
        more = ["…"] if len(counts) > _NAMES_SHOWN else []
        shown = ", ".join(counts[:_NAMES_SHOWN] + more)
        return f"Detections({len(self)}: {shown}; best {float(self.scores.max()):.2f})"

    def __iter__(self) -> Iterator[Detection]:
        rows = zip(self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), self.names, strict=True)
        return iter([Detection(tuple(box), score, label, name) for box, score, label, name in rows])

    def __getitem__(self, rows: Rows) -> Detections:
        chosen = _chosen(rows, len(self), self.boxes.device)
        return _unchecked(
            Detections,
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            labels=self.labels[chosen],
            names=tuple(self.names[row] for row in chosen.tolist()),
            path=self.path,
        )

    def to(self, device: torch.device | str) -> Detections:
        """The same detections on another device."""
        parts = {name: value.to(device) for name, value in self.to_dict().items()}
        return _unchecked(Detections, **parts, names=self.names, path=self.path)

    def to_dict(self, first: int = 0) -> dict[str, Tensor]:
        """``boxes``, ``scores`` and ``labels`` as torchvision and torchmetrics name them.

        The names are left out: what compares detections with targets takes numbers alone.

        Args:
            first: label of the first class: 0, or 1 as torchvision's models count, whose 0 is background.

        Raises:
            ValueError: for another number.
        """
        if first not in (0, 1):
            raise ValueError(f"to_dict: found first={first!r}, wanted 0, or 1 as torchvision counts classes")
        labels = self.labels + 1 if first else self.labels
        return {"boxes": self.boxes, "scores": self.scores, "labels": labels}

    def above(self, threshold: Threshold) -> Detections:
        """Only the detections whose score is at least ``threshold``, or that of their class."""
        if isinstance(threshold, Mapping):
            least = [threshold.get(name, DEFAULT_THRESHOLD) for name in self.names]
            return self[self.scores >= self.scores.new_tensor(least)]
        return self[self.scores >= threshold]

    def with_path(self, path: str | os.PathLike[str]) -> Detections:
        """The same detections, found in the image file at ``path``."""
        return _unchecked(Detections, **self.to_dict(), names=self.names, path=Path(path))

    def plot(self, image: Any = None) -> Image.Image:
        """The image with boxes, class names and scores drawn on it; a notebook shows it.

        Args:
            image: file, Pillow image, array ``(H, W, 3)`` or tensor ``(3, H, W)``. Default: the file at
                ``path``, which is read again.

        Returns:
            An RGB picture of the image's size.

        Raises:
            InputError: for an image that cannot be read, or none where the detections came from pixels.
        """
        from masu.results import plot

        return plot(self, image)

    def save(self, path: str | os.PathLike[str], image: Any = None) -> Path:
        """Write a picture with the boxes on it, or the boxes as text; the file's suffix says which.

        Args:
            path: ``.jpg``, ``.png`` or another picture that Pillow writes; ``.json``: a list of one entry as
                ``masu detect`` writes it; ``.csv``: a row for each object. An older file is replaced.
            image: see :meth:`plot`.

        Returns:
            The file.

        Raises:
            InputError: for an unknown suffix, a file that cannot be written, and as :meth:`plot`.
        """
        from masu.results import save

        return save(self, Path(path), image)

    def to_supervision(self) -> Any:
        """The same as ``supervision.Detections``, class names in ``data["class_name"]``.

        Raises:
            InputError: where the package is not installed.
        """
        from masu.results import to_supervision

        return to_supervision(self)

    def to_dataframe(self) -> Any:
        """A table with the columns ``x1 y1 x2 y2 score label name``, a row for each object.

        Returns:
            A data frame of pandas or, where that is not installed, of polars.

        Raises:
            InputError: where neither is installed.
        """
        from masu.results import to_dataframe

        return to_dataframe(self)


def _chosen(rows: object, count: int, device: torch.device) -> Tensor:
    """``(m,)`` indices of what stands in brackets after ``count`` detections."""
    if isinstance(rows, slice):
        return torch.tensor(range(count)[rows], dtype=torch.int64, device=device)
    try:
        given = torch.as_tensor(rows, device=device)
    except (TypeError, ValueError, RuntimeError):
        raise _no_rows(f"a {type(rows).__name__}") from None
    if given.dtype == torch.bool:
        if given.shape != (count,):
            shape = tuple(given.shape)
            raise IndexError(f"detections[…]: found a mask of shape {shape}, wanted ({count},), one per box")
        return torch.where(given)[0]
    if given.ndim > 1 or (given.is_floating_point() and given.numel()):
        raise _no_rows(f"shape {tuple(given.shape)} of {given.dtype}")
    given = given.reshape(-1).long()
    outside = given[(given < -count) | (given >= count)]
    if len(outside):
        raise IndexError(f"detections[…]: found index {int(outside[0])}, wanted one of {count} detections")
    return given


def _no_rows(found: str) -> TypeError:
    return TypeError(f"detections[…]: found {found}, wanted an index, a slice, a mask or a list of indices")


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images as the network sees them.

    Attributes:
        pixels: ``(N, C, H, W)`` in the network's dtype: resized, normalised, padded with zeros.
        sizes: ``(N, 2)`` int64 height and width of each image within ``pixels``.
        original_sizes: ``(N, 2)`` int64 height and width of each image as it was given.
    """

    pixels: Tensor
    sizes: Tensor
    original_sizes: Tensor
