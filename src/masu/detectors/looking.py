"""One look at each image: what is found in it, and what it is like as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from masu.detectors.prediction import PredictionNetwork
from masu.detectors.tta import with_tta
from masu.devices import moved
from masu.ops.images import batch_images
from masu.records import Detections


@dataclass(frozen=True, eq=False)
class Look:
    """What a network saw in an image.

    Attributes:
        detections: as of ``predict``.
        feature: ``(C,)`` float32, the mean of the backbone's coarsest map over the image. Images of the same
            kind of scene have a small angle between theirs.
    """

    detections: Detections
    feature: Tensor


def looks(network: PredictionNetwork, images: Iterable[Tensor], *, tta: bool = False) -> Iterator[Look]:
    """Look at images one after the other; detections and feature come from the same pass.

    Args:
        network: of :meth:`masu.detectors.detector.Detector.prediction_network`.
        images: each ``(3, H, W)`` uint8 or float 0..1; with ``input.channels`` as many.
        tta: detections are of the mirror image, too, see :func:`masu.detectors.tta.with_tta`.
    """
    twice = with_tta(network)
    detector = network.detector
    pyramid = detector.pyramid
    device = detector.device
    for image in images:
        with torch.inference_mode():
            batch = batch_images([moved(image, device)], detector.input, pyramid.dtype)
            maps = pyramid.backbone(batch.pixels)
            feature = maps[-1].mean(dim=(2, 3))[0].float().cpu()
            raw = pyramid.read(batch, tuple(pyramid.fpn(maps)))
            (found,) = detector.detections(raw)
        tiles = detector.input.tiles
        if tiles is not None and tiles.needed(*image.shape[1:]):
            (found,) = (twice if tta else network).predict([image])
        elif tta:
            (found,) = twice.together([image], [found])
        yield Look(found.to("cpu"), feature)
