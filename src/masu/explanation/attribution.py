"""Which pixels a detection rests on: by the gradient of its logit or box, or by covering parts of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from masu.detectors.detector import Detector
from masu.detectors.evidence import Answer, evidence
from masu.explanation.faithfulness import TOGETHER, Scene, crop
from masu.ops.images import batch_images, resized_size

GRADIENTS = 8
"""Points between the blank and the given image at which the gradient is taken."""

SMOOTHED = 0.1
"""Standard deviation of the blur of a gradient map, as a share of the box's mean side."""

MASKS = 200
"""Random masks of the occlusion map."""

CELLS = 8
"""Cells per side of a mask, over the window: each a quarter of the box's longer side."""


def by_gradient(detector: Detector, place: Scene, answers: int = 1) -> Tensor:
    """Integrated gradients (Sundararajan et al. 2017, eq. 1) of the detection, anchor or RoI fixed.

    The path leads from the image without the detection's surroundings to the image as it is, so that over
    the pixels of the window the values add up to the rise of the logit, or of the IoU of the network's box
    with the detection's. They are blurred, as single pixels of a gradient are noise (Smilkov et al. 2017);
    what speaks against the detection becomes 0.

    Args:
        detector: any of masu's.
        place: the detection.
        answers: 1: only the class logit, one backward pass less of the two; 2: then the box.

    Returns:
        ``(answers, h, w)`` ≥ 0, for each pixel of the window.
    """
    device = detector.device
    folded = detector.prediction_network().detector
    pixels, answer = evidence(folded, place.image.to(device), place.box, place.label)
    blank = batch_images([place.blank.to(device)], folded.input, pixels.dtype).pixels
    shares = integrated(lambda x: answer(x)[:, :answers], blank, pixels)
    values = shares[:, 0].sum(dim=1, keepdim=True).cpu()  # (answers, 1, H', W')
    size = place.image.shape[1], place.image.shape[2]
    height, width = resized_size(*size, folded.input)
    large = F.interpolate(values[:, :, :height, :width], size, mode="bilinear")[:, 0]
    side = float((place.box[2:] - place.box[:2]).clamp(min=1).prod().sqrt())
    return _blurred(crop(large, place.window), SMOOTHED * side).clamp(min=0)


def integrated(answer: Answer, start: Tensor, end: Tensor) -> Tensor:
    """Each input's share of ``answer(end) - answer(start)``, by the midpoint rule at ``GRADIENTS`` points.

    Args:
        answer: ``(N, ...) → (N, Q)``.
        start: ``(1, ...)``.
        end: of the same shape.

    Returns:
        ``(Q, 1, ...)``; the sums are exact for an answer that is linear or quadratic.
    """
    total: list[Tensor] | None = None
    for step in range(GRADIENTS):
        point = torch.lerp(start, end, (step + 0.5) / GRADIENTS).requires_grad_()
        with torch.enable_grad():
            values = answer(point)[0]
            more = [
                torch.autograd.grad(value, point, retain_graph=number < len(values))[0]
                for number, value in enumerate(values, start=1)
            ]
        total = more if total is None else [a + b for a, b in zip(total, more, strict=True)]
    assert total is not None
    return torch.stack(total) * (end - start) / GRADIENTS


def by_occlusion(place: Scene) -> Tensor:
    """D-RISE (Petsiuk et al. 2021, section 3) within the window: how the score depends on what is shown.

    Random masks show each cell of a coarse grid, shifted at random and with soft edges, with probability
    one half (RISE, Petsiuk et al. 2018, section 3.2); elsewhere the image is blank. The map is the covariance
    of a pixel's visibility with the score; negative values become 0. ``TOGETHER`` masks exist at a time, and
    two sums over all of them.

    Returns:
        ``(h, w)`` ≥ 0, for each pixel of the window; always the same for a detector and an image.
    """
    x1, y1, x2, y2 = place.window
    generator = torch.Generator().manual_seed(0)
    size = y2 - y1, x2 - x1
    visible = torch.zeros(size, dtype=torch.float64)
    risen = torch.zeros_like(visible)
    scores: list[float] = []
    for start in range(0, MASKS, TOGETHER):
        masks = [_mask(*size, generator) for _ in range(min(TOGETHER, MASKS - start))]
        scores += place.score(map(place.mixed, masks))
        for mask, score in zip(masks, scores[start:], strict=True):
            visible += mask
            risen.add_(mask, alpha=score - scores[0])  # of equal scores exactly 0
    mean = sum(score - scores[0] for score in scores) / MASKS
    return risen.sub_(visible, alpha=mean).clamp_(min=0).div_(MASKS).float()


def _mask(height: int, width: int, generator: torch.Generator) -> Tensor:
    """What one mask shows, ``(height, width)`` in 0..1."""
    cell = -(-height // CELLS), -(-width // CELLS)
    shown = (torch.rand((1, 1, CELLS + 1, CELLS + 1), generator=generator) < 0.5).float()
    large = F.interpolate(shown, [(CELLS + 1) * side for side in cell], mode="bilinear")[0, 0]
    down, right = (int(torch.randint(side, (), generator=generator)) for side in cell)
    return large[down : down + height, right : right + width]


def _blurred(values: Tensor, sigma: float) -> Tensor:
    """``(..., h, w)`` through a Gaussian of ``sigma`` pixels; beyond the edge everything is 0.

    A Gaussian is separable: columns, then rows, each by a product with a banded matrix.
    """
    height, width = values.shape[-2:]
    return _gaussian(height, sigma) @ values @ _gaussian(width, sigma)


def _gaussian(count: int, sigma: float) -> Tensor:
    """``(count, count)``, symmetric: a pixel's share in each of the others along one axis.

    Cut at 3 sigma, beyond which lie 0.3 % of a Gaussian, and normed, so that the blur has an end.
    """
    reach = max(int(3 * sigma), 1)
    distance = torch.arange(-reach, reach + 1) / max(sigma, 1e-3)
    weights = torch.softmax(-0.5 * distance**2, dim=0)
    shares: Tensor = F.pad(weights, [count - 1 - reach] * 2).unfold(0, count, 1)
    return shares.flip(0)
