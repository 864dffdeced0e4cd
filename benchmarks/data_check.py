"""How long ``masu check`` takes: many JPEG photographs of 640×480 with ten objects each.

python -m benchmarks.data_check --images 10000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

from masu.data.dataset import Dataset, Sample
from masu.data.fitting import measured
from masu.data.formats.writing import write_dataset
from masu.ops.images import InputPolicy
from masu.records import Target
from masu.verbs.check import DataCheck


def main() -> None:
    """Make the photographs, check them, print the seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "data", "coco", measured(photographs(Path(folder), count)))
        started = time.perf_counter()
        report = DataCheck(Path(folder) / "data", None, InputPolicy(320, 640)).report
        seconds = time.perf_counter() - started
    objects = sum(report.objects.values())
    print(f"{count} images, {objects} objects: {seconds:.1f} s, {len(report.findings)} findings")


def photographs(folder: Path, count: int) -> Dataset:
    """Parts of scikit-image's photographs, each with ten boxes."""
    draw = np.random.default_rng(0)
    sources = [
        Image.fromarray(getattr(data, name)()) for name in ("chelsea", "coffee", "astronaut", "rocket")
    ]
    samples = []
    for number in range(count):
        source = sources[number % len(sources)]
        width = int(draw.integers(source.width // 3, source.width))
        height = min(width * 3 // 4, source.height)
        left, top = (
            int(draw.integers(0, side)) for side in (source.width - width + 1, source.height - height + 1)
        )
        path = folder / f"{number}.jpg"
        source.resize((640, 480), box=(left, top, left + width, top + height)).save(path, quality=85)
        corners = draw.uniform(0, 1, (10, 2)) * (560, 400)
        boxes = torch.from_numpy(np.concatenate([corners, corners + 60], axis=1)).float()
        samples.append(Sample(path, Target(boxes, torch.arange(10))))
    return Dataset.of(samples, [f"class {i}" for i in range(10)])


if __name__ == "__main__":
    main()
