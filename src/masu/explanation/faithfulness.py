"""How far a saliency map can be trusted: the score as pixels are taken away, or shown, in the map's order.

Source: Petsiuk et al. 2018 (RISE), section 4.2: causal metrics deletion and insertion; for detections the
score follows Petsiuk et al. 2021 (D-RISE), section 3: the best IoU × score among those found. Here only boxes
count that lie on the detection's own, so that a neighbour in a crowd does not stand in for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from masu.evaluation.predictions import AnyDetector
from masu.ops.geometry import iou

Window = tuple[int, int, int, int]

STEPS = 10
"""Equal parts of the window in which pixels are taken away or shown."""

TOGETHER = 4
"""Changed images handed to ``predict`` at once."""

SAME = 0.5
"""IoU from which a box counts as that of the detection."""

CHANCES = 5
"""Maps with random details, whose gains show what luck does."""

DETAIL = 8
"""Random values per side of the window in such a map: about as fine as a map of saliency."""

ONE_IN_TWENTY = 2.015
"""95 % quantile of Student's t with ``CHANCES`` degrees of freedom."""


@dataclass(frozen=True)
class Faithfulness:
    """The areas under a map's two score curves.

    Attributes:
        deletion: mean score while the window's pixels are taken away, the map's highest first, 0..1; small
            where the map names what the score rests on.
        insertion: mean score while they are shown again, the map's highest first, 0..1; large where the map
            names what suffices for the score.
    """

    deletion: float
    insertion: float

    @property
    def gain(self) -> float:
        """Insertion minus deletion, -1..1.

        For a random order it is 0 on average, exactly: of an order and its reverse, one's deletion goes
        through the same images as the other's insertion, so that their gains cancel.
        """
        return self.insertion - self.deletion


@dataclass(frozen=True, eq=False)
class Scene:
    """One detection, in the image and in the same image with its surroundings wiped out.

    Attributes:
        detector: whatever has ``predict``.
        image: ``(C, H, W)`` float.
        blank: ``image`` with everything in the window replaced by the mean colour along the window's edge.
        window: x1, y1, x2, y2, whole pixels; see :func:`window_around`.
        box: ``(4,)`` xyxy pixels.
        label: class id.
    """

    detector: AnyDetector
    image: Tensor
    blank: Tensor
    window: Window
    box: Tensor
    label: int

    def score(self, images: Iterable[Tensor]) -> list[float]:
        """The best IoU × score among the class's detections on the box, per image; 0 where there is none.

        ``TOGETHER`` images are asked for at a time.
        """
        best, waiting = [], iter(images)
        while together := list(islice(waiting, TOGETHER)):
            for found in self.detector.predict(together, batch_size=TOGETHER):
                same = found.labels == self.label
                overlap = iou(found.boxes[same].cpu(), self.box[None])[:, 0]
                scores = found.scores[same].cpu() * overlap * (overlap >= SAME)
                best.append(float(scores.max()) if len(scores) else 0.0)
        return best

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The score in the image, and with the window wiped out."""
        whole, wiped = self.score([self.image, self.blank])
        return whole, wiped

    def mixed(self, shown: Tensor) -> Tensor:
        """The image where ``shown (h, w)``, in 0..1 per pixel of the window, is 1; blank where it is 0."""
        x1, y1, x2, y2 = self.window
        changed = self.image.clone()
        parts = crop(self.blank, self.window), crop(self.image, self.window)
        changed[:, y1:y2, x1:x2] = torch.lerp(*parts, shown.to(self.image))
        return changed


def scene(detector: AnyDetector, image: Tensor, box: Tensor, label: int) -> Scene:
    """Wipe out a detection's surroundings in a copy of its image; see :class:`Scene`."""
    window = window_around(box, (image.shape[1], image.shape[2]))
    x1, y1, x2, y2 = window
    inner = crop(image, window)
    edge = torch.cat([inner[:, 0], inner[:, -1], inner[:, :, 0], inner[:, :, -1]], dim=1)
    blank = image.clone()
    blank[:, y1:y2, x1:x2] = edge.mean(dim=1)[:, None, None]
    return Scene(detector, image, blank, window, box.cpu().float(), label)


def window_around(box: Tensor, size: tuple[int, int]) -> Window:
    """The box widened on every side by half its longer side, cut to the image: whole pixels x1, y1, x2, y2.

    Args:
        box: ``(4,)`` xyxy pixels, part of which lies in the image.
        size: height and width of the image.
    """
    x1, y1, x2, y2 = box.tolist()
    margin = max(x2 - x1, y2 - y1) / 2
    height, width = size
    left, top = (max(math.floor(low - margin), 0) for low in (x1, y1))
    right, bottom = min(math.ceil(x2 + margin), width), min(math.ceil(y2 + margin), height)
    return left, top, right, bottom


def crop(image: Tensor, window: Window) -> Tensor:
    """``(..., H, W)`` → the part in the window."""
    x1, y1, x2, y2 = window
    return image[..., y1:y2, x1:x2]


def faithfulness(place: Scene, saliency: Tensor) -> Faithfulness:
    """Deletion and insertion of a map.

    Args:
        place: the detection.
        saliency: ``(h, w)``, for each pixel of the window; of equal ones the first counts as higher.
    """
    count = saliency.numel()
    order = saliency.flatten().sort(descending=True, stable=True).indices
    rank = torch.empty_like(order)
    rank[order] = torch.arange(count)
    rank = rank.reshape(saliency.shape)
    cuts = [round(count * step / STEPS) for step in range(1, STEPS)]
    kept = place.score(place.mixed(rank >= cut) for cut in cuts)
    shown = place.score(place.mixed(rank < cut) for cut in cuts)
    whole, wiped = place.ends
    return Faithfulness(_area([whole, *kept, wiped]), _area([wiped, *shown, whole]))


@dataclass(frozen=True)
class Margins:
    """By how much the gain of a map must be higher than what it is compared with; see :func:`margin`.

    Attributes:
        middle: than that of the middle of the box.
        random: than that of a random order, which is 0.
    """

    middle: float
    random: float


def margins(place: Scene, of_middle: Faithfulness) -> Margins:
    """What luck can do to the gain of the middle of the box, and to that of a random order.

    Args:
        place: the detection.
        of_middle: the faithfulness of :func:`middle`.
    """
    plain = middle(place)
    return Margins(margin(place, plain, of_middle.gain), margin(place, torch.ones_like(plain), 0.0))


def margin(place: Scene, plain: Tensor, gain: float) -> float:
    """By how much the gain of a map must be higher than a plain map's, to be no luck.

    A map that knows no more than the plain one differs from it by details that have nothing to do with the
    detector. Such maps are made: the plain one times a smooth field of random numbers from 0 to 1. The
    distance of one more such map's gain from the plain map's, over the root mean square of theirs, follows
    Student's t where gains are normal around the plain one's, and is above the margin once in twenty times.
    This takes ``CHANCES`` times ``2 * (STEPS - 1)`` predictions.

    Args:
        place: the detection.
        plain: ``(h, w)`` ≥ 0, for each pixel of the window. All ones: the details alone, a random order.
        gain: of the plain map.

    Returns:
        ``ONE_IN_TWENTY`` times that root; always the same for a detector and an image.
    """
    generator = torch.Generator().manual_seed(0)
    squares = 0.0
    for _ in range(CHANCES):
        by_luck = faithfulness(place, plain * details(plain, generator))
        squares += (by_luck.gain - gain) ** 2
    return ONE_IN_TWENTY * math.sqrt(squares / CHANCES)


def details(plain: Tensor, generator: torch.Generator) -> Tensor:
    """A smooth field of random numbers in 0..1, of the shape ``(h, w)`` of a map.

    Its reverse, one minus the field, is as probable: in itself a map whose gain is 0 on average.
    """
    random = torch.rand((1, 1, DETAIL, DETAIL), generator=generator)
    return F.interpolate(random, plain.shape, mode="bilinear")[0, 0]


def _area(scores: Sequence[float]) -> float:
    """Under the line through equally spaced scores, over 0..1."""
    return sum((a + b) / 2 for a, b in pairwise(scores)) / (len(scores) - 1)


def middle(place: Scene) -> Tensor:
    """A map that knows nothing of the detector: a Gaussian in the middle of the box, ``(h, w)``."""
    x1, y1, x2, y2 = place.window
    left, top, right, bottom = place.box.tolist()
    x = (torch.arange(x1, x2) + 0.5 - (left + right) / 2) / max((right - left) / 4, 1e-6)
    y = (torch.arange(y1, y2) + 0.5 - (top + bottom) / 2) / max((bottom - top) / 4, 1e-6)
    return torch.exp(-0.5 * (x[None, :] ** 2 + y[:, None] ** 2))
