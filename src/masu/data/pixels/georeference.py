"""Where on the Earth the pixels of a GeoTIFF lie: longitude and latitude of any of them.

Sources: OGC GeoTIFF 1.1; RFC 7946, section 4 (longitude and latitude of WGS 84, OGC:CRS84).
The package pyproj, which is optional, knows the coordinate systems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from masu.data.pixels.pictures import DECODER_ERRORS, TIFF_SUFFIXES, Array
from masu.errors import bad_input

_CODE = "an EPSG code of its coordinate system"
OTHERWISE = "write it with gdal_translate -a_srs, or take --to json"
_FARTHEST = (360, 90)
"""Degrees of longitude and latitude; maps of the whole Earth may count longitudes from 0."""

_OWN_SYSTEM = 32767
"""The code of a system that the file describes itself."""


@dataclass(frozen=True, eq=False)
class Georeference:
    """Places of pixels.

    Attributes:
        matrix: ``(2, 3)`` from column and row, counted from the corner of the first pixel, to the coordinates
            of the file's system.
        project: from those, x and y, to longitudes and latitudes in degrees.
    """

    matrix: Array
    project: Callable[[Array, Array], tuple[Array, Array]]

    def places(self, points: Array) -> Array:
        """Longitudes and latitudes.

        Args:
            points: ``(n, 2)`` x and y in pixels of the picture.

        Returns:
            ``(n, 2)`` degrees, as the file counts longitudes: from -180 or from 0. Not finite where there is
            no such place, such as a latitude of 91.
        """
        x, y = self.matrix[:, :2] @ np.asarray(points, np.float64).T + self.matrix[:, 2:]
        found = np.stack(self.project(x, y), axis=1)
        found[(np.abs(found) > _FARTHEST).any(1)] = np.nan  # pyproj hands degrees on as they are
        return found


def georeference(path: Path) -> Georeference:
    """Where the pixels of a file lie.

    Args:
        path: a GeoTIFF.

    Raises:
        InputError: without pyproj; for a file that is none, that does not say where it lies by an EPSG code
            and an affine map, that is stored turned, or of which no corner has a place on Earth.
    """
    try:
        import pyproj
    except ImportError:
        raise bad_input(
            "--to geojson", "no package pyproj", "it", 'pip install "masu[geo]"', code="missing-package"
        ) from None
    tags, (height, width) = _tags(path)
    code = tags.get("ProjectedCSTypeGeoKey", tags.get("GeographicTypeGeoKey"))
    if code is None or int(code) == _OWN_SYSTEM:
        raise _refused(path, f"a GeoTIFF without {_CODE}")
    try:
        found = pyproj.Transformer.from_crs(f"EPSG:{int(code)}", "OGC:CRS84", always_xy=True)
    except pyproj.exceptions.CRSError:
        raise _refused(path, f"a GeoTIFF of the unknown coordinate system EPSG:{int(code)}") from None
    made = Georeference(_matrix(path, tags), found.transform)
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
    if not np.isfinite(made.places(corners)).all(1).any():
        raise _refused(path, f"a GeoTIFF whose corners lie nowhere in EPSG:{int(code)}")
    return made


def _tags(path: Path) -> tuple[dict[str, Any], tuple[int, int]]:
    """What it says of its map, and height and width."""
    if path.suffix.lower() not in TIFF_SUFFIXES:
        raise _refused(path, "no GeoTIFF")
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            orientation = page.tags.get("Orientation")
            tags: dict[str, Any] | None = page.geotiff_tags
            size = page.imagelength, page.imagewidth
    except (*DECODER_ERRORS, tifffile.TiffFileError) as error:
        raise _refused(path, f"a file that is no TIFF ({error})") from None
    if not tags:
        raise _refused(path, "a TIFF that does not say where it lies")
    if orientation is not None and orientation.value != 1:
        raise _refused(path, "a GeoTIFF that is stored turned")
    return tags, size


def _matrix(path: Path, tags: dict[str, Any]) -> Array:
    if "ModelTransformation" in tags:
        matrix = np.asarray(tags["ModelTransformation"], np.float64).reshape(4, 4)[:2, [0, 1, 3]]
    elif "ModelPixelScale" in tags and np.size(tags.get("ModelTiepoint", ())) == 6:
        across, down = tags["ModelPixelScale"][:2]
        column, row, _, x, y, _ = np.ravel(tags["ModelTiepoint"])
        matrix = np.array([[across, 0, x - column * across], [0, -down, y + row * down]])
    else:
        raise _refused(path, "a GeoTIFF without an affine map of its pixels")
    if int(tags.get("GTRasterTypeGeoKey", 1)) == 2:  # the map is of the middles of pixels
        matrix[:, 2] -= matrix[:, :2].sum(1) / 2
    return matrix


def _refused(path: Path, found: str) -> Exception:
    return bad_input(path, found, f"a GeoTIFF with {_CODE} and an affine map", OTHERWISE)
