"""ONNX files that keep weights in other files are told before a runtime opens them."""

import onnx
import pytest
from onnx import TensorProto, helper

from masu.errors import InputError
from masu.external_data import keeps_external_data
from masu.runtime import Model


def weights(external):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    if external:
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../secret.bin")
    else:
        tensor.float_data.append(1.0)
    return tensor


def model(tensor, place):
    """A model with the tensor in one of the places that ONNX has for one."""
    of_one = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])]
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    if place == "sparse":
        sparse = onnx.SparseTensorProto(values=tensor, dims=[1])
        graph = helper.make_graph([], "g", of_one, of_one, sparse_initializer=[sparse])
    elif place == "branch":
        branch = helper.make_graph([constant], "b", [], of_one)
        node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
        graph = helper.make_graph([node], "g", of_one, of_one)
    elif place == "constant":
        graph = helper.make_graph([constant], "g", of_one, of_one)
    else:
        graph = helper.make_graph([], "g", of_one, of_one, [tensor] if place == "initializer" else [])
    made = helper.make_model(graph)
    if place == "function":
        made.functions.append(
            helper.make_function("d", "f", [], ["y"], [constant], [helper.make_opsetid("", 18)])
        )
    if place == "training":
        made.training_info.add().algorithm.initializer.append(tensor)
    return made.SerializeToString()


PLACES = ("initializer", "constant", "branch", "function", "sparse", "training")


@pytest.mark.parametrize("place", PLACES)
def test_told_wherever_it_stands(place):
    assert keeps_external_data(model(weights(external=True), place))
    assert not keeps_external_data(model(weights(external=False), place))


def test_a_place_that_says_that_the_data_are_here_is_none():
    tensor = weights(external=False)
    tensor.data_location = TensorProto.DEFAULT
    assert not keeps_external_data(model(tensor, "initializer"))


def test_lengths_written_in_more_bytes_than_they_need_hide_nothing():
    plain = weights(external=True).SerializeToString()
    graph = b"\x2a" + bytes([len(plain) | 0x80, 0x80, 0x00]) + plain  # field 5, its length in three bytes
    assert keeps_external_data(b"\x3a" + bytes([len(graph) | 0x80, 0x00]) + graph)


@pytest.mark.parametrize("broken", [b"\x3a\x05\x00", b"\x3a", b"\x3b", b"\xff" * 12, b"PK\x03\x04rest"])
def test_what_is_no_message_is_refused(broken):
    with pytest.raises(ValueError, match=r"field|number"):
        keeps_external_data(broken)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_model_that_names_another_file_is_refused(engine, tmp_path):
    file = tmp_path / "stranger.onnx"
    file.write_bytes(model(weights(external=True), "initializer"))
    with pytest.raises(InputError, match="found weights that are kept in another file, wanted one file"):
        Model(file, engine)
