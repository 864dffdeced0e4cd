"""The whole detector for a batch of images of one size: pixels in, a fixed number of rows out.

The detector's own network and its own post-processing, :mod:`masu.detectors.stages`; only the resizing of
images is another operator.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from masu.detectors.detector import Detector
from masu.ops.operators import canvas
from masu.records import ImageBatch

OUTPUTS = ("boxes", "scores", "labels", "count")
"""Names of what :class:`Graph` returns."""


class Graph(nn.Module):
    """A detector as a function of one tensor.

    Args:
        detector: one for prediction, see :class:`masu.detectors.prediction.PredictionNetwork`.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detections of every image.

        Args:
            images: ``(N, H, W, 3)`` uint8, or with ``channels`` ``(N, C, H, W)`` float32.

        Returns:
            ``boxes (N, D, 4)`` float32 xyxy in pixels of the image as it was given, ``scores (N, D)``
            float32, falling, ``labels (N, D)`` int64, and ``count (N,)`` int64; zeros beyond ``count``.
        """
        policy = self.detector.input
        planes = images.permute(0, 3, 1, 2) if policy.channels is None else images
        pixels, size = canvas(
            planes,
            policy.min_size,
            policy.max_size,
            policy.divisor,
            list(policy.mean),
            list(policy.std),
            policy.channels is None,
        )
        original = torch.stack([size.new_full((), side) for side in planes.shape[2:]])
        count = planes.shape[0]
        batch = ImageBatch(pixels, size.expand(count, 2), original.expand(count, 2))
        kept = self.detector.answer(self.detector.network(batch))
        return kept.boxes, kept.scores, kept.labels, kept.count
