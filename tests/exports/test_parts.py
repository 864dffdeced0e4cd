"""A detector in parts, with NumPy between them, gives the detector's own answers."""

import pytest
import torch

import masu
from masu.detectors.calibration import Calibration
from masu.exports.agreement import agreement_of
from masu.exports.on_canvas import OnCanvas
from masu.exports.parts import canvas_for, partitioned, traced
from masu.exports.pictures import made_picture
from masu.ops.images import InputPolicy
from masu.partition import PartitionedGraph
from masu.records import Detections
from tests.networks import bright_cells, spread, spread_points


def in_parts(detector, canvas, modules=None):
    """The detector as a file of parts is run, each part in PyTorch."""
    made, parts = partitioned(detector.prediction_network().detector, canvas)
    modules = modules or [part for part, _ in parts]

    def run(part, inputs):
        with torch.inference_mode():
            return [output.numpy() for output in modules[part](*map(torch.from_numpy, inputs))]

    return made, PartitionedGraph(made, run, detector.input.channels)


def assert_equal(detector, wanted, answer):
    boxes, scores, labels, count = (x[0] for x in answer)
    names = tuple(detector.names[label] for label in labels[: int(count)])
    found = Detections(*(torch.from_numpy(x[: int(count)]) for x in (boxes, scores, labels)), names)
    agreed = agreement_of(detector, [wanted], [found])
    assert agreed.detections > 3
    assert agreed.unmatched == 0
    assert agreed.matched > 0.9 * agreed.detections


@pytest.fixture(scope="module")
def picture():
    return made_picture(0)[:, 20:260, 100:420].contiguous()  # 240×320: the model sees 320×426


@pytest.mark.parametrize(
    "name", ["faster_rcnn_lite0_fpn", "cascade_rcnn_lite0_fpn", "retinanet_lite0_fpn", "fcos_lite0_fpn"]
)
def test_every_kind_of_detector(name, picture):
    torch.manual_seed(0)
    detector = masu.build(name, ["cat", "dog", "hen"], "imagenet")
    if "rcnn" in name:
        detector = spread(detector, scores=3)
    elif "fcos" in name:
        detector = spread_points(detector, 0.05)
    else:
        torch.nn.init.normal_(detector.head.classes.output.weight, std=0.03)
        detector.eval()
    made, graph = in_parts(detector, (320, 448))
    assert len(made.steps) == (2 if "rcnn" in name else 1)
    pixels = picture.permute(1, 2, 0).numpy()
    assert_equal(detector, detector.predict(pixels), graph(pixels[None]))
    lying = pixels.transpose(1, 0, 2).copy()  # too high for the canvas
    assert_equal(detector, OnCanvas(detector, made).predict(lying), graph(lying[None]))


def test_a_traced_part_holds_standard_operators_alone(small, picture):
    made, parts = partitioned(small.prediction_network().detector, (96, 96))
    program = traced(*parts[1])
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert names
    assert not [name for name in names if not name.startswith(("aten.", "<built-in"))]
    graph = in_parts(small, (96, 96), [parts[0][0], program.module()])[1]
    pixels = picture.permute(1, 2, 0).numpy()
    assert_equal(small, OnCanvas(small, made).predict(pixels), graph(pixels[None]))


def test_other_channels_and_calibrated_scores():
    detector = bright_cells((32, 32))
    detector.calibration = Calibration("right", {"object": ((0.0, 0.0), (0.5, 0.1), (1.0, 0.9))})
    _, graph = in_parts(detector, (32, 32))
    image = torch.full((3, 32, 32), 255, dtype=torch.uint8)
    image[:, :, :9] = 140
    assert_equal(detector, detector.predict(image), graph(image.permute(1, 2, 0).numpy()[None]))


def test_the_smallest_canvas_for_images():
    policy = InputPolicy(320, 640)
    assert canvas_for(policy, [(480, 640)]) == (320, 448)
    assert canvas_for(policy, [(480, 640), (640, 480)]) == (448, 448)
    assert canvas_for(policy, [(100, 1000)]) == (64, 640)
