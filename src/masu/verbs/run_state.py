"""Where a training run is, in one file: weights, optimizer and counters of the same step."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from masu.detectors.detector import Detector
from masu.errors import InputError


@dataclass
class RunState:
    """Where a run is: everything a resumed run needs beside weights and optimizer."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    images: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    epoch_seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    without_better: int = 0
    gave_up: bool = False

    def add(self, losses: dict[str, Tensor], images: int, number: int, seconds: float) -> None:
        """Count step ``number`` of the epoch."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.item() * images
        self.images += images
        self.step = number + 1
        self.seconds += seconds
        self.epoch_seconds += seconds

    def _means(self) -> dict[str, float]:
        terms = {name: total / self.images for name, total in self.sums.items()}
        return {"loss": sum(terms.values()), **terms}

    def progress(self, epochs: int | None, done: float) -> dict[str, Any]:
        """What a report of a step says; ``done`` is the share of the training."""
        return {
            "epoch": self.epoch + 1,
            "epochs": epochs,
            "step": self.step,
            **self._means(),
            "images_per_second": self.images / self.epoch_seconds,
            "seconds_left": self.seconds / done * max(1 - done, 0.0),
        }

    def row(self) -> dict[str, Any]:
        """What is kept of a whole epoch."""
        if self.images == 0:
            raise InputError(
                "training images: found none that can be read in a whole epoch, wanted at least one"
            )
        return {
            "epoch": self.epoch + 1,
            **self._means(),
            "seconds": self.seconds,
            "images_per_second": self.images / self.epoch_seconds,
        }

    def next_epoch(self) -> None:
        """Begin the next epoch at its first step."""
        self.epoch += 1
        self.step = self.images = 0
        self.epoch_seconds = 0.0
        self.sums = {}


def write_text(path: Path, text: str) -> None:
    """Write a file so that it appears whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def write_state(
    path: Path,
    detector: Detector,
    judged: Detector,
    optimizer: torch.optim.Optimizer,
    state: RunState,
    settings: dict[str, Any],
) -> None:
    """Weights, their average, optimizer and counters in one file, so that all are of the same step."""
    tensors = {f"model.{name}": tensor for name, tensor in detector.state_dict().items()}
    if judged is not detector:
        tensors |= {f"average.{name}": tensor for name, tensor in judged.state_dict().items()}
    for i, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": v for name, v in values.items() if v is not None}
    metadata = {"state": json.dumps(asdict(state)), "settings": json.dumps(settings)}
    part = path.with_name(path.name + ".part")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(contiguous, part, metadata)
    os.replace(part, path)


@torch.no_grad()
def read_state(
    path: Path,
    detector: Detector,
    judged: Detector,
    optimizer: torch.optim.Optimizer,
    settings: dict[str, Any],
) -> RunState:
    """Put a run's state back into detector, averaged detector (or the same one) and optimizer.

    Raises:
        InputError: for a damaged file, or settings other than those the run was started with.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: found a damaged file ({error}), wanted the state of a training") from None
    earlier = json.loads(metadata["settings"])
    now = json.loads(json.dumps(settings))
    changed = [name for name in now if now[name] != earlier.get(name)]
    if changed:
        raise InputError(
            f"{path}: found {changed[0]} {earlier.get(changed[0])!r} in the run and {now[changed[0]]!r} now, "
            "wanted the same settings; resume with the options that the run was started with"
        )
    for part, filled in (("model.", detector), ("average.", judged)):
        found = {name.removeprefix(part): t for name, t in tensors.items() if name.startswith(part)}
        if found:
            filled.load_state_dict(found)
    values: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            values.setdefault(int(i), {})[key] = tensor
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    for i, kept in values.items():
        # laid out in memory as its parameter: AdamW goes through both without looking at strides
        for key, tensor in kept.items():
            if tensor.shape == trained[i].shape:
                kept[key] = torch.empty_like(trained[i]).copy_(tensor)
    optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})
    return RunState(**json.loads(metadata["state"]))
