"""What each small model finds after how much training, and how long it looks at an image.

    python -m studies.front DATA                 # every row that docs/models.json does not hold yet
    python -m studies.front DATA --only default  # rows whose name begins so

Trains on the split ``train`` with a time budget and scores the last state on ``test``: nothing is chosen by
looking at a score. Each finished row is written at once. On an idle machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import masu
from masu import TrainSettings
from masu.data.formats import Dataset
from masu.data.loading.transforms import Augmentation
from studies import torchvision_baseline

UPSIDE_DOWN = Augmentation(vertical_flip=0.5)
"""Cells have no up; ``masu train --flip-vertical``."""


@dataclass(frozen=True)
class Row:
    """One point of the front.

    Attributes:
        name: of the model and what was changed.
        budget: seconds of training.
        settings: of the training, but for budget and seed; None: torchvision's detector.
        seeds: runs.
    """

    name: str
    budget: float
    settings: TrainSettings | None = field(default_factory=lambda: TrainSettings(augmentation=UPSIDE_DOWN))
    seeds: int = 1


def _tried(**changes: Any) -> TrainSettings:
    return TrainSettings(augmentation=UPSIDE_DOWN, **changes)


ROWS = (
    *(Row("default", budget, seeds=3) for budget in (40, 120, 480)),
    *(Row("one-stage", budget, _tried(architecture="retinanet_lite0_fpn")) for budget in (40, 120, 480)),
    *(Row("torchvision", budget, None) for budget in (120, 410)),
    Row("default, ImageNet weights only", 40, _tried(weights="imagenet")),
    Row("default, full size from the start", 40, _tried(grow_from=1.0)),
    Row("default, SGD", 40, _tried(optimizer="sgd")),
    Row("default, no average", 40, _tried(average=0.0)),
    Row("default, GIoU", 120, _tried(box_loss="giou")),
    *(Row("default, fitted anchors", budget, _tried(anchors="auto"), seeds=3) for budget in (40, 120)),
    Row("default, 256 px", 120, _tried(image_size=256)),
    Row("default, 384 px", 120, _tried(image_size=384)),
    Row("EfficientNet-Lite1", 120, _tried(backbone="efficientnet_lite1")),
    Row("EfficientNet-Lite2", 120, _tried(backbone="efficientnet_lite2")),
)


def main() -> None:
    """Measure the rows that are missing, then draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, default=Path("docs/models.json"))
    parser.add_argument("--chart", type=Path, default=Path("docs/models.png"))
    parser.add_argument("--only", help="rows whose name begins so")
    options = parser.parse_args()
    train, test = (masu.read_dataset(options.data, split) for split in ("train", "test"))
    done: list[dict[str, Any]] = json.loads(options.json.read_text()) if options.json.exists() else []
    for row in ROWS:
        for seed in range(row.seeds):
            key = {"name": row.name, "budget": row.budget, "seed": seed}
            if any(key.items() <= old.items() for old in done) or not row.name.startswith(options.only or ""):
                continue
            figures = _measure(row, seed, train, test)
            done.append({**key, **figures})
            options.json.write_text(json.dumps(done, indent=1) + "\n")
            shown = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
            print(f"{row.name}, {row.budget:.0f} s, seed {seed}: {shown}", flush=True)
    print(table(done))
    draw(done, options.chart)


def _measure(row: Row, seed: int, train: Dataset, test: Dataset) -> dict[str, float]:
    if row.settings is None:
        detector, seconds, steps = torchvision_baseline.train(train, row.budget, seed)
    else:
        settings = replace(row.settings, time_budget=row.budget, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            events: list[dict[str, Any]] = []
            result = masu.train(train, None, settings, Path(folder) / "run", report=events.append)
            detector, seconds = masu.load(result.last), result.seconds
            steps = sum(event["event"] == "step" for event in events)
    metrics = masu.evaluate(detector, test)
    assert metrics.ap50 is not None
    assert metrics.ap is not None
    return {
        "ap50": round(metrics.ap50, 4),
        "ap": round(metrics.ap, 4),
        "seconds": round(seconds, 1),
        "steps": steps,
        "milliseconds": round(_milliseconds(detector, test), 1),
    }


def _milliseconds(detector: Any, data: Dataset) -> float:
    """Median time of one image from pixels to boxes, files read before."""
    images = [masu.data.pixels.images.read_image(image) for image, _ in data.take(range(30))]
    detector.predict(images[:3])
    times = []
    for image in images:
        started = time.perf_counter()
        detector.predict([image])
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def medians(done: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One dict per row: medians over its seeds, and their number."""
    groups: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for run in done:
        groups.setdefault((run["name"], run["budget"]), []).append(run)
    figures = ("ap50", "ap", "seconds", "steps", "milliseconds")
    return [
        {"name": name, "budget": budget, "runs": len(runs)}
        | {figure: statistics.median(run[figure] for run in runs) for figure in figures}
        for (name, budget), runs in groups.items()
    ]


def table(done: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| model | training | steps | AP50 | AP | ms an image | runs |", "| --- " * 7 + "|"]
    lines += [
        f"| {r['name']} | {r['seconds']:.0f} s | {r['steps']:.0f} | {r['ap50']:.3f} | {r['ap']:.3f} | "
        f"{r['milliseconds']:.0f} | {r['runs']} |"
        for r in medians(done)
    ]
    return "\n".join(lines)


def draw(done: list[dict[str, Any]], path: Path) -> None:
    """AP50 against training seconds and against milliseconds an image."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = medians(done)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    colours = {"default": "#0072b2", "one-stage": "#009e73", "torchvision": "#d55e00"}
    for axis, figure_name, label in (
        (axes[0], "seconds", "seconds of training"),
        (axes[1], "milliseconds", "milliseconds an image"),
    ):
        for name in dict.fromkeys(row["name"] for row in rows):
            points = sorted((r[figure_name], r["ap50"]) for r in rows if r["name"] == name)
            style = "o-" if name in colours and figure_name == "seconds" else "o"
            axis.plot(*zip(*points, strict=True), style, color=colours.get(name, "#999999"))
            if name.startswith("default, "):
                continue  # variations lie too close for names: grey
            axis.annotate(name, points[-1], xytext=(5, -3), textcoords="offset points", fontsize=7)
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
        axis.margins(x=0.2)
    axes[0].set_xscale("log")
    axes[0].set_xticks([40, 120, 480], ["40", "120", "480"])
    axes[0].minorticks_off()
    axes[0].set_ylabel("AP50 on the test split")
    figure.suptitle(f"Blood cells, two cores, PyTorch {torch.__version__}")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
