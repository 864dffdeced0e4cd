"""Small objects: which image size learns them best in the same time? What ``--image-size auto`` rests on.

    python -m studies.sizes runs/sizes --cells BCCD     # docs/sizes.json gets what it lacks, and a table

Two sets are made. ``digits``: handwritten digits of scikit-learn, 16 to 32 pixels high, ten in a scene of
592×448, as in ``masu demo``. ``mosaics``: photographs of blood cells, nine side by side (``studies.tiles``).
Each is learnt at several image sizes with steps in inverse proportion to the pixels, which takes about the
same time: 480 at 320 pixels. Scored is the last state on the test split.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import masu
from masu.atomic import write_text
from masu.data.loading.network_scale import scaled_objects
from masu.detectors.build import configuration
from masu.detectors.zoo import DEFAULT
from masu.verbs.demo_scenes import _write_split, background, compose, split_material
from studies import tiles
from studies.bench import interval

OWN = 320
SIZES = (320, 448, 640)
STEPS = 480
SCENES = {"train": 240, "test": 60}
DIGITS = 10
HEIGHTS = (16, 33)


def digits(folder: Path) -> None:
    """Scenes of small digits, 592×448, in COCO's layout."""
    material = split_material()
    for number, (split, count) in enumerate(SCENES.items()):
        own, draw = material[split], np.random.default_rng([11, number])
        scenes = []
        for _ in range(count):
            chosen = [
                background(own.photographs[draw.integers(len(own.photographs))], draw) for _ in range(4)
            ]
            cut = [ground[:224, :296] for ground in chosen]
            ground = np.concatenate([np.concatenate(cut[:2], 1), np.concatenate(cut[2:], 1)])
            written = [(own.digits[i], own.labels[i]) for i in draw.integers(len(own.labels), size=DIGITS)]
            scenes.append(compose(ground, written, draw, HEIGHTS))
        _write_split(folder, split, scenes)


def measure(name: str, folder: Path, size: int, seed: int) -> dict[str, Any]:
    """Train and score at one size."""
    train, test = (masu.read_dataset(folder, split) for split in ("train", "test"))
    steps = STEPS * OWN**2 / size**2
    epochs = max(round(steps / (len(train) / 2)), 1)
    mirrored = masu.Augmentation(horizontal_flip=0.0 if name == "digits" else 0.5)
    with tempfile.TemporaryDirectory() as place:
        settings = masu.TrainSettings(
            epochs=epochs, seed=seed, precision="bf16", image_size=size, augmentation=mirrored
        )
        result = masu.train(train, None, settings, Path(place) / "run")
        metrics = masu.evaluate(masu.load(result.last), test)
    return {
        "set": name,
        "size": size,
        "seed": seed,
        "steps": epochs * -(-len(train) // 2),
        "seconds": round(result.seconds, 1),
        "ap": round(metrics.ap or 0.0, 4),
        "ap50": round(metrics.ap50 or 0.0, 4),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Means of each set and size, and differences to the own size in pairs, as Markdown."""
    lines = ["| set | size | steps | AP50 | AP | difference of pairs |", "| --- " * 6 + "|"]
    for name, size in sorted({(row["set"], row["size"]) for row in rows}):
        own = [row for row in rows if (row["set"], row["size"]) == (name, size)]
        base = {row["seed"]: row["ap"] for row in rows if (row["set"], row["size"]) == (name, OWN)}
        pairs = [row["ap"] - base[row["seed"]] for row in own if row["seed"] in base]
        difference = ""
        if size != OWN and len(pairs) > 1:
            low, high = interval(pairs)
            difference = f"{statistics.mean(pairs):+.3f} ({low:+.3f} … {high:+.3f})"
        ap50, ap = (statistics.mean(row[key] for row in own) for key in ("ap50", "ap"))
        lines.append(f"| {name} | {size} | {own[0]['steps']} | {ap50:.3f} | {ap:.3f} | {difference} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the sets are made")
    parser.add_argument("--cells", type=Path, required=True, help="blood cells: folder of BCCD")
    parser.add_argument("--json", type=Path, default=Path("docs/sizes.json"))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=100, help="trainings of this call")
    options = parser.parse_args()
    for name in ("digits", "mosaics"):
        folder = options.folder / name
        if not folder.exists():
            digits(folder) if name == "digits" else tiles.cells(folder, options.cells)
        objects = scaled_objects(masu.read_dataset(folder, "train"), configuration(DEFAULT).pyramid.input)
        sides = objects.shapes.prod(1).sqrt()
        shares = ", ".join(f"{torch.quantile(sides, q):.1f}" for q in (0.05, 0.1, 0.25, 0.5))
        print(f"{name}: {len(sides)} objects, 5, 10, 25, 50 % are below {shares} pixels at {OWN}", flush=True)
    rows: list[dict[str, Any]] = json.loads(options.json.read_text()) if options.json.exists() else []
    done = {(row["set"], row["size"], row["seed"]) for row in rows}
    wanted = [
        (name, size, seed)
        for seed in range(options.seeds)
        for name in ("digits", "mosaics")
        for size in options.sizes
    ]
    for name, size, seed in [one for one in wanted if one not in done][: options.most]:
        rows.append(measure(name, options.folder / name, size, seed))
        print(rows[-1], flush=True)
        lines = ",\n".join(json.dumps(row) for row in rows)
        write_text(options.json, f"[\n{lines}\n]\n")
    print(table(rows))


if __name__ == "__main__":
    main()
