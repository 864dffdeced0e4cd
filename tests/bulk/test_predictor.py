import os
import pickle
import threading

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

import masu
from masu.bulk import predictor as module
from masu.bulk.predictor import Predictor
from masu.bulk.remote import StoreError
from masu.bulk.table import ImageRow, schema, to_table
from masu.records import Detections
from tests.bulk.conftest import photographs


def test_the_table_by_hand():
    found = Detections([[0.5, 1, 20, 10.25]], [0.75], [1], ["dog"])
    table = to_table([ImageRow("/a.jpg", 30, 40, found), ImageRow("/\udcff.jpg", error="no such file")])
    assert table.schema.equals(schema())
    assert table.to_pylist() == [
        {"path": "/a.jpg", "height": 30, "width": 40, "boxes": [[0.5, 1.0, 20.0, 10.25]], "scores": [0.75], "labels": [1], "names": ["dog"], "error": None},
        {"path": "/\\udcff.jpg", "height": None, "width": None, "boxes": None, "scores": None, "labels": None, "names": None, "error": "no such file"},
    ]  # fmt: skip


def test_an_image_without_objects_has_empty_lists():
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), [])
    (row,) = to_table([ImageRow("/a.jpg", 30, 40, nothing)]).to_pylist()
    assert (row["boxes"], row["scores"], row["labels"], row["names"]) == ([], [], [], [])


def test_no_rows_are_an_empty_table():
    assert to_table([]).num_rows == 0


@pytest.mark.parametrize("batch_size", [1, 3])
def test_rows_are_what_predict_finds_in_order_and_faults_are_rows(tmp_path, model_file, batch_size):
    good = photographs(tmp_path, 7)
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    paths = [str(p) for p in (*good[:2], tmp_path / "bad.jpg", *good[2:], tmp_path / "gone.png")]
    table = Predictor(model_file, 0.3, batch_size=batch_size)({"path": np.array(paths)})
    assert table.schema.equals(schema())
    rows = table.to_pylist()
    assert [row["path"] for row in rows] == paths
    assert [row["error"] for row in rows] == [
        None, None, "a file that is no image or of an unknown kind", *[None] * 5, "no such file",
    ]  # fmt: skip
    detector = masu.load(model_file)
    together = [good[:2], good[2:5], good[5:]] if batch_size == 3 else [[path] for path in good]
    expected = [found for part in together for found in detector.predict(part, 0.3, batch_size)]
    seen = [row for row in rows if row["error"] is None]
    assert sum(map(len, expected)) > 20
    for row, found, path in zip(seen, expected, good, strict=True):
        with Image.open(path) as image:
            assert (row["width"], row["height"]) == image.size
        assert row["names"] == list(found.names)
        assert row["labels"] == found.labels.tolist()
        np.testing.assert_array_equal(np.float32(row["scores"]), found.scores)
        np.testing.assert_array_equal(np.float32(row["boxes"]).reshape(-1, 4), found.boxes)


def test_an_exported_file_and_a_store(tmp_path, onnx_file):
    (path,) = photographs(tmp_path, 1)
    fsspec.filesystem("memory").pipe_file("/shots/a.jpg", path.read_bytes())
    table = Predictor(onnx_file, 0.3, threads=1)(
        {"path": [str(path), "memory://shots/a.jpg", "memory://shots/b.jpg"]}
    )
    local, remote, gone = table.to_pylist()
    assert local["error"] is None
    assert {**local, "path": ""} == {**remote, "path": ""}
    assert gone["error"] == "no such object"


def test_a_store_that_does_not_answer_stops_the_batch(model_file, monkeypatch):
    def refuse(self, path, **_):
        raise ConnectionError("no route")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "cat_file", refuse)
    with pytest.raises(StoreError, match=r"memory://shots/a\.jpg: found a store that refuses"):
        Predictor(model_file)({"path": ["memory://shots/a.jpg"]})


def test_it_is_pickled_without_its_model_and_loads_once(tmp_path, model_file, monkeypatch):
    (path,) = photographs(tmp_path, 1)
    predictor = Predictor(os.path.relpath(model_file))
    before = predictor({"path": [str(path)]})
    packed = pickle.dumps(predictor)
    assert len(packed) < 1000
    monkeypatch.chdir(tmp_path)
    first, second = pickle.loads(packed), pickle.loads(packed)  # noqa: S301 our own bytes
    assert first({"path": [str(path)]}) == before
    assert first.detector is second.detector is predictor.detector


def test_a_model_file_written_anew_is_read_anew(tmp_path, model_file):
    file = tmp_path / "m.safetensors"
    file.write_bytes(model_file.read_bytes())
    first = Predictor(file).detector
    os.utime(file, ns=(1, 1))
    assert Predictor(file).detector is not first


def test_threads_hold_in_the_thread_that_calls(tmp_path, model_file):
    (path,) = photographs(tmp_path, 1)
    before, seen = torch.get_num_threads(), []

    def call():
        Predictor(model_file, threads=1)({"path": [str(path)]})
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    torch.set_num_threads(before)
    assert seen == [1]


def test_few_images_are_decoded_ahead(monkeypatch):
    begun = []

    def read(path, channels):
        begun.append(path)
        return path

    monkeypatch.setattr(module, "_read", read)
    stream = Predictor("m", batch_size=4, readers=2)._images([str(i) for i in range(100)], None)
    assert next(stream) == ("0", "0")
    stream.close()
    assert len(begun) <= 4 + 2 + 1


def test_an_image_that_the_memory_does_not_suffice_for_has_its_row(tmp_path, model_file, monkeypatch):
    paths = [str(path) for path in photographs(tmp_path, 3)]
    Image.new("RGB", (900, 20)).save(tmp_path / "wide.png")
    predictor = Predictor(model_file, 0.3, batch_size=4)
    own = predictor.detector.predict

    def predict(images, *given):
        if len(images) > 1 or images[0].shape[2] == 900:
            raise MemoryError
        return own(images, *given)

    monkeypatch.setattr(predictor.detector, "predict", predict)
    rows = list(predictor.rows([*paths[:1], str(tmp_path / "wide.png"), *paths[1:]]))
    assert [row.error is None for row in rows] == [True, False, True, True]
    assert "900×20 pixels, for which the memory does not suffice" in rows[1].error
