"""The README's way from photographs to a detector, line by line: ``python -m tests.readme``.

It needs what the README installs, and nothing else. The commands are read from the page, so that they are never
others than those that a reader copies; only what would take minutes is made shorter.
"""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image

import masu
from masu.cli.exit_codes import DONE, STOPPED

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SERVERS = {"label": DONE, "serve": STOPPED}
"""Verbs that go on until Ctrl-C, and their exit codes after it."""

SHORTER = {
    "--time-budget 5m": "--time-budget 3s --image-size 64",
    "masu serve": "masu serve --port 0",
    "masu label": "masu label --port 0 --no-training",
    "time_budget=300": "time_budget=2, image_size=64",
}
"""What is written on the page, and what is run in its place."""

MADE = (
    *("photos/0.json", "data/annotations", "runs/mine/best.safetensors", "errors.html", "found/index.html"),
    *("found/detections.json", "runs/mine/best.onnx"),
)
"""Files that are there in the end."""

SIZE = (160, 120)
BOXES = [(10 + 6 * i, 8 + 3 * i, 70 + 6 * i, 58 + 3 * i) for i in range(12)]


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each block of code below the heading of the way."""
    section = page.split("## From photographs to a detector\n")[1].split("\n## ")[0]
    return re.findall(r"```(\w*)\n(.*?)```", section, re.DOTALL)


def shorter(text: str) -> str:
    """A command or a program as it is run here."""
    for written, run in SHORTER.items():
        text = text.replace(written, run)
    return text


def photographs(folder: Path) -> None:
    """Bright squares on noise, one in each of the :data:`BOXES`, without labels."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for i, (x1, y1, x2, y2) in enumerate(BOXES):
        pixels = draw.integers(0, 90, (SIZE[1], SIZE[0], 3), np.uint8)
        pixels[y1:y2, x1:x2] = (230, 200, 40 + 15 * i)
        Image.fromarray(pixels).save(folder / f"{i}.jpg")


class Page:
    """A server as a browser sees it."""

    def __init__(self, address: str) -> None:
        self.root = address.split("/?")[0].rstrip("/")
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._open = urllib.request.build_opener(cookies).open
        with self._open(address, timeout=30) as answer:
            assert "<title>masu" in answer.read().decode(), address

    def ask(self, path: str, body: bytes | dict | None = None, method: str | None = None) -> dict:
        """The JSON of an answer; a body is JSON, or the bytes of a photograph."""
        kind = "image/jpeg" if isinstance(body, bytes) else "application/json"
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        asked = urllib.request.Request(self.root + path, content, {"Content-Type": kind}, method=method)
        with self._open(asked, timeout=30) as answer:
            return json.load(answer)


def draw_boxes(page: Page) -> None:
    """What a person does at the page of ``masu label``."""
    page.ask("/api/classes", {"name": "square"})
    for photo in page.ask("/api/session")["photos"]:
        at = f"/api/photos/{photo['id']}"
        label = {"box": BOXES[int(photo["id"].split(".")[0])], "name": "square"}
        page.ask(at, {"state": "done", "version": page.ask(at)["version"], "labels": [label]}, "PUT")


def try_it(page: Page, picture: Path) -> None:
    """What a person does at the page of ``masu serve``."""
    answer = page.ask("/predict", picture.read_bytes())
    assert (answer["model"], len(answer["images"])) == ("mine", 1), answer


def visit(command: list[str], where: Path, verb: str) -> None:
    """Start a server, do what a person does at its page, stop it by Ctrl-C."""
    process = subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        page = Page(process.stdout.readline().strip())
        if verb == "label":
            draw_boxes(page)
        else:
            try_it(page, where / "a.jpg")
        if os.name != "nt":  # there a process cannot press Ctrl-C in another one
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
            assert code == SERVERS[verb], f"exit code {code}"
    finally:
        process.kill()
        process.communicate()


def run(command: list[str], where: Path) -> None:
    """A command that ends by itself; standard error holds masu's own lines only, no warning of a library."""
    done = subprocess.run(command, cwd=where, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    print(done.stderr, file=sys.stderr, end="")
    done.check_returncode()
    strange = [line for line in done.stderr.splitlines() if not line.startswith(("masu: ", "epoch "))]
    assert not strange, strange


def walk(where: Path) -> dict[str, float]:
    """Go the whole way.

    Args:
        where: an empty folder.

    Returns:
        Seconds of each command.

    Raises:
        AssertionError, subprocess.CalledProcessError: at the first that fails.
    """
    photographs(where / "photos")
    photographs(where / "new_photos")
    (where / "a.jpg").write_bytes((where / "photos" / "0.jpg").read_bytes())
    (_, commands), (_, program) = blocks(README)
    lines = [shlex.split(shorter(line), comments=True) for line in commands.splitlines()]
    seconds = {}
    beside: list[subprocess.Popen[bytes]] = []
    for line in lines:
        print("masu:", shlex.join(line), flush=True)
        begun = time.monotonic()
        command = [sys.executable, "-m", *line]
        if line[1] == "export":  # which has a core to spare
            beside.append(subprocess.Popen([sys.executable, "-c", shorter(program)], cwd=where))
        if line[1] in SERVERS:
            visit(command, where, line[1])
        else:
            run(command, where)
        seconds[shlex.join(line)] = time.monotonic() - begun
    assert [one.wait(100) for one in beside] == [0]
    missing = [name for name in MADE if not (where / name).exists()]
    assert not missing, missing
    return seconds


if __name__ == "__main__":
    print(f"masu {masu.__version__} of {Path(masu.__file__).parent}")
    with tempfile.TemporaryDirectory() as folder:
        for line, passed in walk(Path(folder)).items():
            print(f"{passed:5.1f} s  {line}")
