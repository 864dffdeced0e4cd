"""Pictures that show what a detector finds at a moment of its training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from masu.atomic import write_whole
from masu.data.formats import Sample
from masu.data.pixels.images import displayable, read_pixels
from masu.data.pixels.pictures import UnreadableImageError
from masu.detectors.detector import Detector
from masu.drawing import draw

HEIGHT = 360
"""Pixels; every picture is brought to it."""


def drawn_samples(detector: Detector, samples: Sequence[Sample], threshold: float) -> list[Image.Image]:
    """Detections (coloured) over labelled objects (dashed), a picture for each sample.

    Args:
        detector: finds the objects.
        samples: pictures with their targets; unreadable ones are left out.
        threshold: smallest score drawn.

    Returns:
        The pictures, each ``HEIGHT`` pixels high.
    """
    pictures = []
    for sample in samples:
        try:
            image = read_pixels(sample.image, detector.input.channels)
        except UnreadableImageError:
            continue
        picture = draw(displayable(image), detector.predict([image], threshold=threshold)[0], sample.target)
        pictures.append(picture.resize((max(picture.width * HEIGHT // picture.height, 1), HEIGHT)))
    return pictures


def write_samples(pictures: Sequence[Image.Image], folder: Path) -> None:
    """Write pictures as ``1.jpg``, ``2.jpg``, … into a folder, each whole or not at all.

    Args:
        pictures: as of :func:`drawn_samples`.
        folder: made where it is missing.
    """
    for number, picture in enumerate(pictures, start=1):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=88)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{number}.jpg", [file.getvalue()])
