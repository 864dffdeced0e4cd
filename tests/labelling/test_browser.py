"""``masu label`` as people use it: the command, a browser, a mouse, keys and a finger. Without Chromium, skipped."""

import itertools
import json
import os
import shutil
import statistics
from operator import sub

import pytest
from PIL import Image

import masu
from masu.cli.exit_codes import DONE
from masu.verbs.demo_scenes import make_scenes

pytest.importorskip("playwright.sync_api", reason="the package playwright drives the browser")

from axe_playwright_python.sync_playwright import Axe

from masu.labelling.app import make_label_app
from tests.labelling.browser import Person, Server, labels_of
from tests.labelling.test_sitting import found

WIDE = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Thirty photographs with handwritten digits in a folder, and the box of each digit by the photograph's name."""
    made = tmp_path_factory.mktemp("scenes") / "demo"
    make_scenes(made, 30, 1, 1)
    content = json.loads((made / "annotations" / "instances_train.json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    truth = {name: [] for name in names.values()}
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        truth[names[annotation["image_id"]]].append((x, y, x + width, y + height))
    return made / "images" / "train", truth


@pytest.fixture
def photos(scenes, tmp_path):
    """Four of them: a, b, c and d."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "abcd":
        shutil.copy(scenes[0] / f"train-000{ord(name) - ord('a') + 1}.jpg", folder / f"{name}.jpg")
    return folder


@pytest.fixture
def serve(tmp_path):
    """``serve(photographs, *options)``: a server that runs until the test is done."""
    running = []

    def start(photographs, *options, out=None):
        running.append(Server(photographs, out or tmp_path / "out", *options))
        return running[-1]

    start.running = running
    yield start
    for server in running:
        server.stop()


@pytest.fixture
def sit(chromium):
    """``sit(address, **context)``: a person in a browser of their own, who must not meet a fault."""
    contexts, faults = [], []

    def start(address, *, strict=True, **options):
        contexts.append(chromium.new_context(**(options or WIDE)))
        return Person(contexts[-1].new_page(), faults, strict=strict).come(address)

    yield start
    for context in contexts:
        context.close()
    assert faults == []


def near(found, wanted):
    """Whether two lists of class and box are the same to a pixel, in any order."""
    left = list(wanted)
    for name, box in found:
        same = [one for one in left if one[0] == name and max(map(abs, map(sub, box, one[1]))) <= 1]
        if not same:
            return False
        left.remove(same[0])
    return not left


def moved(box, dx, dy):
    return (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)


def labelled(folder):
    """Class and box of each object by the photograph's name, as masu reads them."""
    data = masu.read_dataset(folder)
    return {
        image.name: [
            (data.names[label], tuple(box))
            for label, box in zip(target.labels.tolist(), target.boxes.tolist(), strict=True)
        ]
        for image, target in data
    }


def broken_rules(page):
    """Of axe-core, each with the first element that breaks it."""
    found = Axe().run(page).response["violations"]
    return [(rule["id"], rule["nodes"][0]["target"], rule["help"]) for rule in found]


def test_a_sitting_from_bare_photographs_to_drafts_and_an_export(scenes, serve, sit, tmp_path):
    folder, truth = scenes
    photographs = tmp_path / "photos"
    shutil.copytree(folder, photographs)
    server = serve(photographs, "--order", "name", "--time-budget", "5s")
    me = sit(server.address)
    names = sorted(truth)
    wanted = {}

    # the first: every kind of edit
    assert me.shown == names[0]
    first, second, *rest = truth[names[0]]
    off = moved(first, 12, -9)
    me.press("w")
    me.drag(off[:2], off[2:])
    me.name_class("digit")  # a first box asks what it is
    assert near(me.boxes, [("digit", off)])
    x, y = (off[0] + off[2]) / 2, (off[1] + off[3]) / 2
    me.drag((x, y), (x - 12, y + 9))
    assert near(me.boxes, [("digit", first)])
    me.draw((second[0], second[1], second[2] - 8, second[3] - 6))
    me.drag((second[2] - 8, second[3] - 6), (second[2], second[3]))  # its lower right corner
    assert near(me.boxes, [("digit", first), ("digit", second)])
    me.press("0")
    me.name_class("spot")
    assert near(me.boxes, [("digit", first), ("spot", second)])
    me.press("Control+z")
    assert near(me.boxes, [("digit", first), ("digit", second)])
    me.press("Control+y", "1")
    assert near(me.boxes, [("digit", first), ("digit", second)])
    for box in rest:
        me.draw(box)
    me.draw((2, 2, 20, 20))
    me.press("Delete")
    wanted[names[0]] = [("digit", box) for box in truth[names[0]]]
    assert near(me.boxes, wanted[names[0]])
    me.press("d")
    me.see(names[1])

    for name, following in itertools.pairwise(names[1:6]):
        wanted[name] = [("digit", box) for box in truth[name]]
        for box in truth[name]:
            me.draw(box)
        me.press("d" if truth[name] else "n")
        me.see(following)
    assert wanted[names[4]] == []  # one of them shows nothing

    # the model learns from five
    me.until(
        "document.getElementById('model').textContent.startsWith('The model knows 5 photographs')",
        patience=120_000,
    )
    me.page.locator("#slider").focus()
    me.press("Home")  # every draft, however unsure
    me.until("document.querySelectorAll('#boxes .draft').length > 0", patience=60_000)
    assert me.boxes == []
    assert broken_rules(me.page) == []
    drafts = me.drafts
    me.page.locator("#stage").focus()
    me.press("Enter")
    me.until("document.querySelectorAll('#boxes .draft').length === 0")
    assert sorted(me.boxes) == sorted(drafts)
    wanted[names[5]] = me.boxes
    me.press("Enter")  # with no draft left: done, and the next one
    me.see(names[6])
    me.page.get_by_role("button", name="Finish").click()
    me.page.get_by_label("Format").select_option("coco")
    me.page.get_by_role("button", name="Export", exact=True).click()
    me.until("document.getElementById('export-said').textContent.includes('coco-1')")
    boxes = sum(len(labels) for labels in wanted.values())
    assert me.page.locator("#export-said").inner_text().startswith(f"6 photographs and {boxes} boxes are in ")
    me.page.close()
    assert server.stop() == DONE

    for read in (labelled(photographs), labelled(tmp_path / "out" / "coco-1")):
        assert sorted(read) == names[:6]
        assert all(near(read[name], boxes) for name, boxes in wanted.items())


def test_the_keyboard_alone(photos, serve, sit):
    me = sit(serve(photos, "--no-training", "--order", "name", "--classes", "cat,dog").address)
    me.press("w", "ArrowRight")  # a box in the middle
    assert [name for name, _ in me.boxes] == ["cat"]
    [(_, box)] = me.boxes
    me.press("ArrowRight", "Shift+ArrowDown")
    assert me.boxes == [("cat", moved(box, 1, 10))]
    me.press("Alt+ArrowRight", "Alt+Shift+ArrowUp")
    wide = (box[0] + 1, box[1] + 10, box[2] + 2, box[3])
    assert me.boxes == [("cat", wide)]
    me.press("2")
    assert me.boxes == [("dog", wide)]
    me.press("0")
    me.page.wait_for_selector("#class-search[open]")
    me.page.keyboard.type("hen")
    me.press("Enter")
    me.until("document.querySelector('#boxes').textContent.includes('hen')")
    assert me.focus == "stage"
    me.press("Escape", "w", "Enter", "ArrowLeft")
    assert [name for name, _ in me.boxes] == ["hen", "hen"]  # new boxes are of the last class
    me.press("x")
    me.hear("A crowd region.")
    me.press("q")
    me.hear("hen, ")
    me.press("e", "Delete")
    me.hear("Box deleted.")
    assert me.boxes == [("hen", wide)]
    me.press("Control+z")
    assert len(me.boxes) == 2
    me.press("Control+Shift+z")
    assert me.boxes == [("hen", wide)]
    me.press("n")
    me.hear("There is a box here. Delete them first.")
    me.press("Enter")
    me.see("b.jpg")
    me.press("c")  # the boxes of the photograph before
    assert me.boxes == [("hen", wide)]
    me.press("e", "Backspace", "n")
    me.see("c.jpg")
    me.press("a")
    me.see("b.jpg")
    me.press("a")
    me.see("a.jpg")
    me.press("?")
    assert me.page.locator("#help").is_visible()
    me.press("Escape")
    assert not me.page.locator("#help").is_visible()
    me.saved()
    assert labels_of(photos / "a.jpg") == [("hen", wide)]
    assert labels_of(photos / "b.jpg") == []
    assert labels_of(photos / "c.jpg") is None


def test_small_objects_are_drawn_to_the_pixel(photos, serve, sit):
    me = sit(serve(photos, "--no-training", "--order", "name", "--classes", "cat").address)
    mouse, left = me.page.mouse, me.at(0, 0)[0]
    pixel = me.at(1, 0)[0] - left
    mouse.move(*me.at(200, 100))
    for _ in range(8):
        mouse.wheel(0, -200)
    me.until(
        "() => /scale\\(1?\\d\\d[.)]|scale\\([2-9]\\d?[.)]/.test(document.querySelector('.picture').style.transform)"
    )
    near_by = me.at(1, 0)[0] - me.at(0, 0)[0]
    assert near_by > 8 * pixel
    me.draw((198, 97, 204, 102))
    assert me.boxes == [("cat", (198, 97, 204, 102))]
    me.drag((201, 99.5), (203, 98.5))  # between its handles, which stand outside of a small box
    assert me.boxes == [("cat", (200, 96, 206, 101))]

    before = me.at(0, 0)
    me.page.keyboard.down(" ")
    me.drag((190, 97), (195, 100))
    me.page.keyboard.up(" ")
    after = me.at(0, 0)
    assert (after[0] - before[0], after[1] - before[1]) == pytest.approx((5 * near_by, 3 * near_by), abs=2)
    assert me.boxes == [("cat", (200, 96, 206, 101))]
    me.press("f")
    me.until(
        "before => Math.abs(document.querySelector('.picture img').getBoundingClientRect().left - before) < 1",
        left,
    )


def test_a_photograph_that_lies_on_its_side_is_upright(serve, sit, tmp_path):
    folder = tmp_path / "photos" / "a folder"
    folder.mkdir(parents=True)
    stored = Image.new("RGB", (300, 200), "grey")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned clockwise: 200 wide, 300 high
    stored.save(folder / "é 1.jpg", exif=turned)
    me = sit(serve(tmp_path / "photos", "--no-training", "--classes", "cat").address)
    assert me.shown == "a folder/é 1.jpg"
    me.draw((20, 200, 180, 290))
    me.press("d")
    me.page.wait_for_selector("#finish[open]")
    assert labelled(tmp_path / "photos") == {"é 1.jpg": [("cat", (20, 200, 180, 290))]}


def test_a_file_that_is_no_photograph_is_told_of(photos, serve, sit):
    (photos / "b.jpg").write_bytes(b"")
    me = sit(serve(photos, "--no-training", "--order", "name", "--classes", "cat").address, strict=False)
    me.draw((30, 30, 90, 90))
    me.press("d")
    me.see("b.jpg")
    assert "an empty file" in me.page.locator("#note").inner_text()
    me.press("w", "ArrowRight")
    assert me.boxes == []
    me.press("d")
    me.see("c.jpg")
    me.draw((30, 30, 90, 90))
    me.press("d")
    me.see("d.jpg")
    me.press("n")
    me.page.wait_for_selector("#finish[open]")
    assert labels_of(photos / "b.jpg") is None


def test_the_focus_is_always_seen(photos, serve, sit):
    me = sit(serve(photos, "--no-training", "--order", "name", "--classes", "cat").address)
    me.press("w", "ArrowRight")
    passed = []
    for _ in range(80):
        me.press("Tab")
        found = me.page.evaluate(
            """() => {
                const one = document.activeElement;
                const { width, height, top, left } = one.getBoundingClientRect();
                const seen = width > 0 && height > 0 && top > -1 && left > -1 && top < innerHeight && left < innerWidth;
                return [one.tagName, one.id, one.textContent.slice(0, 20), getComputedStyle(one).outlineStyle !== "none" && seen];
            }"""
        )
        if found[0] == "BODY":
            break  # past the last, into the browser's own buttons
        passed.append(found)
    assert [one for one in passed if not one[3]] == []
    ids = [one[1] for one in passed]
    assert {"search", "list", "stage", "boxes", "draw", "show-finish"} <= set(ids)
    assert len(passed) < 60


class Finger:
    """Touches the screen through the browser's own protocol."""

    def __init__(self, person):
        self.person = person
        self.session = person.page.context.new_cdp_session(person.page)

    def drag(self, start, end):
        """From one point of the photograph to another."""
        (x1, y1), (x2, y2) = self.person.at(*start), self.person.at(*end)
        self._send("touchStart", (x1, y1))
        for part in (0.3, 0.6, 1.0):
            self._send("touchMove", (x1 + part * (x2 - x1), y1 + part * (y2 - y1)))
        self.person.page.wait_for_timeout(
            200
        )  # rests: after a fling the browser takes the next tap as a stop
        self._send("touchMove", (x2, y2))
        self._send("touchEnd")

    def pinch(self, around, start, end):
        """Two fingers on a level, so many screen pixels from a point of the photograph, then so many."""
        x, y = self.person.at(*around)
        for kind, far in [("touchStart", start), ("touchMove", (start + end) / 2), ("touchMove", end)]:
            self._send(kind, (x - far, y), (x + far, y))
        self._lift((x - end, y), (x + end, y))

    def _lift(self, *points):
        """After a rest: the browser takes the tap that follows a fling as its stop."""
        self.person.page.wait_for_timeout(200)
        self._send("touchMove", *points)
        self._send("touchEnd")

    def _send(self, kind, *points):
        touches = [{"x": x, "y": y} for x, y in points]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def test_a_finger_on_a_phone(photos, serve, sit):
    me = sit(serve(photos, "--no-training", "--order", "name", "--classes", "cat,dog").address, **PHONE)
    finger, page = Finger(me), me.page
    page.get_by_role("button", name="New box").tap()
    finger.drag((40, 50), (180, 150))
    page.get_by_role("button", name="Details").tap()
    assert near(me.boxes, [("cat", (40, 50, 180, 150))])
    page.locator("#panel").get_by_role("button", name="dog").tap()
    page.locator("#panel").get_by_role("button", name="Close").tap()
    page.locator("#panel").wait_for(state="hidden")
    finger.drag((110, 100), (130, 110))  # the box itself
    page.get_by_role("button", name="Done").tap()
    me.see("b.jpg")
    me.saved()
    assert near(labels_of(photos / "a.jpg"), [("dog", (60, 60, 200, 160))])

    whole = me.at(200, 150)[0] - me.at(100, 150)[0]
    finger.pinch((150, 120), 40, 100)
    assert 2 * whole < me.at(200, 150)[0] - me.at(100, 150)[0] < 3 * whole
    assert me.boxes == []
    page.get_by_role("button", name="New box").tap()
    finger.drag((140, 110), (160, 130))
    assert near(me.boxes, [("dog", (140, 110, 160, 130))])
    page.get_by_role("button", name="Fit").tap()

    cut = page.evaluate(
        """() => [...document.querySelectorAll("header button, #tools .first button, #stage, #name")]
            .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
            .filter(([, r]) => r.width && (r.left < 0 || r.right > innerWidth || r.top < 0 || r.bottom > innerHeight))
            .map(([name]) => name)"""
    )
    assert cut == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("#tools .first button")]
            .map((one) => one.getBoundingClientRect()).map((r) => Math.min(r.width, r.height))"""
    )
    assert min(sizes) >= 44  # pixels that a finger wants


def test_two_people_at_one_photograph(photos, serve, sit):
    server = serve(photos, "--no-training", "--order", "name", "--classes", "cat,dog")
    one, two = sit(server.address), sit(server.address, strict=False)
    one.draw((20, 20, 90, 80))
    two.until("document.querySelectorAll('#boxes .label').length === 1")  # without a hand
    assert near(two.boxes, [("cat", (20, 20, 90, 80))])
    assert "unfinished" in two.page.locator("#state").inner_text()

    one.press("0")
    one.name_class("hen")
    two.until("document.getElementById('classes').textContent.includes('hen')")
    one.press("1")

    def apart(mine, theirs):
        """Both draw in the same photograph, the second without a connection."""
        two.page.context.set_offline(True)
        two.draw(mine)
        one.draw(theirs)
        one.saved()
        two.page.context.set_offline(False)
        two.page.wait_for_selector("#conflict[open]")

    apart((100, 100, 160, 170), (180, 30, 240, 90))
    assert "a.jpg" in two.page.locator("#conflict-title").inner_text()
    two.page.get_by_role("button", name="Take theirs").click()
    two.until("document.getElementById('boxes').textContent.includes('at 180, 30')")
    both = [("cat", (20, 20, 90, 80)), ("cat", (180, 30, 240, 90))]
    assert near(two.boxes, both)
    assert near(one.boxes, both)

    apart((100, 100, 160, 170), (10, 150, 60, 200))
    two.page.get_by_role("button", name="Keep mine").click()
    two.saved()
    mine = [*both, ("cat", (100, 100, 160, 170))]
    one.until("document.querySelectorAll('#boxes .label').length === 3")
    one.until("document.getElementById('boxes').textContent.includes('at 100, 100')")
    assert near(one.boxes, mine)
    two.press("d")
    two.saved()
    assert near(labels_of(photos / "a.jpg"), mine)


def test_a_tab_that_is_closed_at_once_has_sent_everything(photos, serve, sit):
    me = sit(serve(photos, "--no-training", "--order", "name", "--classes", "cat").address, strict=False)
    me.draw((20, 20, 90, 80))
    context = me.page.context
    me.page.close(run_before_unload=True)
    again = Person(context.new_page(), me.faults, strict=False).come(me.page.url.split("#")[0])
    again.see("a.jpg")  # unfinished: it comes before the next open one
    again.until("document.querySelectorAll('#boxes .label').length === 1")
    assert near(again.boxes, [("cat", (20, 20, 90, 80))])


def test_an_answer_is_taken_back(photos, serve, sit, tmp_path):
    server = serve(photos, "--no-training", "--order", "name", "--classes", "cat")
    me, other = sit(server.address), sit(server.address)
    me.press("w")
    me.drag((120, 100), (-50, -400))  # to beyond the picture
    me.press("d", "a")
    me.until("document.getElementById('state').textContent === 'done'")
    assert me.boxes == [("cat", (0, 0, 120, 100))]
    other.until("document.getElementById('boxes').textContent.includes('120 by 100')")
    filed = (photos / "a.json").read_bytes()
    me.page.get_by_role("button", name="Take the answer back").click()
    me.page.get_by_role("button", name="Take it back").click()
    me.until("document.getElementById('state').textContent === 'open'")
    other.until("document.getElementById('state').textContent === 'open'")
    assert me.boxes == other.boxes == []
    assert labels_of(photos / "a.jpg") is None
    assert [file.read_bytes() for file in (tmp_path / "out" / "taken-back").iterdir()] == [filed]


def test_two_computers_at_one_folder(photos, serve, sit, tmp_path):
    options = ("--no-training", "--order", "name", "--classes", "cat,dog")
    one = sit(serve(photos, *options).address)
    two = sit(serve(photos, *options, out=tmp_path / "other").address, strict=False)
    one.draw((20, 20, 90, 80))
    two.draw((100, 100, 160, 170))
    one.saved()
    two.saved()
    one.press("d")
    one.see("b.jpg")
    one.saved()
    two.press("2", "d")
    two.page.wait_for_selector("#conflict[open]")
    two.page.get_by_role("button", name="Keep mine").click()
    two.saved()
    assert near(labels_of(photos / "a.jpg"), [("dog", (100, 100, 160, 170))])
    one.press("a")
    one.see("a.jpg")
    one.until("document.getElementById('boxes').textContent.includes('at 100, 100')")
    assert near(one.boxes, [("dog", (100, 100, 160, 170))])


def test_a_kill_in_the_middle_of_an_edit(photos, serve, sit):
    server = serve(photos, "--no-training", "--order", "name", "--classes", "cat")
    me = sit(server.address, strict=False)
    me.draw((20, 20, 90, 80))
    me.saved()
    server.kill()
    me.draw((100, 100, 160, 170))
    me.page.wait_for_selector("#trouble:not([hidden])")
    assert "othing is lost" in me.page.locator("#trouble").inner_text()
    assert labels_of(photos / "a.jpg") is None  # half of the objects is no label
    server = server.again()
    serve.running.append(server)
    other = Person(me.page.context.new_page(), me.faults, strict=False).come(server.address)
    me.saved()
    both = [("cat", (20, 20, 90, 80)), ("cat", (100, 100, 160, 170))]
    other.open("a.jpg")
    other.until("document.querySelectorAll('#boxes .label').length === 2")
    assert near(other.boxes, both)
    other.page.close()

    server.kill()
    me.draw((200, 20, 260, 80))
    me.page.wait_for_selector("#trouble:not([hidden])")
    context = me.page.context
    me.page.close()  # and the tab as well
    server = server.again()
    serve.running.append(server)
    again = Person(context.new_page(), me.faults, strict=False).come(server.address)
    again.saved()
    again.open("a.jpg")
    assert near(again.boxes, [*both, ("cat", (200, 20, 260, 80))])
    again.press("d")
    again.see("b.jpg")
    again.saved()
    assert near(labels_of(photos / "a.jpg"), [*both, ("cat", (200, 20, 260, 80))])


def written(photograph, *boxes):
    """A label file as another program writes it."""
    shapes = [
        {
            "label": name,
            "points": [list(box[:2]), list(box[2:])],
            "shape_type": "rectangle",
            "flags": {},
            "group_id": None,
        }
        for name, box in boxes
    ]
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": photograph.name,
        "imageData": None,
    }
    photograph.with_suffix(".json").write_text(json.dumps(content))


def test_another_program_writes_the_label_file(photos, serve, sit):
    server = serve(photos, "--no-training", "--order", "name", "--classes", "cat,dog")
    me = sit(server.address, strict=False)
    written(photos / "a.jpg", ("dog", (5, 6, 70, 80)))
    me.until("document.querySelectorAll('#boxes .label').length === 1")  # the page is told
    assert me.boxes == [("dog", (5, 6, 70, 80))]

    me.draw((100, 100, 160, 170))
    me.saved()
    written(photos / "a.jpg", ("dog", (5, 6, 70, 80)), ("dog", (200, 20, 260, 80)))
    me.press("d")
    me.page.wait_for_selector("#conflict[open]")
    assert "2 boxes" in me.page.locator("#conflict-theirs").inner_text()
    me.page.get_by_role("button", name="Keep mine").click()
    me.saved()
    assert near(labels_of(photos / "a.jpg"), [("dog", (5, 6, 70, 80)), ("cat", (100, 100, 160, 170))])

    me.open("c.jpg")
    me.draw((10, 10, 50, 50))
    me.saved()
    written(photos / "c.jpg", ("dog", (7, 8, 90, 91)))
    me.press("d")
    me.page.wait_for_selector("#conflict[open]")
    me.page.get_by_role("button", name="Take theirs").click()
    me.page.wait_for_selector("#conflict", state="hidden")
    me.saved()
    me.open("c.jpg")
    assert me.boxes == [("dog", (7, 8, 90, 91))]
    assert labels_of(photos / "c.jpg") == [("dog", (7, 8, 90, 91))]


def test_photographs_that_come_while_somebody_works(photos, serve, sit):
    me = sit(serve(photos, "--no-training", "--order", "name", "--classes", "cat").address)
    me.press("d")
    me.see("b.jpg")
    me.draw((20, 20, 90, 80))
    me.page.locator("#stage").focus()
    shutil.copy(photos / "a.jpg", photos / "aa.jpg")
    (photos / "more").mkdir()
    shutil.copy(photos / "a.jpg", photos / "more" / "e.jpg")
    written(photos / "more" / "e.jpg", ("cat", (5, 6, 70, 80)))
    me.until("document.getElementById('where').textContent === '3 of 6'")
    me.hear("more.")
    assert (me.shown, me.boxes, me.focus) == ("b.jpg", [("cat", (20, 20, 90, 80))], "stage")
    titles = "[...document.querySelectorAll('#list .row')].map((row) => row.title)"
    assert sorted(me.page.evaluate(titles)) == [
        "a.jpg",
        "aa.jpg",
        "b.jpg",
        "c.jpg",
        "d.jpg",
        "more/e.jpg",
    ]
    me.until("document.getElementById('counts').textContent === '1 of 6 done'")
    me.press("d")
    me.see("c.jpg")
    me.press("a", "a")
    me.see("a.jpg")
    me.open("aa.jpg")
    me.press("n")
    me.saved()
    assert labels_of(photos / "aa.jpg") == []


def test_drafts_that_come_while_somebody_works_are_offered(desk, serving, sit):
    app = make_label_app(
        desk,
        token="t",
        key="k",
        order="name",
        formats=(),
        export=lambda to: {},
        commands=[],
        log=lambda line: None,
    )
    me = sit(f"{serving(app).address}/?token=t")

    def come(*drafts, model="m-1"):
        desk.teaching.found["a.jpg"] = found(*((box, name, 0.9) for name, box in drafts), model=model)
        desk.sitting.news_of("a.jpg")

    cat, dog, hen = ("cat", (1, 1, 20, 20)), ("dog", (30, 5, 55, 30)), ("cat", (2, 24, 20, 38))
    come(cat)  # nothing was done here yet: it appears
    me.until("document.querySelectorAll('#boxes .draft').length === 1")
    me.press("Enter")
    assert me.boxes == [cat]
    me.saved()
    offer = me.page.locator("#offer")
    assert offer.is_hidden()
    place = me.at(0, 0)
    come(("cat", (1, 1, 19, 20)), dog, hen, model="m-2")
    me.hear("2 drafts for this photograph came. V shows them.")
    assert offer.inner_text().startswith("Show 2 new drafts")
    assert (me.boxes, me.drafts, me.at(0, 0)) == ([cat], [], place)
    assert broken_rules(me.page) == []
    me.press("v")
    assert (me.boxes, sorted(me.drafts)) == ([cat], sorted([dog, hen]))
    assert offer.is_hidden()
    me.press("v")
    me.hear("No drafts are waiting.")
    me.press("Control+z")
    assert (me.boxes, me.drafts) == ([cat], [])
    me.press("Control+y", "Enter", "Enter")
    me.see("b.png")
    me.saved()
    assert sorted(desk.sitting.view("a.jpg", None).entries, key=str)[0].name == "cat"
    assert desk.sitting.known["a.jpg"].boxes == 3


def test_names_of_strangers_are_text(photos, serve, sit, tmp_path):
    hostile = "<img src=x onerror=alert(1)>.jpg"
    folder = tmp_path / "<b>photos"
    folder.mkdir()
    shutil.copy(photos / "a.jpg", folder / hostile)
    shutil.copy(photos / "b.jpg", folder / "50% #1?&.jpg")
    me = sit(serve(folder, "--no-training", "--order", "name", "--classes", "<b>bold</b>").address)
    me.page.on(
        "dialog", lambda dialog: (me.faults.append(f"a script ran: {dialog.message}"), dialog.dismiss())
    )
    assert me.shown == "50% #1?&.jpg"
    me.draw((30, 30, 90, 90))
    me.press("0")
    me.name_class("<script>alert(2)</script>")
    me.press("d")
    me.see(hostile)
    me.draw((30, 30, 90, 90))
    me.press("1", "d")
    me.page.wait_for_selector("#finish[open]")  # all are done
    me.until("document.querySelectorAll('#commands code').length > 0")
    me.saved()
    assert "<b>photos" in me.page.locator("#commands").inner_text()
    assert me.page.locator("#list").inner_text().count(hostile) == 1
    assert (
        me.page.evaluate(
            "document.querySelectorAll('#list b, main b, aside b, script:not([src]), .row img[onerror]').length"
        )
        == 0
    )
    assert labelled(folder) == {
        "50% #1?&.jpg": [("<script>alert(2)</script>", (30, 30, 90, 90))],
        hostile: [("<b>bold</b>", (30, 30, 90, 90))],
    }


PRESSES = 30


def test_five_thousand_photographs_stay_fluent(photos, serve, sit, tmp_path, record_testsuite_property):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(5000):
        os.link(photos / f"{'abcd'[number % 4]}.jpg", folder / f"{number:04}.jpg")
    me = sit(serve(folder, "--no-training", "--order", "name", "--classes", "cat").address)
    page = me.page
    assert page.locator("#found").inner_text() == "5,000 photographs"
    assert page.locator("#list .row").count() < 60
    page.locator("#list").hover()
    page.mouse.wheel(0, 100_000_000)
    page.get_by_text("4999.jpg", exact=True).wait_for()
    me.until("""() => document.querySelector('#list .row[title="4999.jpg"] img').naturalWidth > 0""")
    assert page.locator("#list .row").count() < 60

    me.watch()
    for number in range(PRESSES):
        me.see(f"{number:04}.jpg")
        me.draw((30, 30, 90, 90))
        me.press("d")
    me.see(f"{PRESSES:04}.jpg")
    me.saved()
    waits = me.waits
    assert len(waits) == PRESSES
    middle = statistics.median(waits)
    print(f"next of 5,000 photographs: {middle:.0f} ms, the slowest {max(waits):.0f} ms")
    record_testsuite_property("masu-label-next-ms", round(middle))
    assert middle < 400  # 100 are wanted; others may use this computer too
    assert len(list(folder.glob("*.json"))) == PRESSES


def test_no_rule_of_accessibility_is_broken(photos, serve, sit):
    address = serve(photos, "--no-training", "--order", "name", "--classes", "cat,dog").address
    for screen, colours in itertools.product((WIDE, PHONE), ("light", "dark")):
        me = sit(address, **screen, color_scheme=colours)
        me.press("w", "ArrowRight")
        me.saved()
        assert broken_rules(me.page) == [], (screen, colours)
        for opens, dialog in (("?", "help"), ("0", "class-search")):
            me.press(opens)
            me.page.wait_for_selector(f"#{dialog}[open]")
            assert broken_rules(me.page) == [], (screen, colours, dialog)
            me.press("Escape")
        me.page.get_by_role("button", name="Finish").click()
        me.until("document.querySelectorAll('#commands code').length > 0")
        assert broken_rules(me.page) == [], (screen, colours, "finish")
        me.press("Escape")
        for sheet in ("Details", "Photos") if screen is PHONE else ():
            me.page.get_by_role("button", name=sheet, exact=True).tap()
            me.until("document.getAnimations().length === 0")
            assert broken_rules(me.page) == [], (screen, colours, sheet)
            me.page.locator(".sheet.open").get_by_role("button", name="Close").tap()
            me.until("document.getAnimations().length === 0")
