"""A floor under learning: real coins in a photograph, ten seconds, found again in the other half of it."""

from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

import masu
from masu.data.dataset import Dataset, Sample
from masu.records import Target

# Three rows of coins on a tray (``skimage.data.coins()``): y1 y2 of the row, x of its middle, and the boxes, xyxy
# pixels, by Otsu's threshold.
ROWS = [
    (90, 152, 180, [(25, 104, 67, 146), (84, 107, 122, 145), (134, 110, 174, 145)],
     [(185, 105, 227, 144), (245, 96, 296, 144), (317, 105, 356, 145)]),
    (152, 226, 182, [(25, 178, 63, 217), (80, 175, 124, 217), (135, 179, 174, 217)],
     [(189, 170, 237, 216), (251, 172, 297, 216), (315, 156, 380, 218)]),
    (226, 296, 210, [(18, 233, 75, 288), (92, 245, 136, 287), (144, 236, 201, 288)],
     [(220, 241, 269, 288), (276, 240, 326, 288), (336, 248, 381, 289)]),
]  # fmt: skip


def halves(folder: Path) -> tuple[Dataset, Dataset]:
    """Three strips with three coins each to learn from, and three others."""
    photograph = Image.fromarray(skimage.data.coins()).convert("RGB")
    sides = {"left": [], "right": []}
    for row, (top, bottom, middle, *boxes) in enumerate(ROWS):
        for side, x1, x2, own in zip(sides, (0, middle), (middle, 384), boxes, strict=True):
            path = folder / f"{side}-{row}.png"
            photograph.crop((x1, top, x2, bottom)).save(path)
            target = Target(np.array(own, np.float32) - [x1, top, x1, top], np.zeros(len(own), int))
            sides[side].append(Sample(path, target))
    return tuple(Dataset.of(samples, ["coin"], root=folder) for samples in sides.values())


def test_nine_coins_teach_what_a_coin_is(tmp_path):
    left, right = halves(tmp_path)
    settings = masu.TrainSettings(epochs=25, image_size=160, evaluate_every=25)
    result = masu.train(left, left, settings, tmp_path / "run")
    metrics = masu.evaluate(masu.load(result.last), right)
    assert metrics.objects == 9
    assert metrics.ap50 > 0.95
    assert metrics.ap > 0.75
