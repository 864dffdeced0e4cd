"""A BentoML server on loopback answers what masu predicts."""

from concurrent.futures import ThreadPoolExecutor

import bentoml
import pytest

from tests.clients.answers import assert_same


@pytest.fixture(scope="module")
def address(start, port, model_file, tmp_path_factory):
    where = ["--host", "127.0.0.1", "--port", str(port)]
    start(
        ["-m", "bentoml", "serve", "examples.clients.with_bentoml:Detect", *where],
        f"http://127.0.0.1:{port}/readyz",
        MASU_MODEL=str(model_file),
        BENTOML_HOME=str(tmp_path_factory.mktemp("bentoml")),
        BENTOML_DO_NOT_TRACK="true",
    )
    return f"http://127.0.0.1:{port}"


def asked(address, paths):
    """Each call with a client of its own: one closes the files of another's."""
    with bentoml.SyncHTTPClient(address) as client:
        return client.predict(pictures=paths)


def test_answers_are_those_of_predict(address, detector, data):
    paths = [path for path, _ in data]
    with ThreadPoolExecutor(4) as pool:
        answers = [one for (one,) in pool.map(lambda path: asked(address, [path]), paths)]
    assert len(asked(address, paths[:3])) == 3
    for answer, found in zip(answers, detector.predict(paths, threshold=0.5), strict=True):
        assert len(answer["boxes"]) == len(found)
        if len(found):
            assert_same(found, answer["boxes"], answer["scores"], answer["names"])
