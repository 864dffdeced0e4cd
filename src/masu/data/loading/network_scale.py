"""The objects of a data set as the network sees them: resized with their images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from masu.data.dataset import Dataset
from masu.data.pixels.images import image_size
from masu.data.pixels.pictures import UnreadableImageError
from masu.ops.geometry import resize
from masu.ops.images import InputPolicy, padded_size, resized_size

MOST_READ = 1000
"""Images whose sizes are read; of more, so many evenly spread ones."""

Size = tuple[int, int]


@dataclass(frozen=True)
class ScaledObjects:
    """Objects in pixels of the network's input; crowds and ignored ones are left out.

    Attributes:
        boxes: ``(M, 4)`` xyxy of the objects of each canvas.
        images: images that were looked at.
    """

    boxes: dict[Size, Tensor]
    images: int

    @property
    def shapes(self) -> Tensor:
        """Heights and widths ``(M, 2)`` of all objects."""
        boxes = torch.cat([torch.zeros((0, 4)), *self.boxes.values()])
        return (boxes[:, 2:] - boxes[:, :2]).flip(1)


def scaled_objects(data: Dataset, policy: InputPolicy) -> ScaledObjects:
    """Objects of at most ``MOST_READ`` images, by the height and width of the padded image they are on.

    Images whose size cannot be read are left out.
    """
    found: dict[Size, list[Tensor]] = {}
    images = 0
    for index in range(0, len(data), -(-len(data) // MOST_READ)):
        path, target = data[index]
        height, width = data.sizes[index].tolist()
        if not height:  # samples of one's own
            try:
                height, width = image_size(path, policy.channels)
            except UnreadableImageError:
                continue
        images += 1
        boxes = target.boxes[~target.ignored]
        new = torch.tensor(resized_size(height, width, policy))
        scaled = resize(boxes, torch.tensor((height, width)), new)
        found.setdefault(padded_size(height, width, policy), []).append(scaled)
    return ScaledObjects({size: torch.cat(boxes) for size, boxes in found.items()}, images)
