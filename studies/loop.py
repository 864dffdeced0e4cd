"""Does ``masu label`` save work? Sittings simulated with the true labels: draft, correct, train, again.

    python -m studies.loop runs/loop --cells BCCD --cards CARDS/images        # three sets, five seeds
    python -m studies.loop runs/loop --cells BCCD --only "cells random 0"     # one of the sittings
    python -m studies.loop runs/loop --report loop.json                       # the table of docs/label.md

A sitting labels the same 200 photographs from the first to the last. Twenty are drawn by hand; then, and
after 40, 80 and 140, a model learns from what is labelled, and its drafts are corrected to the true labels.
Every fifth labelled photograph, drawn at random in either order, is held back from learning; on these the
scores are chosen from which drafts are shown. Two orders of the photographs are compared, at random and as
:mod:`masu.labelling.choice` has it. Both start with the same twenty, and end with the same 200, so that what
differs is the work between. Each model is also scored on test photographs that are in no sitting.

A finished sitting is one JSON file, so that the command can be stopped and repeated.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import masu
from masu.atomic import write_text
from masu.data.audit.fingerprints import fingerprint_images, near_duplicates
from masu.data.dataset import Dataset
from masu.data.pixels.images import read_pixels
from masu.detectors.looking import Look, looks
from masu.evaluation.evaluate import score
from masu.labelling.choice import Open, in_order
from masu.labelling.edits import COSTS, Edits, edits_between
from masu.labelling.learning import learn

ROUNDS = (20, 40, 80, 140, 200)
"""Labelled photographs at which a model is trained; after the last nothing is left to draft."""

STEPS = 400
"""Of each training, at least: whole passes. About what ``masu label`` makes in 40 s of two idle cores."""

EVERY = 5
"""One labelled photograph of so many is held back."""

SEEDS = 5
ORDERS = ("random", "choice")
TEST = 60


def sets(options: argparse.Namespace) -> Iterator[tuple[str, Dataset, Dataset]]:
    """The sets by name: photographs to label, and photographs to test on."""
    from masu.verbs.demo_scenes import make_scenes

    scenes = options.out / "scenes"
    if not scenes.exists():
        make_scenes(scenes, 300, 1, TEST, 0)
    for name, folder, split in (
        ("cells", options.cells, "trainval"),
        ("cards", options.cards, "train"),
        ("digits", scenes, "train"),
    ):
        if folder is not None:
            test = masu.read_dataset(folder, "test")
            yield name, masu.read_dataset(folder, split), test.take(range(min(TEST, len(test))))


UPRIGHT = "digits"
"""The set whose objects are no longer themselves in a mirror, as ``masu label --no-flip`` takes them."""


def settings_of(name: str, seed: int) -> masu.TrainSettings:
    """How to train on a set: masu's recipe."""
    augmentation = masu.Augmentation(horizontal_flip=0.0) if name == UPRIGHT else masu.Augmentation()
    return masu.TrainSettings(precision="auto", seed=seed, augmentation=augmentation)


def sitting(name: str, data: Dataset, test: Dataset, seed: int, order: str, options: Any) -> dict[str, Any]:
    """All rounds of one sitting: the edits of each, and how good each model is."""
    draw = np.random.default_rng(seed)
    pool = data.take(np.sort(draw.permutation(len(data))[: ROUNDS[-1]]))
    still = draw.permutation(len(pool)).tolist()
    labelled, still = still[: ROUNDS[0]], still[ROUNDS[0] :]
    counts = np.diff(pool.starts)
    groups = groups_of(pool)
    first = int(counts[labelled].sum())
    tta = options.tta and name != UPRIGHT
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="masu-loop-") as place:
        model: Path | None = None
        for before, after in pairwise(ROUNDS):
            started = time.perf_counter()
            beginning = options.out / f"first-{name}-{seed}.safetensors" if model is None else None
            model, said = learnt(
                pool,
                labelled,
                test,
                Path(place) / str(before),
                model,
                settings_of(name, seed),
                tta,
                beginning,
                options,
            )
            network = masu.load(model).prediction_network()
            if order == "random":
                chosen = still[: after - before]
                found = looks(network, pixels_of(pool, chosen), tta=tta)
                seen = dict(zip(chosen, found, strict=True))
            else:
                found = looks(network, pixels_of(pool, range(len(pool))), tta=tta)
                seen = dict(enumerate(found))
                asked = [
                    Open(seen[at].detections.scores.numpy(), seen[at].feature.numpy(), groups[at])
                    for at in still
                ]
                known = np.stack([seen[at].feature.numpy() for at in labelled])
                best = in_order(asked, known, [groups[at] for at in labelled])
                chosen = with_chance([still[at] for at in best], range(before, after), draw)
            edits = sum((edits_of(pool, at, seen[at], said["thresholds"]) for at in chosen), Edits())
            rounds.append(
                {"labelled": before, "edits": asdict(edits), "boxes": int(counts[chosen].sum())}
                | said
                | {"wall": time.perf_counter() - started}
            )
            labelled += chosen
            still = [at for at in still if at not in set(chosen)]
            print(name, order, seed, before, said["ap50_test"], edits, flush=True)
    return {
        "set": name,
        "seed": seed,
        "order": order,
        "steps": options.steps,
        "first": first,
        "rounds": rounds,
    }


def with_chance(order: Sequence[int], places: range, draw: np.random.Generator) -> list[int]:
    """The photographs of a round: those that will be held back at random, the others in their order.

    What is chosen for being hard would make a model look worse than it is and raise the scores from which
    drafts are shown; and it would not be learnt from.
    """
    held = [place for place in places if is_held_back(place)]
    by_chance = draw.permutation(order)[: len(held)].tolist()
    best = iter([at for at in order if at not in set(by_chance)])
    chance = iter(by_chance)
    return [next(chance if is_held_back(place) else best) for place in places]


def is_held_back(place: int) -> bool:
    """Whether the photograph that is labelled at this place, from 0, is held back."""
    return place >= EVERY and place % EVERY == 0


def groups_of(pool: Dataset) -> list[int]:
    """Of each photograph the number of its group of photographs that show the same."""
    groups = list(range(len(pool)))
    for group in near_duplicates(fingerprint_images(list(pool.paths), workers=1)):
        for at in group:
            groups[at] = group[0]
    return groups


def learnt(
    pool: Dataset,
    labelled: Sequence[int],
    test: Dataset,
    run: Path,
    weights: Path | None,
    settings: masu.TrainSettings,
    tta: bool,
    beginning: Path | None,
    options: argparse.Namespace,
) -> tuple[Path, dict[str, Any]]:
    """A model of what is labelled, and its figures; the first of a seed is the same in both orders."""
    if beginning is not None and beginning.with_suffix(".json").exists():
        return beginning, json.loads(beginning.with_suffix(".json").read_text())
    held = [at for place, at in enumerate(labelled) if is_held_back(place)]
    teaching = [at for at in labelled if at not in set(held)]
    learned = learn(
        pool.take(teaching),
        pool.take(held),
        run,
        steps=options.steps,
        weights=weights if options.warm else None,
        settings=settings,
        tta=tta,
    )
    said = learned.as_dict()
    del said["model"]
    said["ap50_test"] = score(masu.load(learned.model), test, batch_size=4).metrics.ap50
    if beginning is not None:
        shutil.copy(learned.model, beginning)
        write_text(beginning.with_suffix(".json"), json.dumps(said))
    return learned.model, said


def pixels_of(pool: Dataset, chosen: Iterable[int]) -> Iterator[torch.Tensor]:
    """The photographs, one after the other."""
    return (read_pixels(pool.paths[at]) for at in chosen)


def edits_of(pool: Dataset, at: int, look: Look, thresholds: Mapping[str, float]) -> Edits:
    """What it takes to correct the drafts of a photograph to its true labels."""
    shown = look.detections.above(thresholds)
    rows = pool.objects(at)
    names = [pool.names[label] for label in pool.labels[rows].tolist()]
    return edits_between(shown.boxes.numpy(), shown.names, pool.boxes[rows], names)


def of_sitting(said: dict[str, Any]) -> dict[str, float]:
    """A sitting in figures: what a person did, by hand and with drafts, and how good the models were."""
    edits = sum((Edits(**one["edits"]) for one in said["rounds"]), Edits())
    drawn = said["first"] + edits.drawn
    boxes = said["first"] + sum(one["boxes"] for one in said["rounds"])
    whole = replace(edits, drawn=drawn)
    by_hand = Edits(drawn=boxes)
    return {
        "boxes": boxes,
        "drawn": drawn,
        "moved": edits.moved,
        "relabelled": edits.relabelled,
        "deleted": edits.deleted,
        "accepted": edits.accepted,
        "edits": whole.count,
        "fewer": 1 - whole.count / by_hand.count,
        "fewer_with_drafts": 1 - edits.count / (boxes - said["first"]),
        "minutes_by_hand": by_hand.seconds() / 60,
        "minutes": whole.seconds() / 60,
        "quicker": 1 - whole.seconds() / by_hand.seconds(),
        "ap50": float(np.mean([one["ap50_test"] for one in said["rounds"][1:]])),
        "ap50_last": said["rounds"][-1]["ap50_test"],
    }


def difference(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """Mean of ``second - first`` over the seeds, and its 95 % interval (Student's t)."""
    from scipy import stats

    apart = np.subtract(second, first)
    mean = float(apart.mean())
    reach = float(stats.t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5)
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


def of_round(rounds: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The same round of several sittings: how much less was corrected than drawn by hand, and the model."""
    fewer = [1 - Edits(**one["edits"]).count / one["boxes"] for one in rounds]
    return {"fewer": float(np.mean(fewer)), "ap50": float(np.mean([one["ap50_test"] for one in rounds]))}


def summed(sittings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the sittings of one set and order."""
    rows = [of_sitting(said) for said in sittings]
    rounds = zip(ROUNDS, zip(*(said["rounds"] for said in sittings), strict=True), strict=False)
    return (
        {"seeds": len(rows)}
        | {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        | {"rounds": [{"labelled": count} | of_round(of_seeds) for count, of_seeds in rounds]}
    )


def report(folder: Path) -> dict[str, Any]:
    """The finished sittings, summed up by set and order, and what the orders differ by.

    Only seeds of which both orders are finished count; where there is none, one order is summed up alone.
    """
    found: dict[str, dict[int, dict[str, Any]]] = {}
    steps = set()
    for file in sorted(folder.glob("*-*-*.json")):
        said = json.loads(file.read_text())
        if "order" in said:
            steps.add(said["steps"])
            found.setdefault(said["set"], {}).setdefault(said["seed"], {})[said["order"]] = said
    sets: dict[str, Any] = {}
    for name, seeds in found.items():
        pairs = [[of[order] for order in ORDERS] for of in seeds.values() if len(of) == len(ORDERS)]
        if not pairs:
            alone = {order: [of[order] for of in seeds.values() if order in of] for order in ORDERS}
            sets[name] = {order: summed(of) for order, of in alone.items() if of}
            continue
        sets[name] = dict(zip(ORDERS, (summed(of) for of in zip(*pairs, strict=True)), strict=True))
        if len(pairs) > 1:
            figures = [[of_sitting(said) for said in pair] for pair in pairs]
            sets[name]["choice - random"] = {"seeds": len(pairs)} | {
                key: difference(*zip(*([side[key] for side in pair] for pair in figures), strict=True))
                for key in ("fewer", "fewer_with_drafts", "quicker", "ap50", "ap50_last")
            }
    if len(steps) != 1:
        found = " and ".join(map(str, sorted(steps))) or "no"
        raise SystemExit(f"{folder}: found sittings of {found} steps, wanted those of one number")
    (of_each,) = steps
    return {"steps": of_each, "rounds": ROUNDS, "costs": asdict(COSTS), "sets": sets}


COLUMNS = ("boxes", "drawn", "moved", "relabelled", "deleted", "accepted")


def table(said: dict[str, Any]) -> str:
    """The tables of ``docs/label.md``."""
    heads = ["set, order", "seeds", *COLUMNS, "fewer edits", "less time", "AP50"]
    rows = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for name, orders in said["sets"].items():
        for order in (order for order in ORDERS if order in orders):
            one = orders[order]
            cells = [f"{name}, {order}", f"{one['seeds']}", *(f"{one[key]:.0f}" for key in COLUMNS)]
            cells += [f"{one['fewer']:.0%}", f"{one['quicker']:.0%}", f"{one['ap50']:.3f}"]
            rows.append(f"| {' | '.join(cells)} |")
    compared = {name: of["choice - random"] for name, of in said["sets"].items() if "choice - random" in of}
    if compared:
        rows += [
            "",
            "| choice − random, in points | seeds | fewer edits | less time | AP50 |",
            "| --- " * 5 + "|",
        ]
    for name, apart in compared.items():
        cells = [name, f"{apart['seeds']}"]
        for of in (apart[key] for key in ("fewer", "quicker", "ap50")):
            cells.append(f"{100 * of['mean']:+.1f} ({100 * of['low']:+.1f} … {100 * of['high']:+.1f})")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Sit, write, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="folder of the sittings")
    parser.add_argument("--cells", type=Path)
    parser.add_argument("--cards", type=Path)
    parser.add_argument(
        "--only", default="", help="regular expression of the sittings, such as 'cells random 0'"
    )
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(SEEDS)))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument(
        "--one-look", dest="tta", action="store_false", help="draft without the mirrored picture"
    )
    parser.add_argument("--cold", dest="warm", action="store_false", help="start each training anew")
    parser.add_argument("--report", type=Path, help="write what the finished sittings say, and end")
    options = parser.parse_args()
    if options.report is not None:
        said = report(options.out)
        write_text(options.report, json.dumps(said, indent=1) + "\n")
        print(table(said))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    given = list(sets(options))
    for seed in options.seeds:
        for name, data, test in given:
            for order in ORDERS:
                file = options.out / f"{name}-{seed}-{order}.json"
                if not file.exists() and re.search(options.only, f"{name} {order} {seed}"):
                    write_text(file, json.dumps(sitting(name, data, test, seed, order, options)))


if __name__ == "__main__":
    main()
