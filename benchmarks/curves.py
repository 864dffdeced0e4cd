"""How time and memory grow with what is given: sides, photographs, objects, classes, data sets.

    python -m benchmarks.curves --json docs/curves.json --chart docs/curves.png
    python -m benchmarks.curves --only 'train.*'

Each value is measured in a process of its own: the best of three runs, and the memory that the work needed
beyond what was held before. The exponent is the slope of a straight line through the last three values, both
axes logarithmic: 1 grows as what is given, 2 as its square. Where the last values are still mostly start-up
it is too small.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import masu
from benchmarks.growth import resident
from benchmarks.large_data import make_coco
from masu.atomic import write_text
from masu.data.formats import read_annotations, usable
from masu.detectors.build import build, configuration
from masu.detectors.detector import Detector
from masu.evaluation.metrics import coco_metrics
from masu.records import Detections, Target
from masu.verbs.check import check

Work = Callable[[], Any]

REPEATS = 3


def _pixels(height: int, width: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 255, (3, height, width), dtype=torch.uint8, generator=g)


def _detector(classes: int = 6, side: int = 320) -> Detector:
    config: Any = configuration(masu.TrainSettings().architecture)
    policy = replace(config.rpn.input, min_size=side, max_size=2 * side)
    torch.manual_seed(0)
    return build(
        replace(config, rpn=replace(config.rpn, input=policy)), [f"class {i}" for i in range(classes)]
    )


def predict_side(side: int) -> Work:
    """One photograph as large as the network sees it."""
    network, image = _detector(side=side).eval().prediction_network(), _pixels(side, side)
    return lambda: network.predict([image])


def predict_photograph(side: int) -> Work:
    """One photograph that the network sees at 320 pixels."""
    network, image = _detector().eval().prediction_network(), _pixels(side, side)
    return lambda: network.predict([image])


def predict_batch(images: int) -> Work:
    """So many photographs of 320 × 320 at once."""
    network, given = _detector().eval().prediction_network(), [_pixels(320, 320)] * images
    return lambda: network.predict(given, batch_size=images)


def predict_classes(classes: int) -> Work:
    """One photograph of 320 × 320, a detector of so many classes."""
    network, image = _detector(classes).eval().prediction_network(), _pixels(320, 320)
    return lambda: network.predict([image])


def _target(objects: int, classes: int, side: int) -> Target:
    g = torch.Generator().manual_seed(objects)
    sides = torch.rand(objects, 2, generator=g) * side / 8 + 8
    corner = torch.rand(objects, 2, generator=g) * (side - sides)
    return Target(torch.cat([corner, corner + sides], 1), torch.randint(0, classes, (objects,), generator=g))


def _step(detector: Detector, images: int, objects: int, side: int) -> Work:
    detector.train()
    given, targets = [_pixels(side, side)] * images, [_target(objects, len(detector.names), side)] * images

    def step() -> None:
        losses = detector.losses(detector(given), targets, torch.Generator().manual_seed(0))
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        detector.zero_grad()

    return step


def train_side(side: int) -> Work:
    """A step of two images of 10 objects, as large as the network sees them."""
    return _step(_detector(side=side), 2, 10, side)


def train_batch(images: int) -> Work:
    """A step of so many images of 320 × 320."""
    return _step(_detector(), images, 10, 320)


def train_objects(objects: int) -> Work:
    """A step of two images of 320 × 320, so many objects in each."""
    return _step(_detector(), 2, objects, 320)


def train_classes(classes: int) -> Work:
    """A step of two images of 320 × 320, a detector of so many classes."""
    return _step(_detector(classes), 2, 10, 320)


def _found(targets: list[Target], names: list[str]) -> list[Detections]:
    g = torch.Generator().manual_seed(1)
    answers = []
    for target in targets:
        boxes = (target.boxes + torch.randn(target.boxes.shape, generator=g) * 2).repeat(2, 1)
        labels = target.labels.repeat(2)
        scores = torch.rand(len(labels), generator=g).sort(descending=True).values
        answers.append(Detections(boxes, scores, labels, tuple(names[i] for i in labels.tolist())))
    return answers


def _evaluation(images: int, objects: int, classes: int) -> Work:
    names = [f"class {i}" for i in range(classes)]
    targets = [_target(objects, classes, 640) for _ in range(images)]
    found = _found(targets, names)
    return lambda: coco_metrics(targets, found, names)


def evaluate_images(images: int) -> Work:
    """COCO's figures of so many images, 10 objects and 20 detections in each, 10 classes."""
    return _evaluation(images, 10, 10)


def evaluate_objects(objects: int) -> Work:
    """COCO's figures of 20 images, so many objects and twice as many detections in each, 10 classes."""
    return _evaluation(20, objects, 10)


def evaluate_classes(classes: int) -> Work:
    """COCO's figures of 2,000 images of 10 objects and 20 detections, so many classes."""
    return _evaluation(2000, 10, classes)


def nms_boxes(boxes: int) -> Work:
    """Suppression of so many boxes that lie anywhere."""
    side = 10 * math.sqrt(boxes)
    g = torch.Generator().manual_seed(0)
    corner = torch.rand(boxes, 2, generator=g) * side
    given = torch.cat([corner, corner + 5 + 30 * torch.rand(boxes, 2, generator=g)], 1)
    scores = torch.rand(boxes, generator=g)
    return lambda: masu.ops.nms(given, scores, 0.5)


def read_images(images: int) -> Work:
    """Reading a COCO file of so many images of 10 objects, and what it says of them."""
    folder = make_coco(Path(tempfile.mkdtemp(dir=_PLACE)), images, 10).parents[1]
    return lambda: usable(read_annotations(folder), "train")


def check_images(images: int) -> Work:
    """``masu check`` of so many photographs of 10 objects; every photograph is looked at."""
    folder = make_coco(Path(tempfile.mkdtemp(dir=_PLACE)), images, 10).parents[1]
    return lambda: check(folder)


_PLACE = ""

CURVES: dict[str, tuple[Callable[[int], Work], tuple[int, ...]]] = {
    "predict: side": (predict_side, (160, 320, 640, 1280, 2560)),
    "predict: side of the photograph": (predict_photograph, (320, 640, 1280, 2560, 5120)),
    "predict: images in a batch": (predict_batch, (1, 4, 16, 64)),
    "predict: classes": (predict_classes, (10, 100, 1000, 10_000)),
    "train: side": (train_side, (160, 320, 640, 1280)),
    "train: images in a batch": (train_batch, (1, 2, 4, 8, 16)),
    "train: objects in an image": (train_objects, (1, 10, 100, 1000, 10_000)),
    "train: classes": (train_classes, (10, 100, 1000, 10_000)),
    "evaluate: images": (evaluate_images, (100, 1000, 10_000, 20_000)),
    "evaluate: objects in an image": (evaluate_objects, (10, 100, 1000, 10_000)),
    "evaluate: classes": (evaluate_classes, (10, 100, 1000, 10_000)),
    "suppression: boxes": (nms_boxes, (100, 1000, 10_000, 100_000, 1_000_000)),
    "read: images": (read_images, (1000, 10_000, 100_000)),
    "check: images": (check_images, (100, 1000, 4000)),
}
"""What grows: how the work is made from a number, and the numbers."""


def _held(field: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{field}:")[1].split()[0]) / 1e3


def measured(name: str, value: int) -> dict[str, float]:
    """Seconds and megabytes of one value of a curve."""
    work = CURVES[name][0](value)
    if not name.startswith(("read", "check")):
        work()  # what is loaded at the first use
    before = resident()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    seconds = []
    for _ in range(REPEATS):
        gc.collect()
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
        if sum(seconds) > 30:
            break
    return {"value": value, "seconds": min(seconds), "megabytes": max(_held("VmHWM") - before, 0.0)}


def exponent(values: list[float], amounts: list[float]) -> float:
    """Slope of the last three points, both axes logarithmic."""
    return float(np.polyfit(np.log(values[-3:]), np.log(amounts[-3:]), 1)[0])


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """The curves as Markdown: first and last value, exponents of time and memory."""
    lines = ["| what grows | from … to | time | grows as | memory |", "| --- | --- | --- | --- | --- |"]
    for name, points in rows.items():
        n, s, m = ([point[key] for point in points] for key in ("value", "seconds", "megabytes"))
        lines.append(
            f"| {name} | {n[0]:,} … {n[-1]:,} | {_time(s[0])} … {_time(s[-1])} | "
            f"n^{exponent(n, s):.2f} | {m[0]:,.0f} … {m[-1]:,.0f} MB |"
        )
    return "\n".join(lines)


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def chart(rows: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Every curve, both axes logarithmic."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator

    figure, axes = pyplot.subplots(-(-len(rows) // 4), 4, figsize=(13, 10), layout="constrained")
    for place in axes.flat[len(rows) :]:
        place.set_axis_off()
    for place, (name, points) in zip(axes.flat, rows.items(), strict=False):
        n, s = ([point[key] for point in points] for key in ("value", "seconds"))
        place.loglog(n, s, "o-", color="#2a6f97")
        linear = [s[-1] * value / n[-1] for value in n]
        place.loglog(n, linear, color="#999999", linewidth=1, linestyle="--")
        place.set_title(f"{name}: n^{exponent(n, s):.2f}", fontsize=10)
        place.set_ylabel("seconds")
        place.minorticks_off()
        place.set_xticks(n, [f"{value:,.0f}" for value in n], fontsize=7)
        place.yaxis.set_major_locator(LogLocator())
        place.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measure what is asked for, or one value for the process that asked."""
    global _PLACE
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="regular expression of the curves to measure; others stay")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("CURVE", "VALUE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as _PLACE:
        if options.one:
            print(json.dumps(measured(options.one[0], int(options.one[1]))))
            return
    rows: dict[str, list[dict[str, float]]] = {}
    if options.only and options.json and options.json.exists():
        rows = json.loads(options.json.read_text(encoding="utf-8"))
    for name, (_, values) in CURVES.items():
        if not re.search(options.only, name):
            continue
        rows[name] = []
        for value in values:
            command = [sys.executable, "-m", "benchmarks.curves", "--one", name, str(value)]
            ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows[name].append(json.loads(ran.stdout.splitlines()[-1]))
            print(name, rows[name][-1], file=sys.stderr, flush=True)
    print(table(rows))
    if options.json:
        write_text(options.json, json.dumps(rows, indent=1) + "\n")
    if options.chart:
        chart(rows, options.chart)


if __name__ == "__main__":
    main()
