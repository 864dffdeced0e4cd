"""VGG Image Annotator: shapes, its three files, the attribute that is the class, and broken files."""

import csv
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings

from masu.data.formats import find_format, read_annotations
from masu.errors import InputError
from tests.data.formats.samples import (
    broken_json,
    broken_text,
    faults,
    objects,
    picture,
    readable_or_refused,
    text,
)


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def rect(x=1, y=2, width=3, height=4, **attributes):
    return region({"name": "rect", "x": x, "y": y, "width": width, "height": height}, **attributes)


def entry(name, regions):
    return {"filename": name, "size": 123, "regions": regions, "file_attributes": {}}


REGIONS = [
    rect(10, 20, 30.5, 5, **{"class": "Dog"}),
    region({"name": "circle", "cx": 20, "cy": 20, "r": 5.5}, **{"class": {"cat": True, "dog": False}}),
    region({"name": "ellipse", "cx": 20, "cy": 20, "rx": 10, "ry": 5}, **{"class": 7}),
    region({"name": "ellipse", "cx": 20, "cy": 20, "rx": 10, "ry": 5, "theta": 1.5707963267948966}, **{"class": " Dog "}),
    region({"name": "polygon", "all_points_x": [1, 9, 5], "all_points_y": [2, 3, 8]}, **{"class": "cat", "colour": "red"}),
    region({"name": "polyline", "all_points_x": [1, 9], "all_points_y": [2, 3]}, **{"class": {"a": True, "b": True}}),
    region({"name": "point", "cx": 4, "cy": 5}, **{"class": "cat"}),
]  # fmt: skip
BARE = {"a.jpg123": entry("a.jpg", REGIONS), "b.jpg123": entry("b.jpg", {})}


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        picture(tmp_path / f"{name}.jpg")
    text(tmp_path / "via_region_data.json", BARE)
    return tmp_path


def around(x1, y1, x2, y2):
    return pytest.approx([x1, y1, x2, y2])


EXPECTED = {
    "a.jpg": [
        ("Dog", [10.0, 20.0, 40.5, 25.0], 0),
        ("cat", [14.5, 14.5, 25.5, 25.5], 0),
        ("7", [10.0, 15.0, 30.0, 25.0], 0),
        ("Dog", around(15, 10, 25, 30), 0),
        ("cat", [1.0, 2.0, 9.0, 8.0], 0),
        ("a", [1.0, 2.0, 9.0, 3.0], 0),
        ("b", [1.0, 2.0, 9.0, 3.0], 0),
    ],
    "b.jpg": [],
}


def test_every_shape(folder):
    data = read_annotations(folder)
    assert (data.form, data.names, data.splits, data.faults) == ("via", ("7", "Dog", "a", "b", "cat"), (), ())
    assert objects(data) == EXPECTED
    assert data.left_out == {"polygons": 5, "keypoints": 1, "other attributes": 1}
    assert data.where(1) == "image 1 of the file, region 2 (cat)"


def test_a_project_and_regions_with_numbers_for_keys(folder):
    numbered = {key: {**one, "regions": dict(enumerate(one["regions"]))} for key, one in BARE.items()}
    project = {
        "_via_settings": {"ui": {}, "core": {}, "project": {"name": "p"}},
        "_via_img_metadata": numbered,
        "_via_attributes": {"region": {"class": {"type": "text"}}, "file": {}},
    }
    assert objects(read_annotations(text(folder / "via_region_data.json", project))) == EXPECTED


def table(images):
    stream = io.StringIO()
    writer = csv.writer(stream)
    header = (
        "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    )
    writer.writerow(header.split(","))
    for one in images.values():
        regions = list(one["regions"]) or [{"shape_attributes": {}, "region_attributes": {}}]
        for at, each in enumerate(regions):
            cells = [json.dumps(each[key]) for key in ("shape_attributes", "region_attributes")]
            writer.writerow([one["filename"], 123, "{}", len(one["regions"]), at, *cells])
    return stream.getvalue()


def test_a_table(folder):
    (folder / "via_region_data.json").unlink()
    file = text(folder / "via_export_csv.csv", table(BARE))
    assert find_format(file, None, None)[0].name == "via"
    assert objects(read_annotations(folder)) == EXPECTED


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"species": "cat"}, "cat"),
        ({"species": "cat", "Class": "dog", "note": ""}, "dog"),
        ({"type": "cat", "label": "dog", "note": "x"}, "dog"),
        ({"species": "cat", "colour": ""}, "cat"),
    ],
)
def test_the_attribute_that_is_the_class(folder, attributes, name):
    text(folder / "via_region_data.json", {"a.jpg1": entry("a.jpg", [rect(**attributes)])})
    assert read_annotations(folder).names == (name,)


def test_attributes_of_which_any_may_be_the_class_are_refused(folder):
    page = {"a.jpg1": entry("a.jpg", [rect(species="cat"), rect(colour="red")])}
    file = text(folder / "via_region_data.json", page)
    message = (
        f"{file}: found regions with the attributes species, colour, wanted one alone, or one that is named "
    )
    with pytest.raises(InputError) as caught:
        read_annotations(folder)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("rename the one that is the class to 'class' in VIA, and export again")


def test_folders_are_splits_and_addresses_count_by_their_last_part(tmp_path):
    for split in ("train", "val"):
        picture(tmp_path / split / "a b.jpg")
        page = {"x": entry("https://example.com/some/a%20b.jpg?size=9", [rect(name="c")])}
        text(tmp_path / split / "via_region_data.json", page)
    data = read_annotations(tmp_path)
    assert (data.splits, [path.parent.name for path in data.paths]) == (("train", "val"), ["train", "val"])


def test_what_cannot_be_understood_is_told_and_the_rest_read(folder):
    regions = [
        rect(x="1", name="c"),
        rect(),
        region({"name": "blob"}, name="c"),
        region({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, name="c"),
        7,
        rect(name="c"),
    ]
    text(
        folder / "via_region_data.json",
        {"a": entry("a.jpg", regions), "b": {"filename": ""}, "c": 3, "regions": 1},
    )
    data = read_annotations(folder)
    assert objects(data) == {"a.jpg": [("c", [1.0, 2.0, 4.0, 6.0], 0)]}
    at, shapes = "image 1 of the file, region", "one of rect, circle, ellipse, polygon, polyline"
    assert faults(data) == [
        f'{at} 1 (c): found x "1", wanted a number of pixels, skipped',
        f"{at} 2 (?): found no name, wanted the name of a class, skipped",
        f'{at} 3 (c): found the shape "blob", wanted {shapes}, skipped',
        f"{at} 4 (c): found no points, wanted as many of all_points_x as of all_points_y, skipped",
        f"{at} 5 (?): found the shape null, wanted {shapes}, skipped",
        *(
            f"image {k} of the file: found no 'filename', wanted the name of an image, skipped"
            for k in (2, 3, 4)
        ),
    ]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken_json(BARE))
def test_a_broken_file_is_read_or_refused(folder, content):
    readable_or_refused(text(folder / "via_region_data.json", content), "via")


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken_text(table(BARE)))
def test_a_broken_table_is_read_or_refused(folder, content):
    readable_or_refused(text(folder / "via_export_csv.csv", content), "via")
