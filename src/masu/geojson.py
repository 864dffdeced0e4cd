"""What was found in GeoTIFFs as GeoJSON (RFC 7946): polygons of longitude and latitude."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from masu.data.pixels.georeference import Georeference
from masu.results import Record

DIGITS = 8
"""Of a degree: about a millimetre."""


def feature_collection(records: Sequence[Record], places: Sequence[Georeference]) -> dict[str, Any]:
    """A feature for each object: a polygon, with ``file``, ``name``, ``label``, ``score`` and ``box``.

    Args:
        records: of images, boxes in pixels.
        places: where the pixels of each lie.

    Returns:
        The object. Each polygon is closed and goes against the clock, as section 3.1.6 wants it.
    """
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [_ring(found["box"], place)]},
                "properties": {"file": record["file"], **found},
            }
            for record, place in zip(records, places, strict=True)
            for found in record["detections"]
        ],
    }


def _ring(box: Sequence[float], place: Georeference) -> list[list[float]]:
    x1, y1, x2, y2 = box
    corners = place.places(np.array([[x1, y2], [x2, y2], [x2, y1], [x1, y1]]))
    x, y = corners.T
    if float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) < 0:  # with the clock
        corners = corners[::-1]
    ring: list[list[float]] = corners.round(DIGITS).tolist()
    return [*ring, ring[0]]
