"""What a second look at the mirrored picture gains and costs: AP, F1 at stored thresholds, time.

    python -m studies.tta runs/tta --cells BCCD --cards CARDS/images

A training of about 480 steps in bf16 for each set and seed, or the model that is at
``OUT/SET-SEED/last.safetensors``. The test images are looked at once and twice. Thresholds with the largest
F1 are chosen on one random half of them and judged on the other one, and the other way round. Prints the
table of ``docs/models.md``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

import masu
from masu.data.dataset import Dataset
from masu.data.pixels.images import read_pixels
from masu.detectors.predict import Predictor
from masu.evaluation.error_report import error_report
from masu.evaluation.evaluate import Scored, score

STEPS = 480


def model_of(place: Path, name: str, data: Dataset, seed: int) -> Path:
    """The model of a set and seed, trained where it is not there."""
    run = place / f"{name}-{seed}"
    if not (run / "last.safetensors").exists():
        passes = max(round(STEPS / (len(data) / 2)), 1)
        masu.train(data, settings=masu.TrainSettings(epochs=passes, precision="bf16", seed=seed), out=run)
    return run / "last.safetensors"


def best_thresholds(scored: Scored, images: list[int]) -> Mapping[str, float]:
    """The thresholds with the largest F1 on some of the images."""
    return error_report(scored.of([scored.paths[at] for at in images])).best_thresholds()


def f1(parts: list[tuple[Scored, list[int], Mapping[str, float]]]) -> float:
    """F1 of all boxes, of all classes, at the thresholds of each part on its images."""
    right = wrong = missed = 0
    for scored, images, thresholds in parts:
        used = error_report(scored.of([scored.paths[at] for at in images]), thresholds).used.values()
        right += sum(point.right for point in used)
        wrong += sum(point.wrong for point in used)
        missed += sum(point.missed for point in used)
    return 2 * right / (2 * right + wrong + missed)


def seconds(detector: Predictor, data: Dataset) -> float:
    """Processor time of one image."""
    images = [read_pixels(data.paths[at]) for at in range(20)]
    start = time.process_time()
    detector.predict(images)
    return (time.process_time() - start) / len(images)


def models(said: str | None) -> Iterator[tuple[str, int, Path, Dataset]]:
    """What the command's options ask for: set, seed, model and test images.

    Args:
        said: of ``--help``.
    """
    parser = argparse.ArgumentParser(description=said, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the models, made where needed")
    parser.add_argument("--cells", type=Path, help="the blood cells, BCCD")
    parser.add_argument("--cards", type=Path, help="the playing cards, their folder images")
    parser.add_argument("--seeds", type=int, default=3)
    return _models(parser.parse_args())


def _models(options: argparse.Namespace) -> Iterator[tuple[str, int, Path, Dataset]]:
    for name, folder in (("cells", options.cells), ("cards", options.cards)):
        if folder is not None:
            test = masu.read_dataset(folder, "test")
            for seed in range(options.seeds):
                yield name, seed, model_of(options.out, name, masu.read_dataset(folder, "train"), seed), test


def main() -> None:
    asked = models(__doc__)
    print(
        "| set | seed | AP | with `--tta` | AP50 | with `--tta` | F1 | with `--tta` | own thresholds | time |"
    )
    print("| --- " * 10 + "|")
    for name, seed, model, test in asked:
        detector = masu.load(model).prediction_network()
        twice = masu.with_tta(detector)
        a, b = score(detector, test), score(twice, test)
        order = np.random.default_rng(seed).permutation(len(test)).tolist()
        halves = order[::2], order[1::2]
        pairs = list(zip(halves, halves[::-1], strict=True))
        of_f1 = [
            f1([(judged, other, best_thresholds(chosen, one)) for one, other in pairs])
            for judged, chosen in ((a, a), (b, a), (b, b))
        ]
        figures = [a.metrics.ap, b.metrics.ap, a.metrics.ap50, b.metrics.ap50, *of_f1]
        times = seconds(twice, test) / seconds(detector, test)
        cells = [name, str(seed), *(f"{figure:.3f}" for figure in figures), f"{times:.2f}×"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
