"""A person at the page of ``masu label``: a real server, a real browser, a pointer, keys and a finger."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright

Box = tuple[float, float, float, float]

PATIENCE = 20_000
"""Milliseconds for what takes no time on a computer that has nothing else to do."""

_OWN = ("chromium", "chromium-browser", "google-chrome")
_NUMBERS = re.compile(r"(.+), (\d+) by (\d+) at (-?\d+), (-?\d+)")


def installed(playwright: Playwright) -> str | None:
    """Path of a Chromium, the computer's or the one that Playwright brings; None: there is neither."""
    paths = [shutil.which(name) for name in _OWN]
    paths.append(playwright.chromium.executable_path)
    return next((path for path in paths if path and os.path.exists(path)), None)


def launched(playwright: Playwright, path: str) -> Browser:
    """A browser without a window; a container's root has no sandbox."""
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])


class Server:
    """``masu label`` as a process.

    Args:
        photographs: the folder.
        out: where the model and unfinished work are.
        options: of the command line.
        port: 0 for one that is free.
        where: the folder that the command runs in, to which its paths are relative.
    """

    def __init__(
        self, photographs: Path, out: Path, *options: str, port: int = 0, where: Path | None = None
    ) -> None:
        self.photographs, self.out, self.options, self.where = photographs, out, options, where or out.parent
        self._log = self.where / f"{out.name}.log"
        begun = time.monotonic()
        paths = [os.path.relpath(path, self.where) for path in (photographs, out)]
        command = ["-m", "masu", "label", paths[0], "--out", paths[1], "--port", str(port), *options]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.where,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        self.seconds = time.monotonic() - begun
        assert self.address.startswith("http://"), self._log.read_text()

    @property
    def port(self) -> int:
        """That it listens on."""
        return int(self.address.split(":")[2].split("/")[0])

    @property
    def said(self) -> str:
        """On standard error, of all its lives."""
        return self._log.read_text()

    def kill(self) -> None:
        """As a power cut does."""
        self._process.kill()
        self._process.wait(30)

    def again(self) -> Server:
        """The same command on the same port."""
        return Server(self.photographs, self.out, *self.options, port=self.port, where=self.where)

    def stop(self) -> int:
        """As Ctrl-C does; the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()


class Person:
    """Who sits at a page. Boxes are x1 y1 x2 y2 in pixels of the photograph.

    Args:
        page: an empty tab.
        faults: gets what the browser complains about; failed requests only with ``strict``.
        strict: no request may fail.
    """

    def __init__(self, page: Page, faults: list[str], *, strict: bool = True) -> None:
        self.page, self.faults, self._strict = page, faults, strict
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: faults.append(f"{error}"))
        page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        request = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and (self._strict or not request):
            self.faults.append(message.text)

    def come(self, address: str) -> Person:
        """Open the page; returns once a photograph is on it."""
        self.page.goto(address)
        self.until("document.documentElement.dataset.shown !== undefined")
        return self

    def until(self, expression: str, argument: Any = None, patience: float = PATIENCE) -> None:
        """Wait for a JavaScript expression; Playwright's own waiting evaluates it in the page, whose policy forbids that."""
        end = time.monotonic() + patience / 1000
        while not self.page.evaluate(expression, argument):
            assert time.monotonic() < end, f"in vain: {expression} of {argument!r}"
            self.page.wait_for_timeout(10)

    @property
    def shown(self) -> str:
        """The name of the photograph on the page."""
        return str(self.page.evaluate("document.documentElement.dataset.shown"))

    def see(self, name: str) -> None:
        """Wait until that photograph is on the page."""
        self.until("name => document.documentElement.dataset.shown === name", name)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the photograph is on the screen."""
        frame = self.page.evaluate(
            """() => {
                const image = document.querySelector("#stage .picture img");
                const { left, top, width, height } = image.getBoundingClientRect();
                return [left, top, width / image.offsetWidth, height / image.offsetHeight];
            }"""
        )
        return frame[0] + x * frame[2], frame[1] + y * frame[3]

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """With the left button from one point of the photograph to another."""
        mouse = self.page.mouse
        (x1, y1), (x2, y2) = self.at(*start), self.at(*end)
        mouse.move(x1, y1)
        mouse.down()
        mouse.move((x1 + x2) / 2, (y1 + y2) / 2, steps=2)
        mouse.move(x2, y2)
        mouse.up()

    def click(self, x: float, y: float) -> None:
        """On a point of the photograph."""
        self.page.mouse.click(*self.at(x, y))

    def draw(self, box: Box) -> None:
        """W, then from corner to corner; it returns once the list says that the box is there."""
        many = len(self.boxes)
        self.press("w")
        self.drag((box[0], box[1]), (box[2], box[3]))
        self.until("many => document.querySelectorAll('#boxes [role=option].label').length > many", many)

    def press(self, *keys: str) -> None:
        """One key after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def name_class(self, name: str) -> None:
        """In the dialog that asks for the class of a box."""
        self.page.wait_for_selector("#class-search[open]")
        self.page.keyboard.type(name)
        self.press("Enter")
        self.page.wait_for_selector("#class-search", state="hidden")

    def _items(self, kind: str) -> list[tuple[str, Box]]:
        rows = self.page.locator(f"#boxes [role=option].{kind}").all_text_contents()
        found = [_NUMBERS.match(row.strip()) for row in rows]
        assert all(found), rows
        return [_box(one) for one in found if one]

    @property
    def boxes(self) -> list[tuple[str, Box]]:
        """Class and box of each label, as the list beside the photograph reads."""
        return self._items("label")

    @property
    def drafts(self) -> list[tuple[str, Box]]:
        """The same of the drafts that are shown."""
        return self._items("draft")

    @property
    def focus(self) -> str:
        """The id of what has the focus, else its tag."""
        return str(self.page.evaluate("document.activeElement.id || document.activeElement.tagName"))

    @property
    def says(self) -> str:
        """The last that a screen reader was told."""
        return self.page.locator("#live").inner_text().strip()

    def hear(self, words: str) -> None:
        """Wait until a screen reader is told so."""
        self.until("words => document.getElementById('live').textContent.includes(words)", words)

    def saved(self) -> None:
        """Wait until the server has everything."""
        self.until("document.getElementById('saving').textContent === 'Saved'")

    def watch(self) -> None:
        """From now on the time from each D until another photograph is drawn is kept."""
        self.page.evaluate(
            """() => {
                window.waits = [];
                let begun = 0;
                addEventListener("keydown", (event) => { if (event.key === "d") begun = performance.now(); }, true);
                const drawn = () => requestAnimationFrame(() => window.waits.push(performance.now() - begun));
                new MutationObserver(drawn).observe(document.documentElement, { attributeFilter: ["data-shown"] });
            }"""
        )

    @property
    def waits(self) -> list[float]:
        """Milliseconds of each photograph since :meth:`watch`."""
        return [float(one) for one in self.page.evaluate("window.waits")]

    def open(self, name: str) -> None:
        """Choose a photograph in the list, which must be in view."""
        self.page.locator("#list .row", has=self.page.get_by_text(name, exact=True)).click()
        self.see(name)


def _box(found: re.Match[str]) -> tuple[str, Box]:
    width, height, x, y = (int(one) for one in found.groups()[1:])
    return found.group(1), (x, y, x + width, y + height)


def labels_of(photograph: Path) -> list[tuple[str, Box]] | None:
    """Class and box of each label in the photograph's LabelMe file; None: it has none."""
    file = photograph.with_suffix(".json")
    if not file.exists():
        return None
    shapes = json.loads(file.read_text())["shapes"]
    return [(shape["label"], tuple(side for point in shape["points"] for side in point)) for shape in shapes]
