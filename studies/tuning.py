"""Is a tuned model ever worse on images that nobody has looked at?

    python -m studies.tuning --cells BCCD --cards CARDS/images          # trains a model for each set and seed
    python -m studies.tuning --cells BCCD --models cells='runs/a-*'     # takes the runs that are there

``masu tune`` chooses on some images, and the tuned model is compared with the model on others: the splits
val and test, and of the cards, which have no val, two random halves of test. Prints the table of
``docs/tune.md``.
"""

from __future__ import annotations

import argparse
import glob
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import masu
from masu.data.dataset import Dataset

STEPS = 480


def sets(
    options: argparse.Namespace, scenes: Path
) -> Iterator[tuple[str, Dataset, tuple[Dataset, Dataset] | None]]:
    """The sets: what is trained on, and what is tuned and judged on; None: halves of test."""
    from masu.verbs.demo_scenes import make_scenes

    if options.cells is not None:
        chosen = masu.read_dataset(options.cells, "val"), masu.read_dataset(options.cells, "test")
        yield "blood cells", masu.read_dataset(options.cells, "train"), chosen
    if options.cards is not None:
        yield "playing cards", masu.read_dataset(options.cards, "train"), None
    make_scenes(scenes / "demo", 240, 60, 60, 0)
    chosen = masu.read_dataset(scenes / "demo", "val"), masu.read_dataset(scenes / "demo", "test")
    yield "digits of `masu demo`", masu.read_dataset(scenes / "demo", "train"), chosen


def halves(data: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """The images of a data set in two random parts."""
    order = np.random.default_rng(seed).permutation(len(data))
    return data.take(order[::2]), data.take(order[1::2])


def trained(data: Dataset, seed: int, place: Path) -> Path:
    """A model of a short training; digits have no mirror image."""
    mirrored = masu.Augmentation(horizontal_flip=0.0 if data.names[0] == "0" else 0.5)
    passes = max(round(STEPS / (len(data) / 2)), 1)
    settings = masu.TrainSettings(epochs=passes, precision="auto", seed=seed, augmentation=mirrored)
    return masu.train(data, settings=settings, out=place / f"run-{seed}").last


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=Path, help="the blood cells, BCCD")
    parser.add_argument("--cards", type=Path, help="the playing cards, their folder images")
    parser.add_argument(
        "--models", action="append", default=[], metavar="SET=PATTERN", help="runs that are there"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--time-budget", type=float, default=300.0)
    options = parser.parse_args()
    runs = {
        name: sorted(glob.glob(pattern)) for name, _, pattern in (m.partition("=") for m in options.models)
    }
    print("| set | model | kept | AP where it was tuned | AP on other images | difference | 95 % interval |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as place:
        for name, data, parts in sets(options, Path(place)):
            known = runs.get(name.split()[-1].strip("`"), ())
            for seed in range(options.seeds):
                model = (
                    Path(known[seed]) / "last.safetensors"
                    if seed < len(known)
                    else trained(data, seed, Path(place) / name.split()[0])
                )
                tune_on, judge_on = parts or halves(masu.read_dataset(options.cards, "test"), seed)
                done = masu.tune(model, tune_on, time_budget=options.time_budget)
                kept = [f"{one.setting} {one.before:g} → {one.after:g}" for one in done.tries if one.kept]
                before = done.tries[0].ap.a
                after = next((one.ap.b for one in reversed(done.tries) if one.kept), before)
                row = [name, str(seed), ", ".join(kept) or "nothing", f"{before:.3f} → {after:.3f}"]
                if kept:
                    ap = masu.compare(model, done.detector, judge_on).figures["ap"]
                    row += [
                        f"{ap.a:.3f} → {ap.b:.3f}",
                        f"{ap.difference:+.3f}",
                        f"{ap.low:+.3f} … {ap.high:+.3f}",
                    ]
                else:
                    row += ["the same", "0", ""]
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
