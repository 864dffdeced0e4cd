"""POST /predict: what it takes, what it answers, what it refuses."""

import asyncio
import base64
import io
import json
import socket
import threading
import time
from importlib import resources

import jsonschema
import numpy as np
import pytest
from PIL import Image

import masu
from masu.runtime import Model
from masu.service.limits import Limits
from masu.serving.limits import ServingLimits
from tests.serve.conftest import Finder, encoded, form

DOG = {"box": [1.23456, 2.0, 20.5, 12.125], "score": 0.91234, "label": 1, "name": "dog & <hen>"}
CAT = {"box": [0.0, 0.0, 40.0, 30.0], "score": 0.6, "label": 0, "name": "cat"}
IMAGE = {"width": 40, "height": 30, "detections": [DOG, CAT]}


def test_a_form_json_and_plain_bytes_are_answered_alike(served):
    _, ask = served()
    body, kind = form(("image", "a.png", encoded()))
    as_form = ask("/predict", body, kind)
    assert as_form.status == 200
    assert as_form.json == {"model": "model", "version": "model", "images": [{"file": "a.png"} | IMAGE]}
    for answer in (
        ask("/predict", {"images": [base64.b64encode(encoded()).decode()]}),
        ask("/predict", {"images": [f"data:image/png;base64,{base64.b64encode(encoded()).decode()}"]}),
        ask("/predict", encoded(), "image/png"),
        ask("/predict", encoded(kind="JPEG"), "application/octet-stream"),
    ):
        assert answer.json["images"] == [{"file": None} | IMAGE]


def test_several_files_of_several_sizes_in_their_order(served):
    _, ask = served()
    fields = [("x", f"{width}.png", encoded(width)) for width in (60, 40, 50)]
    images = ask("/predict", *form(*fields)).json["images"]
    assert [(one["file"], one["width"], len(one["detections"])) for one in images] == [
        ("60.png", 60, 2),
        ("40.png", 40, 2),
        ("50.png", 50, 0),
    ]


def test_the_threshold_is_the_requests_else_the_models_else_a_half(served):
    _, ask = served({"plain": Finder(), "own": Finder(thresholds={"cat": 0.7})})

    def names(path, body=None):
        body = body or {}
        answer = ask(path, body | {"images": [base64.b64encode(encoded()).decode()]})
        return [one["name"] for one in answer.json["images"][0]["detections"]]

    assert names("/predict?model=plain") == ["dog & <hen>", "cat"]
    assert names("/predict?model=own") == ["dog & <hen>"]
    assert names("/predict?model=own&threshold=0.1") == ["dog & <hen>", "cat"]
    assert names("/predict?model=own&threshold=0.1", {"threshold": 0.95}) == []
    assert names("/predict", {"model": "plain", "threshold": {"dog & <hen>": 0.95, "cat": 0.2}}) == ["cat"]
    body, kind = form(("threshold", None, b"0.7"), ("image", "a.png", encoded()))
    assert len(ask("/predict?model=plain", body, kind).json["images"][0]["detections"]) == 1


def test_the_servers_own_threshold_takes_the_models_place(served):
    _, ask = served(Finder(thresholds={"cat": 0.9}), threshold=0.6)
    assert ask("/predict", encoded(), "image/png").json["images"][0]["detections"] == [DOG, CAT]
    assert set(ask("/models").json["models"][0]["thresholds"].values()) == {0.6}


def test_an_exported_file_and_a_detector_answer_what_predict_finds(served, small, tiny_onnx):
    """To the bit, whoever asks at the same time."""
    _, ask = served([str(tiny_onnx), small])
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    found = Model(tiny_onnx).predict(pixels, 0.2), small.predict(pixels, 0.2)
    assert min(len(one) for one in found) >= 2
    answers = {}

    def one(at, name):
        answers[at, name] = ask(f"/predict?model={name}&threshold=0.2", file.getvalue(), "image/png", 60).json

    threads = [threading.Thread(target=one, args=(at, name)) for at in range(3) for name in ("sky", "model")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for (_, name), answer in answers.items():
        wanted, rows = found[name == "model"], answer["images"][0]["detections"]
        boxes, scores = np.array([r["box"] for r in rows]), np.array([r["score"] for r in rows])
        assert np.array_equal(boxes.astype(np.float32), np.asarray(wanted.boxes))
        assert np.array_equal(scores.astype(np.float32), np.asarray(wanted.scores))
        assert [r["name"] for r in rows] == list(wanted.names)
    assert len(answers) == 6


def test_a_drawn_picture_has_the_size_of_the_photograph(served):
    _, ask = served()
    (image,) = ask("/predict?drawn=true", encoded(), "image/png").json["images"]
    head, _, content = image["drawn"].partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert (head, picture.format, picture.size) == ("data:image/jpeg;base64", "JPEG", (40, 30))
    assert len(picture.getcolors(100_000)) > 2


LIMITS = ServingLimits(body=20_000, image=10_000, pixels=10_000, tasks=2)
PICTURE = base64.b64encode(encoded()).decode()


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"images": ["http://169.254.169.254/latest"]}, 400, "no base64"),
        ({"images": ["file:///etc/passwd"]}, 400, "no base64"),
        ({"images": ["/etc/passwd"]}, 400, "no base64"),
        ({"images": [{"url": "http://h/a.jpg"}]}, 400, "nothing is fetched"),
        ({"images": "a"}, 400, "wanted a list"),
        ({"images": []}, 400, "images: found 0, wanted 1 to 2"),
        ({"images": [PICTURE] * 3}, 400, "images: found 3, wanted 1 to 2"),
        ({"images": [PICTURE], "path": "a"}, 400, "'path': no such word"),
        ({"images": [PICTURE], "threshold": 2}, 400, "threshold: found 2"),
        (
            {"images": [PICTURE], "threshold": {"cow": 0.5}},
            400,
            "threshold of class 'cow': found no such class",
        ),
        ({"images": [PICTURE], "threshold": {"cat": None}}, 400, "threshold of class 'cat'"),
        ({"images": [PICTURE], "threshold": True}, 400, "threshold: found True"),
        ({"images": [PICTURE], "threshold": "x"}, 400, "threshold: found 'x'"),
        ({"images": [PICTURE], "margins": 1}, 400, "margins: found 1, wanted true or false"),
        ({"images": [PICTURE], "margins": True}, 400, "margins: found none in the model model"),
        ({"images": [PICTURE], "model": "dogs"}, 404, "model: found 'dogs', wanted one of model"),
        ({"images": [PICTURE], "model": 3}, 400, "model: found no text"),
        ({"images": [PICTURE, "AAAA"]}, 400, "image 2: image: found 3 bytes of no known kind"),
        (
            {"images": [base64.b64encode(encoded(200, 100)).decode()]},
            413,
            "20000 pixels, wanted at most 10000",
        ),
        ({"images": ["A" * 15_000]}, 413, "image: found more than 10000 bytes"),
        ({"images": ["A" * 30_000]}, 413, "body: found more than 20000 bytes"),
        (b"[1]", 400, "no JSON object"),
        (b'{"images": NaN}', 400, "no JSON"),
        (b"{" * 9000, 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused_says_so_in_one_line(served, told, body, status, reason):
    _, ask = served(limits=LIMITS)
    answer = ask("/predict", body, "application/json")
    assert answer.status == status
    assert reason in answer.message
    assert answer.json["success"] is False
    assert len(told) == 1
    assert told[0] == f"{answer.headers['X-Request-ID']} POST /predict: {status} {answer.message}"


def test_a_small_file_that_becomes_a_huge_picture_is_not_decoded(served):
    _, ask = served()
    file = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(file, "PNG")
    assert len(file.getvalue()) < 200_000
    answer = ask("/predict", file.getvalue(), "image/png")
    assert (answer.status, answer.message) == (
        413,
        "image: found more pixels than Pillow opens, wanted at most 50000000",
    )


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/html"])
def test_other_kinds_of_content_are_refused(served, kind):
    _, ask = served()
    assert ask("/predict", encoded(), kind).status == 415
    assert ask("/predict", encoded(), "image/png", Content_Encoding="gzip").status == 415


def test_nobody_else_s_page_sends_pictures(served):
    _, ask = served()
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert ask("/predict", encoded(), "image/png", Sec_Fetch_Site=site).status == status
    assert ask("/predict", encoded(), "image/png", Host="evil.example").status == 403


class Slow(Finder):
    """Looks for as long as a test wants it to."""

    def __init__(self):
        super().__init__()
        self.go, self.looking = threading.Event(), threading.Event()
        self.go.set()

    def predict(self, images, threshold=None, batch_size=1, *, margins=False):
        self.looking.set()
        assert self.go.wait(20)
        return super().predict(images, threshold)

    def hold(self):
        self.go.clear()
        self.looking.clear()


def test_beyond_the_queue_one_is_told_to_come_back(served):
    slow = Slow()
    _, ask = served(slow, limits=ServingLimits(waiting=2))
    slow.hold()
    answers = []
    waiting = [
        threading.Thread(target=lambda: answers.append(ask("/predict", encoded(), "image/png").status))
        for _ in range(2)
    ]
    for thread in waiting:
        thread.start()
    until(lambda: "masu_requests_inside 2" in ask("/metrics").content.decode())
    refused = ask("/predict", encoded(), "image/png")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert refused.json["error"]["code"] == "QUEUE_FULL"
    assert ask("/v2/models/model/infer", {"inputs": []}).status == 429
    assert (ask("/health").status, ask("/ready").status) == (200, 200)
    slow.go.set()
    for thread in waiting:
        thread.join(20)
    assert answers == [200, 200]
    assert ask("/predict", encoded(), "image/png").status == 200


def test_what_takes_too_long_is_given_up_and_keeps_its_place_until_it_ends(served):
    slow = Slow()
    _, ask = served(slow, limits=ServingLimits(waiting=1, seconds=0.3))
    slow.hold()
    answer = ask("/predict", encoded(), "image/png")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.message == "no answer after 0.3 s; try again, or send fewer pictures"
    assert ask("/predict", encoded(), "image/png").status == 429
    slow.go.set()
    until(lambda: ask("/predict", encoded(), "image/png").status == 200)


def test_a_request_that_does_not_come_is_not_waited_for(served):
    _, ask = served(limits=ServingLimits(seconds=0.3))
    host, port = ask.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as sender:
        head = (
            f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\nContent-Length: 99\r\n\r\n"
        )
        sender.sendall(head.encode() + b"abc")
        assert sender.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_leaves_is_no_fault_of_the_server(served, told):
    _, ask = served()
    host, port = ask.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as sender:
        head = (
            f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\nContent-Length: 99\r\n\r\n"
        )
        sender.sendall(head.encode() + b"abc")
    until(lambda: told)
    assert "400 the client left" in told[0]


def until(true):
    end = time.monotonic() + 15
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


class Broken(Finder):
    asked = 0

    def predict(self, images, threshold=None, batch_size=1, *, margins=False):
        self.asked += 1
        if self.asked > 1:
            raise RuntimeError("secret of the server")
        return super().predict(images, threshold)


def test_a_fault_of_the_server_is_told_to_its_log_alone(served, told):
    _, ask = served(Broken())
    answer = ask("/predict", encoded(), "image/png")
    assert answer.status == 500
    assert b"secret" not in answer.content
    assert b"Traceback" not in answer.content
    assert "RuntimeError: secret of the server" in told[0]
    assert ask("/health").status == 200


def test_requests_have_ids(served, told):
    _, ask = served()
    assert ask("/models", X_Request_ID="my-7.b").headers["X-Request-ID"] == "my-7.b"
    until(lambda: told)
    assert told[0].startswith("my-7.b GET /models: 200, ")
    made = [ask("/models", X_Request_ID=given).headers["X-Request-ID"] for given in ("a b", "x" * 65, "")]
    assert len(set(made)) == 3
    assert all(len(one) == 16 for one in made)
    ask("/health")
    ask("/metrics")
    ask("/v2")
    until(lambda: told[-1].split()[1:3] == ["GET", "/v2:"])
    assert len(told) == 5


def test_ready_until_it_stops(served):
    app, ask = served()
    assert ask("/ready").json == {"status": "ready", "models": ["model"]}
    app.stop()
    assert (ask("/ready").status, ask("/v2/health/ready").status, ask("/v2/models/model/ready").status) == (
        503,
    ) * 3
    assert (ask("/health").status, ask("/v2/health/live").status) == (200, 200)
    assert ask("/predict", encoded(), "image/png").status == 200
    assert "masu_ready 0" in ask("/metrics").content.decode()


def test_counts(served):
    _, ask = served({"a": Finder(), 'b"': Finder()})
    ask("/predict", *form(("x", "1", encoded()), ("y", "2", encoded(50))), model="a")
    ask("/predict?model=a", *form(("x", "1", encoded()), ("y", "2", encoded(50))))
    ask("/predict?model=b%22", encoded(), "image/png")
    ask("/a/b/c")
    until(lambda: b'route="other"' in ask("/metrics").content)
    lines = ask("/metrics").content.decode().splitlines()
    for line in (
        'masu_requests_total{route="/predict",status="200"} 2',
        'masu_requests_total{route="/predict",status="400"} 1',
        'masu_requests_total{route="other",status="404"} 1',
        'masu_pictures_total{model="a"} 2',
        'masu_boxes_total{model="b\\""} 2',
        'masu_prediction_seconds_bucket{model="a",le="+Inf"} 2',
        'masu_prediction_seconds_count{model="a"} 2',
        "masu_requests_inside 0",
    ):
        assert line in lines


def test_the_description_is_of_this_server(served):
    """Every route is described, and answers are what it says."""
    app, ask = served({"a": Finder(), "b": Finder()})
    described = ask("/openapi.json").json
    assert described["info"]["version"] == masu.__version__
    routes = {
        (route.path.replace(":path", ""), method.lower())
        for route in app._app._app.routes
        for method in route.methods - {"HEAD"}
    }
    said = {
        (path, method)
        for path, methods in described["paths"].items()
        for method in methods
        if method != "parameters"
    }
    hidden = {("/static/{name}", "get")} | {
        (path, method) for path, method in routes if "/versions/{version}" in path
    }
    assert said == routes - hidden

    def fits(answer, path, method="get", status="200"):
        content = described["paths"][path][method]["responses"][status]["content"]["application/json"]
        schema = content["schema"] | {"components": described["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json)

    fits(ask("/predict?model=a&drawn=1", encoded(), "image/png"), "/predict", "post")
    fits(ask("/predict", encoded(), "image/png"), "/predict", "post", "400")
    fits(ask("/predict?model=c", encoded(), "image/png"), "/predict", "post", "404")
    for path in ("/models", "/health", "/ready", "/v2", "/v2/health/live", "/v2/health/ready"):
        fits(ask(path), path)
    for ending in ("", "/ready"):
        fits(ask(f"/v2/models/a{ending}"), f"/v2/models/{{model}}{ending}")
    inputs = [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [PICTURE]}]
    fits(ask("/v2/models/a/infer", {"inputs": inputs}), "/v2/models/{model}/infer", "post")
    fits(ask("/v2/models/a/infer", {"inputs": []}), "/v2/models/{model}/infer", "post", "400")


def test_pages_bring_everything_with_them(served):
    _, ask = served()
    names = [file.name for file in resources.files("masu.serving").joinpath("page").iterdir()]
    for path in ("/", "/docs", *(f"/static/{name}" for name in names)):
        answer = ask(path)
        assert answer.status == 200
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert b"https://" not in answer.content.replace(b"https:// and localhost", b"")
    assert ask("/static/none.js").status == ask("/static/..%2Fapp.py").status == 404


def test_servers_that_ask_an_application_to_begin_are_answered(served):
    """ASGI's lifespan, without which some servers wait."""
    app, _ = served()
    said = []
    asks = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive():
        return next(asks)

    async def send(message):
        said.append(message["type"])

    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_limits_are_those_of_every_server():
    assert isinstance(LIMITS, Limits)
    assert json.dumps(vars(ServingLimits()))
