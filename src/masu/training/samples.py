"""A sheet of pictures that shows what a detector finds at a moment of its training."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from masu.data.formats import Sample
from masu.data.pixels.images import displayable, read_pixels
from masu.data.pixels.pictures import UnreadableImageError
from masu.detectors.detector import Detector
from masu.drawing import draw

HEIGHT = 360
"""Pixels; every picture of the sheet is brought to it."""

COLUMNS = 2
"""Pictures in a row: more would be too small to read on a page."""


def contact_sheet(detector: Detector, samples: Sequence[Sample], threshold: float) -> Image.Image | None:
    """Detections (coloured) over labelled objects (dashed), two pictures in a row.

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
    rows = [pictures[i : i + COLUMNS] for i in range(0, len(pictures), COLUMNS)]
    sheet = Image.new("RGB", (max(sum(p.width for p in row) for row in rows), HEIGHT * len(rows)))
    for number, row in enumerate(rows):
        left = 0
        for picture in row:
            sheet.paste(picture, (left, number * HEIGHT))
            left += picture.width
    return sheet
