"""What was found, as JSON says it: numbers of 32 bits in their shortest form, so that nothing is lost."""

from __future__ import annotations

from typing import Any

import numpy as np

from masu.pages.pictures import embedded
from masu.service.limits import RefusedError
from masu.serving.models import Array, Found

_QUALITY = 90


def short(values: Array) -> list[float]:
    """Numbers whose float32 is the one that was given: 0.1, not 0.10000000149011612.

    Args:
        values: ``(k,)`` float32.
    """
    return [float(str(value)) for value in values.astype(np.float32)]


def as_json(found: Found, file: str | None) -> dict[str, Any]:
    """What :func:`masu.results.record` says of a picture, with numbers that are not rounded."""
    rows = zip(found.boxes, short(found.scores), found.labels.tolist(), found.names, strict=True)
    return {
        "file": file,
        "width": found.size[1],
        "height": found.size[0],
        "detections": [
            {"box": short(box), "score": score, "label": label, "name": name}
            for box, score, label, name in rows
        ],
    }


def drawn(picture: Array, found: Found) -> str:
    """The picture with its boxes, as ``data:image/jpeg;base64,…``.

    Raises:
        RefusedError: without PyTorch, whose tensors the drawing takes.
    """
    try:
        from masu.drawing import Mark, class_colour, draw_marks
    except ModuleNotFoundError:
        raise RefusedError(501, "drawn: this server has no PyTorch, which draws", "NOT_HERE") from None
    rows = zip(found.boxes.tolist(), found.labels.tolist(), found.names, found.scores.tolist(), strict=True)
    marks = [Mark(box, class_colour(label), name, f"{score:.2f}") for box, label, name, score in rows]
    return embedded(draw_marks(picture, marks), quality=_QUALITY)
