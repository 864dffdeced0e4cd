"""The architectures with their size: parameters and arithmetic of one image."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from masu.detectors.stages import Kept
from masu.detectors.zoo import ARCHITECTURES, make
from masu.nets.imagenet import installed

CLASSES = 80
PHOTOGRAPH = (480, 640)
"""Height and width of the photograph that the arithmetic is stated for."""


def models() -> list[dict[str, Any]]:
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
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                raw = detector([torch.empty(3, *PHOTOGRAPH)])
                kept = _full(detector.stages[0].limit or 0)
                for stage in detector.stages[1:]:
                    stage.look(raw, kept)
        rows.append(
            {
                "name": name,
                "summary": (function.__doc__ or "").split("\n")[0].rstrip("."),
                "parameters": sum(p.numel() for p in detector.parameters()),
                "gflop": counter.get_total_flops() / 1e9,
                "height": raw.images.pixels.shape[2],
                "width": raw.images.pixels.shape[3],
                "imagenet": "installed" if installed(config.pyramid.backbone) else "download",
            }
        )
    return rows


def _full(count: int) -> Kept:
    """As many proposals of one image as a first stage can keep."""
    index = torch.zeros((1, count), dtype=torch.int64)
    return Kept(torch.empty(1, count, 4), torch.empty(1, count), index, torch.full((1,), count), index)
