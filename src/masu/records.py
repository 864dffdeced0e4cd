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

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from masu.thresholds import DEFAULT_THRESHOLD, Threshold

BACKGROUND = 0
"""Label of an anchor or proposal that matches no object."""

OBJECT = 1
"""Label of an anchor or proposal that matches an object."""

IGNORE = -1
"""Label of an anchor or proposal that takes no part in the loss."""


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
    tensor = torch.as_tensor(value, dtype=dtype)
    if tensor.shape != (count,):
        raise ValueError(f"{name}: found shape {tuple(tensor.shape)}, wanted ({count},), one per box")
    return tensor


@dataclass(frozen=True, eq=False)
class Target:
    """The labelled objects of one image.

    Args:
        boxes: ``(M, 4)`` xyxy in pixels of the image; tensor, array or nested list.
        labels: ``(M,)`` class ids ``0..K-1``, in the order of the detector's ``names``.
        ignored: ``(M,)`` booleans, true where a box marks a region to leave out of training and scoring
            (COCO crowd, VOC difficult). Default: none.

    Raises:
        ValueError: for a wrong shape, a value that is not finite or a negative label.
    """

    boxes: Tensor
    labels: Tensor
    ignored: Tensor = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        boxes = _boxes(self.boxes, "Target")
        count = len(boxes)
        labels = _per_box(self.labels, "Target.labels", count, torch.int64)
        if (labels < 0).any():
            raise ValueError(
                f"Target.labels: found {int(labels.min())}, wanted class ids from 0; background has none"
            )
        given = torch.zeros(count, dtype=torch.bool) if self.ignored is None else self.ignored
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "ignored", _per_box(given, "Target.ignored", count, torch.bool))

    def __len__(self) -> int:
        return len(self.boxes)

    def to(self, device: torch.device | str) -> Target:
        """The same target on another device."""
        return Target(self.boxes.to(device), self.labels.to(device), self.ignored.to(device))


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one image, best score first.

    Attributes:
        boxes: ``(k, 4)`` float32 xyxy in pixels of the image as it was given.
        scores: ``(k,)`` float32 in 0..1.
        labels: ``(k,)`` int64 class ids ``0..K-1``.
        names: ``k`` strings, the class name of each detection.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        boxes = _boxes(self.boxes, "Detections")
        count = len(boxes)
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", _per_box(self.scores, "Detections.scores", count, torch.float32))
        object.__setattr__(self, "labels", _per_box(self.labels, "Detections.labels", count, torch.int64))
        object.__setattr__(self, "names", tuple(self.names))
        if len(self.names) != count:
            raise ValueError(f"Detections.names: found {len(self.names)} names, wanted {count}, one per box")

    def __len__(self) -> int:
        return len(self.boxes)

    def above(self, threshold: Threshold) -> Detections:
        """Only the detections whose score is at least ``threshold``, or that of their class."""
        if isinstance(threshold, Mapping):
            least = [threshold.get(name, DEFAULT_THRESHOLD) for name in self.names]
            keep = self.scores >= self.scores.new_tensor(least)
        else:
            keep = self.scores >= threshold
        names = tuple(n for n, k in zip(self.names, keep.tolist(), strict=True) if k)
        return Detections(self.boxes[keep], self.scores[keep], self.labels[keep], names)


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


@dataclass(frozen=True, eq=False)
class Proposals:
    """Class-agnostic boxes that may hold an object, a fixed number per image, best first.

    Attributes:
        boxes: ``(N, P, 4)`` xyxy in pixels of the network's input; zeros beyond ``count``.
        scores: ``(N, P)`` objectness in 0..1; zeros beyond ``count``.
        count: ``(N,)`` int64, how many rows of each image are proposals.
    """

    boxes: Tensor
    scores: Tensor
    count: Tensor
