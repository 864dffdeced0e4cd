"""The application as a page asks it, and as nobody should."""

import http.client
import json
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest

from masu.data.formats.labelme import LABELME
from masu.drafts.beside import write_beside
from masu.drafts.draft import Draft
from masu.labelling.app import make_label_app
from tests.labelling.test_sitting import found

TOKEN = "t0ken"
CAT = {"box": [1, 2, 21.5, 30.25], "name": "cat", "crowd": False, "difficult": False, "place": []}


class Browser:
    """A client that keeps the cookie of the first address."""

    def __init__(self, address):
        self.place = urlsplit(address).netloc
        status, _, headers = self.raw("GET", f"/?token={TOKEN}")
        assert status == 303
        self.cookie = headers["set-cookie"].split(";")[0]

    def raw(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.place, timeout=30)
        content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        connection.request(method, path, content, more)
        answer = connection.getresponse()
        read = answer.read(), {key.lower(): value for key, value in answer.getheaders()}
        connection.close()
        return answer.status, *read

    def __call__(self, method, path, body=None):
        status, content, _ = self.raw(method, path, body, Cookie=self.cookie)
        return status, json.loads(content)


@pytest.fixture
def browser(desk, serving):
    app = make_label_app(
        desk,
        token=TOKEN,
        key="k",
        order="name",
        formats=("coco",),
        export=lambda to: {"folder": to},
        commands=[{"text": "masu", "what": "all"}],
        log=lambda line: None,
    )
    return Browser(serving(app).address)


def test_only_who_has_the_token_is_answered(browser):
    for path in ("/", "/api/session", "/static/main.js", "/?token=wrong", "/api/session?token=t0ken"):
        status, content, headers = browser.raw("GET", path)
        assert (status, "set-cookie" in headers) == (403, False)
        assert "masu label" in json.loads(content)["detail"]
    assert browser.raw("GET", "/", Cookie="masu-label-k=wrong")[0] == 403
    status, content, headers = browser.raw("GET", "/", Cookie=browser.cookie)
    assert (status, content[:15]) == (200, b"<!DOCTYPE html>")
    assert "default-src 'self'" in headers["content-security-policy"]


def test_the_cookie_is_for_this_page_alone(browser):
    _, _, headers = browser.raw("GET", f"/?token={TOKEN}")
    said = headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=lax" in said


def test_a_page_of_the_web_reaches_nothing(browser):
    assert browser.raw("GET", "/api/session", Cookie=browser.cookie, Host="evil.example")[0] == 403
    body = json.dumps({"version": "", "state": "done", "labels": []}).encode()
    refused = browser.raw("PUT", "/api/photos/a.jpg", body, Cookie=browser.cookie, Content_Type="text/plain")
    assert refused[0] == 415


def test_a_photograph_is_answered(browser, folder):
    status, session = browser("GET", "/api/session")
    assert [one["id"] for one in session["photos"]] == ["a.jpg", "b.png", "sub/c.jpg"]
    assert (session["classes"], session["format"], session["order"]) == (["cat", "dog"], "labelme", "name")
    assert session["crowds"] is True  # of Pascal VOC and YOLO it is not: tests/data/formats
    status, photo = browser("GET", "/api/photos/sub/c.jpg")
    assert (photo["width"], photo["height"], photo["version"], photo["drafts"]) == (60, 40, "", None)
    sent = {"version": "", "state": "done", "labels": [CAT], "drafts": None, "seconds": 3}
    status, saved = browser("PUT", "/api/photos/sub/c.jpg", sent)
    assert (status, saved["state"]) == (200, "done")
    _, photo = browser("GET", "/api/photos/sub/c.jpg")
    assert (photo["version"], photo["labels"][0]["box"]) == (saved["version"], CAT["box"])
    assert photo["labels"][0]["place"]
    assert json.loads((folder / "sub" / "c.json").read_text())["shapes"][0]["label"] == "cat"


def test_a_conflict_shows_theirs(browser):
    sent = {"version": "", "state": "done", "labels": [CAT]}
    assert browser("PUT", "/api/photos/a.jpg", sent)[0] == 200
    status, answer = browser("PUT", "/api/photos/a.jpg", {**sent, "labels": []})
    assert (status, answer["error"]["code"]) == (409, "CHANGED")
    assert answer["photo"]["labels"][0]["name"] == "cat"
    again = {**sent, "labels": [], "version": answer["photo"]["version"]}
    assert browser("PUT", "/api/photos/a.jpg", again)[0] == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "finished"},
        {"version": None},
        {"labels": [{**CAT, "box": [1, 2, 3]}]},
        {"labels": [{**CAT, "box": [1, 2, float("nan"), 9]}]},
        {"labels": [{**CAT, "box": [9, 2, 1, 9]}]},
        {"labels": [{**CAT, "name": "bird"}]},
        {"labels": [{**CAT, "place": ["x"]}]},
        {"labels": {}},
        {"drafts": [{"box": [1, 2, 3, 4], "name": "cat", "score": 2}]},
    ],
)
def test_what_is_no_answer_is_refused(browser, folder, wrong):
    status, answer = browser(
        "PUT", "/api/photos/a.jpg", {"version": "", "state": "done", "labels": []} | wrong
    )
    assert status == 400
    assert answer["detail"]
    assert not list(folder.rglob("*.json"))


@pytest.mark.parametrize("name", ["gone.jpg", "..%2F..%2Fetc%2Fpasswd", "../out/classes.json", ".%2e/a.jpg"])
def test_only_photographs_of_the_folder_are_sent(browser, name):
    for more in ("", "/image", "/thumbnail"):
        assert browser("GET", f"/api/photos/{name}{more}")[0] == 404


@pytest.mark.parametrize("what", ["", "/image", "/thumbnail"])
def test_a_name_may_have_a_line_break(browser, what):
    status, said = browser("GET", f"/api/photos/new%0Aline.jpg{what}")
    assert (status, said["error"]["code"]) == (404, "NO_PHOTOGRAPH")
    assert said["detail"] == "new line.jpg: no such photograph"


def test_pictures(browser, folder):
    status, content, headers = browser.raw("GET", "/api/photos/b.png/image", Cookie=browser.cookie)
    assert (status, headers["content-type"]) == (200, "image/png")
    assert content == (folder / "b.png").read_bytes()
    _, content, headers = browser.raw("GET", "/api/photos/b.png/thumbnail", Cookie=browser.cookie)
    assert (content[:2], headers["x-content-type-options"]) == (b"\xff\xd8", "nosniff")


def test_a_picture_is_asked_for_again_only_where_its_file_is_another(browser, folder):
    at = "/api/photos/a.jpg/image"
    tag = browser.raw("GET", at, Cookie=browser.cookie)[2]["etag"]
    status, content, _ = browser.raw("GET", at, Cookie=browser.cookie, If_None_Match=tag)
    assert (status, content) == (304, b"")
    (folder / "a.jpg").write_bytes((folder / "sub" / "c.jpg").read_bytes() + b" ")
    assert browser.raw("GET", at, Cookie=browser.cookie, If_None_Match=tag)[0] == 200


def test_a_neighbours_cookies_do_not_lock_anybody_out(browser):
    for other in ('a={"x": 1}', "x[y]=1", "=;;"):
        assert browser.raw("GET", "/", Cookie=f"{other}; {browser.cookie}")[0] == 200


def test_a_photograph_whose_pixels_are_broken_is_locked(browser, folder):
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[:2000])
    browser.raw("GET", "/api/photos/b.png/thumbnail", Cookie=browser.cookie)
    photo = browser("GET", "/api/photos/b.png")[1]
    assert (photo["state"], photo["editable"]) == ("locked", False)
    assert browser("GET", "/api/next?after=a.jpg&order=name")[1]["id"] == "sub/c.jpg"


def test_skipping_goes_once_around_those_that_are_not_to_be_held_back(browser):
    seen, at = [], ""
    for _ in range(4):
        at = browser("GET", f"/api/next?order=random&after={at}")[1]["id"]
        seen.append(at)
    assert sorted(seen[:2]) == ["a.jpg", "b.png"]
    assert seen[:2] == seen[2:]
    for name in seen[:2]:
        browser("PUT", f"/api/photos/{name}", {"version": "", "state": "done", "labels": []})
    assert browser("GET", "/api/next?order=random")[1]["id"] == "sub/c.jpg"


def test_the_next_one(browser):
    assert browser("GET", "/api/next?order=name")[1]["id"] == "a.jpg"
    assert browser("GET", "/api/next?after=a.jpg")[1]["id"] == "b.png"
    assert browser("GET", "/api/next?after=sub/c.jpg")[1]["id"] == "a.jpg"
    for name in ("a.jpg", "b.png"):
        browser("PUT", f"/api/photos/{name}", {"version": "", "state": "done", "labels": []})
    assert browser("GET", "/api/next?order=random")[1]["id"] == "sub/c.jpg"
    assert browser("GET", "/api/next?after=sub/c.jpg")[1]["id"] is None
    assert browser("GET", "/api/next?order=worst")[0] == 400


def test_status_tells_what_is_new(browser):
    _, first = browser("GET", "/api/status?since=0")
    assert (first["learning"]["state"], first["model"], first["counts"]["photos"]) == ("off", None, 3)
    _, saved = browser("PUT", "/api/photos/a.jpg", {"version": "", "state": "unfinished", "labels": [CAT]})
    _, then = browser("GET", f"/api/status?since={first['seq']}")
    assert then["changed"] == [
        {
            "id": "a.jpg",
            "at": 0,
            "state": "unfinished",
            "boxes": 1,
            "drafts": None,
            "version": saved["version"],
            "drafted": False,
        }
    ]
    assert browser("GET", f"/api/status?since={then['seq']}")[1]["changed"] == []
    assert browser("GET", "/api/status?since=x")[0] == 400


def test_the_surest_unlike_the_others_comes_next(browser, desk):
    unsure, sure = [((1, 1, 9, 9), "cat", 0.5)] * 3, [((1, 1, 9, 9), "cat", 0.99)]
    desk.teaching.found |= {"a.jpg": found(*sure), "b.png": found(*unsure)}
    assert browser("GET", "/api/next?order=best")[1]["id"] == "b.png"


@pytest.mark.parametrize("order", ["random", "best"])
def test_a_photograph_that_is_almost_the_same_comes_last(browser, desk, order):
    scene = np.random.default_rng(1).integers(0, 255, (2, 32, 32), np.uint8)
    seen = found(((1, 1, 9, 9), "cat", 0.5))
    small = {"a.jpg": scene[0], "b.png": scene[0], "sub/c.jpg": scene[1]}
    desk.teaching.found |= {name: replace(seen, small=one) for name, one in small.items()}
    browser("PUT", "/api/photos/a.jpg", {"version": "", "state": "done", "labels": []})
    assert browser("GET", f"/api/next?order={order}")[1]["id"] == "sub/c.jpg"
    browser("PUT", "/api/photos/sub/c.jpg", {"version": "", "state": "done", "labels": []})
    assert browser("GET", f"/api/next?order={order}")[1]["id"] == "b.png"


def test_drafts_say_whether_they_are_worth_showing(browser, desk):
    seen = found(((1, 1, 9, 9), "cat", 0.6), ((1, 1, 9, 9), "dog", 0.2))
    desk.teaching.found["a.jpg"] = seen
    drafts = browser("GET", "/api/photos/a.jpg")[1]["drafts"]
    assert [(one["name"], one["score"], one["sure"]) for one in drafts] == [
        ("cat", 0.6, True),
        ("dog", 0.2, False),
    ]


def test_drafts_that_somebody_asked_for_are_all_worth_showing(browser, desk, folder):
    draft = Draft(folder / "a.jpg", (40, 60), ((1.0, 1.0, 9.0, 9.0),), ("cat",), (0.2,))
    write_beside(draft, LABELME, "cells-1f2e", swept=True)
    desk.sitting.look_for_changes()
    assert browser("GET", "/api/photos/a.jpg")[1]["drafts"] == [
        {"box": [1.0, 1.0, 9.0, 9.0], "name": "cat", "score": 0.2, "sure": True}
    ]
    photographs = {one["id"]: one for one in browser("GET", "/api/session")[1]["photos"]}
    assert photographs["a.jpg"] == {"id": "a.jpg", "state": "open", "boxes": 0, "drafts": 1}
    assert photographs["b.png"]["drafts"] is None


def test_more_classes_and_the_end(browser):
    assert browser("POST", "/api/classes", {"name": "hen"})[1]["classes"] == ["cat", "dog", "hen"]
    assert browser("POST", "/api/classes", {"name": ""})[0] == 400
    assert browser("POST", "/api/export", {"format": "coco"})[1] == {"folder": "coco"}
    assert browser("GET", "/api/commands")[1]["commands"][0]["text"] == "masu"
    assert browser("POST", "/api/learning", {"action": "sleep"})[0] == 400
    assert browser("POST", "/api/learning", {"action": "pause"}) == (200, {})


def test_what_another_computer_saves_is_told(browser, desk, sit, out):
    _, first = browser("GET", "/api/status?since=0")
    sit(out.with_name("other")).answer("b.png", "", [])
    desk._next_look = 0.0
    _, then = browser("GET", f"/api/status?since={first['seq']}")
    assert [(one["id"], one["state"]) for one in then["changed"]] == [("b.png", "done")]


def test_photographs_that_come_are_told_with_their_place(browser, desk, folder):
    """One before the others in a new folder, with another person's labels; the next look finds no more."""
    _, first = browser("GET", "/api/status?since=0")
    new = folder / "again" / "d.jpg"
    new.parent.mkdir()
    new.write_bytes((folder / "a.jpg").read_bytes())
    new.with_suffix(".json").write_text(
        json.dumps({"shapes": [], "imagePath": "d.jpg", "imageWidth": 60, "imageHeight": 40})
    )
    desk._next_look = 0.0
    _, then = browser("GET", f"/api/status?since={first['seq']}")
    assert [(one["id"], one["at"], one["state"]) for one in then["changed"]] == [("again/d.jpg", 1, "done")]
    assert then["counts"]["photos"] == 4
    assert [one["id"] for one in browser("GET", "/api/session")[1]["photos"]] == [
        "a.jpg",
        "again/d.jpg",
        "b.png",
        "sub/c.jpg",
    ]
    assert browser("GET", "/api/photos/again/d.jpg")[1]["width"] == 60
    desk._next_look = 0.0
    assert browser("GET", f"/api/status?since={then['seq']}")[1]["changed"] == []


def test_a_photograph_that_was_half_copied_is_read_once_it_is_whole(browser, desk, folder):
    whole = (folder / "a.jpg").read_bytes()
    (folder / "d.jpg").write_bytes(whole[:30])
    desk._next_look = 0.0
    browser("GET", "/api/status?since=0")
    assert browser("GET", "/api/photos/d.jpg")[1]["state"] == "locked"
    (folder / "d.jpg").write_bytes(whole)
    desk._next_look = 0.0
    _, then = browser("GET", "/api/status?since=0")
    assert {one["id"]: one["state"] for one in then["changed"]}["d.jpg"] == "open"


def test_drafts_that_have_come_are_told_beside_what_a_page_shows(browser, desk):
    assert browser("GET", "/api/photos/a.jpg/drafts")[1] == {"model": None, "drafts": []}
    desk.teaching.found["a.jpg"] = found(((1, 1, 9, 9), "cat", 0.6))
    _, said = browser("GET", "/api/photos/a.jpg/drafts")
    assert said == {
        "model": "m-1",
        "drafts": [{"box": [1, 1, 9, 9], "name": "cat", "score": 0.6, "sure": True}],
    }
    assert browser("GET", "/api/photos/no.jpg/drafts")[0] == 404
