"""A Ray Serve deployment on loopback answers what masu predicts."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import ray
import requests
from ray import serve

from examples.clients.with_ray_serve import Detect
from tests.clients.answers import assert_same
from tests.clients.serving.conftest import ROOT


@pytest.fixture(scope="module")
def address(port, model_file):
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=100_000_000,
        runtime_env={"env_vars": {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}},
        log_to_driver=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Detect.options(ray_actor_options={"num_cpus": 1}).bind(str(model_file)))
    yield f"http://127.0.0.1:{port}/"
    serve.shutdown()
    ray.shutdown()


def test_answers_are_those_of_predict(address, detector, data):
    def asked(path):
        answer = requests.post(address, data=path.read_bytes(), timeout=60)
        answer.raise_for_status()
        return answer.json()

    paths = [path for path, _ in data]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(asked, paths))
    for answer, found in zip(answers, detector.predict(paths, threshold=0.5), strict=True):
        assert len(answer["boxes"]) == len(found)
        if len(found):
            assert_same(found, answer["boxes"], answer["scores"], answer["names"])
