"""Three kinds of handwritten digits on photographs, and a small detector trained on them within two minutes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import masu
from masu.data.dataset import Dataset
from masu.verbs.demo_scenes import Material, compose_scenes, split_material
from tests.datasets import data_of

DIGITS = {"zero": 0, "one": 1, "four": 4}
NAMES = tuple(DIGITS)


def scenes(folder: Path, split: str, count: int) -> Dataset:
    """Pictures of about 320×240 pixels with up to six digits, one in ten with none; written as PNG."""
    material = split_material()[split]
    digits = list(DIGITS.values())
    rows = [row for row, label in enumerate(material.labels) if label in digits]
    chosen = Material(
        material.digits[rows],
        tuple(digits.index(material.labels[row]) for row in rows),
        material.photographs,
    )
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for i, scene in enumerate(compose_scenes(chosen, count, np.random.default_rng(0))):
        path = folder / f"{split}-{i:03}.png"
        Image.fromarray(scene.pixels).save(path)
        boxes = zip(scene.boxes, scene.labels, strict=True)
        images.append((path, [(box, NAMES[label], False) for box, label in boxes]))
    return data_of({split: images}, NAMES)


def trained(folder: Path) -> Path:
    """A model file in ``folder``: Faster R-CNN on EfficientNet-Lite0, 192 pixels."""
    settings = masu.TrainSettings(
        image_size=192,
        batch_size=4,
        epochs=10,
        augmentation=masu.Augmentation(horizontal_flip=0.0, vertical_flip=0.0),
    )
    return masu.train(scenes(folder / "pictures", "train", 64), None, settings, folder / "run").best


if __name__ == "__main__":
    print(trained(Path(sys.argv[1])))
