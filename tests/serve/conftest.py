"""Servers on loopback, asked with any bytes and headers."""

import io
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

import masu
from masu.records import Detections
from tests.drafts import finder
from tests.drafts.finder import FOUND, NAMES
from tests.serve import graphs
from tests.serving import serving

__all__ = ["serving"]


class Finder(finder.Finder):
    """Finds ``FOUND`` by the width of a picture ``(H, W, 3)``, and nothing at any other width."""

    def predict(self, images, threshold=None, batch_size=1, *, margins=False):
        answers = []
        for image in images:
            rows = FOUND.get(image.shape[1], [])
            boxes, scores, labels = zip(*rows, strict=True) if rows else ((), (), ())
            found = Detections(boxes, scores, labels, [NAMES[k] for k in labels])
            answers.append(found if threshold is None else found.above(threshold))
        return answers


class Answer:
    def __init__(self, status, headers, content):
        self.status, self.headers, self.content = status, headers, content

    @property
    def json(self):
        return json.loads(self.content)

    @property
    def message(self):
        return self.json["error"]["message"]


class Client:
    def __init__(self, address):
        self.address = address

    def __call__(self, path, body=None, kind=None, timeout=30, **headers):
        """A dict goes as JSON, bytes as they are."""
        if isinstance(body, dict):
            body, kind = json.dumps(body).encode(), kind or "application/json"
        more = {k.replace("_", "-"): v for k, v in headers.items()} | ({"Content-Type": kind} if kind else {})
        request = urllib.request.Request(f"{self.address}{path}", body, more)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory):
    return graphs.write(tmp_path_factory.mktemp("served") / "sky.onnx")


@pytest.fixture
def told():
    return []


@pytest.fixture
def served(serving, told):
    """``served(models, **options)``: the application and its client."""

    def start(models=None, **options):
        app = masu.serve(Finder() if models is None else models, log=told.append, **options)
        return app, Client(serving(app).address)

    return start


def encoded(width=40, height=30, kind="PNG", **options):
    """A grey picture as a file's bytes."""
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(file, kind, **options)
    return file.getvalue()


def form(*fields):
    """Content type and body of (name, file name or None, content)."""
    body = b""
    for name, file, content in fields:
        said = f'; filename="{file}"' if file is not None else ""
        body += f'--mark\r\nContent-Disposition: form-data; name="{name}"{said}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return body + b"--mark--\r\n", "multipart/form-data; boundary=mark"
