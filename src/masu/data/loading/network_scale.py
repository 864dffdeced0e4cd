"""The objects of a data set as the network sees them: resized with their images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from masu.data.dataset import Dataset
from masu.data.loading.crops import Crops
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

    Images whose size cannot be read are left out. Of a picture that is cut into tiles they are the objects of
    its crops in a first epoch, each as often as it is shown.
    """
    found: dict[Size, list[Tensor]] = {}
    images = 0
    looked = data.take(range(0, len(data), -(-len(data) // MOST_READ)))
    crops = Crops(looked, policy)
    for index, (path, target) in enumerate(looked):
        height, width = looked.sizes[index].tolist()
        if not height:  # samples of one's own
            try:
                height, width = image_size(path, policy.channels)
            except UnreadableImageError:
                continue
        images += 1
        for crop in (crops.crop(at, 0, 0) for at in crops.of_image(index)):
            tall, wide = (height, width) if crop.window is None else (crops.side, crops.side)
            shown = crops.shown(crop, target)
            new = torch.tensor(resized_size(tall, wide, policy))
            scaled = resize(shown.boxes[~shown.ignored], torch.tensor((tall, wide)), new)
            found.setdefault(padded_size(tall, wide, policy), []).append(scaled)
    return ScaledObjects({size: torch.cat(boxes) for size, boxes in found.items()}, images)
