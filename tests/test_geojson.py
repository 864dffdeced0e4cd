"""GeoJSON of GeoTIFFs, by hand: a degree is a degree, and a metre of UTM is a metre."""

import json
from itertools import pairwise
from math import cos, pi

import numpy as np
import pytest
import tifffile
from PIL import Image

import masu
from masu import InputError
from masu.data.pixels.georeference import georeference

PIXELS = np.full((40, 60, 3), 90, np.uint8)
SCALE, TIE, MAP, KEYS = 33550, 33922, 34264, 34735


def geotiff(path, code, *, scale=(0.001, 0.001), start=(10.0, 50.0), point=False, affine=None, more=()):
    projected = code >= 32600
    keys = [(1024, 1 if projected else 2), (1025, 2 if point else 1), (3072 if projected else 2048, code)]
    flat = [1, 1, 0, len(keys), *(number for key, value in keys for number in (key, 0, 1, value))]
    tags = [(KEYS, "H", len(flat), tuple(flat), False), *more]
    if affine is None:
        tags += [(SCALE, "d", 3, (*scale, 0.0), False), (TIE, "d", 6, (0, 0, 0, *start, 0), False)]
    else:
        tags.append((MAP, "d", 16, affine, False))
    tifffile.imwrite(path, PIXELS, photometric="rgb", extratags=sorted(tags))
    return path


def test_degrees_by_hand(tmp_path):
    place = georeference(geotiff(tmp_path / "a.tif", 4326))
    assert place.places(np.array([[0, 0], [60, 40]])).tolist() == [[10, 50], [10.06, 49.96]]
    place = georeference(geotiff(tmp_path / "b.tif", 4326, point=True))
    assert place.places(np.array([[0.5, 0.5]])).tolist() == [[10, 50]]


def test_a_turned_map(tmp_path):
    affine = (0, 0.001, 0, 10, 0.001, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 1)  # columns go north, rows east
    place = georeference(geotiff(tmp_path / "a.tif", 4326, affine=affine))
    assert place.places(np.array([[10, 20]])).tolist() == [[10.02, 50.01]]


def test_metres_of_utm(tmp_path):
    """On the middle meridian, 15° east, the scale is 0.9996; a degree of latitude has about 111.3 km at 52.5°."""
    file = geotiff(tmp_path / "a.tif", 32633, scale=(1.0, 1.0), start=(500_000.0, 5_816_000.0))
    (west, north), (east, south) = georeference(file).places(np.array([[0, 0], [60, 40]]))
    assert (west, north) == (pytest.approx(15, abs=1e-9), pytest.approx(52.4933, abs=1e-3))
    radius = 6_391_000  # of the ellipsoid across the meridian, at this latitude
    assert (east - west) * pi / 180 * radius * cos(north * pi / 180) == pytest.approx(60 / 0.9996, rel=2e-3)
    assert (north - south) * 111_275 == pytest.approx(40 / 0.9996, rel=2e-3)


class Finder:
    names, kind, thresholds, margins = ("ship", "buoy"), "detector", {}, {}

    def __init__(self, small):
        self.input = small.input

    def predict(self, images, threshold=None, batch_size=1):
        return [masu.Detections([[10, 5, 30, 20]], [0.75], [1], ("buoy",)) for _ in images]


def test_features(small, tmp_path):
    file = geotiff(tmp_path / "a.tif", 4326)
    report = masu.detect(Finder(small), file, to="geojson", out=tmp_path / "out")
    assert report.file == tmp_path / "out" / "detections.geojson"
    said = json.loads(report.file.read_text())
    assert said == json.loads(masu.detect(Finder(small), file, to="geojson").text)
    (feature,) = said["features"]
    assert said["type"] == "FeatureCollection"
    assert "crs" not in said  # RFC 7946 has taken it away
    assert feature["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[10.01, 49.98], [10.03, 49.98], [10.03, 49.995], [10.01, 49.995], [10.01, 49.98]]],
    }
    assert feature["properties"] == {
        "file": str(file),
        "box": [10.0, 5.0, 30.0, 20.0],
        "score": 0.75,
        "label": 1,
        "name": "buoy",
    }


def test_rings_go_against_the_clock_whatever_the_map_does(small, tmp_path):
    affine = (0, 0.001, 0, 10, 0.001, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 1)
    for name, file in (
        ("turned", geotiff(tmp_path / "a.tif", 4326, affine=affine)),
        ("plain", geotiff(tmp_path / "b.tif", 4326)),
    ):
        text = masu.detect(Finder(small), file, to="geojson").text
        (ring,) = json.loads(text)["features"][0]["geometry"]["coordinates"]
        area = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(ring))
        assert area > 0, name
        assert ring[0] == ring[-1]


def test_what_does_not_say_where_it_lies_is_refused_by_name(small, tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", PIXELS, photometric="rgb")
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    geotiff(tmp_path / "own.tif", 32767)
    geotiff(tmp_path / "unknown.tif", 32599 + 400)
    geotiff(tmp_path / "turned.tif", 4326, more=[(274, "H", 1, 6, False)])
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    for name in ("plain.tif", "a.png", "own.tif", "unknown.tif", "turned.tif", "broken.tif"):
        with pytest.raises(InputError) as error:
            masu.detect(Finder(small), tmp_path / name, to="geojson", out=tmp_path / "out")
        assert error.value.thing == str(tmp_path / name)
        assert "EPSG" in error.value.wanted


def test_places_that_are_none_are_an_error_and_no_infinity(small, tmp_path):
    """Metres of UTM of which the map makes 10³⁰; a map of no numbers; objects that alone lie beyond the map."""
    nowhere = geotiff(tmp_path / "far.tif", 32633, scale=(1.0, 1.0), start=(1e30, 1e30))
    lost = geotiff(tmp_path / "lost.tif", 4326, scale=(float("nan"), 0.001))
    for file in (nowhere, lost):
        with pytest.raises(InputError, match="lie nowhere in EPSG") as error:
            masu.detect(Finder(small), file, to="geojson")
        assert error.value.thing == str(file)
    partly = geotiff(tmp_path / "partly.tif", 32633, scale=(1e7, 1.0), start=(500_000.0, 5_816_000.0))
    assert np.isfinite(georeference(partly).places(np.array([[0, 0]]))).all()
    with pytest.raises(
        InputError, match=r"an object at 10, 5, 30, 20, which .* nowhere; wanted|places nowhere"
    ):
        masu.detect(Finder(small), partly, to="geojson")


@pytest.mark.parametrize("start", [(10.0, 90.03), (10.0, -89.985), (500_000.0, 5_816_000.0), (361.0, 50.0)])
def test_degrees_that_no_place_has_are_refused(small, tmp_path, start):
    """A latitude beyond a pole, and metres in a file that calls them degrees."""
    file = geotiff(tmp_path / "a.tif", 4326, start=start)
    with pytest.raises(InputError, match="nowhere") as error:
        masu.detect(Finder(small), file, to="geojson")
    assert error.value.thing == str(file)


@pytest.mark.parametrize(("start", "west"), [(190.0, -169.99), (180.0, -179.99), (-190.0, 170.01)])
def test_longitudes_that_count_from_0_are_those_of_rfc_7946(small, tmp_path, start, west):
    file = geotiff(tmp_path / "a.tif", 4326, start=(start, 50.0))
    text = masu.detect(Finder(small), file, to="geojson").text
    (ring,) = json.loads(text)["features"][0]["geometry"]["coordinates"]
    east = pytest.approx(west + 0.02)
    assert [x for x, _ in ring] == [pytest.approx(west), east, east, pytest.approx(west), pytest.approx(west)]


def test_without_pyproj_the_error_names_it(small, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyproj", None)
    with pytest.raises(InputError, match=r"masu\[geo\]") as error:
        masu.detect(Finder(small), geotiff(tmp_path / "a.tif", 4326), to="geojson")
    assert error.value.code == "missing-package"
