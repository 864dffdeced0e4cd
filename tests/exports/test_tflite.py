"""``masu export --to tflite``: the file in LiteRT's interpreter."""

import zipfile

import numpy as np
import pytest
import torch

from masu import InputError
from masu.exports.exported import open_detector
from masu.exports.pictures import made_picture
from masu.runtime import Model
from masu.verbs.export import export
from tests.networks import bright_cells

pytest.importorskip("litert_torch")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the converter's own packages


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    detector = bright_cells((32, 32))
    file = tmp_path_factory.mktemp("tflite") / "cells.tflite"
    return detector, file, export(detector, file, to="tflite", canvas=(32, 32))


def test_its_answers_are_the_detector_s(exported):
    detector, file, report = exported
    assert report.agreement.equal
    assert report.agreement.detections > 20
    assert report.bytes == file.stat().st_size
    image = made_picture(0)[:, 100:132, 200:232].permute(1, 2, 0).numpy()
    wanted, found = detector.predict(image), Model(file, threads=1).predict(image, batch_size=4)
    assert len(wanted) == len(found) > 0
    np.testing.assert_allclose(found.boxes, wanted.boxes.numpy(), atol=1e-3)
    (again,) = open_detector(file).predict([image])
    torch.testing.assert_close(again.boxes, wanted.boxes, atol=1e-3, rtol=0)


def test_it_says_what_it_is_and_whether_it_is_whole(exported, tmp_path):
    _, file, _ = exported
    assert Model(file).names == ("object",)
    with zipfile.ZipFile(file) as archive:
        assert archive.read("labels.txt") == b"object\n"
    content = bytearray(file.read_bytes())
    content[2000] ^= 1
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(content)
    with pytest.raises(InputError, match="another checksum than its own: it is damaged"):
        Model(broken)
    with pytest.raises(InputError, match=r"engine onnxruntime for .tflite, wanted litert"):
        Model(file, engine="onnxruntime")


def test_a_model_of_others_is_refused(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"TFL3" * 100)
    with pytest.raises(InputError, match="a LiteRT model without masu's description"):
        Model(tmp_path / "a.tflite")
