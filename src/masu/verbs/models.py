"""The architectures with their size: parameters and arithmetic of one image."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from masu.detectors.build import make
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.zoo import ARCHITECTURES, pyramid_of
from masu.nets.imagenet import installed

CLASSES = 80
PHOTOGRAPH = (480, 640)
"""Height and width of the photograph that the arithmetic is stated for."""


def describe() -> list[dict[str, Any]]:
    """One row per architecture, with 80 classes and a photograph of 480×640 pixels.

    Returns:
        Dicts with ``name``, ``summary``, ``parameters``, ``gflop`` (10⁹ operations, a multiplication with
        addition counted as two, second stage with all its proposals included), ``height`` and ``width`` of
        the network's padded input, and ``imagenet`` (``installed`` or ``download``).
    """
    rows = []
    for name, function in ARCHITECTURES.items():
        config = function()
        with torch.device("meta"):
            detector = make(config, [f"class {i}" for i in range(CLASSES)])
            pyramid = pyramid_of(detector.config)
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                raw = detector([torch.empty(3, *PHOTOGRAPH)])
                if isinstance(detector, FasterRCNN):
                    kept, cells = detector.config.rpn.proposals.kept, detector.config.rois.cells
                    pooled = torch.empty(kept, pyramid.fpn_channels, cells, cells)
                    detector.predictor(detector.box_head(pooled))
        rows.append(
            {
                "name": name,
                "summary": (function.__doc__ or "").split("\n")[0].rstrip("."),
                "parameters": sum(p.numel() for p in detector.parameters()),
                "gflop": counter.get_total_flops() / 1e9,
                "height": raw.images.pixels.shape[2],
                "width": raw.images.pixels.shape[3],
                "imagenet": "installed" if installed(pyramid.backbone) else "download",
            }
        )
    return rows
