"""KServe's protocol byte by byte; tests/clients/serving asks with Triton's own client."""

import base64
import json
import struct

import numpy as np
import pytest

from masu.serving.limits import ServingLimits
from tests.serve.conftest import Finder, encoded

FILE = base64.b64encode(encoded()).decode()
IMAGE = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [FILE]}
URL = "/v2/models/model/infer"


def test_what_a_model_is(served):
    _, ask = served()
    assert ask("/v2").json["extensions"] == ["binary_tensor_data"]
    said = ask("/v2/models/model").json
    assert (said["name"], said["versions"], said["platform"]) == ("model", ["model"], "masu")
    assert said["inputs"][0] == {"name": "image", "datatype": "BYTES", "shape": [-1]}
    assert [one["name"] for one in said["outputs"]] == ["boxes", "scores", "labels", "names", "counts"]
    assert ask("/v2/models/model/versions/model").json == said
    assert ask("/v2/models/model/versions/2").json == {"error": "version: found '2', wanted 'model'"}
    assert ask("/v2/models/none").status == 404


def test_files_in_json(served):
    _, ask = served()
    both = IMAGE | {"shape": [2], "data": [FILE, base64.b64encode(encoded(60)).decode()]}
    said = ask(URL, {"id": "7", "inputs": [both]}).json
    assert (said["id"], said["model_name"], said["model_version"]) == ("7", "model", "model")
    outputs = {one["name"]: one for one in said["outputs"]}
    assert [outputs[name]["shape"] for name in outputs] == [[4, 4], [4], [4], [4], [2]]
    assert outputs["boxes"]["data"][:5] == [1.23456, 2.0, 20.5, 12.125, 0.0]
    assert outputs["scores"]["data"] == [0.91234, 0.6, 0.75, 0.7]
    assert outputs["labels"]["data"] == [1, 0, 2, 0]
    assert outputs["names"]["data"] == ["dog & <hen>", "cat", "ünnamed", "cat"]
    assert outputs["counts"]["data"] == [2, 2]


def test_pixels_in_json(served):
    _, ask = served()
    pixels = {"name": "pixels", "datatype": "UINT8", "shape": [1, 1, 40, 3]}
    for data in ([7] * 120, [[[[7] * 3] * 40]]):
        said = ask(URL, {"inputs": [pixels | {"data": data}], "outputs": [{"name": "counts"}]}).json
        assert said["outputs"] == [{"name": "counts", "datatype": "INT64", "shape": [1], "data": [2]}]


def test_nothing_found_is_no_row(served):
    _, ask = served()
    nothing = IMAGE | {"data": [base64.b64encode(encoded(50)).decode()]}
    outputs = ask(URL, {"inputs": [nothing]}).json["outputs"]
    assert [(one["shape"], one["data"]) for one in outputs] == [([0, 4], []), *[([0], [])] * 3, ([1], [0])]


def binary(head, tail):
    head = json.dumps(head).encode()
    return {
        "body": head + tail,
        "kind": "application/octet-stream",
        "Inference_Header_Content_Length": str(len(head)),
    }


def test_binary_data_in_and_out(served):
    """BYTES are their length in four bytes, least first, and themselves; tensors their numbers, least byte first."""
    _, ask = served()
    tail = b"".join(struct.pack("<I", len(one)) + one for one in (encoded(), encoded(50)))
    given = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [2],
        "parameters": {"binary_data_size": len(tail)},
    }
    head = {"inputs": [given], "parameters": {"binary_data_output": True, "threshold": 0.7}}
    answer = ask(URL, **binary(head, tail))
    length = int(answer.headers["Inference-Header-Content-Length"])
    said, rest = json.loads(answer.content[:length]), answer.content[length:]
    sizes = [one["parameters"]["binary_data_size"] for one in said["outputs"]]
    assert [one["shape"] for one in said["outputs"]] == [[1, 4], [1], [1], [1], [2]]
    assert sizes == [16, 4, 8, 15, 16]
    assert rest[:16] == np.array([1.23456, 2, 20.5, 12.125], "<f4").tobytes()
    assert rest[16:20] == np.float32(0.91234).tobytes()
    assert rest[20:28] == bytes([1, 0, 0, 0, 0, 0, 0, 0])
    assert rest[28:43] == b"\x0b\x00\x00\x00dog & <hen>"
    assert rest[43:] == bytes([1, *[0] * 15])


def test_binary_pixels_and_one_output_of_two_kinds(served):
    _, ask = served()
    tail = bytes(2 * 5 * 40 * 3)
    given = {
        "name": "pixels",
        "datatype": "UINT8",
        "shape": [2, 5, 40, 3],
        "parameters": {"binary_data_size": 1200},
    }
    outputs = [{"name": "counts"}, {"name": "labels", "parameters": {"binary_data": True}}]
    answer = ask(URL, **binary({"inputs": [given], "outputs": outputs}, tail))
    length = int(answer.headers["Inference-Header-Content-Length"])
    said = json.loads(answer.content[:length])["outputs"]
    assert said[0]["data"] == [2, 2]
    assert np.frombuffer(answer.content[length:], "<i8").tolist() == [1, 0, 1, 0]


PIXELS = {"name": "pixels", "datatype": "UINT8", "shape": [1, 1, 2, 3], "data": [0] * 6}


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        ({}, 400, "inputs: wanted one"),
        ({"inputs": [IMAGE, IMAGE]}, 400, "inputs: wanted one"),
        ({"inputs": [3]}, 400, "no JSON object"),
        ({"inputs": [IMAGE | {"name": "x"}]}, 400, "found 'x' of 'BYTES'"),
        ({"inputs": [IMAGE | {"datatype": "FP32"}]}, 400, "found 'image' of 'FP32'"),
        ({"inputs": [IMAGE | {"shape": [2]}]}, 400, "found the shape [2] for 1 pictures"),
        ({"inputs": [IMAGE | {"shape": [-1]}]}, 400, "whole numbers from 1"),
        ({"inputs": [IMAGE | {"shape": "1"}]}, 400, "whole numbers from 1"),
        ({"inputs": [IMAGE | {"data": ["/etc/passwd"]}]}, 400, "no base64"),
        ({"inputs": [IMAGE | {"data": [3]}]}, 400, "as base64"),
        ({"inputs": [IMAGE | {"shape": [3], "data": [FILE] * 3}]}, 400, "found 3 pictures, wanted 1 to 2"),
        ({"inputs": [IMAGE | {"parameters": {"binary_data_size": 5}}]}, 400, "found 0 bytes behind the JSON"),
        ({"inputs": [IMAGE], "outputs": [{"name": "masks"}]}, 400, "found 'masks'"),
        ({"inputs": [IMAGE], "outputs": 3}, 400, "outputs: wanted a list"),
        ({"inputs": [IMAGE], "parameters": {"threshold": 7}}, 400, "threshold: found 7"),
        ({"inputs": [PIXELS | {"shape": [1, 2, 3]}]}, 400, "wanted [N, H, W, 3]"),
        ({"inputs": [PIXELS | {"shape": [1, 1, 2, 4]}]}, 400, "wanted [N, H, W, 3]"),
        ({"inputs": [PIXELS | {"shape": [1, 1 << 30, 1 << 30, 3]}]}, 413, "wanted at most 10000"),
        ({"inputs": [PIXELS | {"data": [0] * 5}]}, 400, "found 5 numbers, wanted 6"),
        ({"inputs": [PIXELS | {"data": [256] * 6}]}, 400, "whole numbers from 0 to 255"),
        ({"inputs": [PIXELS | {"data": [0.5] * 6}]}, 400, "whole numbers from 0 to 255"),
        ({"inputs": [PIXELS | {"data": [[0], [0, 1]]}]}, 400, "whole numbers from 0 to 255"),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_errors_are_one_text(served, told, said, status, reason):
    _, ask = served(limits=ServingLimits(pixels=10_000, tasks=2))
    answer = ask(URL, said)
    assert answer.status == status
    assert reason in answer.json["error"]
    assert told == [f"{answer.headers['X-Request-ID']} POST {URL}: {status} {answer.json['error']}"]


@pytest.mark.parametrize(
    ("tail", "size", "reason"),
    [
        (b"\x05\x00\x00\x00abc", 7, "ends in the middle"),
        (b"\x05\x00", 2, "ends in the middle"),
        (b"", 0, "found the shape [1] for 0 pictures"),
        (b"\x03\x00\x00\x00abc", 7, "no known kind"),
    ],
)
def test_broken_binary_data(served, tail, size, reason):
    _, ask = served()
    given = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size}}
    answer = ask(URL, **binary({"inputs": [given]}, tail))
    assert answer.status == 400
    assert reason in answer.json["error"]


def test_a_header_that_lies(served):
    _, ask = served()
    for length in ("-1", "x", "999999", "9" * 20):
        answer = ask(URL, b"{}", "application/json", Inference_Header_Content_Length=length)
        assert (answer.status, "Inference-Header" in answer.json["error"]) == (400, True)


def test_a_fault_of_the_server_is_not_told(served, told):
    class Broken(Finder):
        def predict(self, images, threshold=None, batch_size=1, *, margins=False):
            if images[0].shape[1] == 40:
                raise RuntimeError("secret")
            return super().predict(images, threshold)

    _, ask = served(Broken())
    answer = ask(URL, {"inputs": [IMAGE]})
    assert (answer.status, b"secret" in answer.content) == (500, False)
