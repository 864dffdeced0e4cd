"""Do tiles find small objects in large pictures, and what do they cost? Against whole pictures, and SAHI.

    python -m studies.tiles runs/tiles --cells BCCD                  # two sets, three seeds
    python -m studies.tiles runs/tiles --cells BCCD --sahi PYTHON    # with a Python that has the package sahi
    python -m studies.tiles runs/tiles --clock                       # then the times, of an idle computer
    python -m studies.tiles runs/tiles --report docs/tiles.json      # the table of docs/tiles.md

Two sets of large pictures are made, 1920×1440 pixels each. ``digits``: handwritten digits of scikit-learn, 16
to 32 pixels high, on its photographs, as in ``masu demo`` but 40 of them in a scene. ``cells``: photographs
of blood cells (BCCD), nine at a time side by side at their own resolution, which is a mosaic and no
photograph; none of them is in two mosaics, nor in training and test.

On each, for every seed, a model is trained in each of the ways of ``TRAINED_AS``, in bf16 and for about the
same processor time: on whole pictures at two sizes, and on tiles at two. ``WAYS`` are the questions they are
then asked. Run it with OMP_NUM_THREADS=1. A finished part is one JSON file, so that the command can be
stopped and repeated.
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
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

import masu
from masu.atomic import write_text
from masu.data.dataset import Dataset
from masu.data.pixels.images import read_image
from masu.detectors.prediction import PredictionNetwork
from masu.evaluation.choice import set_suppression
from masu.evaluation.metrics import coco_metrics
from masu.records import Detections
from masu.words import Precision

WIDTH, HEIGHT = 1920, 1440
SIDE = 640
SEEDS = 3
TRAINED, TESTED = 24, 4
"""Pictures of each set."""
DIGITS = 40
HEIGHTS = (16, 33)
MOST = 400
"""Boxes that a model may find in a whole picture: as many as in its tiles."""
COLUMNS = 3


class Training(NamedTuple):
    """How a model is trained.

    Attributes:
        tiles: their side; None: whole pictures.
        image_size: the shorter side that the network sees; None: its own, or that of a tile.
        passes: over the training pictures: about as much processor time in every way.
    """

    tiles: int | None
    image_size: int | None
    passes: int


class Way(NamedTuple):
    """How a model is asked.

    Attributes:
        trained: the key of its training.
        tiles: their side; None: whole pictures.
        overlap: of tiles.
        precision: of the network.
        image_size: the shorter side that the network sees; None: that of its training.
    """

    trained: str
    tiles: int | None
    overlap: float = 0.2
    precision: Precision = "fp32"
    image_size: int | None = None


TRAINED_AS = {
    "whole": Training(None, None, 14),
    "whole-640": Training(None, 640, 7),
    "tiles-960": Training(960, 448, 2),
    "tiles": Training(SIDE, None, 1),
}
WAYS = {
    "whole at 320": Way("whole", None),
    "whole at 640": Way("whole-640", None),
    "whole at 640, bf16": Way("whole-640", None, precision="bf16"),
    "tiles of 960 at 448": Way("tiles-960", 960),
    "trained so, whole at 672": Way("tiles-960", None, image_size=672),
    "tiles of 640 at 640": Way("tiles", SIDE),
    "tiles of 640 at 640, no overlap": Way("tiles", SIDE, overlap=0.0),
    "tiles of 640 at 640, bf16": Way("tiles", SIDE, precision="bf16"),
    "trained so, whole at 720": Way("tiles", None, image_size=720),
    "trained so, whole at 1440": Way("tiles", None, image_size=1440),
    "trained whole, tiles of 640 at 320": Way("whole", SIDE),
}
OF_SAHI = "tiles of 640 at 640, of SAHI"
ROUNDS = 3
"""In which times are taken, the least of them counting."""


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


def trained(data: Dataset, way: Training, seed: int, out: Path) -> Path:
    """Train a model, if it is not there yet; its file."""
    said = out / "trained.json"
    if not said.exists():
        mirrored = masu.Augmentation(horizontal_flip=0.0 if data.names[0] == "0" else 0.5)
        settings = masu.TrainSettings(
            epochs=way.passes,
            tiles=way.tiles,
            image_size=way.image_size,
            seed=seed,
            precision="bf16",
            augmentation=mirrored,
        )
        started = time.process_time()
        shutil.rmtree(out / "run", ignore_errors=True)
        if masu.train(data, settings=settings, out=out / "run").interrupted:
            raise KeyboardInterrupt
        write_text(said, json.dumps({"training_seconds": time.process_time() - started}))
    return out / "run" / "last.safetensors"


def opened(model: Path, way: Way) -> PredictionNetwork:
    """A model as it is asked."""
    detector = masu.tiled(masu.load(model), way.tiles, overlap=way.overlap)
    if way.image_size is not None:
        detector = masu.with_image_size(detector, way.image_size)
    if way.tiles is None:  # a whole picture may have as many boxes as its tiles
        set_suppression(detector, most=MOST)
    return detector.prediction_network(way.precision)


def scored(data: Dataset, found: Sequence[Detections]) -> dict[str, Any]:
    """How good what was found is."""
    figures = coco_metrics([target for _, target in data], found, data.names).as_dict()
    return {name: figures[name] for name in ("ap", "ap50", "ap_small", "ap_medium", "per_class")}


def by_sahi(model: Path, data: Dataset, python: Path) -> tuple[list[Detections], float]:
    """What SAHI finds with the same model in another process, and its seconds for a picture."""
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
            for kind, training in TRAINED_AS.items():
                if options.only not in (None, f"{name} {kind}"):
                    continue
                place = options.out / f"{name}-{kind}-{seed}"
                model = trained(data, training, seed, place)
                for asked, way in WAYS.items():
                    file = place / f"{asked}.json"
                    if way.trained == kind and not file.exists():
                        network = opened(model, way)
                        found = [network.predict([path])[0] for path in test.paths]
                        write_text(file, json.dumps(scored(test, found)))
                        print(name, asked, seed, file.read_text(), flush=True)
                file = place / f"{OF_SAHI}.json"
                if options.sahi is not None and kind == "tiles" and not file.exists():
                    found, seconds = by_sahi(model, test, options.sahi)
                    write_text(file, json.dumps(scored(test, found) | {"seconds_per_picture": seconds}))


def clock(out: Path) -> None:
    """Seconds of one processor that a picture takes in each way, the ways in turn.

    Of the models of the first seed.
    """
    for name in ("digits", "cells"):
        places = {asked: out / f"{name}-{way.trained}-0" for asked, way in WAYS.items()}
        if not all((place / "trained.json").exists() for place in places.values()):
            continue
        networks = {
            asked: opened(places[asked] / "run" / "last.safetensors", way) for asked, way in WAYS.items()
        }
        paths = masu.read_dataset(out / "data" / name, "test").take(range(TESTED)).paths
        least = dict.fromkeys(WAYS, float("inf"))
        for turn in range(ROUNDS + 1):  # the first warms up
            path = paths[turn % TESTED]
            for asked, network in networks.items():
                started = time.process_time()
                network.predict([path])
                if turn:
                    least[asked] = min(least[asked], time.process_time() - started)
        write_text(out / f"{name}-seconds.json", json.dumps(least))
        print(name, least, flush=True)


def report(out: Path, file: Path) -> None:
    """The figures of all seeds in one file, and the rows of the table."""
    rows = []
    for name in ("digits", "cells"):
        clocked = out / f"{name}-seconds.json"
        seconds = json.loads(clocked.read_text()) if clocked.exists() else {}
        for asked in (*WAYS, OF_SAHI):
            found = sorted(out.glob(f"{name}-*/{asked}.json"))
            runs = [
                json.loads(one.read_text()) | json.loads((one.parent / "trained.json").read_text())
                for one in found
            ]
            if runs:
                rows.append({"set": name, "way": asked, "seconds": seconds.get(asked), "runs": runs})
    write_text(file, json.dumps(rows, indent=1) + "\n")
    for row in rows:
        told = [row["set"], row["way"]]
        for key in ("ap", "ap50", "ap_small", "ap_medium"):
            values = [100 * run[key] for run in row["runs"] if run[key] is not None]
            told.append(f"{np.mean(values):.1f} ± {np.std(values):.1f}" if values else "–")
        whole = next(one["seconds"] for one in rows if one["set"] == row["set"])
        own = row["seconds"]
        told += ["–", "–"] if own is None else [f"{1000 * own:.0f} ms", f"{own / whole:.1f}"]
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
    parser.add_argument("--clock", action="store_true", help="take the times instead")
    parser.add_argument("--report", type=Path, help="write the figures there instead")
    options = parser.parse_args()
    if options.report is not None:
        report(options.out, options.report)
    elif options.clock:
        clock(options.out)
    else:
        study(options)


if __name__ == "__main__":
    sys.exit(main())
