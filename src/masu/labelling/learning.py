"""One round of training on what is labelled so far, and how good its model is on what was held back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from masu.data.dataset import Dataset
from masu.detectors.build import load
from masu.detectors.model_file import store_thresholds
from masu.detectors.tta import with_tta
from masu.errors import bad_input
from masu.evaluation.evaluate import Scored, score
from masu.evaluation.metrics import Metrics
from masu.labelling.edits import USUAL, Judged, cheapest_thresholds
from masu.training.recipe import TrainSettings
from masu.training.train import train

BATCH = 2
"""Photographs of a step."""

_TRAINED = 0.95
"""Share of the round that is training; the rest is looking at the photographs that are held back."""


@dataclass(frozen=True)
class Learned:
    """A model and what is known of it.

    Attributes:
        model: its file; it carries ``thresholds``.
        labels: photographs that it learnt from, in this round.
        held: photographs that were held back.
        ap50: on these; None without any, or without objects in them.
        interval: 95 % of ``ap50`` over other photographs of the same kind; None for fewer than two with
            objects.
        thresholds: score from which a draft of each class is worth showing, see
            :func:`masu.labelling.edits.cheapest_thresholds`.
        seconds: of the round.
    """

    model: Path
    labels: int
    held: int
    ap50: float | None
    interval: tuple[float, float] | None
    thresholds: Mapping[str, float]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            "model": str(self.model),
            "labels": self.labels,
            "held": self.held,
            "ap50": self.ap50,
            "interval": None if self.interval is None else list(self.interval),
            "thresholds": dict(self.thresholds),
            "seconds": self.seconds,
        }


def learn(
    training: Dataset,
    held: Dataset | None,
    out: Path,
    *,
    budget: float | None = None,
    steps: int | None = None,
    weights: Path | None = None,
    settings: TrainSettings | None = None,
    tta: bool = True,
    report: Callable[[float], None] | None = None,
) -> Learned:
    """Train a detector on labelled photographs and judge it on others.

    Args:
        training: labelled photographs, one or more with an object.
        held: labelled photographs that no round learns from, of the same classes; None: none yet.
        out: an empty or new folder for the run.
        budget: seconds of training.
        steps: instead of it, about so many steps: whole passes over the photographs, rounded up.
        weights: the last model, from which this one goes on; classes are taken over by their names.
        settings: how to train, length and first weights aside; default: masu's own recipe.
        tta: judge it with two looks at each photograph; the model carries it, and drafts are made so.
        report: told the share of the round that is done, 0 to 1.

    Raises:
        InputError: for a budget beside steps, or neither; else as of :func:`masu.training.train.train`.
        KeyboardInterrupt: where the training was stopped by hand.
    """
    if (budget is None) == (steps is None):
        raise bad_input("learn", f"budget {budget} and steps {steps}", "one of them")
    started = time.perf_counter()
    tell = report or (lambda _: None)
    length: dict[str, Any] = {"time_budget": budget, "epochs": None}
    if steps is not None:
        length = {"time_budget": None, "epochs": max(math.ceil(steps * BATCH / max(len(training), 1)), 1)}
    settings = replace(
        settings or TrainSettings(precision="auto"),
        batch_size=BATCH,
        weights="auto" if weights is None else str(weights),
        **length,
    )
    result = train(
        replace(training, accepted=True),
        None,
        settings,
        out,
        report=lambda event: tell(_TRAINED * event["done"]) if event["event"] == "step" else None,
        checkpoint_seconds=1e9,
    )
    if result.interrupted:
        raise KeyboardInterrupt
    detector = load(result.last)
    looking = with_tta(detector) if tta else detector
    ap50, interval, thresholds = None, None, dict.fromkeys(training.names, USUAL)
    if held is not None and len(held):
        scored = score(
            looking,
            held,
            progress=lambda done, of: tell(_TRAINED + (1 - _TRAINED) * done / of),
        ).with_intervals()
        assert isinstance(scored.metrics, Metrics)
        ap50 = scored.metrics.ap50
        ends = scored.metrics.intervals.get("ap50")
        interval = None if ends is None else (ends.low, ends.high)
        thresholds = cheapest_thresholds(judged(scored), training.names)
    store_thresholds(result.last, thresholds, measured=looking.way)
    tell(1.0)
    seconds = time.perf_counter() - started
    return Learned(
        result.last, len(training), 0 if held is None else len(held), ap50, interval, thresholds, seconds
    )


def judged(scored: Scored) -> list[Judged]:
    """What was found in photographs, beside their labels without crowds and difficult objects."""
    return [
        Judged(
            found.boxes.numpy().astype(float),
            found.scores.numpy().astype(float),
            found.names,
            target.boxes[~target.ignored].numpy().astype(float),
            tuple(scored.names[label] for label in target.labels[~target.ignored].tolist()),
        )
        for target, found in zip(scored.targets, scored.found, strict=True)
    ]
