"""The bench that decides about the recipe: sets, numbers of labels, budgets, recipes and seeds.

    python -m studies.bench --cells BCCD --cards CARDS/images            # what docs/models.json does not hold
    python -m studies.bench --cells BCCD --only "cells .* 480 steps"         # runs whose line matches
    python -m studies.bench --cells BCCD --recipe 'giou={"box_loss": "giou"}' --json tried.json
    python -m studies.bench --cells BCCD --recipe before={} --code ../earlier --json tried.json

Trains on ``train`` and scores the last state on ``test``: nothing is chosen by looking at a score. Two
recipes are compared in pairs: the same seed draws the same labelled images. A budget is a number of steps,
which means the same on every machine, or of seconds on an idle one, all processors for one run. Each finished
run is written at once, so that the command can be stopped and repeated. At the end it prints the table of
``docs/models.md`` and draws its chart.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from masu.atomic import write_text

RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "torchvision": {},
    "one stage": {"architecture": "retinanet_lite0_fpn"},
    "cascade": {"architecture": "cascade_rcnn_lite0_fpn"},
}
"""Fields of ``masu.TrainSettings`` that a recipe sets; torchvision's has none (``torchvision_baseline``)."""

LABELS = (10, 20, 50, None)
"""Labelled images; None: all of the split."""

BUDGETS = ("480 steps", "1440 steps", "3600 steps")
"""About 40 seconds, 2 and 5 minutes of the small default on two cores of 2024; rounded to whole passes."""

SEEDS = 5


@dataclass(frozen=True)
class Run:
    """One training and its score.

    Attributes:
        set: which data.
        labels: images that it learns from; None: all.
        budget: ``"480 steps"`` or ``"40 s"``.
        recipe: a name of ``RECIPES``, or that of another checkout.
        seed: of the images drawn and of the training.
    """

    set: str
    labels: int | None
    budget: str
    recipe: str
    seed: int

    def __str__(self) -> str:
        return f"{self.set} {self.labels or 'all'} labels {self.budget} {self.recipe} {self.seed}"

    @property
    def alone(self) -> bool:
        """Whether it needs the machine for itself."""
        return self.budget.endswith(" s")


@dataclass
class Results:
    """The finished runs and their figures, in a file."""

    path: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.rows = json.loads(self.path.read_text())

    def has(self, run: Run) -> bool:
        """Whether it was measured before."""
        return any(asdict(run).items() <= row.items() for row in self.rows)

    def add(self, run: Run, figures: dict[str, Any]) -> None:
        """Keep a run, at once on the disk."""
        with self.lock:
            self.rows.append(asdict(run) | figures)
            lines = ",\n".join(json.dumps(row) for row in sorted(self.rows, key=_place))
            write_text(self.path, f"[\n{lines}\n]\n")

    def scores(self, figure: str, **fixed: Any) -> dict[int, float]:
        """A figure of the runs with these settings, by seed."""
        return {row["seed"]: row[figure] for row in self.rows if fixed.items() <= row.items()}


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    steps = float(row["budget"].split()[0])
    return row["set"], row["labels"] or 10**9, row["budget"][-1], steps, row["recipe"], row["seed"]


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of paired differences, by Student's t: few seeds make it wide."""
    from scipy import stats

    mean, error = statistics.mean(differences), statistics.stdev(differences) / len(differences) ** 0.5
    reach = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return mean - reach, mean + reach


def measure(run: Run, folder: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """Train and score; the masu that is imported is the one that is measured."""
    import masu
    from masu import Augmentation
    from masu.data.loading.loader import batch_count

    train, test = (masu.read_dataset(folder, split) for split in ("train", "test"))
    if run.labels is not None:
        train = train.take(sorted(random.Random(run.seed).sample(range(len(train)), run.labels)))
    mirrored = Augmentation(horizontal_flip=0.0) if run.set == "demo" else Augmentation()  # digits have none
    amount = float(run.budget.split()[0])
    started = time.perf_counter()
    detector: Any
    if run.recipe == "torchvision":
        from studies import torchvision_baseline

        detector, seconds, steps = torchvision_baseline.train(train, amount, run.seed, mirrored)
    else:
        changes = {"seed": run.seed} | recipe
        changes["augmentation"] = replace(mirrored, **recipe.get("augmentation", {}))
        passes = max(round(amount / batch_count(train, changes.get("batch_size", 2))), 1)  # whole ones
        limit = {"time_budget": amount} if run.alone else {"epochs": passes}
        steps = 0

        def count(event: dict[str, Any]) -> None:
            nonlocal steps
            steps += event["event"] == "step"

        with tempfile.TemporaryDirectory() as place:
            settings = masu.TrainSettings(**limit | changes)
            result = masu.train(train, None, settings, Path(place) / "run", report=count)
            detector, seconds = masu.load(result.last), result.seconds
    metrics = masu.evaluate(detector, test)
    return {
        "ap50": round(metrics.ap50 or 0.0, 4),
        "ap": round(metrics.ap or 0.0, 4),
        "seconds": round(seconds, 1),
        "steps": steps,
        "wall": round(time.perf_counter() - started, 1),
    }


def _apart(run: Run, folder: Path, recipe: dict[str, Any], code: Path | None) -> dict[str, Any]:
    """:func:`measure` in a process of its own."""
    ways = [str(code / "src")] if code else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*ways, str(Path(__file__).parents[1])])}
    if not run.alone:
        environment |= {"OMP_NUM_THREADS": "1"}
    order = [json.dumps(asdict(run)), str(folder), json.dumps(recipe)]
    command = [sys.executable, "-m", "studies.bench", "--one", *order]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{run}: {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _recipe(given: str) -> tuple[str, dict[str, Any]]:
    name, _, changes = given.partition("=")
    if not changes and name not in RECIPES:
        raise argparse.ArgumentTypeError(f"found {given!r}, wanted NAME=JSON or one of {', '.join(RECIPES)}")
    return name, json.loads(changes) if changes else RECIPES[name]


def grid(sets: Sequence[str], recipes: Sequence[str], seeds: int) -> Iterator[Run]:
    """Every run, all recipes of a seed before the next seed: stopped early, the pairs are whole."""
    for seed in range(seeds):
        for name in sets:
            for labels in LABELS:
                for budget in BUDGETS:
                    for recipe in recipes:
                        if recipe != "torchvision":  # whose steps cost five times as much
                            yield Run(name, labels, budget, recipe, seed)


def clocked(sets: Sequence[str], recipes: Sequence[str], seeds: int) -> Iterator[Run]:
    """The runs by the clock, all labels."""
    for seed in range(seeds):
        for name in sets:
            for budget in ("40 s", "120 s", "300 s"):
                for recipe in recipes:
                    yield Run(name, None, budget, recipe, seed)


def table(results: Results, recipe: str, baseline: str) -> str:
    """Medians of a recipe beside AP of another, and what their pairs differ by, as Markdown."""
    lines = [f"| set | labels | budget | AP50 | AP | AP, {baseline} | difference of pairs | seeds |"]
    lines.append("| --- " * 8 + "|")
    cells = dict.fromkeys((row["set"], row["labels"], row["budget"]) for row in results.rows)
    for name, labels, budget in cells:
        fixed = {"set": name, "labels": labels, "budget": budget}
        now = results.scores("ap", recipe=recipe, **fixed)
        earlier = results.scores("ap", recipe=baseline, **fixed)
        if not now:
            continue
        ap50 = statistics.median(results.scores("ap50", recipe=recipe, **fixed).values())
        pairs = [now[seed] - earlier[seed] for seed in sorted(now.keys() & earlier.keys())]
        was = f"{statistics.median(earlier.values()):.3f}" if earlier else ""
        difference = ""
        if len(pairs) > 1:
            low, high = interval(pairs)
            difference = f"{statistics.mean(pairs):+.3f} ({low:+.3f} … {high:+.3f})"
        lines.append(
            f"| {name} | {labels or 'all'} | {budget} | {ap50:.3f} | {statistics.median(now.values()):.3f} | "
            f"{was} | {difference} | {len(now)} |"
        )
    return "\n".join(lines)


def draw(results: Results, path: Path) -> None:
    """AP of every seed and the median of each recipe: one panel for each set and number of labels."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = list(dict.fromkeys((row["set"], row["labels"]) for row in results.rows))
    recipes = list(dict.fromkeys(row["recipe"] for row in results.rows))
    across = min(len(panels), 4)
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(3.2 * across, 3.2 * down), layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    for axis, (name, labels) in zip(axes.flat, panels, strict=False):
        rows = [row for row in results.rows if (row["set"], row["labels"]) == (name, labels)]
        budgets = list(dict.fromkeys(row["budget"] for row in rows))
        for number, recipe in enumerate(recipes):
            aps = {
                b: list(results.scores("ap", set=name, labels=labels, budget=b, recipe=recipe).values())
                for b in budgets
            }
            places = [
                (i + 0.8 * (number + 0.5) / len(recipes) - 0.4, aps[b])
                for i, b in enumerate(budgets)
                if aps[b]
            ]
            for place, found in places:
                axis.plot([place] * len(found), found, ".", color=f"C{number}", alpha=0.5)
                axis.plot(
                    place, statistics.median(found), "_", color=f"C{number}", markersize=14, markeredgewidth=2
                )
            axis.plot([], [], "_", color=f"C{number}", markeredgewidth=2, label=recipe)
        axis.set_title(f"{name}, {labels or 'all'} labels", fontsize=9)
        axis.set_xticks(range(len(budgets)), budgets, fontsize=8)
        axis.set_xlim(-0.5, len(budgets) - 0.5)
        axis.grid(axis="y", alpha=0.3)
    axes[0][0].set_ylabel("AP on the test split")
    axes[0][0].legend(fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure what is missing, then print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cells", type=Path, help="blood cells: folder of BCCD")
    parser.add_argument("--cards", type=Path, help="playing cards: folder with train and test")
    parser.add_argument("--json", type=Path, help="results; default: docs/models.json")
    parser.add_argument("--chart", type=Path, help="default: beside the results")
    parser.add_argument("--only", default="", help="regular expression of the runs to make")
    parser.add_argument("--recipe", type=_recipe, action="append", help="NAME or NAME=JSON; default: all")
    parser.add_argument("--code", type=Path, help="another checkout whose masu is measured")
    parser.add_argument("--compare", nargs=2, default=("plain", "before"), metavar=("RECIPE", "BASELINE"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs by steps side by side")
    parser.add_argument("--one", nargs=3, metavar=("RUN", "FOLDER", "RECIPE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    tried = options.code or any(RECIPES.get(name) != changes for name, changes in options.recipe or ())
    if tried and not options.json:
        parser.error("--recipe NAME=JSON and --code want --json FILE: docs/models.json is of masu's recipes")
    if options.one:
        order, folder, changes = options.one
        print(json.dumps(measure(Run(**json.loads(order)), Path(folder), json.loads(changes))))
        return

    results = Results(options.json or Path("docs/models.json"))
    with tempfile.TemporaryDirectory() as scenes:
        from masu.verbs.demo_scenes import make_scenes

        make_scenes(Path(scenes) / "demo", 360, 60, 60, 0)
        folders = {"cells": options.cells, "cards": options.cards, "demo": Path(scenes) / "demo"}
        sets = [name for name, folder in folders.items() if folder is not None]
        recipes = dict(options.recipe or RECIPES)
        wanted = [*grid(sets, list(recipes), options.seeds), *clocked(sets, list(recipes), options.seeds)]
        todo = [run for run in wanted if re.search(options.only, str(run)) and not results.has(run)]

        def make(run: Run) -> None:
            figures = _apart(run, folders[run.set], recipes[run.recipe], options.code)
            results.add(run, figures)
            print(f"{run}: " + "  ".join(f"{name} {value}" for name, value in figures.items()), flush=True)

        with ThreadPoolExecutor(options.jobs) as pool:
            try:
                list(pool.map(make, [run for run in todo if not run.alone]))
            finally:
                pool.shutdown(cancel_futures=True)  # after a failure or Ctrl-C
        for run in todo:
            if run.alone:
                make(run)
    print(table(results, *options.compare))
    draw(results, options.chart or results.path.with_suffix(".png"))


if __name__ == "__main__":
    main()
