"""Whether memory grows: predictions of many sizes, exported models opened and closed, short trainings.

    python -m benchmarks.growth predictions --times 2000
    python -m benchmarks.growth models --times 500
    python -m benchmarks.growth epochs --times 50

Each prints the resident memory after every tenth of the work.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import masu
from masu.exports.write import describe, trace, write
from masu.runtime import Model


def resident() -> float:
    """Memory of this process in megabytes."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1e3


def predictions() -> Callable[[int], None]:
    """One photograph after the other, each of another size."""
    detector = masu.build("faster_rcnn_lite0_fpn", ["cat", "dog"]).eval()
    draw = np.random.default_rng(0)

    def one(number: int) -> None:
        height, width = draw.integers(40, 900, 2).tolist()
        detector.predict([draw.integers(0, 255, (height, width, 3), np.uint8)])

    return one


def models() -> Callable[[int], None]:
    """An exported file opened, asked once and let go, by both engines in turn."""
    detector = masu.build("faster_rcnn_lite0_fpn", ["cat", "dog"]).eval()
    file = Path(tempfile.mkdtemp()) / "small.onnx"
    write(trace(detector.prediction_network().detector), describe(detector), "onnx", file)
    image = np.zeros((64, 80, 3), np.uint8)

    def one(number: int) -> None:
        Model(file, ("onnxruntime", "openvino")[number % 2], threads=1).predict([image])

    return one


def epochs() -> Callable[[int], None]:
    """A training of one epoch of four pictures, again and again."""
    folder = Path(tempfile.mkdtemp())
    draw = np.random.default_rng(0)
    lines = ["file,x1,y1,x2,y2,class"]
    for number in range(4):
        Image.fromarray(draw.integers(0, 255, (96, 96, 3), np.uint8)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,10,10,60,60,thing")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    data = masu.read_dataset(folder)
    settings = masu.TrainSettings(epochs=1, image_size=96, batch_size=2)

    def one(number: int) -> None:
        masu.train(data, data, settings, folder / f"run{number}")

    return one


def main() -> None:
    """Do the work and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("predictions", "models", "epochs"))
    parser.add_argument("--times", type=int, default=100)
    chosen = parser.parse_args()
    one = {"predictions": predictions, "models": models, "epochs": epochs}[chosen.what]()
    for number in range(1, chosen.times + 1):
        one(number)
        if number % max(chosen.times // 10, 1) == 0:
            print(f"{number} {chosen.what}: {resident():.0f} MB", flush=True)


if __name__ == "__main__":
    main()
