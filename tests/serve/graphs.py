"""An exported file of a few operators, whose scores are the brightness of what it sees: made in no time."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from masu.runtime import ENTRY

NAMES = ["sun", "moon"]
DESCRIPTION = {
    "names": NAMES,
    "kind": "detector",
    "architecture": "test",
    "version": "0.1.0",
    "min_size": 32,
    "max_size": 64,
    "channels": None,
    "min_score": 0.0,
    "max_detections": 3,
    "thresholds": {"moon": 0.2},
    "margins": {"sun": 0.25},
}
BOXES = [[0.1, 0.2, 10.3, 8.7], [4, 4, 20, 20], [0, 0, 1, 1]]


def write(file, **said):
    """``(1, H, W, 3)`` in; rows sun, moon, sun with the mean brightness in 0..1, a half and a quarter of it."""
    constants = {
        "boxes": np.array([BOXES], np.float32),
        "labels": np.array([[0, 1, 0]], np.int64),
        "count": np.array([3], np.int64),
        "shares": np.array([[1, 0.5, 0.25]], np.float32) / 255,
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "shares"], ["scores"]),
    ]
    for name in ("boxes", "labels", "count"):
        value = numpy_helper.from_array(constants[name], name)
        nodes.append(helper.make_node("Constant", [], [name], value=value))
    kinds = {"boxes": (1, [1, 3, 4]), "scores": (1, [1, 3]), "labels": (7, [1, 3]), "count": (7, [1])}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, "h", "w", 3])],
        [helper.make_tensor_value_info(name, *kind) for name, kind in kinds.items()],
        [numpy_helper.from_array(constants["shares"], "shares")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {ENTRY: json.dumps(DESCRIPTION | said)})
    onnx.save(model, file)
    return file
