"""A detector on a canvas of one size: what a partitioned file is compared with."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from masu.detectors.detector import Detector
from masu.detectors.predict import Predictor
from masu.ops.images import InputPolicy, bilinear
from masu.partition import Partition, fitted_size
from masu.records import Detections, ImageBatch
from masu.tiles import Tiles


class OnCanvas(Predictor):
    """The detector, every image by itself on the canvas.

    Args:
        detector: any.
        partition: of its file.
    """

    def __init__(self, detector: Detector, partition: Partition) -> None:
        self._network, self._partition = detector.prediction_network(), partition
        self.names, self.kind = detector.names, detector.kind
        self.thresholds, self.margins = detector.thresholds, detector.margins
        self.measured = detector.measured

    @property
    def input(self) -> InputPolicy:
        """How images are brought to the network, but for the canvas."""
        return self._network.input

    @property
    def suppression(self) -> float:
        """See :attr:`masu.detectors.predict.Predictor.suppression`."""
        return self._network.suppression

    @property
    def limit(self) -> int | None:
        """See :attr:`masu.detectors.predict.Predictor.limit`."""
        return self._network.limit

    @property
    def device(self) -> torch.device:
        """See :attr:`masu.detectors.predict.Predictor.device`."""
        return self._network.device

    def with_tiles(self, tiles: Tiles | None) -> Self:
        """See :meth:`masu.detectors.predict.Predictor.with_tiles`."""
        own = copy.copy(self)
        own._network = self._network.with_tiles(tiles)
        return own

    def of_pixels(self, images: Sequence[Tensor]) -> list[Detections]:
        """See :meth:`masu.detectors.predict.Predictor.of_pixels`."""
        detector = self._network.detector
        with torch.inference_mode():
            return [detector.detections(detector.network(self._batch(image)))[0] for image in images]

    def _batch(self, image: Tensor) -> ImageBatch:
        height, width = image.shape[1:]
        size = fitted_size(height, width, self._partition)
        std, mean = (torch.tensor(values)[:, None, None] for values in (self.input.std, self.input.mean))
        pixels = torch.zeros((1, len(image), *self._partition.canvas))
        values = bilinear(image, size, torch.float32) / (255 if image.dtype == torch.uint8 else 1)
        pixels[0, :, : size[0], : size[1]] = (values - mean) / std
        sizes = torch.tensor([size]), torch.tensor([[height, width]])
        return ImageBatch(pixels.contiguous(memory_format=torch.channels_last), *sizes)
