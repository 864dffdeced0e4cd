"""COCO is read by type where it is as it should be, else entry by entry: both give the same."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from masu.data.formats import coco, json_stream, read_annotations
from masu.errors import InputError
from tests.data.formats.minimal import picture, text

NUMBERS = st.integers(-5, 80) | st.floats(-5, 80) | st.sampled_from([1e308, 10**20, 2**53 + 1])
ODD = st.sampled_from(
    [None, True, False, "7", "", [], {}, 7.0, 0.5, -1, 10**25, [1, 2, 3], 2**61, -(2**61), 2**63]
)
IDS = st.integers(0, 3)
BOXES = st.lists(NUMBERS, min_size=4, max_size=4) | ODD
POLYGON = st.just([[1, 2, 30, 2, 30, 20]]) | st.just({"size": [4, 4], "counts": [3, 2]}) | st.just([]) | ODD


def entry(required, optional):
    """An object that mostly has what it should."""
    rare = {key: st.one_of(*[value] * 6, ODD) for key, value in required.items()}
    return st.fixed_dictionaries(
        rare, optional={key: st.one_of(*[value] * 4, ODD) for key, value in optional.items()}
    )


IMAGES = entry(
    {"id": IDS, "file_name": st.sampled_from(["a.png", "b.png", "c.png"])},
    {
        "height": st.just(48),
        "width": st.just(64),
        "license": st.just(1),
        "coco_url": st.sampled_from(["http://x/images/b.png", "c.png", ""]),
        "neg_category_ids": st.lists(IDS, max_size=3),
        "not_exhaustive_category_ids": st.lists(IDS, max_size=3),
    },
)
ANNOTATIONS = entry(
    {"image_id": IDS, "category_id": st.integers(1, 3), "bbox": BOXES, "id": st.integers(0, 10**6)},
    {
        "iscrowd": st.integers(-1, 2),
        "area": NUMBERS,
        "segmentation": POLYGON,
        "keypoints": st.sampled_from([[1, 2, 2], [], None]),
        "score": st.sampled_from([0.5, 0.0, 0, -0.0, 1]),
    },
)
MOSTLY = settings(max_examples=30, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Never:
    """A decoder that decodes nothing, so that every entry is read on its own."""

    def decode(self, text):
        raise msgspec.ValidationError


def result(path):
    """All that reading gives, or its error."""
    try:
        data = read_annotations(path)
    except InputError as error:
        return str(error)
    columns = [
        data.boxes,
        data.labels,
        data.flags,
        data.areas,
        data.sizes,
        data.starts,
        data.image_ids,
        data.places,
    ]
    if (lists := data.class_lists) is not None:
        columns.append(lists.listed)
        columns += [column for one in (lists.absent, lists.partial) for column in (one.starts, one.labels)]
    said = [(fault.kind, fault.where, fault.found, fault.action) for fault in data.faults]
    return [
        *(np.asarray(column).tolist() for column in columns),
        data.paths.texts(),
        data.names,
        data.category_ids,
        dict(data.left_out),
        said,
    ]


@pytest.fixture
def place(tmp_path):
    for name in ("a", "b", "c"):
        picture(tmp_path / f"images/{name}.png")
    return tmp_path


def page(images, annotations):
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def both(place, monkeypatch, content):
    text(place / "annotations/instances_train.json", content)
    typed = result(place)
    with monkeypatch.context() as patched:
        patched.setattr(coco, "_IMAGES", Never())
        patched.setattr(coco, "_ANNOTATIONS", Never())
        single = result(place)
    return typed, single


@MOSTLY
@given(images=st.lists(IMAGES, min_size=1, max_size=4), annotations=st.lists(ANNOTATIONS, max_size=5))
def test_both_ways_give_the_same(place, monkeypatch, images, annotations):
    typed, single = both(place, monkeypatch, page(images, annotations))
    assert repr(typed) == repr(single)


@MOSTLY
@given(images=st.lists(IMAGES, min_size=1, max_size=4), annotations=st.lists(ANNOTATIONS, max_size=5))
@example(  # typed first, then one by one: other things are left out first
    images=[{"id": 0, "file_name": "a.png"}],
    annotations=[
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"id": 2, "image_id": 0, "category_id": 1, "bbox": None, "score": 0.5, "keypoints": [1, 2, 2]},
    ],
)
def test_pieces_of_any_size_give_the_same(place, monkeypatch, images, annotations):
    text(place / "annotations/instances_train.json", page(images, annotations))
    whole = repr(result(place))
    for block in (1, 50, 200):
        with monkeypatch.context() as patched:
            patched.setattr(json_stream, "_BLOCK", block)
            assert repr(result(place)) == whole


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 2**61},
        {"id": -1},
        {"category_id": 2**62},
        {"category_id": -(2**62)},
        {"image_id": 2**62},
        {"image_id": -(2**63)},
        {"category_id": -(2**63)},
        {"iscrowd": 2},
        {"score": 0.0},
        {"bbox": [1, 2, 3, 10**400]},
    ],
)
def test_odd_numbers_beside_good_ones(place, monkeypatch, odd):
    images = [{"id": 1, "file_name": "a.png", "height": 48, "width": 64}]
    good = {"id": 5, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "iscrowd": 0, "area": 12}
    typed, single = both(place, monkeypatch, page(images, [good, good | {"id": 6} | odd]))
    assert repr(typed) == repr(single)


def test_an_unknown_category_is_told_as_it_stands(place):
    images = [{"id": 1, "file_name": "a.png"}]
    content = page(images, [{"id": 5, "image_id": 1, "category_id": 2**62, "bbox": [1, 2, 3, 4]}])
    text(place / "annotations/instances_train.json", content)
    faults = read_annotations(place).faults
    assert [fault.found for fault in faults] == [f"unknown category id {2**62}"]


def test_ids_as_texts(place, monkeypatch):
    images = [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png", "height": 48, "width": 64}]
    annotations = [
        {
            "id": 1,
            "image_id": 8,
            "category_id": 2,
            "bbox": [1, 2, 3, 4],
            "iscrowd": 1,
            "area": 5,
            "score": 0.5,
        },
        {
            "id": 2,
            "image_id": 7,
            "category_id": 1,
            "bbox": [1.5, 2, 3, 4],
            "segmentation": [[1, 2, 3, 4, 5, 6]],
        },
    ]
    typed, single = both(place, monkeypatch, page(images, annotations))
    assert repr(typed) == repr(single)
    as_texts = json.loads(json.dumps(page(images, annotations)))
    for one in as_texts["images"]:
        one["id"] = str(one["id"])
    for one in as_texts["annotations"]:
        one["image_id"], one["category_id"] = str(one["image_id"]), float(one["category_id"])
    assert repr(both(place, monkeypatch, as_texts)) == repr((typed, typed))


def test_a_name_that_is_no_utf_8(place):
    file = text(place / "annotations/instances_train.json", page([{"id": 1, "file_name": "?.png"}], []))
    file.write_bytes(file.read_bytes().replace(b"?", b"\x80"))
    with pytest.raises(InputError, match="broken JSON in 'images'"):
        read_annotations(place)
