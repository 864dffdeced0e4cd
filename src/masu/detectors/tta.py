"""Test-time augmentation: a detector that looks at each image, and at its mirror image."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from masu.detectors.detector import Detector
from masu.detectors.predict import Predictor, as_rows
from masu.fusion import fused, mirrored
from masu.ops.images import InputPolicy
from masu.records import Detections
from masu.tiles import Tiles
from masu.way import Way


class FlipTTA(Predictor):
    """What looks twice, in twice the time: at an image and at its mirror image; a tile is an image, too.

    Args:
        detector: what looks.
    """

    def __init__(self, detector: Predictor) -> None:
        self._detector = detector
        self.names, self.kind = detector.names, detector.kind
        self.thresholds, self.margins = detector.thresholds, detector.margins
        self.measured = detector.measured or detector.way

    @property
    def way(self) -> Way:
        """See :attr:`masu.detectors.predict.Predictor.way`."""
        return replace(self._detector.way, looks=2)

    @property
    def input(self) -> InputPolicy:
        """How images are brought to the network."""
        return self._detector.input

    @property
    def suppression(self) -> float:
        """See :attr:`masu.detectors.predict.Predictor.suppression`."""
        return self._detector.suppression

    @property
    def limit(self) -> int | None:
        """See :attr:`masu.detectors.predict.Predictor.limit`."""
        return self._detector.limit

    @property
    def device(self) -> torch.device:
        """See :attr:`masu.detectors.predict.Predictor.device`."""
        return self._detector.device

    def with_tiles(self, tiles: Tiles | None) -> Self:
        """See :meth:`masu.detectors.predict.Predictor.with_tiles`."""
        return self._of(self._detector.with_tiles(tiles))

    def with_image_size(self, size: int) -> Self:
        """See :meth:`masu.detectors.predict.Predictor.with_image_size`."""
        return self._of(self._detector.with_image_size(size))

    def _of(self, detector: Predictor) -> Self:
        own = copy.copy(self)
        own._detector = detector
        return own

    def of_pixels(self, images: Sequence[Tensor]) -> list[Detections]:
        """See :meth:`masu.detectors.predict.Predictor.of_pixels`."""
        return self.together(images, self._detector.of_pixels(images))

    def together(self, images: Sequence[Tensor], looks: Sequence[Detections]) -> list[Detections]:
        """What was found in images ``(C, H, W)``, together with what is found in their mirror images."""
        others = self._detector.of_pixels([image.flip(-1) for image in images])
        return [
            self._named(fused(as_rows(look), mirrored(as_rows(other), image.shape[-1]), self.limit))
            for image, look, other in zip(images, looks, others, strict=True)
        ]


def with_tta(detector: Predictor) -> FlipTTA:
    """The same detector, looking at each image twice: as it is and mirrored (test-time augmentation).

    What both looks find becomes one box and one score, what only one of them finds counts half
    (:mod:`masu.fusion`). That finds more, in twice the time, where a mirror image is as natural as the
    picture: not for letters and digits. Thresholds, calibrated scores and margins that the model carries
    were measured without it, unless ``masu evaluate --tta`` stored them.

    Args:
        detector: of masu as it is now, or an exported file.

    Returns:
        What has ``predict`` and ``stream``; every function that finds objects takes it.

    Raises:
        TypeError: for what finds nothing, such as a path.
    """
    if not isinstance(detector, Predictor):
        raise TypeError(
            f"with_tta: found a value of type {type(detector).__name__}, wanted a detector; "
            "masu.load opens one"
        )
    if isinstance(detector, FlipTTA):
        return detector
    return FlipTTA(detector.prediction_network() if isinstance(detector, Detector) else detector)
