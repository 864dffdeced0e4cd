"""The columns of a data set fit each other, whatever was read and whatever was done with it."""

import numpy as np
import pytest

from masu.data.dataset import Dataset
from masu.data.fitting import fitted, measured
from masu.data.formats import read_annotations
from masu.data.splits import NO_SPLIT
from tests.data.formats.minimal import MINIMAL

OPERATIONS = {
    "measured": measured,
    "fitted": lambda data: fitted(measured(data)),
    "united": Dataset.united,
    "none": lambda data: data.take([]),
    "backwards": lambda data: data.take(range(len(data) - 1, -1, -1)),
    "twice": lambda data: data.take([*range(len(data)), *range(len(data))]),
    "some objects": lambda data: data.keep(np.arange(len(data.boxes)) % 2 == 0),
    "no objects": lambda data: data.keep(np.zeros(len(data.boxes), np.bool_)),
    "the rest": lambda data: data.part(NO_SPLIT) if data.splits else data,
}


def consistent(data: Dataset) -> None:
    images, objects, splits = len(data), len(data.boxes), len(data.splits)
    shapes = {
        "starts": ((images + 1,), "int64"),
        "boxes": ((objects, 4), None),
        "labels": ((objects,), "int32"),
        "flags": ((objects,), "uint8"),
        "areas": ((objects,), "float64"),
        "object_files": ((objects,), "int32"),
        "places": ((objects,), "int64"),
        "sizes": ((images, 2), "int32"),
        "claimed": ((images, 2), "int32"),
        "relative": ((images,), "bool"),
        "members": ((splits, images), "bool"),
        "image_files": ((images,), "int32"),
        "image_ids": ((images,), "int64"),
    }
    for name, (shape, kind) in shapes.items():
        column = getattr(data, name)
        assert column.shape == shape, name
        assert kind is None or column.dtype == kind, name
    assert (data.starts[0], data.starts[-1]) == (0, objects)
    assert (np.diff(data.starts) >= 0).all()
    assert ((data.labels >= 0) & (data.labels < len(data.names))).all()
    assert len(data.category_ids) == len(data.names)
    assert len(data.supercategories) in (0, len(data.names))
    for column in (data.image_files, data.object_files):
        assert ((column >= 0) & (column < len(data.files))).all()
    assert [len(target) for _, target in data] == np.diff(data.starts).tolist()
    if (known := data.class_lists) is not None:
        assert (known.listed.shape, known.listed.dtype) == ((images,), "bool")
        for lists in (known.absent, known.partial):
            assert (lists.starts.shape, lists.starts[0], lists.starts[-1]) == (
                (images + 1,),
                0,
                len(lists.labels),
            )
            assert (lists.starts.dtype, lists.labels.dtype) == ("int64", "int32")
            assert all((np.diff(lists[image]) > 0).all() for image in range(images))
            assert ((lists.labels >= 0) & (lists.labels < len(data.names))).all()


def labels_of(data: Dataset) -> list[object]:
    """What is in each image of each split, in an order of its own."""
    return sorted(
        (path, part, data.names[data.labels[row]], data.boxes[row].tolist())
        for index, path in enumerate(data.paths.texts())
        for part in [s for s, mine in zip(data.splits, data.members[:, index], strict=True) if mine] or [""]
        for row in range(*data.objects(index).indices(len(data.boxes)))
    )


@pytest.mark.parametrize("name", MINIMAL)
def test_columns_fit_each_other_after_any_two_operations(tmp_path, name):
    MINIMAL[name](tmp_path)
    data = read_annotations(tmp_path)
    consistent(data)
    for first in OPERATIONS.values():
        consistent(first(data))
        for second in OPERATIONS.values():
            consistent(second(first(data)))


@pytest.mark.parametrize("name", MINIMAL)
def test_the_parts_are_the_whole(tmp_path, name):
    MINIMAL[name](tmp_path)
    data = read_annotations(tmp_path)
    parts = data.parts()
    assert sorted(path for part in parts.values() for path in part.paths.texts()) == data.paths.texts()
    assert sum(len(part.boxes) for part in parts.values()) == len(data.boxes)


@pytest.mark.parametrize("name", MINIMAL)
def test_a_data_set_is_the_same_from_wherever_it_is_read(tmp_path, monkeypatch, name):
    root = tmp_path / "root"
    root.mkdir()
    MINIMAL[name](root)
    expected = labels_of(measured(read_annotations(root)))
    for folder, path in ((tmp_path, "root"), (root, "."), (root, "../root")):
        monkeypatch.chdir(folder)
        found = labels_of(measured(read_annotations(path)))
        assert [(folder.joinpath(p).resolve(), *rest) for p, *rest in found] == [
            (tmp_path.joinpath(p), *rest) for p, *rest in expected
        ]
