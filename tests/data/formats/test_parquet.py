"""Parquet of Hugging Face: shards by hand, where their images go, and what cannot be read."""

import io
import json
import os
import sys

import pytest
from PIL import Image

from masu.data.dataset import CROWD
from masu.data.formats import read_annotations, read_dataset
from masu.data.formats.parquet_images import UNPACKED
from masu.errors import InputError
from tests.data.formats.minimal import picture

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def content(colour=10, size=(64, 48), form="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", size, (colour, 20, 30)).save(stream, form)
    return stream.getvalue()


def shard(file, table, names=None, key="category", group=None):
    label = {"names": names, "_type": "ClassLabel"}
    features = {"objects": {"feature": {key: {"feature": label, "_type": "List"}}, "_type": "Sequence"}}
    table = pa.table(table)
    if names is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, row_group_size=group)
    return file


def row(path="a.png", boxes=((1, 2, 30, 20),), classes=(0,), **others):
    objects = {"bbox": [list(map(float, box)) for box in boxes], "category": list(classes), **others}
    return {"image": {"bytes": content(), "path": path}, "objects": objects}


def table(*rows):
    return {key: [one[key] for one in rows] for key in rows[0]}


def one(tmp_path, *rows, names=("cat", "dog")):
    shard(tmp_path / "data/train-00000-of-00001.parquet", table(*rows), names)
    return read_dataset(tmp_path)


def refused(tmp_path):
    with pytest.raises(InputError) as caught:
        read_dataset(tmp_path)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{tmp_path}{os.sep}", "")


class TestReading:
    def test_shards_splits_flags_and_classes(self, tmp_path):
        first = row(
            "x/a.png", ((1, 2, 30, 20), (0, 0, 5, 5)), (1, 0), iscrowd=[0, 1], area=[500.0, 25.0], id=[4, 5]
        )
        shard(tmp_path / "data/train-00000-of-00002.parquet", table(first), ["dog", "cat"])
        shard(tmp_path / "data/train-00001-of-00002.parquet", table(row("b.png", (), ())), ["dog", "cat"])
        shard(tmp_path / "data/validation-00000-of-00001.parquet", table(row("c.png")), ["dog", "cat"])
        data = read_dataset(tmp_path)
        assert (data.form, data.splits, data.names, data.category_ids) == (
            "parquet",
            ("train", "val"),
            ("dog", "cat"),
            (0, 1),
        )
        assert [path.name for path in data.paths] == ["a.png", "b.png", "c.png"]
        assert data.boxes.tolist() == [[1, 2, 31, 22], [0, 0, 5, 5], [1, 2, 31, 22]]
        assert (data.labels.tolist(), data.flags.tolist()) == ([1, 0, 0], [0, CROWD, 0])
        assert data.areas[:2].tolist() == [500, 25]
        assert data.where(1) == "row 1, object 2"
        assert data.faults == ()

    def test_folders_for_splits(self, tmp_path):
        shard(tmp_path / "default/train/0000.parquet", table(row()), ["cat"])
        shard(tmp_path / "default/test/0000.parquet", table(row("b.png")), ["cat"])
        assert read_dataset(tmp_path).splits == ("train", "test")

    def test_one_file(self, tmp_path):
        file = shard(tmp_path / "data/train-00000-of-00001.parquet", table(row()), ["cat"])
        assert (read_dataset(file).splits, len(read_dataset(file))) == ((), 1)

    def test_a_list_of_structs(self, tmp_path):
        objects = [
            {"bbox": [1.0, 2.0, 30.0, 20.0], "label": "owl"},
            {"bbox": [40.0, 1.0, 3.0, 4.0], "label": "ant"},
        ]
        shard(tmp_path / "a.parquet", {"image": [row()["image"]], "objects": [objects]})
        data = read_dataset(tmp_path)
        assert (data.names, data.labels.tolist()) == (("ant", "owl"), [1, 0])

    def test_columns_of_their_own_and_bare_bytes(self, tmp_path):
        columns = {"image": [content(form="JPEG")], "bboxes": [[[1, 2, 30, 20]]], "category_id": [[12]]}
        shard(tmp_path / "a.parquet", columns)
        data = read_dataset(tmp_path)
        assert [path.name for path in data.paths] == ["row1.jpg"]
        assert (data.names, data.category_ids, data.boxes.tolist()) == (("12",), (12,), [[1, 2, 31, 22]])

    def test_sizes_of_columns(self, tmp_path):
        data = one(tmp_path, row() | {"width": 64, "height": 99})
        assert [fault.kind for fault in data.faults] == ["wrong-size"]

    @pytest.mark.parametrize(
        "path",
        [None, "", "noext", "../../up.png/..", ".hidden.png", "a\nb.png", "c:x.png", "x" * 300 + ".png"],
    )
    def test_paths_that_are_no_names(self, tmp_path, path):
        data = one(tmp_path, row(path), row("good.png"))
        assert [path.name for path in data.paths] == ["row1.png", "good.png"]

    def test_two_images_of_one_name(self, tmp_path):
        data = one(tmp_path, row("x/a.png"), row("y/A.PNG"), row("row4.png"), row(None))
        assert [path.name for path in data.paths] == ["a.png", "row2.png", "row4.png", "row4_.png"]

    def test_an_image_without_bytes_is_a_file(self, tmp_path):
        picture(tmp_path / "data/b.png", 64, 48)
        entry = row("b.png")
        entry["image"]["bytes"] = None
        gone = row("gone.png")
        gone["image"]["bytes"] = None
        data = one(tmp_path, entry, gone, row("a.png"))
        assert data.paths[0].parent.name == "data"
        assert [(fault.kind, fault.where) for fault in data.faults] == [("missing-image", "row 2")]


class TestUnpacking:
    def test_it_is_done_once(self, tmp_path):
        data = one(tmp_path, row(), row("b.png"))
        folders = list((tmp_path / "data" / UNPACKED).iterdir())
        assert [path.parent for path in data.paths] == folders * 2
        before = [path.stat().st_mtime_ns for path in data.paths]
        again = read_dataset(tmp_path)
        assert [path.stat().st_mtime_ns for path in again.paths] == before
        assert list((tmp_path / "data" / UNPACKED).iterdir()) == folders

    def test_another_file_is_unpacked_anew(self, tmp_path):
        first = one(tmp_path, row())
        entry = row()
        entry["image"]["bytes"] = content(11)
        second = one(tmp_path, entry)
        assert first.paths[0] != second.paths[0]
        assert second.paths[0].read_bytes() == content(11)

    def test_a_folder_that_cannot_be_written(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        (tmp_path / "here/data").mkdir(parents=True)
        (tmp_path / "here/data" / UNPACKED).write_text("in the way")
        data = one(tmp_path / "here", row())
        assert data.paths[0].is_relative_to(tmp_path / "cache/masu/images")
        assert data.paths[0].read_bytes() == content()

    def test_nowhere(self, tmp_path, monkeypatch):
        (tmp_path / "cache").write_text("in the way")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / UNPACKED).write_text("in the way")
        shard(tmp_path / "data/train-00000-of-00001.parquet", table(row()), ["cat"])
        assert refused(tmp_path).startswith(
            "data/train-00000-of-00001.parquet: found no place for its images ("
        )

    def test_a_broken_page_leaves_nothing(self, tmp_path):
        file = shard(tmp_path / "data/train-00000-of-00001.parquet", table(row(), row("b.png")), ["cat"])
        text = bytearray(file.read_bytes())
        text[4:60] = bytes(56)
        file.write_bytes(text)
        assert "found unusable Parquet (" in refused(tmp_path)
        assert list((tmp_path / "data" / UNPACKED).iterdir()) == []


class TestFaults:
    def test_without_pyarrow(self, tmp_path, monkeypatch):
        shard(tmp_path / "a.parquet", table(row()), ["cat"])
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        found = "found a Parquet file, and no package to read it, wanted the package pyarrow"
        assert refused(tmp_path) == f"a.parquet: {found}; pip install 'masu[parquet]'"

    def test_a_cut_file(self, tmp_path):
        file = shard(tmp_path / "a.parquet", table(row()), ["cat"])
        file.write_bytes(file.read_bytes()[:-9])
        assert refused(tmp_path).startswith("a.parquet: found unusable Parquet (ArrowInvalid: ")

    def test_another_table_is_not_taken(self, tmp_path):
        shard(
            tmp_path / "part-000000.parquet",
            {"path": ["a.jpg"], "boxes": [[[1.0, 2.0, 3.0, 4.0]]], "labels": [[1]]},
        )
        assert "found a folder with no known annotations" in refused(tmp_path)

    def test_classes_that_are_not_there(self, tmp_path):
        data = one(tmp_path, row(boxes=((1, 2, 30, 20),) * 3, classes=(0, -1, 2)))
        assert len(data.boxes) == 1
        assert [(f.kind, f.where, f.found) for f in data.faults] == [
            ("unknown-class", "row 1, object 2", "class -1, known are 0 to 1"),
            ("unknown-class", "row 1, object 3", "class 2, known are 0 to 1"),
        ]

    def test_lists_of_two_lengths(self, tmp_path):
        data = one(tmp_path, row(classes=(0, 1)), row("b.png"))
        assert [(f.where, f.found) for f in data.faults] == [
            ("row 1", "found 1 boxes and 2 classes, wanted as many of each")
        ]

    def test_a_box_of_three_numbers(self, tmp_path):
        data = one(tmp_path, row(boxes=((1, 2, 3),)), row("b.png"))
        wanted = "wanted 4 numbers: x y width height"
        assert [(f.where, f.found) for f in data.faults] == [
            ("row 1, object 1", f"found bbox [1.0, 2.0, 3.0], {wanted}")
        ]


class TestKindOfBoxes:
    @pytest.mark.parametrize("sizes", [{}, {"width": 64, "height": 48}])
    def test_corners_are_refused(self, tmp_path, sizes):
        shard(
            tmp_path / "a.parquet",
            table(row(None, ((40, 30, 60, 40), (1, 2, 3, 4)), (0, 0)) | sizes),
            ["cat"],
        )
        found = "bbox values that look like x1 y1 x2 y2: 1 of 2 as x y width height reach outside their image"
        fix = "save the data set with bbox as x y width height"
        assert refused(tmp_path) == f"a.parquet: found {found}, wanted x y width height in pixels; {fix}"

    @pytest.mark.parametrize(
        "boxes",
        [
            ((40, 30, 60, 40), (20, 20, 3, 4)),  # the second has no two corners
            ((1, 2, 30, 20), (3, 4, 10, 12)),  # good as both
            ((40, 30, 60, 80), (1, 2, 3, 4)),  # outside as both
        ],
    )
    def test_others_are_not(self, tmp_path, boxes):
        assert len(one(tmp_path, row(boxes=boxes, classes=(0, 0))).boxes) == 2

    def test_shares_are_refused(self, tmp_path):
        shard(tmp_path / "a.parquet", table(row(boxes=((0.1, 0.2, 0.3, 0.4),))), ["cat"])
        assert refused(tmp_path).startswith(
            "a.parquet: found bbox values all from 0 to 1: shares of the image, "
        )


def test_many_rows_in_groups(tmp_path):
    rows = [row(f"{number}.png", ((number % 9, 2, 5, 6),)) for number in range(150)]
    shard(tmp_path / "data/train-00000-of-00001.parquet", table(*rows), ["cat"], group=40)
    data = read_annotations(tmp_path)
    assert [path.name for path in data.paths] == [f"{number}.png" for number in range(150)]
    assert data.boxes[:, 0].tolist() == [number % 9 for number in range(150)]
