"""A LitServe server on loopback answers what masu predicts."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.clients.answers import assert_same


@pytest.fixture(scope="module")
def address(start, port, model_file):
    start(
        ["-m", "examples.clients.with_litserve", str(model_file), str(port)],
        f"http://127.0.0.1:{port}/health",
    )
    return f"http://127.0.0.1:{port}/predict"


def asked(address, path):
    with path.open("rb") as file:
        answer = requests.post(address, files={"image": file}, timeout=60)
    answer.raise_for_status()
    return answer.json()


def test_answers_are_those_of_predict(address, detector, data):
    """Twelve pictures at once, in batches as they arrive."""
    paths = [path for path, _ in data]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda path: asked(address, path), paths))
    for answer, found in zip(answers, detector.predict(paths, threshold=0.5), strict=True):
        assert len(answer["boxes"]) == len(found)
        if len(found):
            assert_same(found, answer["boxes"], answer["scores"], answer["names"])


def test_what_is_no_picture_is_an_error_and_the_next_one_is_answered(address, detector, data, tmp_path):
    wrong = tmp_path / "wrong.png"
    wrong.write_bytes(b"no picture")
    with wrong.open("rb") as file:
        assert requests.post(address, files={"image": file}, timeout=60).status_code >= 400
    path = data[0][0]
    answer = asked(address, path)
    found = detector.predict([path], threshold=0.5)[0]
    assert_same(found, answer["boxes"], answer["scores"], answer["names"])
