"""What a photograph of 12 megapixels costs a training beside one of 640×480.

    python -m benchmarks.photographs      # two minutes on two idle cores

The photographs are those that scikit-learn installs, enlarged. First: the time to read one and to vary it, as
a whole, at the size that a training needs, and once it is kept. Then: images a second of a training on 40 of
each size, which differ in their pixels alone.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_images

import masu
from benchmarks.measure import describe_machine
from masu.data.dataset import Dataset, Sample
from masu.data.loading.pictures import MOST_BYTES, Pictures
from masu.data.loading.transforms import Augmentation, augment
from masu.detectors.build import configuration
from masu.records import Target
from masu.training.recipe import TrainSettings, read_at

SIZES = {"640×480": (640, 480), "4032×3024": (4032, 3024)}
IMAGES = 40
EPOCHS = 6


def main() -> None:
    """Print both tables."""
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        sets = {name: photographs(Path(folder) / name, size) for name, size in SIZES.items()}
        print("\n| photograph | whole | reduced, first time | kept |\n|" + " --- |" * 4)
        for name, data in sets.items():
            print(f"| {name} | {' | '.join(f'{1000 * s:.0f} ms' for s in reading(list(data.paths)[:20]))} |")
        print("\n| photograph | images a second, by epoch |\n| --- | --- |")
        for name, data in sets.items():
            result = masu.train(data, None, TrainSettings(epochs=EPOCHS), Path(folder) / f"run {name}")
            rates = ", ".join(f"{row['images_per_second']:.1f}" for row in result.history)
            print(f"| {name} | {rates} |", flush=True)


def photographs(folder: Path, size: tuple[int, int]) -> Dataset:
    """JPEG files of a size with one object each."""
    folder.mkdir()
    width, height = size
    samples = []
    for number in range(IMAGES):
        path = folder / f"{number}.jpg"
        image = Image.fromarray(load_sample_images().images[number % 2])
        image.rotate(number).resize(size, Image.Resampling.BICUBIC).save(path, quality=92)
        box = [width * 0.3, height * 0.3, width * 0.6, height * 0.7]
        samples.append(Sample(path, Target([box], [0])))  # type: ignore[arg-type]
    return Dataset.of(samples, ("thing",), root=folder)


def reading(paths: Sequence[Path]) -> list[float]:
    """Median seconds to read a photograph and vary it: whole, reduced, and reduced and kept."""
    shorter = read_at(TrainSettings(), configuration(TrainSettings().architecture).pyramid.input)
    keeping = Pictures(shorter=shorter, most_bytes=MOST_BYTES)
    return [seconds(pictures, paths) for pictures in (Pictures(), keeping, keeping)]


def seconds(pictures: Pictures, paths: Sequence[Path]) -> float:
    """Median of the paths."""
    times = []
    for number, path in enumerate(paths):
        started = time.perf_counter()
        image, _ = pictures.read(path)
        augment(image, Target([[1.0, 1.0, 9.0, 9.0]], [0]), Augmentation(), number)  # type: ignore[arg-type]
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
