"""Images are read while the network runs: in order, a few ahead, and no thread is left."""

import threading
import time

import pytest
import torch
from PIL import Image

from masu.data.loading.ahead import ahead
from masu.errors import InputError
from masu.evaluation import predictions as module
from masu.evaluation.predictions import predictions
from masu.ops.images import InputPolicy
from masu.records import Detections


class Sizes:
    """Finds in each image one box of its size."""

    names, kind = ("image",), "detector"
    input = InputPolicy(64, 64, (0.0,) * 3, (1.0,) * 3)

    def predict(self, images, threshold=None, batch_size=1):
        return [
            Detections([[0, 0, image.shape[2], image.shape[1]]], [1.0], [0], ("image",)) for image in images
        ]


@pytest.fixture
def photographs(tmp_path):
    paths = [tmp_path / f"{width}.png" for width in range(1, 8)]
    for width, path in enumerate(paths, 1):
        Image.new("RGB", (width, 5)).save(path)
    paths[3].write_bytes(b"no picture")
    return paths


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 20])
def test_each_image_has_its_own_boxes(photographs, batch_size):
    faults, done = [], []
    stream = predictions(
        Sizes(),
        photographs,
        faults,
        threshold=None,
        batch_size=batch_size,
        progress=lambda *at: done.append(at),
    )
    found = [(one.index, int(one.detections.boxes[0, 2]), one.image.shape[2]) for one in stream]
    assert found == [(i, i + 1, i + 1) for i in range(7) if i != 3]
    assert [str(photographs[3]) in fault for fault in faults] == [True]
    assert done[-1] == (7, 7)


@pytest.mark.parametrize("count", [1, 3])
def test_reads_while_an_image_is_looked_at_but_not_all(photographs, count, monkeypatch):
    read = []
    monkeypatch.setattr(
        module, "read_seen", lambda path, channels, tiles: read.append(path) or torch.zeros(3, 1, 1)
    )
    stream = module.ahead((module._read(path, Sizes.input) for path in photographs), count)
    next(stream)
    end = time.monotonic() + 10
    while len(read) < 1 + count and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(read) == 1 + count
    before = threading.active_count()
    stream.close()
    while threading.active_count() >= before and time.monotonic() < end:
        time.sleep(0.001)
    assert threading.active_count() == before - 1


def test_what_a_reader_raises_is_raised_here(photographs, monkeypatch):
    def read(path, channels, tiles):
        raise MemoryError

    monkeypatch.setattr(module, "read_seen", read)
    with pytest.raises(MemoryError):
        next(ahead((module._read(path, Sizes.input) for path in photographs), 1))
    monkeypatch.undo()
    assert isinstance(
        next(ahead((module._read(path, Sizes.input) for path in photographs[3:]), 1)), InputError
    )
