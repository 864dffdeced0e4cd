"""How often ``masu compare`` cries wolf, and how often it sees what is there.

    python -m studies.comparing BCCD --runs runs/comparing          # trains what is missing, then the trials

Trains twenty times with another seed (A) and ten times with fewer passes (B), from all labelled images of
``train``, and saves what each finds in ``test``. Three questions, 200 trials each, on random halves of the
test images and on all of them:

- *False alarms of two models.* Two of the twenty, whose answers are swapped image by image at random: both
  sides are equally good by construction. How often does the interval of the difference leave out 0?
- *False alarms of two ways of training.* Three or five runs against as many others of the same twenty.
- *Power.* A model against itself with boxes moved at random, by so much that AP on all images is lower by
  0.03; and runs of A against runs of B. How often is the difference seen?

Prints the tables of ``docs/compare.md``.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import masu
from masu.evaluation.comparison import difference_of
from masu.evaluation.evaluate import Scored
from masu.evaluation.metrics import coco_metrics
from masu.evaluation.resampling import Figure, Judged, image_weights, judged
from masu.records import Detections
from masu.verbs.saved import score_saved

AP = Figure("ap")

TRIALS = 200
TRIALS_A_DRAW = 10
"""Trials with the same part of the test images."""

SIDES = {"a": (20, 5), "b": (10, 3)}
"""Runs of each side, and their passes over the training images."""

LOWER = 0.03
"""AP that moved boxes cost."""


Figures = dict[Figure, np.ndarray]
Sides = tuple[list[Figures], list[Figures]]


def trained(data: Path, folder: Path) -> dict[str, list[Scored]]:
    """What every run finds in the test images; missing runs are trained, two at a time."""
    todo = [(side, seed) for side, (runs, _) in SIDES.items() for seed in range(runs)]

    def make(one: tuple[str, int]) -> None:
        side, seed = one
        run, out = folder / f"{side}-{seed}", folder / f"{side}-{seed}.json"
        if out.exists():
            return
        command = [sys.executable, "-m", "masu"]
        passes = str(SIDES[side][1])
        options = ["--epochs", passes, "--eval-every", passes, "--precision", "bf16", "--seed", str(seed)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        for verb in (
            ["train", str(data), *options, "--out", str(run)],
            ["evaluate", str(run / "last.safetensors"), str(data), "--save-predictions", str(out)],
        ):
            subprocess.run([*command, *verb], env=environment, check=True, capture_output=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, todo))
    test = masu.read_dataset(data, "test")
    return {
        side: [score_saved(folder / f"{side}-{seed}.json", test) for seed in range(runs)]
        for side, (runs, _) in SIDES.items()
    }


def swapped(one: Scored, other: Scored, draw: np.random.Generator) -> tuple[Scored, Scored]:
    """Both with their answers exchanged in a random half of the images."""
    swap = draw.random(len(one.found)) < 0.5
    pairs = [(b, a) if s else (a, b) for a, b, s in zip(one.found, other.found, swap, strict=True)]
    first, second = zip(*pairs, strict=True)
    return replace(one, found=first), replace(other, found=second)


def moved(scored: Scored, share: float, draw: np.random.Generator) -> Scored:
    """Each box moved at random by ``share`` of its width and height (standard deviation)."""

    def move(found: Detections) -> Detections:
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]).repeat(1, 2)
        boxes = found.boxes + share * sides * torch.from_numpy(draw.normal(size=sides.shape)).float()
        low = torch.minimum(boxes[:, :2], boxes[:, 2:])
        high = torch.maximum(boxes[:, :2], boxes[:, 2:])
        return Detections(torch.cat([low, high], 1), found.scores, found.labels, found.names)

    return replace(scored, found=tuple(move(found) for found in scored.found))


def ap_of(scored: Scored) -> float:
    """AP on its images."""
    return coco_metrics(scored.targets, scored.found, scored.names).ap or 0.0


def share_that_costs(scored: Scored, cost: float) -> float:
    """By how much boxes have to be moved so that AP is lower by ``cost``."""
    low, high, whole = 0.0, 0.5, ap_of(scored)
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if whole - ap_of(moved(scored, middle, np.random.default_rng(0))) < cost
            else (low, middle)
        )
    return low


class Drawn:
    """AP of every run with weighted images, of a part of the images at a time.

    Args:
        images: which of them.
    """

    def __init__(self, images: np.ndarray) -> None:
        self.images = images
        self.weights = np.concatenate([np.ones((1, len(images))), image_weights(len(images))])
        self._known: dict[int, Figures] = {}

    def of(self, scored: Scored) -> Figures:
        """AP of a run, computed once for each."""
        if id(scored) not in self._known:
            self._known[id(scored)] = self.once(scored)
        return self._known[id(scored)]

    def once(self, scored: Scored) -> Figures:
        """AP of answers that are made for one trial."""
        whole = judged(scored.targets, scored.found, scored.names)
        part = Judged(whole.images, whole.names, {k: r for k, r in whole.rankings.items() if k[1] == "all"})
        figures = part.of(self.images).figures(self.weights)
        return {AP: figures[AP]}


Pair = Callable[[np.random.Generator, Drawn], Sides]
"""Draws both sides of a trial."""


def alarms(pair: Pair, images: int, part: int) -> str:
    """Share of the trials in which the difference of a pair is told from 0, and the mean half interval.

    Args:
        pair: both sides of a trial.
        images: number of all test images.
        part: how many of them are drawn, for every ten trials anew.
    """
    told, reach = 0, []
    for trial in range(TRIALS):
        draw = np.random.default_rng(trial)
        if trial % TRIALS_A_DRAW == 0:
            drawn = Drawn(np.sort(draw.choice(images, part, replace=False)))
        ap = difference_of(AP, *pair(draw, drawn), part)
        told += ap.verdict != "not told apart"
        reach.append((ap.high - ap.low) / 2)
    return f"{told / TRIALS:.1%} (±{np.mean(reach):.3f})"


def main() -> None:
    """Train, try, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/comparing"), help="where the runs are kept")
    parser.add_argument("--only", default="", help="regular expression of the questions to ask")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    found = trained(options.data, options.runs)
    a, b = found["a"], found["b"]
    aps = {side: np.array([ap_of(run) for run in runs]) for side, runs in found.items()}
    for side, of in aps.items():
        print(f"{side}: {len(of)} runs, AP {of.mean():.4f}, standard deviation {of.std(ddof=1):.4f}")
    share = share_that_costs(a[0], LOWER)
    print(f"boxes moved by {share:.3f} of their sides cost {LOWER} AP")

    def of_models(draw: np.random.Generator, drawn: Drawn) -> Sides:
        one, other = draw.choice(len(a), 2, replace=False)
        first, second = swapped(a[one], a[other], draw)
        return [drawn.once(first)], [drawn.once(second)]

    def of_moved(draw: np.random.Generator, drawn: Drawn) -> Sides:
        one = a[draw.integers(len(a))]
        return [drawn.of(one)], [drawn.once(moved(one, share, draw))]

    def of_one_training(count: int) -> Pair:
        def pair(draw: np.random.Generator, drawn: Drawn) -> Sides:
            rows = draw.choice(len(a), 2 * count, replace=False)
            return [drawn.of(a[row]) for row in rows[:count]], [drawn.of(a[row]) for row in rows[count:]]

        return pair

    def of_two_trainings(count: int) -> Pair:
        def pair(draw: np.random.Generator, drawn: Drawn) -> Sides:
            ours, theirs = (draw.choice(len(runs), count, replace=False) for runs in (a, b))
            return [drawn.of(a[row]) for row in ours], [drawn.of(b[row]) for row in theirs]

        return pair

    images = len(a[0].paths)
    print(f"| what | {images // 2} images | {images} images |\n| --- | --- | --- |")
    rows = {
        "two models that are equally good: told apart": of_models,
        "3 and 3 runs of the same training: told apart": of_one_training(3),
        "5 and 5 runs of the same training: told apart": of_one_training(5),
        f"a model and itself with {LOWER} less AP: told apart": of_moved,
        "1 run of A and 1 of B: told apart": of_two_trainings(1),
        "3 runs of A and 3 of B: told apart": of_two_trainings(3),
        "5 runs of A and 5 of B: told apart": of_two_trainings(5),
    }
    for name, pair in rows.items():
        if not re.search(options.only, name):
            continue
        print(
            f"| {name} | {alarms(pair, images, images // 2)} | {alarms(pair, images, images)} |", flush=True
        )


if __name__ == "__main__":
    main()
