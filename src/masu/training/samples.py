"""A sheet of pictures that shows what a detector finds at a moment of its training."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from masu.data.bands import displayable, read_pixels
from masu.data.formats import Sample
from masu.data.pictures import UnreadableImageError
from masu.detectors.detector import Detector
from masu.drawing import draw

HEIGHT = 360
"""Pixels; every picture of the sheet is brought to it."""


def contact_sheet(detector: Detector, samples: Sequence[Sample], threshold: float) -> Image.Image | None:
    """Detections (coloured) over labelled objects (dashed), the pictures side by side.

    Args:
        detector: finds the objects.
        samples: pictures with their targets; unreadable ones are left out.
        threshold: smallest score drawn.

    Returns:
        The sheet, or None where no picture can be read.
    """
    pictures = []
    for sample in samples:
        try:
            image = read_pixels(sample.image, detector.input.channels)
        except UnreadableImageError:
            continue
        picture = draw(displayable(image), detector.predict([image], threshold=threshold)[0], sample.target)
        pictures.append(picture.resize((max(picture.width * HEIGHT // picture.height, 1), HEIGHT)))
    if not pictures:
        return None
    sheet = Image.new("RGB", (sum(p.width for p in pictures), HEIGHT))
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    return sheet
