"""Every page as people see it: wide and on a phone, light and dark, with names that are markup. Without Chromium, skipped."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import masu
from masu.evaluation import anchors, compare_page, error_page
from masu.evaluation.comparison import Run, compare
from masu.evaluation.error_report import error_report
from masu.evaluation.evaluate import Scored
from masu.evaluation.metrics import coco_metrics
from masu.explanation.explain import explain
from masu.ops.images import InputPolicy
from masu.pages.page import put_page
from masu.pages.pictures import Mark, Shown
from masu.records import Detections, Target
from masu.training.recipe import TrainSettings
from masu.training.run_state import RunState
from masu.training.samples import write_samples
from masu.training.train_page import TrainPage
from masu.verbs.check import check, write_page
from masu.verbs.demo_page import Picture, render_page
from masu.verbs.detect import detect
from masu.verbs.wrong_labels import LabelReview, WrongLabel
from tests.demo_pages import demo_page
from tests.networks import spread

pytest.importorskip("playwright.sync_api", reason="the package playwright drives the browser")

from axe_playwright_python.sync_playwright import Axe

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
EVIL = '"><img src=x onerror="window.struck=1">&'
NAMES = ("coin", EVIL)
SIZE = (120, 160)  # height, width

OBJECTS = {
    "a.png": Target([[10, 10, 50, 50], [80, 20, 120, 70]], [0, 1]),
    f"b{EVIL}.png": Target([[20, 30, 70, 90]], [1]),
    "c.png": Target([[5, 5, 40, 45], [90, 60, 150, 110]], [0, 0]),
}
FOUND = {
    "a.png": ([[10, 10, 50, 50], [82, 20, 120, 70], [0, 90, 20, 119]], [0.9, 0.8, 0.3], [0, 0, 1]),
    f"b{EVIL}.png": ([[20, 30, 70, 90], [100, 10, 140, 50]], [0.7, 0.6], [1, 0]),
    "c.png": ([[5, 5, 40, 45]], [0.15], [0]),
}


def detections(name):
    boxes, scores, labels = FOUND[name]
    return Detections(boxes, scores, labels, [NAMES[k] for k in labels])


class Finder:
    """Finds in each photograph, in order, what FOUND says."""

    names = NAMES
    kind = "detector"
    input = InputPolicy()

    def __init__(self):
        self._next = iter(FOUND)

    def predict(self, images, threshold=None, batch_size=1):
        return [detections(next(self._next)).above(threshold or 0) for _ in images]


def photograph(seed):
    rows = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(rows).resize(SIZE[::-1], Image.Resampling.BILINEAR)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed, name in enumerate(OBJECTS):
        photograph(seed).save(folder / name)
    return folder


def coco(folder, photos):
    """The photographs and their objects, the first twice, as a COCO data set."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for name in [*OBJECTS, "double.png"]:
        target, picture = OBJECTS.get(name, OBJECTS["a.png"]), photos / (name if name in OBJECTS else "a.png")
        Image.open(picture).save(folder / "images" / name, compress_level=1 + (name not in OBJECTS))
        images.append({"id": len(images) + 1, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        for (x1, y1, x2, y2), label in zip(target.boxes.tolist(), target.labels.tolist(), strict=True):
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "category_id": label + 1, "image_id": len(images)}
            annotations.append(box | {"id": len(annotations) + 1, "iscrowd": 0})
    annotations.append(annotations[0] | {"id": 99, "bbox": [5, 5, 0, 9]})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": k, "name": name} for k, name in enumerate(NAMES, 1)],
    }
    (folder / "images" / "labels.json").write_text(json.dumps(content))
    return folder / "images"


def scored(photos, keep=1.0):
    found = [detections(name)[: max(round(keep * len(detections(name))), 1)] for name in OBJECTS]
    targets = list(OBJECTS.values())
    paths = tuple(photos / name for name in OBJECTS)
    return Scored(coco_metrics(targets, found, NAMES), NAMES, paths, tuple(targets), tuple(found))


def reviewed(data):
    """One label of each of two kinds that is probably wrong."""
    file, given = data / "labels.json", {"split": None, "name": EVIL, "likelihood": 0.9, "score": 0.8}
    labels = [
        WrongLabel(
            kind="misplaced", image=data / "a.png", file=file, where="annotation id 1", object=0,
            box=(10, 10, 50, 50), instead=None, moved=(15, 12, 60, 50), **given,
        ),
        WrongLabel(
            kind="missing", image=data / "c.png", file=file, where="", object=None,
            box=(60, 60, 90, 90), instead=None, moved=None, **given,
        ),
    ]  # fmt: skip
    return LabelReview(tuple(labels), 4, 7, 3, 0.9, 1.0)


def demo_html():
    uri = error_page.embedded(photograph(9))
    marks = (Mark((10, 10, 50, 50), "object"), Mark((12, 10, 50, 50), "found", f"{EVIL} 0.90"))
    metrics = scored(photos=error_page.Path())
    picture = Picture(Shown("t.png", uri, SIZE[::-1], marks, f"Scene. {EVIL}"), NAMES, NAMES)
    return render_page(demo_page(metrics.metrics, (picture, picture)))


def train_page(out, data):
    """Of a finished run of four epochs, two of them with sample pictures."""
    run = out / f"run{EVIL}"
    for epoch in (1, 4):
        write_samples([photograph(epoch), photograph(epoch + 1)], run / "samples" / f"epoch_{epoch:03}")
    history = [
        {"epoch": n, "loss": 2.0 / n, "classes": 1.2 / n, "boxes": 0.8 / n, "ap": 0.1 * n, "ap50": 0.2 * n}
        | {"seconds": 10.0 * n, "images_per_second": 2.5, "learning_rate": 1e-4}
        for n in range(1, 5)
    ]
    page = TrainPage(run, TrainSettings(epochs=4).resolved(), (data, data), data.faults)
    page.write(RunState(seconds=40.0, history=history), 1.0)
    return page.file


@pytest.fixture(scope="module")
def pages(photos, tmp_path_factory):
    """Each page once, by its name."""
    out = tmp_path_factory.mktemp("pages")
    data = coco(out / "data", photos)
    error_page.write_page(error_report(scored(photos)), out / "errors.html", f"m{EVIL}", EVIL)
    runs = [[Run(out / f"m{EVIL}", scored(photos, keep))] for keep in (0.5, 1.0)]
    compare_page.write_page(compare(*runs), out / "compare.html", EVIL)
    write_page(replace(check(data), review=reviewed(data)), out / "check.html")
    anchors.write_page(
        anchors.anchor_report(masu.read_dataset(data), "faster_rcnn_lite0_fpn"), out / "anchors.html"
    )
    torch.manual_seed(0)
    detector = spread(masu.build("faster_rcnn_lite0_fpn", NAMES, "none", image_size=96))
    explain(detector, masu.read_dataset(data), out / "explain.html", worst=2)
    put_page(out / "demo.html", demo_html())
    detect(Finder(), [photos / name for name in OBJECTS], threshold=0.5, out=out / "found")
    train = train_page(out, masu.read_dataset(data))
    gallery = out / "found" / "index.html"
    return {path.stem: path for path in out.glob("*.html")} | {"gallery": gallery, "train": train}


PAGES = ("errors", "compare", "check", "anchors", "explain", "demo", "gallery", "train")


@pytest.fixture
def look(chromium):
    """``look(page, size, scheme)``: the page in a browser of its own, which fetches nothing and meets no fault."""
    contexts, faults, fetched = [], [], []

    def start(file, size=WIDE, scheme="light"):
        contexts.append(chromium.new_context(viewport=size, color_scheme=scheme, accept_downloads=True))
        tab = contexts[-1].new_page()
        tab.on("pageerror", lambda error: faults.append(f"{error}"))
        tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        tab.on("request", lambda request: fetched.append(request.url))
        tab.goto(file.as_uri())
        return tab

    yield start
    struck = [page.evaluate("window.struck") for context in contexts for page in context.pages]
    for context in contexts:
        context.close()
    assert faults == []
    assert struck == [None] * len(struck)
    assert not [url for url in fetched if not url.startswith(("file:", "data:", "blob:"))]


def broken_rules(tab):
    """Of axe-core, each with the first element that breaks it."""
    found = Axe().run(tab).response["violations"]
    return [(rule["id"], rule["nodes"][0]["target"], rule["help"]) for rule in found]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_the_rules(pages, look, name):
    tab = look(pages[name])
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for size in (WIDE, PHONE):
        tab.set_viewport_size(size)
        assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"]
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            assert broken_rules(tab) == [], (size, scheme)


@pytest.mark.parametrize("name", ["errors", "gallery"])
def test_an_enlarged_picture_keeps_the_rules(pages, look, name):
    tab = look(pages[name], PHONE)
    tab.locator("button.enlarge").first.click()
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        assert broken_rules(tab) == []


def test_the_errors_in_a_sentence_and_the_pictures_by_keys(pages, look):
    tab = look(pages["errors"])
    # a: the coin right, the other taken for a coin; b: right, one too many; c: nothing above a threshold
    assert tab.locator("h1").inner_text().endswith("too many")
    figures = tab.locator(".gallery figure")
    tab.locator("select.sort").select_option("name")
    assert [row.get_attribute("data-name") for row in figures.all()] == sorted(
        row.get_attribute("data-name") for row in figures.all()
    )
    tab.locator("select.filter").select_option("missed")
    seen = [row for row in figures.all() if row.is_visible()]
    assert 0 < len(seen) < figures.count()
    assert tab.locator(".shown").inner_text() == f"{len(seen)} of {figures.count()} shown"
    tab.locator("select.filter").select_option("")

    right = tab.locator(".mark.right").first
    assert right.is_visible()
    tab.locator("#show-right").uncheck()
    assert not right.is_visible()

    tab.locator("button.enlarge").first.focus()
    tab.keyboard.press("Enter")
    viewer = tab.locator("dialog.viewer")
    assert "1 of" in viewer.inner_text()
    tab.keyboard.press("ArrowRight")
    assert "2 of" in viewer.inner_text()
    tab.keyboard.press("Escape")
    tab.wait_for_function("document.activeElement === document.querySelectorAll('button.enlarge')[1]")


def test_the_sample_pictures_of_a_training_epoch_by_epoch(pages, look):
    tab = look(pages["train"])
    sheets = tab.locator(".sheets")
    assert [sheets.nth(n).is_visible() for n in (0, 1)] == [False, True]
    tab.locator("#epoch").fill("0")
    assert [sheets.nth(n).is_visible() for n in (0, 1)] == [True, False]
    assert tab.locator("#shown").inner_text() == "1"


def test_explain_opens_with_what_was_lost(pages, look):
    tab = look(pages["explain"])
    assert "lost" in tab.locator("h1").inner_text()
    assert "was lost: " in tab.locator("#story").inner_text()
    assert tab.locator("#objects [aria-pressed=true].lost").count() == 1
    assert tab.locator("#picture g").count() >= 2  # the object and its anchor, bold


def test_almost_equal_pictures_lie_side_by_side_and_paths_are_short(pages, look):
    tab = look(pages["check"])
    one, other = (box.bounding_box() for box in tab.locator(".pair").first.locator("button").all())
    assert one["y"] == other["y"]
    assert one["x"] < other["x"]
    doubts = tab.locator("figure.doubt")
    assert [doubts.nth(n).is_visible() for n in (0, 1)] == [True, True]
    tab.locator("#only-missing").check()
    assert [doubts.nth(n).is_visible() for n in (0, 1)] == [False, True]
    tab.locator("summary").first.click()
    rows = tab.locator("table.places").all_inner_texts()
    assert not any(str(pages["check"].parent) in row for row in rows)


def test_a_person_corrects_what_was_found_and_saves_labels(pages, look, photos, tmp_path):
    tab = look(pages["gallery"])
    assert tab.locator("#summary").inner_text() == "4 objects in 2 of 3 photographs"
    tab.locator("#threshold").fill("0.1")
    tab.wait_for_function("document.getElementById('summary').textContent.startsWith('6 objects in 3')")
    tab.locator("#own").click()
    tab.wait_for_function("document.getElementById('summary').textContent.startsWith('4 ')")
    tab.locator("#filter").select_option("without")
    tab.locator("#gallery figcaption").filter(has_text="0 boxes").wait_for()
    assert tab.locator("#gallery li").all_text_contents() == ["c.png0 boxes"]
    tab.locator("#filter").select_option("")

    tab.locator("#gallery button").first.click()
    tab.locator("#boxes button").nth(1).click()  # no coin
    tab.locator("dialog select").select_option(EVIL)
    tab.keyboard.press("Escape")
    tab.locator("#gallery button").first.click()
    tab.keyboard.press("w")
    frame = tab.locator("dialog .frame").bounding_box()
    scale = frame["width"] / SIZE[1]
    tab.mouse.move(frame["x"] + 80 * scale, frame["y"] + 20 * scale)
    tab.mouse.down()
    tab.mouse.move(frame["x"] + 120 * scale, frame["y"] + 70 * scale, steps=2)
    tab.mouse.up()
    tab.locator("dialog .stage").focus()
    tab.keyboard.press("Enter")  # right: on to the next
    tab.keyboard.press("Enter")
    tab.keyboard.press("Escape")
    with tab.expect_download() as download:
        tab.locator("#save").click()
    download.value.save_as(tmp_path / "labels.coco.json")

    saved = masu.read_dataset(tmp_path / "labels.coco.json", images=photos)
    assert saved.names == NAMES
    boxes = {
        image.name: [
            (label, [round(side) for side in box])
            for label, box in zip(target.labels.tolist(), target.boxes.tolist(), strict=True)
        ]
        for image, target in saved
    }
    assert boxes["a.png"][0] == (0, [10, 10, 50, 50])
    assert boxes["a.png"][1][0] == 1
    assert np.allclose(boxes["a.png"][1][1], [80, 20, 120, 70], atol=1)
    assert boxes[f"b{EVIL}.png"] == [(1, [20, 30, 70, 90]), (0, [100, 10, 140, 50])]
    assert len(boxes) == 2

    again = look(pages["gallery"])
    assert again.locator("#save").is_disabled()  # what one browser keeps is its own
