"""Do tiles find small objects in large pictures? Trained and looked at in tiles, against whole, and SAHI.

    python -m studies.tiles runs/tiles --cells BCCD                  # two sets, three seeds
    python -m studies.tiles runs/tiles --cells BCCD --sahi PYTHON    # with a Python that has the package sahi
    python -m studies.tiles runs/tiles --cells BCCD --times 4        # trained four times as long
    python -m studies.tiles runs/tiles --report docs/tiles.json      # the table of docs/tiles.md

Two sets of large pictures are made, 1920×1440 pixels each. ``digits``: handwritten digits of scikit-learn, 16
to 32 pixels high, on its photographs, as in ``masu demo`` but 40 of them in a scene. ``cells``: photographs
of blood cells (BCCD), nine at a time side by side at their own resolution, which is a mosaic and no
photograph; none of them is in two mosaics, nor in training and test.

On each, for every seed, two models are trained for about the same time: on whole pictures and on tiles. The
first is asked whole pictures and tiles, the second tiles, masu's and those of SAHI. Times are those of the
processor: run it with OMP_NUM_THREADS=1. A finished part is one JSON file, so that the command can be stopped
and repeated.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import masu
from masu.atomic import write_text
from masu.data.dataset import Dataset
from masu.data.pixels.images import read_image
from masu.evaluation.choice import set_suppression
from masu.evaluation.metrics import coco_metrics
from masu.records import Detections

WIDTH, HEIGHT = 1920, 1440
SIDE = 640
SEEDS = 3
PASSES = {"digits": (14, 1), "cells": (18, 1)}
"""Over the training pictures, as wholes and in tiles: about the same processor time."""
TRAINED, TESTED = 24, 4
"""Pictures of each set."""
DIGITS = 40
HEIGHTS = (16, 33)
MOST = 400
"""Boxes that a model may find in a whole picture: as many as in its tiles."""
COLUMNS = 3
WAYS = ("whole", "whole, tiles", "tiles", "tiles, SAHI")


def digits(folder: Path) -> None:
    """Scenes of many small digits in COCO's layout."""
    from masu.verbs.demo_scenes import NAMES, background, compose, split_material

    material = split_material()
    for number, (split, count) in enumerate((("train", TRAINED), ("test", TESTED))):
        own, rng = material[split], np.random.default_rng([7, number])
        pictures, objects = [], []
        for index in range(count):
            ground = np.concatenate([_row(own.photographs, background, rng) for _ in range(6)])
            chosen = rng.integers(len(own.labels), size=DIGITS)
            written = [(own.digits[i], own.labels[i]) for i in chosen]
            scene = compose(ground, written, rng, HEIGHTS)
            pictures.append(scene.pixels)
            objects += [(index, *box, label) for box, label in zip(scene.boxes, scene.labels, strict=True)]
        _write(folder, split, pictures, objects, NAMES)


def _row(photographs: Sequence[Any], background: Any, rng: np.random.Generator) -> Any:
    cells = [background(photographs[int(rng.integers(len(photographs)))], rng) for _ in range(6)]
    size = WIDTH // 6, HEIGHT // 6
    return np.concatenate([np.asarray(Image.fromarray(cell).resize(size)) for cell in cells], axis=1)


def cells(folder: Path, source: Path) -> None:
    """Mosaics of the photographs of BCCD; what does not fill a mosaic is left out."""
    for split, own in (("train", "trainval"), ("test", "test")):
        data = masu.read_dataset(source, own)
        order = np.random.default_rng(7).permutation(len(data)).tolist()
        fitting = [i for i in order if data.sizes[i].tolist() == [HEIGHT // COLUMNS, WIDTH // COLUMNS]]
        pictures, objects = [], []
        for index in range(len(fitting) // COLUMNS**2):
            canvas = np.empty((HEIGHT, WIDTH, 3), np.uint8)
            for place in range(COLUMNS**2):
                path, target = data[fitting[index * COLUMNS**2 + place]]
                y, x = place // COLUMNS * HEIGHT // COLUMNS, place % COLUMNS * WIDTH // COLUMNS
                pixels = read_image(path).permute(1, 2, 0).numpy()
                canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
                moved = target.boxes + torch.tensor([x, y, x, y])
                rows = zip(moved.tolist(), target.labels.tolist(), strict=True)
                objects += [(index, *box, label) for box, label in rows]
            pictures.append(canvas)
        _write(folder, split, pictures, objects, data.names)


def _write(folder: Path, split: str, pictures: Sequence[Any], objects: Sequence[Any], names: Any) -> None:
    place = folder / "images" / split
    place.mkdir(parents=True)
    (folder / "annotations").mkdir(exist_ok=True)
    for index, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(place / f"{split}-{index:03}.jpg", quality=92)
    images = [
        {"id": i, "file_name": f"{split}-{i:03}.jpg", "width": WIDTH, "height": HEIGHT}
        for i in range(len(pictures))
    ]
    annotations = [
        {
            "id": number,
            "image_id": image,
            "category_id": label + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        for number, (image, x1, y1, x2, y2, label) in enumerate(objects, 1)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    page = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    write_text(folder / "annotations" / f"instances_{split}.json", page)


def trained(data: Dataset, tiles: int | None, seed: int, passes: int, out: Path) -> dict[str, Any]:
    """Train a model, if it is not there yet."""
    said = out / "trained.json"
    if not said.exists():
        mirrored = masu.Augmentation(horizontal_flip=0.0 if data.names[0] == "0" else 0.5)
        settings = masu.TrainSettings(epochs=passes, tiles=tiles, seed=seed, augmentation=mirrored)
        started = time.process_time()
        shutil.rmtree(out / "run", ignore_errors=True)
        if masu.train(data, settings=settings, out=out / "run").interrupted:
            raise KeyboardInterrupt
        row = {"passes": passes, "training_seconds": time.process_time() - started}
        write_text(said, json.dumps(row))
    read: dict[str, Any] = json.loads(said.read_text())
    return read


def looked(model: Path, data: Dataset, way: str, options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """How good a model is in one way of looking, and how long that takes."""
    if way == "tiles, SAHI":
        found, seconds = _by_sahi(model, data, options.sahi, out)
    else:
        detector = masu.load(model)
        if way == "whole":  # a whole picture may have as many boxes as its tiles
            set_suppression(detector, most=MOST)
        else:
            detector = masu.tiled(detector, SIDE)
        network = detector.prediction_network()
        network.predict([data.paths[0]])  # warm
        started = time.process_time()
        found = [network.predict([path])[0] for path in data.paths]
        seconds = (time.process_time() - started) / len(data)
    figures = coco_metrics([target for _, target in data], found, data.names).as_dict()
    kept = ("ap", "ap50", "ap_small", "ap_medium", "per_class")
    return {name: figures[name] for name in kept} | {"seconds_per_picture": seconds}


def _by_sahi(model: Path, data: Dataset, python: Path, out: Path) -> tuple[list[Detections], float]:
    """What SAHI finds with the same model, in another process."""
    asked = {"model": str(model), "pictures": data.paths.texts(), "side": SIDE}
    done = subprocess.run(
        [python, Path(__file__).with_name("tiles_sahi.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    rows = [
        Detections(torch.tensor(one["boxes"]), torch.tensor(one["scores"]), torch.tensor(one["labels"]))
        for one in said["found"]
    ]
    return rows, said["seconds"]


def study(options: argparse.Namespace) -> None:
    """All that is not done yet."""
    sets = {"digits": lambda folder: digits(folder)}
    if options.cells is not None:
        sets["cells"] = lambda folder: cells(folder, options.cells)
    for seed in range(SEEDS) if options.seed is None else (options.seed,):
        for name, make in sets.items():
            folder = options.out / "data" / name
            if not (folder / "annotations" / "instances_test.json").exists():
                make(folder)
            data, test = (
                masu.read_dataset(folder, split).take(range(count))
                for split, count in (("train", TRAINED), ("test", TESTED))
            )
            for kind, tiles, passes in zip(("whole", "tiles"), (None, SIDE), PASSES[name], strict=True):
                if options.only not in (None, f"{name} {kind}"):
                    continue
                place = options.out / f"{name}-{kind}-{seed}"
                said = trained(data, tiles, seed, passes * options.times, place)
                print(name, kind, seed, said, flush=True)
                for way in WAYS:
                    file = place / f"{way.replace(', ', '-')}.json"
                    if way.split(",")[0] != kind or file.exists() or options.train_only:
                        continue
                    if way.endswith("SAHI") and options.sahi is None:
                        continue
                    figures = looked(place / "run" / "last.safetensors", test, way, options, place)
                    write_text(file, json.dumps(figures | said))
                    print(name, way, seed, figures, flush=True)


def report(out: Path, file: Path) -> None:
    """The figures of all seeds in one file, and the rows of the table."""
    rows = []
    for name in ("digits", "cells"):
        for way in WAYS:
            kind = way.split(",")[0]
            found = sorted(out.glob(f"{name}-{kind}-*/{way.replace(', ', '-')}.json"))
            runs = [json.loads(one.read_text()) for one in found]
            if runs:
                rows.append({"set": name, "way": way, "runs": runs})
    write_text(file, json.dumps(rows, indent=1) + "\n")
    for row in rows:
        told = [row["set"], row["way"]]
        for key in ("ap", "ap50", "ap_small", "ap_medium"):
            values = [100 * run[key] for run in row["runs"] if run[key] is not None]
            told.append(f"{np.mean(values):.1f} ± {np.std(values):.1f}" if values else "–")
        told.append(f"{np.mean([run['seconds_per_picture'] for run in row['runs']]):.2f} s")
        print("| " + " | ".join(told) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--cells", type=Path, help="folder of BCCD")
    parser.add_argument("--sahi", type=Path, help="a Python with the packages sahi and masu")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--only", help="such as 'cells tiles'")
    parser.add_argument("--times", type=int, default=1, help="so many times as long a training")
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--report", type=Path, help="write the figures there instead")
    options = parser.parse_args()
    if options.report is not None:
        report(options.out, options.report)
    else:
        study(options)


if __name__ == "__main__":
    sys.exit(main())
