"""The page of ``masu serve`` in a browser, with a photograph, a camera and a keyboard. Without Chromium, skipped."""

import re

import pytest

pytest.importorskip("playwright.sync_api", reason="the package playwright drives the browser")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from tests.labelling.browser import installed
from tests.serve.conftest import Finder, encoded

CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
WIDE = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class Anything(Finder):
    """Finds a box in the middle of a picture of any size that it does not know."""

    def predict(self, images, threshold=None, batch_size=1, *, margins=False):
        return super().predict([image[:, :40] for image in images], threshold)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        path = installed(playwright)
        if path is None:
            pytest.skip("no Chromium: install one, or run `playwright install chromium`")
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", *CAMERA]
        )
        yield browser
        browser.close()


@pytest.fixture
def page_of(chromium, served):
    """``page_of(models, **context)``: the page, open; in the end the browser had no complaint."""
    faults, contexts = [], []

    def hear(said):
        if said.type in ("error", "warning") and "status of 429" not in said.text:
            faults.append(said.text)

    def open_page(models=None, path="/", **context):
        _, ask = served(Finder() if models is None else models)
        contexts.append(chromium.new_context(**context))
        page = contexts[-1].new_page()
        page.set_default_timeout(8000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", hear)
        page.goto(f"{ask.address}{path}")
        expect(page.locator("html[data-ready]")).to_be_attached()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def choose(page, width=40, shown=2):
    file = {"name": "a.png", "mimeType": "image/png", "buffer": encoded(width)}
    page.locator("#file").set_input_files(file)
    expect(page.locator("html")).to_have_attribute("data-shown", str(shown))


def test_a_photograph_its_boxes_and_the_threshold(page_of):
    page = page_of(**WIDE)
    choose(page)
    assert page.locator("#found-title").inner_text() == "2 objects: 1 dog & <hen>, 1 cat"
    assert page.locator("#found button").all_inner_texts() == ["dog & <hen>\n0.91", "cat\n0.60"]
    assert page.locator("#boxes").get_attribute("viewBox") == "0 0 40 30"
    line = page.locator("#boxes g[data-index='0'] .line")
    sides = [float(line.get_attribute(name)) for name in ("x", "y", "width", "height")]
    assert sides == pytest.approx([1.23456, 2, 19.26544, 10.125])
    photograph, drawing = page.locator("#photograph").bounding_box(), page.locator("#boxes").bounding_box()
    assert drawing == pytest.approx(photograph, abs=1)

    page.locator("#threshold").fill("0.7")
    expect(page.locator("#found button")).to_have_count(1)
    assert page.locator("#score").inner_text() == "0.70"
    page.locator("#threshold").focus()
    page.keyboard.press("End")
    expect(page.locator("#found-title")).to_have_text("Nothing found")
    page.get_by_role("button", name="As the model proposes").click()
    expect(page.locator("#found button")).to_have_count(2)
    assert page.locator("#score").inner_text() == "0.50"


def test_a_box_is_followed_by_pointer_and_keyboard(page_of):
    page = page_of(**WIDE)
    choose(page)
    page.locator("#found button").nth(1).hover()
    assert page.locator("#boxes .followed").get_attribute("data-index") == "1"
    page.mouse.move(5, 5)
    expect(page.locator("#boxes .followed")).to_have_count(0)
    page.locator("#found button").first.focus()
    assert page.locator("#boxes .followed").get_attribute("data-index") == "0"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.locator("#threshold").focus()
    assert page.locator("#boxes .followed").get_attribute("data-index") == "0"


def test_a_dropped_file_and_one_that_is_no_picture(page_of):
    page = page_of(**WIDE)
    drop = """([name, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
        document.getElementById("stage").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
    }"""
    page.evaluate(drop, ["b.png", list(encoded(60))])
    expect(page.locator("html")).to_have_attribute("data-shown", "2")
    assert page.locator("#found-title").inner_text() == "2 objects: 1 ünnamed, 1 cat"


def test_models_are_chosen_by_name(page_of):
    page = page_of({"a": Finder(), "b": Finder(thresholds={"cat": 0.7})}, **WIDE)
    choose(page)
    page.get_by_label("Model").select_option("b")
    expect(page.locator("html")).to_have_attribute("data-shown", "1")
    assert page.locator("#score").inner_text() == "by class"


def test_the_camera(page_of):
    page = page_of(Anything(), **WIDE)
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("html")).to_have_attribute("data-shown", "2")
    first = page.locator("#took").inner_text()
    assert re.match(r"\d+ by \d+ pixels, \d+ ms", first)
    assert page.evaluate("document.getElementById('film').videoWidth") > 0
    page.get_by_role("button", name="Stop the camera").click()
    expect(page.get_by_role("button", name="Use the camera")).to_be_visible()
    assert page.evaluate("document.getElementById('film').srcObject") is None
    choose(page, 60)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_nothing_is_in_the_way_of_anybody(page_of, colours):
    """No finding of axe on either page, nothing wider than a telephone."""
    for path in ("/", "/docs"):
        page = page_of(path=path, color_scheme=colours, **PHONE)
        if path == "/":
            choose(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert [one["id"] for one in Axe().run(page).response["violations"]] == []
    assert page.locator("#docs section").count() > 10
    assert "curl -F image=@photograph.jpg" in page.locator("#example").inner_text()


def test_a_server_that_is_gone_is_said(page_of):
    page = page_of(**WIDE)
    page.route("**/predict?*", lambda route: route.fulfill(status=429, json={"error": {"message": "busy"}}))
    file = {"name": "a.png", "mimeType": "image/png", "buffer": encoded()}
    page.locator("#file").set_input_files(file)
    expect(page.get_by_role("alert")).to_have_text("busy")
