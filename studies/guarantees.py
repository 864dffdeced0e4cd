"""Are the promises of thresholds and margins kept on images that nobody has looked at?

    masu evaluate MODEL BCCD --split val --save-predictions cells-0-val.json       # and --split test
    python -m studies.guarantees BCCD --promise 0.9 0.8 --found cells-0-val.json:val cells-0-test.json:test
    python -m studies.guarantees CARDS/images --promise 0.8 0.6 --found cards-0-test.json:test

The images of all named splits are cut in two at random, a hundred times. For each class alone, thresholds
with a promised recall, thresholds with a promised precision and margins are chosen on one half and judged on
the other. Margins are measured from the score 0.5 on, and from the threshold with the largest F1 on the same
half. Beside the chosen margin stand others: in pixels, in widths and heights, and one for each side with a
quarter of the error. Prints the rows of ``docs/guarantees.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

import masu
from masu.evaluation.box_margins import box_margins, needed_margins
from masu.evaluation.curves import class_curves
from masu.evaluation.guarantees import finders, recall_thresholds
from masu.evaluation.matches import ImageMatch, match_image
from masu.evaluation.overlaps import Array
from masu.evaluation.promised_precision import precision_thresholds, wrong_shares
from masu.records import Detections, Target
from masu.verbs.saved import score_saved

TRIALS = 100

ONE = ("one",)
"""Name of the class that is looked at."""

Matches = Sequence[ImageMatch]


def read(data: Path, found: Sequence[str]) -> dict[str, list[ImageMatch]]:
    """What was found of each class in the images of all named splits."""
    matches: dict[str, list[ImageMatch]] = {}
    for one in found:
        file, _, split = one.rpartition(":")
        scored = score_saved(Path(file), masu.read_dataset(data, split))
        for k, name in enumerate(scored.names):
            own = [only(t, d, k) for t, d in zip(scored.targets, scored.found, strict=True)]
            matches.setdefault(name, []).extend(own)
    return matches


def only(target: Target, found: Detections, k: int) -> ImageMatch:
    """The match of one class, which is the only one then."""
    target, found = target.taken(target.labels == k), found[found.labels == k]
    zeros = torch.zeros_like(target.labels)
    return match_image(
        Target(target.boxes, zeros, target.ignored, target.areas, target.difficult),
        Detections(found.boxes, found.scores, torch.zeros_like(found.labels), ONE * len(found)),
    )


def recall(chosen: Matches, others: Matches, promise: float) -> tuple[float, ...]:
    """Mean share of an image's objects that is found."""
    threshold = recall_thresholds(chosen, ONE, promise)[ONE[0]]
    shares = [float((found >= threshold).mean()) for found in (finders(m, 0) for m in others) if len(found)]
    return (float(np.mean(shares)),)


def precision(chosen: Matches, others: Matches, promise: float) -> tuple[float, ...]:
    """Mean share of an image's shown boxes that is right; share of all shown boxes; recall."""
    threshold = precision_thresholds(chosen, ONE, promise)[ONE[0]]
    at = class_curves(others, 1)[0].at(threshold)
    return 1 - float(wrong_shares(others, 0, threshold).mean()), at.precision or 0.0, at.recall or 0.0


def margins(chosen: Matches, others: Matches, promise: float) -> tuple[float, ...]:
    """Mean share of an image's found objects held whole; area of boxes with this margin and three others."""
    margin, held = _held(chosen, others, promise, 0.5)
    ours = [one for one in (sides(match) for match in chosen) if len(one[0])]
    boxes = np.concatenate([sides(match)[1] for match in others])
    wide = np.tile(boxes, 2)
    pixels = _least([out.max(1) for out, _ in ours], promise)
    shares = _least([(out / np.tile(box, 2)).max(1) for out, box in ours], promise)
    each = [
        _least([out[:, s] / np.tile(box, 2)[:, s] for out, box in ours], (3 + promise) / 4) for s in range(4)
    ]
    return (
        held,
        _larger(boxes, margin * np.sqrt(boxes.prod(1, keepdims=True)) * np.ones(4)),
        _larger(boxes, np.full_like(wide, pixels)),
        _larger(boxes, shares * wide),
        _larger(boxes, np.array(each) * wide),
    )


def margins_f1(chosen: Matches, others: Matches, promise: float) -> tuple[float, ...]:
    """Mean share held whole, from the threshold with the largest F1 on the same half."""
    best = class_curves(chosen, 1)[0].best()
    return (_held(chosen, others, promise, 0.5 if best is None else best.threshold)[1],)


def _held(chosen: Matches, others: Matches, promise: float, threshold: float) -> tuple[float, float]:
    margin = box_margins(chosen, ONE, promise, {ONE[0]: threshold})[ONE[0]]
    needed = [one for one in (needed_margins(match, 0, threshold) for match in others) if len(one)]
    return margin, float(np.mean([float((one <= margin).mean()) for one in needed]))


def sides(match: ImageMatch) -> tuple[Array, Array]:
    """``(m, 4)`` how far found objects stick out on each side, ``(m, 2)`` width and height of their boxes."""
    own = match.right & (match.detections.scores.numpy() >= 0.5)
    boxes = match.detections.boxes.double().numpy()[own]
    objects = match.target.boxes.double().numpy()[match.partner[own]]
    out = np.concatenate([boxes[:, :2] - objects[:, :2], objects[:, 2:] - boxes[:, 2:]], axis=1)
    return out, boxes[:, 2:] - boxes[:, :2]


def _least(of_images: Sequence[Array], promise: float) -> float:
    """The least margin by conformal risk control; NaN where there are too few images."""
    allowed = (1 - promise) * (len(of_images) + 1) - 1 + 1e-9
    values = np.concatenate([np.zeros(1), *of_images]).clip(0)
    weights = np.concatenate([np.zeros(1), *(np.full(len(one), 1 / len(one)) for one in of_images)])
    order = np.argsort(-values, kind="stable")
    above = weights[order].cumsum() - weights[order]
    return float(values[order][above <= allowed][-1]) if allowed >= 0 else float("nan")


def _larger(boxes: Array, reach: Array) -> float:
    """Mean area of boxes ``(m, 2)`` enlarged by ``(m, 4)``, in areas of what they were."""
    grown = boxes + reach[:, :2] + reach[:, 2:]
    return float((grown.prod(1) / boxes.prod(1)).mean())


WAYS: dict[str, Callable[[Matches, Matches, float], tuple[float, ...]]] = {
    "recall": recall,
    "precision": precision,
    "margins": margins,
    "margins, F1": margins_f1,
}


def main() -> None:
    """Cut, choose, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--promise", type=float, nargs="+", default=[0.9])
    parser.add_argument("--found", nargs="+", required=True, help="FILE:SPLIT")
    options = parser.parse_args()
    print("| class | promise | halves that promise | mean of the others | others below it | more |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, matches in read(options.data, options.found).items():
        for promise in options.promise:
            for what, judge in WAYS.items():
                rows = []
                for trial in range(TRIALS):
                    order = np.random.default_rng(trial).permutation(len(matches))
                    chosen, others = ([matches[i] for i in part] for part in np.array_split(order, 2))
                    try:
                        rows.append(judge(chosen, others, promise))
                    except masu.InputError:  # which these images cannot promise
                        continue
                if not rows:
                    print(f"| {name} | {what} {promise:g} | 0 | | | |", flush=True)
                    continue
                means = [f"{mean:.3f}" for mean in np.nanmean(np.array(rows), axis=0)]
                below = sum(row[0] < promise for row in rows)
                print(
                    f"| {name} | {what} {promise:g} | {len(rows)} | {means[0]} | {below} | "
                    f"{', '.join(means[1:])} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
