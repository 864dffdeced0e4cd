import hashlib

from masu.drafts.model import version_of


def test_the_version_is_the_name_and_the_start_of_the_digest(tmp_path):
    digest = hashlib.sha256(b"weights").hexdigest()
    for name, shown in [
        ("cells.onnx", "cells"),
        ("run-7/best.safetensors", "run-7"),
        ("z/last.safetensors", "z"),
    ]:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"weights")
        assert version_of(file) == f"{shown}-{digest[:8]}"


def test_the_weights_beside_an_openvino_model_count(tmp_path):
    file = tmp_path / "m.xml"
    file.write_bytes(b"graph")
    alone = version_of(file)
    (tmp_path / "m.bin").write_bytes(b"1")
    first = version_of(file)
    (tmp_path / "m.bin").write_bytes(b"2")
    assert len({alone, first, version_of(file)}) == 3
    assert alone == f"m-{hashlib.sha256(b'graph').hexdigest()[:8]}"
    assert first == f"m-{hashlib.sha256(b'graph1').hexdigest()[:8]}"
