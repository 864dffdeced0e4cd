"""Create ML's JSON: centres become corners, its two spellings, splits, and broken files."""

import pytest
from hypothesis import HealthCheck, given, settings

from masu.data.formats import read_annotations
from masu.errors import InputError
from tests.data.formats.samples import broken_json, faults, objects, picture, readable_or_refused, text


def thing(label, x, y, width, height):
    return {"label": label, "coordinates": {"x": x, "y": y, "width": width, "height": height}}


PAGE = [
    {"image": "a.jpg", "annotations": [thing("Dog", 20, 15, 10, 6), thing(" cat ", 5.5, 4, 3, 8)]},
    {"image": "b.jpg", "annotations": []},
]


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        picture(tmp_path / f"{name}.jpg")
    text(tmp_path / "_annotations.createml.json", PAGE)
    return tmp_path


EXPECTED = {"a.jpg": [("Dog", [15.0, 12.0, 25.0, 18.0], 0), ("cat", [4.0, 0.0, 7.0, 8.0], 0)], "b.jpg": []}


def test_x_and_y_are_the_centre(folder):
    data = read_annotations(folder)
    assert (data.form, data.names, data.splits, data.faults) == ("createml", ("Dog", "cat"), (), ())
    assert objects(data) == EXPECTED
    assert data.where(1) == "image 1 of the list, annotation 2 (cat)"


def test_the_older_spelling_and_paths_of_another_machine(folder):
    page = [{"imagefilename": f"/Users/me/{one['image']}", "annotation": one["annotations"]} for one in PAGE]
    (folder / "_annotations.createml.json").unlink()
    assert objects(read_annotations(text(folder / "notes.json", page))) == EXPECTED


def test_folders_and_files_are_splits(tmp_path):
    for split in ("train", "valid", "test"):
        picture(tmp_path / split / "a.jpg")
        text(tmp_path / split / "_annotations.createml.json", PAGE[:1])
    data = read_annotations(tmp_path)
    assert (data.splits, data.members.sum(1).tolist(), data.faults) == (
        ("train", "val", "test"),
        [1, 1, 1],
        (),
    )
    assert read_annotations(tmp_path / "test").splits == ()
    assert read_annotations(tmp_path / "test/_annotations.createml.json").splits == ()


def test_what_cannot_be_understood_is_told_and_the_rest_read(folder):
    entries = [thing("", 1, 1, 1, 1), thing("c", "1", 1, 1, 1), {"label": "c"}, 3, thing("c", 2, 2, 2, 2)]
    page = [{"image": "a.jpg", "annotations": entries}, 7, {"annotations": []}, {"image": "b.jpg"}]
    text(folder / "_annotations.createml.json", page)
    data = read_annotations(folder)
    assert objects(data) == {"a.jpg": [("c", [1.0, 1.0, 3.0, 3.0], 0)]}
    at = "image 1 of the list, annotation"
    assert faults(data) == [
        f"{at} 1 (?): found no label, wanted the name of a class, skipped",
        f'{at} 2 (c): found x "1", wanted a number of pixels, skipped',
        f"{at} 3 (c): found coordinates null, wanted x, y, width and height, skipped",
        f"{at} 4 (?): found no label, wanted the name of a class, skipped",
        "image 2 of the list: found 7, wanted an object with 'image' and 'annotations', skipped",
        "image 3 of the list: found no 'image', wanted the name of an image, skipped",
        "image 4 of the list: found 'annotations' null, wanted a list, skipped",
    ]


def test_broken_json_is_refused(folder):
    text(folder / "_annotations.createml.json", '[{"image": "a.jpg", "annotations": []}')
    with pytest.raises(InputError, match="broken JSON"):
        read_annotations(folder)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken_json(PAGE))
def test_a_broken_file_is_read_or_refused(folder, content):
    readable_or_refused(text(folder / "_annotations.createml.json", content), "createml")
