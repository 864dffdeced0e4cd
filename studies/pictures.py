"""The pictures of the README and of the docs: what a detector finds, and every page that masu writes.

    python -m studies.pictures OUT --cards CARDS/images --to docs/images

Trains on photographs of playing cards (seven passes, about two minutes on two cores; ``--run`` takes a run
that is there), draws what is found in a test photograph, has every verb write its page, and photographs the
pages in Chromium. Wants ``masu[test]``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import masu
from masu.errors import bad_input
from tests.labelling.browser import installed, launched

SIZE = {"width": 1280, "height": 800}
QUALITY = 80  # as JPEG
HEIGHT = 420  # of the drawn photographs
THRESHOLD = 0.6


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="a new folder for the pages")
    parser.add_argument("--cards", type=Path, required=True, help="data set of the playing cards")
    parser.add_argument("--run", type=Path, help="a run of `masu train` on it; default: train one")
    parser.add_argument(
        "--photographs",
        nargs="+",
        default=["IMG_2592.JPG", "IMG_2560.JPG", "cam_image2.jpg"],
        help="of the test split",
    )
    parser.add_argument("--to", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    options.to.mkdir(parents=True, exist_ok=True)
    out, cards = options.out.resolve(), options.cards.resolve()
    run = options.run.resolve() if options.run else out / "run"
    if not options.run:
        _masu("train", cards, "--epochs", 7, "--precision", "auto", "--out", run)
        _masu("evaluate", run, cards, "--split", "test", "--store-thresholds")
    photographs = [next(cards.rglob(name)) for name in options.photographs]
    _draw(run, photographs, options.to / "found.jpg")
    for name, command in {
        "errors": ("evaluate", run, cards, "--split", "test", "--report", out / "errors.html"),
        "explain": ("explain", run, cards, "--split", "test", "--out", out / "explain.html"),
        "check": ("check", cards, "--report", out / "check.html"),
        "anchors": ("anchors", cards, "--report", out / "anchors.html"),
        "found": ("detect", run, photographs[0].parent, "--out", out / "found"),
    }.items():
        print(name, _masu(*command, codes=(0, 1)))
    pages = {path.stem: path for path in sorted(out.glob("*.html"))}
    pages |= {"gallery": out / "found" / "index.html", "training": run / "report.html"}
    with sync_playwright() as playwright:
        if (path := installed(playwright)) is None:
            raise bad_input("Chromium", "none", "a browser for the pictures", "playwright install chromium")
        browser = launched(playwright, path)
        for name, page in pages.items():
            opened = browser.new_page(viewport=SIZE, color_scheme="light")
            opened.goto(page.as_uri())
            opened.wait_for_timeout(500)
            file = options.to / f"page-{name}.jpg"
            opened.screenshot(path=file, type="jpeg", quality=QUALITY)
            print(file)
            opened.close()
        browser.close()


def _masu(*words: object, codes: tuple[int, ...] = (0,)) -> int:
    done = subprocess.run([sys.executable, "-m", "masu", *map(str, words)])
    if done.returncode not in codes:
        raise SystemExit(f"masu {words[0]} ended with {done.returncode}")
    return done.returncode


def _draw(run: Path, photographs: Sequence[Path], file: Path) -> None:
    """What is found in some photographs, side by side."""
    found = masu.load(run).predict(photographs, threshold=THRESHOLD)
    drawn = [one.plot() for one in found]
    drawn = [one.resize((round(one.width * HEIGHT / one.height), HEIGHT)) for one in drawn]
    strip = Image.new("RGB", (sum(one.width for one in drawn), HEIGHT))
    left = 0
    for one in drawn:
        strip.paste(one, (left, 0))
        left += one.width
    strip.save(file, "JPEG", quality=QUALITY)
    print(file, *found, sep="\n")


if __name__ == "__main__":
    main()
