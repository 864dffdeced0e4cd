"""A recorded sitting at the page of ``masu label``: the pictures of docs/label.md, and what labelling took.

    python -m studies.sitting OUT --photographs BCCD --pictures docs/images
    python -m studies.sitting OUT --only speed
    python -m studies.sitting OUT --only look

The first two want Chromium and ``masu[test]``. The true labels of a data set are the person: a script that
moves a real pointer in a real browser, from bare photographs to an ONNX file. It accepts the drafts of the
model that learns meanwhile, and corrects what is wrong with them: a box of IoU below 0.8 is pulled to its
place by two corners, one of the wrong class gets another, one of nothing is deleted, a missing one is drawn.
One object is forgotten on purpose, for the second look. A person needs longer than the script, so that the
script waits for each training and for its drafts.

``speed`` is of 5,000 photographs: how long the command takes until the page answers, and how long it is
from the key until the next photograph is there. ``look`` is the processor time of one look at a folder of
20,000 photographs and 10,000 label files for what is new; the server looks every two seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import masu
from masu.data.dataset import Dataset
from masu.data.formats import label_files
from masu.data.formats.labelme import LABELME, page, rectangle
from masu.errors import bad_input
from masu.evaluation.overlaps import overlaps
from masu.labelling.edits import NEAR, STANDS, Edits
from masu.labelling.photographs import Photographs, size_of
from masu.labelling.sitting import Sitting
from tests.labelling.browser import Box, Person, Server, installed, launched

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
QUALITY = 75  # of the pictures, as JPEG

FORGOTTEN = 3
"""The photograph, of those that are drawn by hand, of which the largest object is left out."""

OUTSIDE = 9
"""Screen pixels by which the corners of a small box stand outside of it, to be pulled."""

SMALL = 36
"""Screen pixels of a small box."""

SHAKEN = 5
"""Screen pixels that nobody corrects."""

PRESSES = 30
MANY = 5000
WATCHED = 20_000
LOOKS = 15

Named = tuple[str, Box]


def main() -> None:
    """Take the pictures, and print what it took as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--photographs", type=Path, default=Path("../shared/data/bccd"))
    parser.add_argument("--pictures", type=Path, help="default: OUT/pictures")
    parser.add_argument("--many", type=int, default=60, help="photographs in the folder")
    parser.add_argument("--answers", type=int, default=36, help="of them that are labelled")
    parser.add_argument("--time-budget", default="20s", help="of each training")
    parser.add_argument("--only", choices=("sitting", "speed", "look"))
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    out = options.out.resolve()
    pictures = options.pictures or out / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    data = masu.read_dataset(options.photographs, "train")
    figures: dict[str, Any] = {}
    if options.only in (None, "look"):
        figures["look"] = look(data.paths[0], out)
    if options.only != "look":
        figures |= in_a_browser(data, out, pictures, options)
    print(json.dumps(figures, indent=1))


def in_a_browser(data: Dataset, out: Path, pictures: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of the sitting, and those of speed."""
    figures: dict[str, Any] = {}
    with sync_playwright() as playwright:
        path = installed(playwright)
        if path is None:
            raise bad_input("studies.sitting", "no Chromium", "a browser", "install one")
        browser = launched(playwright, path)
        if options.only != "speed":
            sitting = Recorded(data, out, pictures, browser, options.many, options.time_budget)
            try:
                figures["sitting"] = sitting.run(options.answers)
            finally:
                sitting.server.stop()
        if options.only != "sitting":
            figures["speed"] = speed(data, out, browser)
        browser.close()
    return figures


class Recorded:
    """A sitting, and its pictures.

    Args:
        data: photographs with their true labels.
        out: for the photographs without labels, the model and what else there is.
        pictures: folder for pictures of the page.
        browser: any.
        many: how many of the photographs.
        budget: of each training.
    """

    def __init__(
        self, data: Dataset, out: Path, pictures: Path, browser: Browser, many: int, budget: str
    ) -> None:
        self.pictures, self.browser, self.names = pictures, browser, data.names
        self.photographs = out / "photos"
        self.photographs.mkdir()
        self.truth: dict[str, list[Named]] = {}
        for index in np.linspace(0, len(data) - 1, many).round().astype(int).tolist():
            image, target = data[index]
            shutil.copy(image, self.photographs)
            self.truth[image.name] = [
                (data.names[label], tuple(box))
                for label, box in zip(target.labels.tolist(), target.boxes.round().tolist(), strict=True)
            ]
        (out / "runs").mkdir()
        label = out / "runs" / f"label-{self.photographs.name}"
        self.server = Server(self.photographs, label, "--time-budget", budget, where=out)
        self.total = Edits()

    def run(self, answers: int) -> dict[str, Any]:
        """Label so many photographs; returns what it took."""
        begun = time.monotonic()
        self.me = self._come(WIDE, "light")
        first = self.me.shown
        self._first_box(first)
        rows = []
        for number in range(1, answers + 1):
            rows.append(self._label(number))
            self._wait_for_the_model()
        seconds = time.monotonic() - begun
        figures = {
            "photographs": answers,
            "boxes": sum(row["boxes"] for row in rows),
            **asdict(self.total),
            "corrections_of_each": [row["corrections"] for row in rows],
            "seconds_of_a_person_drawing_all": round(
                Edits(drawn=sum(row["boxes"] for row in rows)).seconds()
            ),
            "seconds_of_a_person": round(self.total.seconds()),
            "seconds_of_the_script": round(seconds),
        }
        print(json.dumps(figures), file=sys.stderr)
        self._look_at_what_it_knows()
        self._look_again()
        self._on_a_phone()
        return figures | self._finish()

    def _come(self, screen: dict[str, int], colours: str, **options: Any) -> Person:
        context = self.browser.new_context(viewport=screen, color_scheme=colours, **options)  # type: ignore[arg-type]
        return Person(context.new_page(), []).come(self.server.address)

    def _picture(self, name: str, person: Person | None = None) -> None:
        file = self.pictures / f"label-{name}.jpg"
        (person or self.me).page.screenshot(path=file, type="jpeg", quality=QUALITY)

    def _first_box(self, name: str) -> None:
        """Drawn by pointer, with a picture in the middle of it."""
        me = self.me
        class_, (x1, y1, x2, y2) = self.truth[name][0]
        me.press("w")
        me.page.mouse.move(*me.at(x1, y1))
        me.page.mouse.down()
        me.page.mouse.move(*me.at(x2 - 12, y2 - 9), steps=5)
        me.page.wait_for_timeout(200)
        self._picture("first-box")
        me.page.mouse.move(*me.at(x2, y2))
        me.page.mouse.up()
        me.name_class(class_)
        self.total += Edits(drawn=1)

    def _label(self, number: int) -> dict[str, Any]:
        """One photograph, as the truth has it."""
        me = self.me
        name = me.shown
        wanted = list(self.truth[name])
        if number == FORGOTTEN:
            wanted.remove(max(wanted, key=lambda one: _area(one[1])))
        before = self.total.count
        partners = self._partners(me.drafts, wanted)
        if number > 10 and len(partners) > 1 and None not in partners:
            me.page.mouse.move(2, 2)
            self._picture("drafts")
        for at in reversed([at for at, partner in enumerate(partners) if partner is None]):
            self._select("draft", at)
            me.press("Delete")
            self.total += Edits(deleted=1)
        kept = [partner for partner in partners if partner is not None]
        if kept:
            have = len(me.boxes)
            me.press("Enter")
            me.until("many => document.querySelectorAll('#boxes .label').length === many", have + len(kept))
        for class_, box in [wanted[partner] for partner in kept]:
            self._correct(class_, box)
        for at, one in enumerate(wanted):
            if at not in kept and not self._is_drawn(one):
                self._draw(one)
        row = {"boxes": len(wanted), "corrections": self.total.count - before + (number == 1)}
        me.press("d" if wanted else "n")
        me.until("name => document.documentElement.dataset.shown !== name", name)
        me.saved()
        return row

    @staticmethod
    def _partners(drafts: list[Named], wanted: list[Named]) -> list[int | None]:
        """For each draft the label that it means, each once; None for a draft of nothing."""
        partners: list[int | None] = [None] * len(drafts)
        if not drafts or not wanted:
            return partners
        iou = _iou(drafts, wanted)
        same = np.array([[one[0] == other[0] for other in wanted] for one in drafts])
        worth = np.where(iou >= NEAR, iou + 0.5 * same, 0.0)
        while worth.max() > 0:
            draft, label = np.unravel_index(worth.argmax(), worth.shape)
            partners[draft] = int(label)
            worth[draft] = worth[:, label] = 0.0
        return partners

    def _select(self, kind: str, at: int) -> None:
        self.me.page.locator(f"#boxes [role=option].{kind}").nth(at).click()
        self.me.page.locator("#stage").focus()

    def _correct(self, class_: str, box: Box) -> None:
        """An accepted draft that is not quite right."""
        me = self.me
        boxes = me.boxes
        at = int(_iou(boxes, [(class_, box)])[:, 0].argmax())
        name, found = boxes[at]
        stands = _iou([boxes[at]], [(class_, box)])[0, 0] >= STANDS
        if stands and name == class_:
            self.total += Edits(accepted=1)
            return
        self._select("label", at)
        if not stands:
            self._pull(found[:2], box[:2], found)
            self._pull(found[2:], box[2:], found)
            self.total += Edits(moved=1)
        if name != class_:
            self._choose(class_)
            self.total += Edits(relabelled=1)
        me.press("Escape")

    def _pull(self, corner: tuple[float, float], to: tuple[float, float], box: Box) -> None:
        """A corner of the selected box to its place."""
        (x1, y1), (x2, y2) = self.me.at(*box[:2]), self.me.at(*box[2:])
        (x, y), (there_x, there_y) = self.me.at(*corner), self.me.at(*to)
        if max(abs(there_x - x), abs(there_y - y)) < SHAKEN:
            return
        outwards = 1 if corner == box[2:] else -1
        x += outwards * OUTSIDE * (x2 - x1 < SMALL)
        y += outwards * OUTSIDE * (y2 - y1 < SMALL)
        mouse = self.me.page.mouse
        mouse.move(x, y)
        mouse.down()
        mouse.move(there_x, there_y, steps=3)
        mouse.up()

    def _choose(self, class_: str) -> None:
        self.me.press("0")
        self.me.name_class(class_)

    def _draw(self, one: Named) -> None:
        class_, box = one
        self.me.press("Escape")
        self.me.draw(box)
        if self.me.boxes[-1][0] != class_:
            self._choose(class_)
        self.me.press("Escape")
        self.total += Edits(drawn=1)

    def _is_drawn(self, one: Named) -> bool:
        boxes = self.me.boxes
        return bool(boxes) and bool(_iou(boxes, [one]).max() > 0.9)

    def _wait_for_the_model(self) -> None:
        """As long as it learns, and until the photograph on the page has drafts."""
        me = self.me
        me.page.wait_for_timeout(1200)  # the page asks each second
        me.until(
            "!/^Learning|about to begin/.test(document.getElementById('learning').textContent)",
            patience=600_000,
        )
        if me.page.locator("#model").inner_text():
            me.until(
                "!document.getElementById('shown-drafts').textContent.includes('yet')"
                " || document.getElementById('state').textContent !== 'open'",
                patience=120_000,
            )

    def _look_at_what_it_knows(self) -> None:
        """The wide page in the dark, with the curve."""
        self.me.page.context.close()
        self.me = self._come(WIDE, "dark")
        self._wait_for_the_model()
        self.me.until("!/^Drafting/.test(document.getElementById('learning').textContent)", patience=300_000)
        self.me.page.locator("#learn-now").scroll_into_view_if_needed()
        self._picture("dark")

    def _look_again(self) -> None:
        """At the label that the model doubts most."""
        self.me.page.context.close()
        self.me = self._come(WIDE, "light")
        self.me.page.wait_for_timeout(1500)
        doubted = self.me.page.locator("#doubtful button")
        if not doubted.count():
            return
        name = doubted.first.locator(".name").inner_text()
        doubted.first.click()
        self.me.see(name)
        self.me.page.locator("#second-look").scroll_into_view_if_needed()
        self.me.page.wait_for_timeout(300)
        self._picture("second-look")

    def _on_a_phone(self) -> None:
        """A photograph with good drafts, on a phone."""
        phone = self._come(PHONE, "light", has_touch=True, is_mobile=True, device_scale_factor=2)
        for name, truth in self.truth.items():
            phone.page.goto(f"{self.server.address.split('?')[0]}#photo={name}")
            phone.page.reload()
            phone.see(name)
            partners = self._partners(phone.drafts, truth)
            if len(partners) == len(truth) > 1 and None not in partners:
                break
        self._picture("phone", phone)
        phone.page.context.close()

    def _finish(self) -> dict[str, Any]:
        """Export the labels on the page, and the model by the command that the page names."""
        page = self.me.page
        page.get_by_role("button", name="Finish").click()
        page.get_by_role("button", name="Export", exact=True).click()
        self.me.until("/ are in /.test(document.getElementById('export-said').textContent)")
        self._picture("finish")
        model = self.server.out / "best.safetensors"
        begun = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "masu", "export", model, "--quiet"], check=True, capture_output=True
        )
        onnx = model.with_suffix(".onnx")
        return {
            "model": page.locator("#model").inner_text(),
            "onnx_megabytes": round(onnx.stat().st_size / 1e6, 1),
            "seconds_of_the_export": round(time.monotonic() - begun),
        }


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _iou(some: list[Named], others: list[Named]) -> Any:
    boxes = [np.array([box for _, box in named], np.float64).reshape(-1, 4) for named in (some, others)]
    return overlaps(boxes[0], boxes[1], np.zeros(len(others), np.bool_))


def look(photograph: Path, out: Path) -> dict[str, Any]:
    """Processor time of one look for changes.

    Args:
        photograph: any.
        out: for many links to a copy of it, and label files beside half of these.
    """
    folder, home = out / "watched", out / "label-watched"
    folder.mkdir()
    home.mkdir()
    copy = shutil.copy(photograph, out / f"watched{photograph.suffix}")
    height, width = size_of(photograph)
    shape = rectangle((1.0, 1.0, width / 2, height / 2), "card", LABELME)
    for number in range(WATCHED):
        file = folder / f"{number:05}{photograph.suffix}"
        os.link(copy, file)
        if number % 2:
            file.with_suffix(".json").write_text(page(file.name, (height, width), [shape], LABELME))
    watched = Sitting(Photographs.below(folder), label_files(folder)[1], home, print)
    times = []
    for _ in range(LOOKS):
        begun = time.process_time()
        watched.look_for_changes()
        times.append(1000 * (time.process_time() - begun))
    return {"photographs": WATCHED, "labelled": WATCHED // 2, "milliseconds": round(statistics.median(times))}


def speed(data: Dataset, out: Path, browser: Browser) -> dict[str, Any]:
    """Milliseconds and seconds with many photographs.

    Args:
        data: photographs; their labels are not used.
        out: for copies of them.
        browser: any.
    """
    folder = out / "many"
    folder.mkdir()
    few = [data[index].image for index in range(20)]
    copies = [shutil.copy(image, out) for image in few]
    for number in range(MANY):
        os.link(copies[number % len(copies)], folder / f"{number:04}.jpg")
    server = Server(folder, out / "label-many", "--no-training", "--order", "name", "--classes", "card")
    me = Person(browser.new_context(viewport=WIDE).new_page(), [])  # type: ignore[arg-type]
    begun = time.monotonic()
    me.come(server.address)
    opened = time.monotonic() - begun
    me.watch()
    waits = next_photographs(me)
    server.stop()
    with Image.open(few[0]) as picture:
        size = list(picture.size)
    return {
        "photographs": MANY,
        "pixels": size,
        "seconds_until_it_answers": round(server.seconds, 1),
        "seconds_until_the_first_photograph": round(opened, 2),
        "milliseconds_to_the_next": {
            "median": round(statistics.median(waits)),
            "most": round(max(waits)),
        },
    }


def next_photographs(person: Person) -> list[float]:
    """Milliseconds from pressing D on a photograph with a box until the next one is on the screen."""
    for _ in range(PRESSES):
        name = person.shown
        person.draw((40, 40, 140, 120))
        person.press("d")
        person.until("name => document.documentElement.dataset.shown !== name", name)
        person.page.wait_for_timeout(300)  # nobody draws a box in less
    return person.waits


if __name__ == "__main__":
    main()
