import pytest

from masu.errors import InputError
from masu.model_path import model_file


def test_a_run_is_its_best_model(tmp_path):
    with pytest.raises(InputError) as caught:
        model_file(tmp_path)
    assert (caught.value.thing, caught.value.found) == (str(tmp_path), "a folder without best.safetensors")
    (tmp_path / "best.safetensors").write_bytes(b"")
    assert model_file(tmp_path) == tmp_path / "best.safetensors"
    assert model_file(tmp_path / "nothing.onnx") == tmp_path / "nothing.onnx"
