"""Are calibrated scores worth what they say on images that nobody has looked at?

    python -m studies.calibration BCCD runs/comparing/a-*/last.safetensors
    masu train CARDS/images --epochs 4 --eval-every 4 --precision bf16 --seed 0 --out runs/cards-0     # and 1
    python -m studies.calibration CARDS/images runs/cards-*/last.safetensors

For each model the lines are fitted on the split ``val``, or, where there is none, on a random half of
``test``, and judged on the rest: D-ECE, LaECE₀ and AP. Both together are also cut in two at random, a hundred
times: thresholds that promise a recall of 0.9 are chosen on one half, and their recall is measured on the
other. Prints the rows of ``docs/calibration.md``.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

import masu
from masu.evaluation.calibration import CalibrationErrors, calibrated, fit, judgements
from masu.evaluation.evaluate import Scored, score
from masu.evaluation.guarantees import finders, recall_thresholds
from masu.evaluation.matches import match_image
from masu.evaluation.metrics import coco_metrics
from masu.words import Meaning

TRIALS = 100
RECALL = 0.9


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


def kept_promise(scored: Scored, model: int) -> float | None:
    """Mean recall on halves of the images with thresholds of the other halves; None: none was promised."""
    matches = [match_image(t, d) for t, d in zip(scored.targets, scored.found, strict=True)]
    recalls = []
    for trial in range(TRIALS):
        order = np.random.default_rng(1000 * model + trial).permutation(len(matches))
        chosen, others = ([matches[i] for i in part] for part in np.array_split(order, 2))
        try:
            thresholds = recall_thresholds(chosen, scored.names, RECALL)
        except masu.InputError:
            return None
        for k, name in enumerate(scored.names):
            shares = [
                float((found >= thresholds[name]).mean())
                for found in (finders(match, k) for match in others)
                if len(found)
            ]
            recalls.append(statistics.mean(shares))
    return statistics.mean(recalls)


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    options = parser.parse_args()
    rows: dict[str, list[tuple[float, ...]]] = {}
    for number, model in enumerate(options.models):
        fitting, judging = parts(model, options.data, number)
        both = [fitting, judging]
        pooled = replace(
            judging,
            paths=tuple(path for one in both for path in one.paths),
            targets=tuple(target for one in both for target in one.targets),
            found=tuple(found for one in both for found in one.found),
        )
        recall = kept_promise(pooled, number)
        print(model, f"recall of {TRIALS} halves with {RECALL} promised:", recall, flush=True)
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
