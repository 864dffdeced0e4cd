"""How long ``masu check`` takes: many JPEG photographs of 640×480 with ten objects each.

python -m benchmarks.data_check --images 10000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from masu.data.formats.reading import Contents, Marked, Picture
from PIL import Image
from skimage import data

from masu.data.formats.writing import write_dataset
from masu.ops.images import InputPolicy
from masu.verbs.check import DataCheck


def main() -> None:
    """Make the photographs, check them, print the seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        contents = photographs(Path(folder), count)
        write_dataset(Path(folder) / "data", "coco", {None: contents})
        started = time.perf_counter()
        report = DataCheck(Path(folder) / "data", None, InputPolicy(320, 640)).report
        seconds = time.perf_counter() - started
    objects = sum(report.objects.values())
    print(f"{count} images, {objects} objects: {seconds:.1f} s, {len(report.findings)} findings")


def photographs(folder: Path, count: int) -> Contents:
    """Parts of scikit-image's photographs, each with ten boxes."""
    draw = np.random.default_rng(0)
    sources = [
        Image.fromarray(getattr(data, name)()) for name in ("chelsea", "coffee", "astronaut", "rocket")
    ]
    pictures = []
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
        boxes = [(float(x), float(y), float(x) + 60, float(y) + 60) for x, y in corners]
        marked = [Marked("", box, f"class {i}", False) for i, box in enumerate(boxes)]
        pictures.append(Picture(path, folder, (480, 640), marked))
    return Contents(pictures, tuple(f"class {i}" for i in range(10)), tuple(range(1, 11)), [])


if __name__ == "__main__":
    main()
