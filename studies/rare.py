"""Does ``--balance`` find rare classes? Playing cards, two of whose six classes are made rare.

    python -m studies.rare CARDS/images            # docs/rare.json gets what it does not hold, and a table

Of the training photographs with a jack or a nine all but some are left out, drawn by the seed, so that about
ten of each remain. Both ways train for about 450 steps in whole epochs, which are longer with ``--balance``.
Scored is the last state, on the whole test split.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path
from typing import Any

import masu
from masu.atomic import write_text
from masu.data.dataset import Dataset
from masu.data.loading.repeats import repeat_factors, shown_in_all
from studies.bench import interval

RARE = ("jack", "nine")
KEPT = 10
"""Photographs with each of the rare classes."""
STEPS = 450


def thinned(data: Dataset, seed: int) -> Dataset:
    """The data set with few photographs of the rare classes."""
    classes = [{data.names[label] for label in target.labels.tolist()} for _, target in data]
    kept = {i for i, own in enumerate(classes) if not own & set(RARE)}
    draw = random.Random(seed)
    for name in RARE:
        others = set(RARE) - {name}
        kept |= set(
            draw.sample([i for i, own in enumerate(classes) if name in own and not own & others], KEPT)
        )
    return data.take(sorted(kept))


def measure(folder: Path, balance: bool, seed: int) -> dict[str, Any]:
    """Train and score one way."""
    train, test = thinned(masu.read_dataset(folder, "train"), seed), masu.read_dataset(folder, "test")
    shown = shown_in_all(repeat_factors(train)) if balance else len(train)
    epochs = round(STEPS / (shown / 2))
    with tempfile.TemporaryDirectory() as place:
        settings = masu.TrainSettings(epochs=epochs, seed=seed, precision="bf16", balance=balance)
        result = masu.train(train, None, settings, Path(place) / "run")
        metrics = masu.evaluate(masu.load(result.last), test)
    aps = {name: one.ap or 0.0 for name, one in metrics.per_class.items()}
    rare = [aps.pop(name) for name in RARE]
    return {
        "balance": balance,
        "seed": seed,
        "images": len(train),
        "steps": epochs * -(-shown // 2),
        "rare": round(statistics.mean(rare), 4),
        "others": round(statistics.mean(aps.values()), 4),
        "ap": round(metrics.ap or 0.0, 4),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Means of both ways and the difference of the pairs, as Markdown."""
    lines = ["| AP of | plain | `--balance` | difference of pairs |", "| --- | --- | --- | --- |"]
    for name, said in (("rare", "the two rare classes"), ("others", "the four others"), ("ap", "all")):
        ways = [{row["seed"]: row[name] for row in rows if row["balance"] is way} for way in (False, True)]
        pairs = [ways[1][seed] - ways[0][seed] for seed in sorted(ways[0].keys() & ways[1].keys())]
        low, high = interval(pairs)
        means = " | ".join(f"{statistics.mean(way.values()):.3f}" for way in ways)
        lines.append(f"| {said} | {means} | {statistics.mean(pairs):+.3f} ({low:+.3f} … {high:+.3f}) |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("cards", type=Path, help="playing cards: folder with train and test")
    parser.add_argument("--json", type=Path, default=Path("docs/rare.json"))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--most", type=int, default=100, help="trainings of this call")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(options.json.read_text()) if options.json.exists() else []
    ways = [(seed, balance) for seed in range(options.seeds) for balance in (False, True)]
    done = {(row["seed"], row["balance"]) for row in rows}
    for seed, balance in [way for way in ways if way not in done][: options.most]:
        rows.append(measure(options.cards, balance, seed))
        print(rows[-1], flush=True)
        lines = ",\n".join(json.dumps(row) for row in rows)
        write_text(options.json, f"[\n{lines}\n]\n")
    if len(rows) > 3:
        print(table(rows))


if __name__ == "__main__":
    main()
