"""``masu export --to ncnn``: detectors of one stage in ncnn."""

import numpy as np
import pytest

from masu import InputError
from masu.exports.pictures import made_picture
from masu.runtime import Model
from masu.verbs.export import export
from tests.networks import bright_cells


def test_two_stages_are_refused_in_one_line(small, tmp_path):
    with pytest.raises(InputError) as error:
        export(small, tmp_path / "small.ncnn.param", to="ncnn")
    assert str(error.value) == (
        "--to: found ncnn for a FasterRCNN, which looks twice, wanted a detector of one stage: RetinaNet or "
        "FCOS; or take --to onnx, openvino or tflite"
    )


def test_its_answers_are_the_detector_s(tmp_path):
    pytest.importorskip("pnnx")
    pytest.importorskip("ncnn")
    detector = bright_cells((32, 32))
    file = tmp_path / "cells.ncnn.param"
    report = export(detector, file, to="ncnn", canvas=(32, 32))
    weights = tmp_path / "cells.ncnn.bin"
    assert report.agreement.equal
    assert report.agreement.detections > 20
    assert report.bytes == file.stat().st_size + weights.stat().st_size
    image = made_picture(0)[:, 100:132, 200:232].permute(1, 2, 0).numpy()
    wanted, found = detector.predict(image), Model(file, threads=1).predict(image)
    assert len(wanted) == len(found) > 0
    np.testing.assert_allclose(found.boxes, wanted.boxes.numpy(), atol=1e-3)
    weights.write_bytes(weights.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"cells.ncnn.param and cells.ncnn.bin are damaged"):
        Model(file)


def test_a_network_of_others_is_refused(tmp_path):
    pytest.importorskip("ncnn")
    (tmp_path / "a.param").write_text("7767517\n0 0\n")
    with pytest.raises(InputError, match="a network of ncnn without masu's description"):
        Model(tmp_path / "a.param")
