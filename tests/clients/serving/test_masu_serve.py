"""``masu serve`` on loopback, asked by Triton's client and read by Prometheus' parser."""

import urllib.request

import numpy as np
import pytest
import tritonclient.http as triton
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.utils import InferenceServerException

from tests.clients.answers import assert_same


@pytest.fixture(scope="module")
def address(start, port, model_file):
    options = ["--port", str(port), "--threshold", "0.5"]
    start(["-m", "masu", "serve", f"digits={model_file}", *options], f"http://127.0.0.1:{port}/ready")
    return f"127.0.0.1:{port}"


@pytest.fixture
def client(address):
    with triton.InferenceServerClient(address, concurrency=4) as client:
        yield client


def of_files(contents, binary=True):
    given = triton.InferInput("image", [len(contents)], "BYTES")
    return given.set_data_from_numpy(np.array(contents, np.object_), binary_data=binary)


def of_pixels(pictures):
    batch = np.stack(pictures)
    return triton.InferInput("pixels", list(batch.shape), "UINT8").set_data_from_numpy(batch)


def test_what_the_server_says_of_itself(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.get_model_metadata("digits")["inputs"][1]["datatype"] == "UINT8"


def test_answers_are_those_of_predict(client, detector, data, pictures):
    found = detector.predict([path for path, _ in data], threshold=0.5)
    for (path, _), pixels, wanted in zip(data, pictures, found, strict=True):
        if not len(wanted):
            continue
        for given in (of_files([path.read_bytes()]), of_pixels([pixels])):
            said = client.infer("digits", [given])
            names = [name.decode() for name in said.as_numpy("names")]
            assert_same(wanted, said.as_numpy("boxes"), said.as_numpy("scores"), names)
            assert said.as_numpy("counts").tolist() == [len(wanted)]


def test_several_pictures_at_once_and_outputs_that_are_named(client, detector, data):
    paths = [path for path, _ in data][:3]
    files = [path.read_bytes() for path in paths]
    found = detector.predict(paths, threshold=0.3)
    outputs = [
        triton.InferRequestedOutput("scores"),
        triton.InferRequestedOutput("counts", binary_data=False),
    ]
    waiting = [
        client.async_infer("digits", [of_files(files)], outputs=outputs, parameters={"threshold": 0.3})
        for _ in range(4)
    ]
    for one in waiting:
        said = one.get_result()
        assert said.as_numpy("counts").tolist() == [len(one) for one in found]
        np.testing.assert_allclose(
            said.as_numpy("scores"), np.concatenate([one.scores for one in found]), atol=1e-5
        )
        assert said.as_numpy("boxes") is None


def test_errors_are_the_client_s_own(client):
    for model, given, reason in (
        ("none", of_files([b""]), "model: found 'none'"),
        ("digits", of_files([b"no picture"]), "no known kind"),
    ):
        with pytest.raises(InferenceServerException, match=reason):
            client.infer(model, [given])


def test_counts_are_what_prometheus_reads(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        families = {one.name: one for one in text_string_to_metric_families(answer.read().decode())}
    assert families["masu_requests"].type == "counter"
    assert families["masu_prediction_seconds"].type == "histogram"
    assert families["masu_ready"].samples[0].value == 1
    assert sum(one.value for one in families["masu_pictures"].samples) > 0
