"""A step whose loss or gradient is not a finite number: it is named, then left out or the end."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from masu.data.loader import Batch
from masu.detectors.detector import Detector
from masu.errors import InputError
from masu.ops.losses import first_non_finite
from masu.verbs.processes import ALONE, Processes
from masu.verbs.recipe import TrainSettings
from masu.verbs.run_state import RunState

MOST_IN_A_ROW = 10
"""Steps left out one after the other at which training stops: then it is not the images but the run."""


def not_finite(
    losses: dict[str, Tensor], norm: Tensor, batch: Batch, epoch: int, processes: Processes = ALONE
) -> str | None:
    """What is not finite and on which images, or None.

    Args:
        losses: terms of the step's loss.
        norm: of its gradient.
        batch: its images.
        epoch: from 0.
        processes: that made the step together; all have the same losses and norm.
    """
    term = first_non_finite(losses)
    if term is None and torch.isfinite(norm):
        return None
    thing = "gradient" if term is None else f"loss term {term!r}"
    value = (norm if term is None else losses[term]).item()
    own = json.dumps([os.fsdecode(path) for path in batch.paths])
    paths = [path for text in processes.texts(own) for path in json.loads(text)]
    return f"{thing}: found {value} in epoch {epoch + 1} on {', '.join(paths)}"


@torch.no_grad()
def skip_or_stop(
    bad: str,
    settings: TrainSettings,
    state: RunState,
    detector: Detector,
    statistics: Sequence[Tensor],
    out: Path,
) -> None:
    """Leave the step out: what its forward pass did to the statistics of normalisation is undone.

    Args:
        bad: what is not finite.
        settings: say whether steps may be left out.
        state: counts it.
        detector: in training, its weights not yet touched.
        statistics: its buffers before the step.
        out: folder of the run.

    Raises:
        InputError: where steps may not be left out, or too many were in a row.
    """
    kept = out / "last.safetensors"
    rest = f"the last good model is {kept}" if kept.exists() else "no model was written yet"
    if settings.on_nonfinite == "stop":
        raise InputError(
            f"{bad}, wanted a finite number; lower --lr, look at these images or go on without such steps "
            f"(--resume --on-nonfinite skip); {rest}"
        )
    for earlier, now in zip(statistics, detector.buffers(), strict=True):
        now.copy_(earlier)
    state.skip()
    if state.skipped_in_a_row >= MOST_IN_A_ROW:
        raise InputError(
            f"{bad}, the {MOST_IN_A_ROW}th step in a row, wanted a finite number; lower --lr; {rest}"
        )
