"""Which pixels the best final boxes of a photograph rest on, as the page of ``masu explain`` shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from masu.detectors.detector import Detector
from masu.detectors.trace import Trace
from masu.explanation.attribution import by_gradient
from masu.explanation.faithfulness import scene
from masu.explanation.heat import stain
from masu.explanation.saliency import LEFT_OVER
from masu.ops.geometry import resize
from masu.pages.pictures import embedded

MOST_MAPS = 20
"""Final boxes of a photograph that get maps: the best."""

MAP_SIDE = 48
"""Dots of a map's longer side on the page. The blur of a map leaves nothing finer in most windows."""


def maps(
    detector: Detector, pixels: Tensor, traced: Trace, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """Of each of the best final boxes the map of its class score and that of its box.

    Args:
        detector: on the CPU.
        pixels: ``(C, H, W)`` of the photograph, uint8 or float, not made in inference mode.
        traced: the photograph's trace.
        progress: called with (boxes done, boxes in total).

    Returns:
        Per box, best first: ``score`` and ``box``, each with its ``window`` in pixels of the network's input
        and the ``picture`` to lay over it, None where no pixel speaks for the answer; ``left``, the score of
        what is found on the box with the window wiped out; ``elsewhere``, that this is most of the score.
    """
    image = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    found, made = traced.detections, []
    count = min(len(found), MOST_MAPS)
    for k in range(count):
        place = scene(detector, image, found.boxes[k], int(found.labels[k]))
        of_score, of_box = by_gradient(detector, place, answers=2)
        window = resize(torch.tensor([place.window]), traced.original_size, traced.size)[0]
        left = place.score([place.blank])[0]
        made.append(
            {
                "score": _map(of_score, window),
                "box": _map(of_box, window),
                "left": round(left, 3),
                "elsewhere": left > LEFT_OVER * float(found.scores[k]),
            }
        )
        if progress is not None:
            progress(k + 1, count)
    return made


def _map(values: Tensor, window: Tensor) -> dict[str, Any] | None:
    if not values.any():
        return None
    scale = min(MAP_SIDE / max(values.shape), 1)
    size = [max(round(side * scale), 1) for side in values.shape]
    small = F.interpolate(values[None, None], size, mode="area")[0, 0]
    sides = [round(side, 1) for side in window.tolist()]
    return {"window": sides, "picture": embedded(stain(small / small.max()), "PNG")}
