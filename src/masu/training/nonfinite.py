"""A step whose loss or gradient is not a finite number: it is named, then left out or the end."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from masu.data.loading.loader import Batch
from masu.errors import InputError
from masu.ops.losses import first_non_finite
from masu.processes import ALONE, Processes
from masu.training.recipe import TrainSettings
from masu.training.run_state import RunState

MOST_IN_A_ROW = 10
"""Steps left out one after the other at which training stops: then it is not the images but the run."""


@dataclass(frozen=True)
class NotFinite:
    """What is wrong with a step.

    Attributes:
        thing: the gradient, or a term of the loss.
        found: its value, and on which images.
        overflow: fp16 is to blame, whose largest number is 65504: a gradient of losses that were scaled.
    """

    thing: str
    found: str
    overflow: bool

    def __str__(self) -> str:
        return f"{self.thing}: found {self.found}"

    def error(self, row: str, fix: str) -> InputError:
        """What stops the training, after as many steps as ``row`` says."""
        found, wanted = f"{self.found}{row}", "a finite number"
        line = f"{self.thing}: found {found}, wanted {wanted}; {fix}"
        return InputError(
            line, thing=self.thing, found=found, wanted=wanted, fix=fix, code="not-finite"
        )  # in full: the images are what is looked for


def not_finite(
    losses: dict[str, Tensor],
    norm: Tensor,
    batch: Batch,
    epoch: int,
    scale: float,
    processes: Processes = ALONE,
) -> NotFinite | None:
    """What is not finite, or None.

    Args:
        losses: terms of the step's loss.
        norm: of its gradient.
        batch: its images.
        epoch: from 0.
        scale: by which the losses were multiplied for the gradient, 1 but in fp16.
        processes: that made the step together; all have the same losses and norm.
    """
    term = first_non_finite(losses)
    if term is None and torch.isfinite(norm):
        return None
    thing = "gradient" if term is None else f"loss term {term!r}"
    value = (norm if term is None else losses[term]).item()
    own = json.dumps([os.fsdecode(path) for path in batch.paths])
    paths = [path for text in processes.texts(own) for path in json.loads(text)]
    overflow = term is None and scale > 1
    scaled = f" at scale {scale:g} of fp16" if overflow else ""
    found = f"{value} in epoch {epoch + 1} on {', '.join(paths)}{scaled}"
    return NotFinite(thing, found, overflow)


def skip_or_stop(bad: NotFinite, settings: TrainSettings, state: RunState, out: Path) -> None:
    """Count a step that was left out.

    An overflow of fp16 is always left out, and not counted in a row: the scale falls until there is none.

    Args:
        bad: what is not finite.
        settings: say whether steps may be left out.
        state: counts it.
        out: folder of the run.

    Raises:
        InputError: where steps may not be left out, or too many were in a row.
    """
    kept = out / "last.safetensors"
    rest = f"the last good model is {kept}" if kept.exists() else "no model was written yet"
    if settings.on_nonfinite == "stop" and not bad.overflow:
        look = "lower --lr, look at these images or go on without such steps (--resume --on-nonfinite skip)"
        raise bad.error("", f"{look}; {rest}")
    state.skip()
    if state.skipped_in_a_row >= MOST_IN_A_ROW and not bad.overflow:
        raise bad.error(f", the {MOST_IN_A_ROW}th step in a row", f"lower --lr; {rest}")
