"""How transforms of other libraries are called: torchvision's v2 and albumentations.

Both are given the numbers of a target's rows as labels. The rows that come back say which objects are left,
so that these keep everything that is known of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from masu.errors import bad_input
from masu.records import Target

Change = Callable[[Tensor, Target], tuple[Tensor, Target]]
"""``(C, H, W)`` and the objects in it → both, changed together."""

_XYXY = tv_tensors.BoundingBoxFormat.XYXY


@dataclass(frozen=True)
class Torchvision:
    """A transform of ``torchvision.transforms.v2`` as a callable on an image and its target.

    It is called with ``(tv_tensors.Image, {"boxes": BoundingBoxes, "labels": row numbers})``.

    Attributes:
        transform: the transform, such as a ``v2.Compose``.
    """

    transform: Callable[..., Any]

    def __call__(self, image: Tensor, target: Target) -> tuple[Tensor, Target]:
        """The image and its target, changed."""
        size = (image.shape[-2], image.shape[-1])
        boxes = tv_tensors.BoundingBoxes(target.boxes, format=_XYXY, canvas_size=size)
        rows = torch.arange(len(target))
        picture, left = self.transform(tv_tensors.Image(image), {"boxes": boxes, "labels": rows})
        moved, form = left["boxes"], getattr(left["boxes"], "format", _XYXY)
        corners = F.convert_bounding_box_format(moved.as_subclass(Tensor), form, _XYXY)
        return picture, _left(target, left["labels"], corners)


@dataclass(frozen=True)
class Albumentations:
    """A ``Compose`` of albumentations (from version 2) as a callable on an image and its target.

    Its random numbers are drawn anew for each call, from the global random states.

    Attributes:
        compose: with ``bbox_params`` of format ``pascal_voc`` and one label field.

    Raises:
        InputError: other ``bbox_params``, or none.
    """

    compose: Any

    def __post_init__(self) -> None:
        processor = getattr(self.compose, "processors", {}).get("bboxes")
        found = None if processor is None else processor.params
        fields = [] if found is None else found.label_fields or []
        if found is None or found.format != "pascal_voc" or len(fields) != 1:
            said = f"format {found.format!r} and label_fields {fields}" if found else "none"
            raise bad_input(
                "bbox_params of the albumentations augmentation",
                said,
                "a Compose whose boxes are x1 y1 x2 y2 in pixels, with one label field",
                'give bbox_params=albumentations.BboxParams(format="pascal_voc", label_fields=["labels"])',
            )

    def __call__(self, image: Tensor, target: Target) -> tuple[Tensor, Target]:
        """The image and its target, changed."""
        (field,) = self.compose.processors["bboxes"].params.label_fields
        # One stream for all transforms: set_random_seed gives each its own of the same seed, so that two
        # flips with probability 0.5 always come together.
        seeds = np.random.randint(2**31, size=4).tolist()
        self.compose.set_random_state(np.random.default_rng(seeds), random.Random(random.getrandbits(64)))
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        rows = np.arange(len(target))
        made = self.compose(image=pixels, bboxes=target.boxes.numpy(), **{field: rows})
        boxes = torch.as_tensor(np.asarray(made["bboxes"], np.float32).reshape(-1, 4))
        picture = made["image"]
        if isinstance(picture, np.ndarray):  # albumentations' own ToTensorV2 has made a tensor of it
            picture = torch.from_numpy(picture).permute(2, 0, 1)
        return picture, _left(target, torch.as_tensor(np.asarray(made[field], np.int64)), boxes)


LIBRARIES: Mapping[str, Callable[[Any], Change]] = {
    "torchvision.transforms.v2": Torchvision,
    "albumentations": Albumentations,
}
"""Where transforms come from that are called in a way of their own."""


def called(given: Callable[..., Any]) -> Change:
    """The callable itself; a library's transform as a callable on an image and its target."""
    homes = [f"{base.__module__}." for base in type(given).__mro__]
    for library, dressed in LIBRARIES.items():
        if any(home.startswith(f"{library}.") for home in homes):
            return dressed(given)
    return given


def _left(target: Target, rows: Tensor, boxes: Tensor) -> Target:
    """The objects of these rows, with these boxes."""
    return target.taken(rows.long()).with_boxes(boxes)
