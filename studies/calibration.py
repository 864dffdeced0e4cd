"""Are calibrated scores worth what they say on images that nobody has looked at?

    python -m studies.calibration BCCD runs/comparing/a-*/last.safetensors
    masu train CARDS/images --epochs 4 --eval-every 4 --precision bf16 --seed 0 --out runs/cards-0     # and 1
    python -m studies.calibration CARDS/images runs/cards-*/last.safetensors

For each model the lines are fitted on the split ``val``, or, where there is none, on a random half of
``test``, and judged on the rest: D-ECE, LaECE₀ and AP. Prints the rows of ``docs/calibration.md``.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import get_args

import numpy as np

import masu
from masu.evaluation.calibration import CalibrationErrors, calibrated, fit, judgements
from masu.evaluation.evaluate import Scored, score
from masu.evaluation.metrics import coco_metrics
from masu.words import Meaning


def parts(model: Path, data: Path, number: int) -> tuple[Scored, Scored]:
    """What a model finds in the images that lines are fitted to, and in those that judge them."""
    detector = masu.load(model)
    detector.calibration = None
    test = score(detector, masu.read_dataset(data, "test"))
    try:
        return score(detector, masu.read_dataset(data, "val")), test
    except masu.InputError:
        order = np.random.default_rng(number).permutation(len(test.paths))
        half = {test.paths[i] for i in order[: len(order) // 2].tolist()}
        return test.of(half), test.of(set(test.paths) - half)


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    options = parser.parse_args()
    rows: dict[str, list[tuple[float, ...]]] = {}
    for number, model in enumerate(options.models):
        fitting, judging = parts(model, options.data, number)
        before = CalibrationErrors.of(judgements(judging))
        plain = coco_metrics(judging.targets, judging.found, judging.names).ap or 0.0
        for meaning in get_args(Meaning):
            mended = calibrated(judging, fit(fitting, meaning).calibration)
            after = CalibrationErrors.of(judgements(mended))
            ap = coco_metrics(mended.targets, mended.found, mended.names).ap or 0.0
            row = before.d_ece, after.d_ece, before.laece0, after.laece0, abs(ap - plain)
            rows.setdefault(meaning, []).append(row)
            print(model, meaning, *(f"{value:.4f}" for value in row), flush=True)
    print("| meaning | models | D-ECE before | after | LaECE₀ before | after | largest change of AP |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for meaning, of in rows.items():
        *errors, changes = zip(*of, strict=True)
        medians = " | ".join(f"{statistics.median(values):.3f}" for values in errors)
        print(f"| {meaning} | {len(of)} | {medians} | {max(changes):.5f} |")


if __name__ == "__main__":
    main()
