"""The backend as Label Studio and X-AnyLabeling call it, and as nobody should."""

import base64
import io
import json
import threading

import numpy as np
import pytest
from PIL import Image
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

import masu
from masu.errors import InputError
from masu.service.addresses import Addresses
from masu.service.answering import Answerer
from masu.service.app import make_app
from masu.service.backend import make_backend
from masu.service.label_studio_host import LabelStudioHost
from masu.service.limits import Limits
from tests.drafts.finder import DRAWN, NAMES, Finder, pictures

VERSION = "cells-1f2e3d4c"
CONFIG = """<View><Header value="x"/><RectangleLabels name="boxes" toName="img"><Label value="cat"/>
<Label value="Dog" predicted_values="puppy,dog &amp; &lt;hen&gt;"/></RectangleLabels>
<Image name="img" value="$photo"/></View>"""


@pytest.fixture
def root(tmp_path):
    pictures(tmp_path / "root" / "images")
    (tmp_path / "secret.png").write_bytes((tmp_path / "root" / "images" / "a.png").read_bytes())
    (tmp_path / "root" / "away.png").symlink_to(tmp_path / "secret.png")
    return tmp_path / "root"


@pytest.fixture
def told():
    return []


@pytest.fixture
def ask(serving, root, told):
    return serving(masu.backend(Finder(), threshold=0.5, version=VERSION, root=root, log=told.append))


def task(image, number=7):
    return {"id": number, "data": {"photo": image, "text": "x"}, "project": 1}


def predicted(ask, *images, config=CONFIG):
    tasks = [task(image, number) for number, image in enumerate(images)]
    return ask("/predict", {"tasks": tasks, "label_config": config, "project": "1.2", "params": {}})


def data_url(path):
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def test_label_studio_asks_whether_it_is_up_and_what_version(ask):
    up = {"status": "UP", "model_class": "masu", "model_version": VERSION}
    assert ask("/health") == ask("/") == (200, up)
    assert ask(
        "/setup", {"project": "1.2", "schema": CONFIG, "access_token": "t", "hostname": "http://h"}
    ) == (
        200,
        {"model_version": VERSION},
    )
    assert ask("/versions") == (200, {"versions": [VERSION]})
    assert ask("/webhook", {"action": "ANNOTATION_CREATED"})[0] == 200


def test_predictions_of_files_below_the_root(ask):
    status, answer = predicted(ask, *(f"/data/local-files/?d=images/{name}" for name in DRAWN))
    assert (status, answer["model_version"]) == (200, VERSION)
    first, empty, unlabelled = answer["results"]
    assert (first["model_version"], first["score"]) == (VERSION, 0.6)
    dog, cat = first["result"]
    assert (dog["from_name"], dog["to_name"], dog["type"]) == ("boxes", "img", "rectanglelabels")
    assert (dog["original_width"], dog["original_height"], dog["score"]) == (40, 30, 0.9123)
    assert dog["value"] == {
        "x": pytest.approx(100 * 1.23 / 40),
        "y": pytest.approx(100 * 2 / 30),
        "width": pytest.approx(100 * 19.27 / 40),
        "height": pytest.approx(100 * 10.12 / 30),
        "rotation": 0,
        "rectanglelabels": ["Dog"],
    }
    assert cat["value"]["rectanglelabels"] == ["cat"]
    assert dog["id"] != cat["id"]
    assert empty == unlabelled == {"model_version": VERSION, "score": None, "result": []}


def test_images_written_out_in_the_task(ask, root):
    in_text = predicted(ask, data_url(root / "images" / "a.png"))
    assert in_text == predicted(ask, "/data/local-files/?d=images/a.png")


@pytest.mark.parametrize(
    ("address", "status", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data", 400, "nothing else is fetched"),
        ("file:///etc/passwd", 400, "nothing else is fetched"),
        ("s3://bucket/a.png", 400, "nothing else is fetched"),
        ("//host/data/a.png", 400, "nothing else is fetched"),
        ("/etc/passwd", 400, "nothing else is fetched"),
        ("/data/../etc/passwd", 400, "nothing else is fetched"),
        ("/data/%2e%2e/etc/passwd", 400, "nothing else is fetched"),
        ("/data/%252e%252e/etc/passwd", 400, "nothing else is fetched"),
        ("/data/a#/../../api/users", 400, "nothing else is fetched"),
        ("/data/upload/1/a.png", 400, "--label-studio-url"),
        ("/data/local-files/?d=../secret.png", 403, "not below --root"),
        ("/data/local-files/?d=%2e%2e/secret.png", 403, "not below --root"),
        ("/data/local-files/?d=images/../../secret.png", 403, "not below --root"),
        ("/data/local-files/?d=away.png", 403, "not below --root"),
        ("/data/local-files/?d=", 403, "not below --root"),
        ("/data/local-files/?d=images", 404, "no file"),
        ("/data/local-files/?d=images/%00.png", 404, "no file"),
        ("/data/local-files/?d=none.png", 404, "no file"),
        ("data:image/png;base64,AAAA", 400, "no known kind"),
        ("data:image/png;base64,!!!!", 400, "no base64"),
        ("data:image/png,plain", 400, "wanted data:image"),
        ("", 400, "nothing else is fetched"),
        (None, 400, "no text"),
        ({"a": 1}, 400, "no text"),
    ],
)
def test_other_addresses_are_refused_in_plain_words(ask, told, address, status, reason):
    code, answer = predicted(ask, address)
    assert code == status
    assert reason in answer["error"]["message"]
    assert answer["success"] is False
    assert "Traceback" not in json.dumps(answer)
    assert len(told) == 1
    assert told[0].startswith(f"POST /predict: {status} ")


def test_an_absolute_path_is_one_below_the_root(ask, root):
    """As Label Studio's own view of local files reads it."""
    assert predicted(ask, "/data/local-files/?d=/images/a.png")[0] == 200
    assert predicted(ask, f"/data/local-files/?d={root.parent}/secret.png")[0] == 404


def test_one_image_that_cannot_be_had_takes_nothing_from_the_others(ask, told):
    status, answer = predicted(ask, "http://elsewhere/a.png", "/data/local-files/?d=images/a.png", 3)
    assert status == 200
    assert [len(one["result"]) if one else one for one in answer["results"]] == [[], 2, []]
    assert [line[:7] for line in told] == ["task 0:", "task 2:"]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (None, "found none"),
        ("<View>", "broken XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><View>&a;</View>', "broken XML"),
        ("<View><Image name='a' value='$i'/></View>", "found no boxes"),
        ("<View><RectangleLabels name='b' toName='a'/></View>", "found no boxes"),
        (CONFIG.replace("cat", "ape").replace("dog", "god"), "found the labels Dog, ape"),
    ],
)
def test_configurations_without_boxes_of_the_models_classes(ask, config, reason):
    for path, body in (
        ("/setup", {"schema": config}),
        ("/predict", {"label_config": config, "tasks": [task("/data/local-files/?d=images/a.png")]}),
    ):
        status, answer = ask(path, body)
        assert (status, answer["success"]) == (400, False)
        assert reason in answer["error"]["message"]


def test_labels_from_the_task_take_every_class(ask):
    config = (
        "<View><Image name='i' value='$photo'/><RectangleLabels name='l' toName='i' value='$all'/></View>"
    )
    (one,) = predicted(ask, "/data/local-files/?d=images/c.png", config=config)[1]["results"]
    assert [region["value"]["rectanglelabels"] for region in one["result"]] == [["ünnamed"]]


@pytest.mark.parametrize("tasks", [None, [], {}, "x", [task("a")] * 1001])
def test_strange_tasks(ask, tasks):
    assert ask("/predict", {"label_config": CONFIG, "tasks": tasks})[0] == 400
    assert ask("/predict", {"label_config": CONFIG, "tasks": [None, 3, {}, {"data": []}]})[0] == 400


def test_x_anylabeling(ask, root):
    status, answer = ask("/v1/models")
    about = answer["data"]["masu"]
    assert (status, answer["success"], about["display_name"]) == (200, True, f"masu {VERSION}")
    assert about["classes"] == list(NAMES)
    assert {"name": "edit_conf", "value": 0.0} in about["widgets"]
    assert ask("/v1/models/masu/info")[1]["data"] == {"model_id": "masu", **about}
    asked = {"model": "masu", "image": data_url(root / "images" / "a.png")}
    status, answer = ask("/v1/predict", asked | {"params": {"conf_threshold": 0.0, "iou_threshold": 0.0}})
    assert (status, answer["success"], answer["data"]["description"]) == (200, True, "")
    dog, cat = answer["data"]["shapes"]
    assert dog == {
        "label": "dog & <hen>",
        "shape_type": "rectangle",
        "points": [[1.23, 2.0], [20.5, 2.0], [20.5, 12.12], [1.23, 12.12]],
        "score": 0.9123,
        "group_id": None,
        "difficult": False,
        "flags": {},
        "attributes": {},
        "description": "",
        "direction": 0,
        "kie_linking": [],
    }
    raw = asked | {"image": asked["image"].partition(",")[2]}
    assert ask("/v1/predict", raw)[1]["data"]["shapes"] == [dog, cat]
    for params, expected in (
        ({"conf_threshold": 0.8}, [dog]),
        ({"filter_classes": ["cat"]}, [cat]),
        ({"filter_classes": []}, [dog, cat]),
    ):
        assert ask("/v1/predict", asked | {"params": params})[1]["data"]["shapes"] == expected


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"model": "yolo"}, 404, "MODEL_NOT_FOUND"),
        ({"model": None}, 404, "MODEL_NOT_FOUND"),
        ({"image": "http://127.0.0.1/a.png"}, 400, "INVALID_IMAGE"),
        ({"image": 5}, 400, "INVALID_IMAGE"),
        ({"image": ""}, 400, "INVALID_IMAGE"),
        ({"params": [1]}, 400, "BAD_REQUEST"),
        ({"params": {"conf_threshold": 2}}, 400, "BAD_REQUEST"),
        ({"params": {"conf_threshold": "0.5"}}, 400, "BAD_REQUEST"),
        ({"params": {"conf_threshold": True}}, 400, "BAD_REQUEST"),
        ({"params": {"filter_classes": "cat"}}, 400, "BAD_REQUEST"),
    ],
)
def test_what_x_anylabeling_must_not_ask(ask, root, change, status, code):
    asked = {"model": "masu", "image": data_url(root / "images" / "a.png"), "params": {}}
    answered, answer = ask("/v1/predict", asked | change)
    assert (answered, answer["error"]["code"]) == (status, code)


def test_requests_of_other_kinds(ask):
    for body in (b"{", b"[]", b"\xff\xfe", b"[" * 100_000):
        assert ask("/predict", body)[0] == 400
    assert ask("/predict", {}, Content_Type="text/plain")[0] == 415
    assert ask("/predict")[0] == 405
    assert ask("/nothing")[0] == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 403), ("localhost:9090", 200), ("[::1]:9090", 200), ("127.0.0.1", 200), ("[", 403)],
)
def test_only_under_a_name_of_this_computer(ask, host, status):
    """A page of the web may point a name of its own here."""
    assert ask("/health", Host=host)[0] == status


def small(limits, detector=None, told=None):
    answerer = Answerer(detector or Finder(), 0.5, VERSION, limits)
    return make_backend(answerer, Addresses(None, None, limits), log=(told or []).append)


def encoded(width, height, form="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width), np.uint8)).save(buffer, form)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def test_bytes_and_pixels_are_limited(serving):
    ask = serving(small(Limits(body=4000, image=1000, pixels=40 * 30)))
    assert ask("/v1/predict", {"model": "masu", "image": encoded(40, 30)})[0] == 200
    status, answer = ask("/v1/predict", {"model": "masu", "image": encoded(41, 30)})
    assert (status, answer["error"]["message"]) == (413, "image: found 1230 pixels, wanted at most 1200")
    assert ask("/v1/predict", {"model": "masu", "image": "A" * 1400})[0] == 413
    assert ask("/v1/predict", {"model": "masu", "image": "A" * 5000})[1]["error"]["message"].startswith(
        "body:"
    )
    assert ask("/v1/predict", {"model": "masu", "image": encoded(8000, 8000)})[0] == 413


def test_kinds_that_start_programs_are_not_opened(serving):
    ask = serving(small(Limits()))
    page = base64.b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\n").decode()
    status, answer = ask("/v1/predict", {"model": "masu", "image": page})
    assert (status, answer["error"]["code"]) == (400, "INVALID_IMAGE")


def test_few_requests_wait_and_the_others_are_told(serving):
    entered, go = threading.Event(), threading.Event()

    class Slow(Finder):
        def predict(self, images, threshold=None, batch_size=1):
            entered.set()
            assert go.wait(20)
            return super().predict(images, threshold, batch_size)

    ask = serving(small(Limits(waiting=1), Slow()))
    asked = {"model": "masu", "image": encoded(40, 30)}
    answers = []
    first = threading.Thread(target=lambda: answers.append(ask("/v1/predict", asked)[0]))
    first.start()
    assert entered.wait(20)
    status, answer = ask("/v1/predict", asked)
    assert (status, answer["error"]["code"]) == (503, "QUEUE_FULL")
    assert ask("/health")[0] == 200
    go.set()
    first.join(20)
    assert answers == [200]
    assert ask("/v1/predict", asked)[0] == 200


def test_an_error_of_the_server_tells_clients_nothing(serving):
    class Broken(Finder):
        def predict(self, images, threshold=None, batch_size=1):
            raise RuntimeError("secret")

    told = [""]
    ask = serving(small(Limits(), Broken(), told))
    status, answer = ask("/v1/predict", {"model": "masu", "image": encoded(40, 30)})
    assert (status, answer["error"]["code"]) == (500, "INFERENCE_ERROR")
    assert "secret" not in json.dumps(answer)
    assert any("RuntimeError: secret" in line for line in told)


class Studio:
    """A Label Studio with one picture, which tells what it was asked."""

    def __init__(self, picture, away):
        self.asked, self.picture, self.away = [], picture, away

    def app(self):
        async def image(request):
            self.asked.append((request.url.path, request.url.query, request.headers.get("authorization")))
            if "denied" in request.url.path:
                return Response(status_code=401)
            if "moved" in request.url.path:
                return RedirectResponse("/data/upload/1/a%20b.png")
            if "away" in request.url.path:
                return RedirectResponse(self.away)
            return Response(self.picture, media_type="image/png")

        async def refresh(request):
            return Response(json.dumps({"access": (await request.json())["refresh"] + "!"}))

        routes = [
            Route("/data/{rest:path}", image),
            Route("/api/token/refresh", refresh, methods=["POST"]),
        ]
        return make_app(routes, log=lambda _line: None)


@pytest.mark.parametrize(("key", "sent"), [("abc", "Token abc"), ("a.b.c", "Bearer a.b.c!"), (None, None)])
def test_uploaded_images_come_from_the_one_label_studio(serving, root, key, sent):
    studio = Studio((root / "images" / "a.png").read_bytes(), "http://127.0.0.1:1/data/x.png")
    host = serving(studio.app())
    ask = serving(
        masu.backend(Finder(), threshold=0.5, label_studio_url=f"{host.address}/", label_studio_key=key)
    )
    for address in ("/data/upload/1/a b.png", f"{host.address}/data/upload/1/a%20b.png"):
        status, answer = predicted(ask, address)
        assert (status, len(answer["results"][0]["result"])) == (200, 2)
    assert predicted(ask, "/data/local-files/?d=images/a.png")[0] == 200
    assert studio.asked == [
        ("/data/upload/1/a b.png", "", sent),
        ("/data/upload/1/a b.png", "", sent),
        ("/data/local-files/", "d=images/a.png", sent),
    ]
    assert predicted(ask, "/data/moved.png")[0] == 200
    studio.asked.clear()
    for address, status, reason in (
        ("/data/away.png", 403, "another host"),
        ("/data/denied.png", 502, "LABEL_STUDIO_API_KEY"),
        (host.address.replace("127.0.0.1", "localhost") + "/data/a.png", 400, "nothing else"),
        (f"{host.address}/api/token/refresh", 400, "nothing else"),
        (f"{host.address}/data/../api/x", 400, "nothing else"),
    ):
        code, answer = predicted(ask, address)
        assert (code, reason in answer["error"]["message"]) == (status, True), answer
    assert len(studio.asked) == 2


def test_a_label_studio_that_is_not_there(serving):
    ask = serving(masu.backend(Finder(), threshold=0.5, label_studio_url="http://127.0.0.1:1"))
    status, answer = predicted(ask, "/data/upload/1/a.png")
    assert (status, "cannot be reached" in answer["error"]["message"]) == (502, True)


@pytest.mark.parametrize(
    ("options", "thing"),
    [
        ({"root": "nowhere"}, "--root"),
        ({"label_studio_url": "ftp://host"}, "--label-studio-url"),
        ({"label_studio_url": "localhost:8080"}, "--label-studio-url"),
        ({"label_studio_url": "http://a:b@host"}, "--label-studio-url"),
        ({"threshold": 2}, "threshold"),
    ],
)
def test_what_is_refused_before_it_serves(options, thing):
    with pytest.raises(InputError) as caught:
        masu.backend(Finder(), **options)
    assert caught.value.thing == thing


@pytest.mark.parametrize("key", ["a b", "a\nb", "schlüssel"])
def test_a_key_that_is_none_is_refused_without_showing_it(key):
    with pytest.raises(InputError) as error:
        LabelStudioHost("http://localhost:8080", key, Limits())
    assert error.value.thing == "LABEL_STUDIO_API_KEY"
    assert key not in str(error.value)
