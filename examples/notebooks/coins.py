"""A made-up data set: coins and stamps on noise, with their boxes in a CSV file. Both notebooks draw it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = (320, 240)
"""Width and height of a picture in pixels."""

SPLITS = {"train": 40, "val": 12, "test": 12}
"""Pictures of each split."""


def draw(folder: Path) -> None:
    """Draw the pictures of :data:`SPLITS` and write ``labels.csv`` beside them; the same at every call."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "split", "class", "xmin", "ymin", "xmax", "ymax"])
        for split, pictures in SPLITS.items():
            for i in range(pictures):
                name = f"{split}-{i:02}.png"
                for kind, box in _picture(folder / name, random):
                    rows.writerow([name, split, kind, *box])


def _picture(file: Path, random: np.random.Generator) -> list[tuple[str, list[int]]]:
    """One picture of two to five objects, some of which cover others in part."""
    picture = Image.fromarray(random.integers(60, 130, (*SIZE[::-1], 3), np.uint8))
    pen, objects = ImageDraw.Draw(picture), []
    for _ in range(random.integers(2, 6)):
        kind, side = random.choice(["coin", "stamp"]), int(random.integers(36, 88))
        x, y = (int(random.integers(0, length - side)) for length in SIZE)
        box = [x, y, x + side, y + side]
        if kind == "coin":
            pen.ellipse(box, (214, 172, 60), (120, 90, 20), 4)
        else:
            pen.rectangle(box, (190, 70, 80), (240, 235, 220), 6)
        objects.append((kind, box))
    picture.save(file)
    return objects
