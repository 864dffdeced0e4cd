"""Does tuning repair what is set badly and leave alone what is set well, on images that nobody looked at?

    python -m studies.tuning --cells BCCD --cards CARDS/images --models runs --out docs/tuning.json

A short training for each set and seed, or the model that is at ``MODELS/SET-SEED/last.safetensors``. Each is
tuned as it is, and with one setting made worse. ``masu tune`` chooses on some images, and the tuned model is
compared with the same model before on others: the splits val and test, and of the cards, which have no val,
two random halves of test. Prints the table of ``docs/tune.md``; rows of other sets in OUT stay.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import masu
from masu.atomic import write_text
from masu.data.dataset import Dataset
from masu.detectors.detector import Detector
from masu.explanation.tuning import tune

STEPS = 240


def with_setting(stage: str, name: str, value: float) -> Callable[[Detector], None]:
    """A detector's setting made another."""

    def change(detector: Detector) -> None:
        detector.config = detector.config.with_setting(stage, name, value)

    return change


def half_the_size(detector: Detector) -> None:
    """Images of half the size."""
    pyramid = detector.config.pyramid
    small = pyramid.input.of_size(pyramid.input.min_size // 2)
    detector.config = detector.config.with_pyramid(replace(pyramid, input=small))


SPOILED: dict[str, Callable[[Detector], None]] = {
    "as trained": lambda detector: None,
    "suppression at IoU 0.8": with_setting("detections", "nms_thresh", 0.8),
    "at most 20 proposals": with_setting("proposals", "post_nms_top_n", 20),
    "scores above 0.3 only": with_setting("detections", "score_thresh", 0.3),
    "half the image size": half_the_size,
}


def sets(
    options: argparse.Namespace, scenes: Path
) -> Iterator[tuple[str, Dataset, tuple[Dataset, Dataset] | None]]:
    """The sets: what is trained on, and what is tuned and judged on; None: halves of the cards' test."""
    from masu.verbs.demo_scenes import make_scenes

    if options.cells is not None:
        chosen = masu.read_dataset(options.cells, "val"), masu.read_dataset(options.cells, "test")
        yield "cells", masu.read_dataset(options.cells, "train"), chosen
    if options.cards is not None:
        yield "cards", masu.read_dataset(options.cards, "train"), None
    if options.digits:
        make_scenes(scenes / "demo", 240, 60, 60, 0)
        chosen = masu.read_dataset(scenes / "demo", "val"), masu.read_dataset(scenes / "demo", "test")
        yield "digits", masu.read_dataset(scenes / "demo", "train"), chosen


def halves(data: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """The images of a data set in two random parts."""
    order = np.random.default_rng(seed).permutation(len(data))
    return data.take(order[::2]), data.take(order[1::2])


def model_of(place: Path, name: str, data: Dataset, seed: int) -> Path:
    """The model of a set and seed, trained where it is not there; digits have no mirror image."""
    run = place / f"{name}-{seed}"
    if not (run / "last.safetensors").exists():
        mirrored = masu.Augmentation(horizontal_flip=0.0 if name == "digits" else 0.5)
        passes = max(round(STEPS / (len(data) / 2)), 1)
        settings = masu.TrainSettings(epochs=passes, precision="auto", seed=seed, augmentation=mirrored)
        masu.train(data, settings=settings, out=run)
    return run / "last.safetensors"


def row_of(
    model: Path, spoil: Callable[[Detector], None], tune_on: Dataset, judge_on: Dataset, seconds: float
) -> dict[str, Any]:
    """One model, tuned, and what came of it on other images."""
    detector = masu.load(model)
    spoil(detector)
    start = time.perf_counter()
    done = tune(detector, tune_on, seconds=seconds)
    took = time.perf_counter() - start
    kept = [f"{one.name} {one.before:g} → {one.after:g}" for one in done.kept]
    before, after = done.tries[0].ap.a, next((t.ap.b for t in reversed(done.tries) if t.kept), None)
    row: dict[str, Any] = {
        "kept": kept,
        "tries": [f"{one.name} {one.before:g} → {one.after:g}" for one in done.tries],
        "left_out": list(done.left_out),
        "faster": [f"{one.name} {one.before:g} → {one.after:g}" for one in done.faster],
        "tuned_on": {"images": len(tune_on), "before": before, "after": after or before},
        "judged_on": None,
        "seconds": took,
    }
    if kept:
        ap = masu.compare(detector, done.detector, judge_on).figures["ap"]
        row["judged_on"] = {"images": len(judge_on)} | ap.as_dict()
    return row


def printed(row: dict[str, Any]) -> str:
    """A line of the table."""
    tuned, judged = row["tuned_on"], row["judged_on"]
    where = f"{tuned['before']:.3f} → {tuned['after']:.3f}" if judged else f"{tuned['before']:.3f}"
    other = ["the same", ""]
    if judged:
        other = [
            f"{judged['a']:.3f} → {judged['b']:.3f}",
            f"{judged['difference']:+.3f} ({judged['low']:+.3f} … {judged['high']:+.3f})".replace("-", "−"),
        ]
    cells = [
        row["set"],
        str(row["seed"]),
        row["settings"],
        "; ".join(row["kept"]) or "nothing",
        where,
        *other,
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=Path, help="the blood cells, BCCD")
    parser.add_argument("--cards", type=Path, help="the playing cards, their folder images")
    parser.add_argument("--no-digits", dest="digits", action="store_false", help="without those of masu demo")
    parser.add_argument("--models", type=Path, required=True, help="folder of the models, made where needed")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--spoiled-seeds", type=int, default=1, help="of these the settings are spoiled, too")
    parser.add_argument("--time-budget", type=float, default=600.0)
    parser.add_argument("--out", type=Path, help="JSON of all rows")
    options = parser.parse_args()
    known = json.loads(options.out.read_text("utf-8")) if options.out and options.out.exists() else []
    rows = {(row["set"], row["seed"], row["settings"]): row for row in known}
    print("| set | seed | settings | kept | AP where it was tuned | AP on other images | difference (95 %) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as place:
        for name, data, parts in sets(options, Path(place)):
            for seed in range(options.seeds):
                model = model_of(options.models, name, data, seed)
                tune_on, judge_on = parts or halves(masu.read_dataset(options.cards, "test"), seed)
                for words, spoil in SPOILED.items():
                    if seed >= options.spoiled_seeds and words != "as trained":
                        continue
                    found = row_of(model, spoil, tune_on, judge_on, options.time_budget)
                    row = {"set": name, "seed": seed, "settings": words} | found
                    rows[name, seed, words] = row
                    print(printed(row), flush=True)
                    if options.out is not None:
                        write_text(options.out, json.dumps(list(rows.values()), indent=1) + "\n")


if __name__ == "__main__":
    main()
