"""What was found in GeoTIFFs as GeoJSON (RFC 7946): polygons of longitude and latitude."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from masu.data.pixels.georeference import OTHERWISE, Georeference
from masu.errors import bad_input
from masu.results import Record

DIGITS = 8
"""Of a degree: about a millimetre."""


def feature_collection(records: Sequence[Record], places: Sequence[Georeference]) -> dict[str, Any]:
    """A feature for each object: a polygon, with ``file``, ``name``, ``label``, ``score`` and ``box``.

    Args:
        records: of images, boxes in pixels.
        places: where the pixels of each lie.

    Returns:
        The object. Each polygon is closed and goes against the clock, as section 3.1.6 wants it. Its middle
        lies between -180 and 180.

    Raises:
        InputError: an object at a place that has no longitude and latitude.
    """
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [_ring(found["box"], place, record["file"])]},
                "properties": {"file": record["file"], **found},
            }
            for record, place in zip(records, places, strict=True)
            for found in record["detections"]
        ],
    }


def _ring(box: Sequence[float], place: Georeference, file: str) -> list[list[float]]:
    x1, y1, x2, y2 = box
    corners = place.places(np.array([[x1, y2], [x2, y2], [x2, y1], [x1, y1]]))
    if not np.isfinite(corners).all():
        found = f"an object at {x1:g}, {y1:g}, {x2:g}, {y2:g}, which its coordinate system places nowhere"
        raise bad_input(file, found, "longitudes and latitudes of every object", OTHERWISE)
    x, y = corners.T
    if float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) < 0:  # with the clock
        corners = corners[::-1]
    around = 360 * np.round((x.min() + x.max()) / 720)  # of 0..360 to -180..180, the polygon as a whole
    corners = corners - [around, 0]
    ring: list[list[float]] = corners.round(DIGITS).tolist()
    return [*ring, ring[0]]
