"""Where a training run is: weights, optimizer and counters of the same step, to and from a checkpoint."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

import masu
from masu.atomic import write_text
from masu.detectors.detector import Detector
from masu.detectors.model_file import check_values, description, from_description, save
from masu.errors import InputError, bad_input, listed, visible
from masu.json_text import parsed, to_json
from masu.processes import ALONE, Processes
from masu.settings import Within, read, shown
from masu.tensor_file import TensorFile
from masu.training.checkpoint import Checkpoint, Content, damage, metadata_of, read_file
from masu.words import PRECISIONS, Precision

MAY_CHANGE = ("on_nonfinite", "accumulate")
"""Settings that a resumed run may have otherwise: they decide nothing that has already happened.

The parts of a batch are its processes as well, of which there may be fewer after a machine was lost.
"""


def terms_of(row: Mapping[str, Any]) -> list[str]:
    """Names of the loss terms in a row of the history: they follow their sum, ``loss``."""
    after = dropwhile(lambda name: name != "loss", row)
    return list(takewhile(lambda name: name not in ("skipped", "seconds"), after))[1:]


FORMAT = "masu-run-1"
"""Marks a run's checkpoint; a later number means a layout that older versions cannot read. Earlier files have
none, and this layout."""

Number = Annotated[int, Within(0, 10**12)]
Time = Annotated[float, Within(0.0, 1e12)]

ROW = ("epoch", "loss", "skipped", "seconds", "images_per_second", "learning_rate")
"""Figures that every epoch of the history has."""

KEPT = {torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"), torch.optim.SGD: ("momentum_buffer",)}
"""What an optimizer keeps of each parameter that had a gradient."""


@dataclass
class RunState:
    """Where a run is: everything a resumed run needs beside weights and optimizer.

    Attributes:
        epoch: number of the epoch, from 0.
        step: number of the next step in it.
        seconds: of training so far, evaluation not counted.
        learning_rate: of the last step.
        images: seen in this epoch, those of skipped steps not counted, but for overflows of fp16.
        sums: of the epoch's loss terms over these images.
        epoch_seconds: of training in this epoch.
        skipped: steps of this epoch that were left out.
        skipped_in_a_row: steps left out since the last one that was not, or that fp16 is to blame for.
        history: one row per finished epoch.
        best: the best score.
        best_epoch: where it was reached, from 1 as in the history; 0 before the first.
        without_better: evaluations since then.
        gave_up: too many of them.
    """

    epoch: Number = 0
    step: Number = 0
    seconds: Time = 0.0
    learning_rate: float = 0.0
    images: Number = 0
    sums: dict[str, float] = field(default_factory=dict)
    epoch_seconds: Time = 0.0
    skipped: Number = 0
    skipped_in_a_row: Number = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float = -1.0
    best_epoch: Number = 0
    without_better: Number = 0
    gave_up: bool = False

    def add(self, losses: dict[str, Tensor], images: int) -> None:
        """Count the losses of a step, means over so many images."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.item() * images
        self.images += images
        self.skipped_in_a_row = 0

    def skip(self) -> None:
        """Count a step that was left out."""
        self.skipped += 1
        self.skipped_in_a_row += 1

    def next_step(self, number: int, seconds: float) -> None:
        """Step ``number`` of the epoch is over."""
        self.step = number + 1
        self.seconds += seconds
        self.epoch_seconds += seconds

    def _means(self) -> dict[str, float]:
        terms = {name: total / max(self.images, 1) for name, total in self.sums.items()}
        return {"loss": sum(terms.values()), **terms}

    def progress(self, epochs: int | None, done: float) -> dict[str, Any]:
        """What a report of a step says; ``done`` is the share of the training."""
        return {
            "epoch": self.epoch + 1,
            "epochs": epochs,
            "step": self.step,
            "done": done,
            **self._means(),
            "images_per_second": self.images / self.epoch_seconds,
            "seconds_left": self.seconds / done * max(1 - done, 0.0),
        }

    def row(self) -> dict[str, Any]:
        """What is kept of a whole epoch."""
        if self.images == 0:
            found = "none with a finite loss" if self.skipped else "none that can be read"
            raise bad_input("training images", f"{found} in a whole epoch", "at least one")
        return {
            "epoch": self.epoch + 1,
            **self._means(),
            "skipped": self.skipped,
            "seconds": self.seconds,
            "images_per_second": self.images / self.epoch_seconds,
            "learning_rate": self.learning_rate,
        }

    def end_epoch(
        self, row: dict[str, Any], score: float | None, *, kept: bool, validated: bool, patience: int | None
    ) -> None:
        """Keep an epoch's row, note whether it is the best, and begin the next epoch at its first step.

        Args:
            row: what is kept of the epoch.
            score: its validation score; None where it was not evaluated.
            kept: its weights go to the disk; others cannot become the best.
            validated: there are validation images; without them, or as long as none was scored, the last
                epoch counts as the best.
            patience: evaluations without a better score after which the run gives up; None: never.
        """
        unscored = score is None and self.best < 0  # the last state, as long as none can be scored
        better = kept and (not validated or unscored or (score is not None and score > self.best))
        self.history.append(row)
        if better:
            self.best, self.best_epoch = -1.0 if score is None else score, row["epoch"]
        if score is not None and patience is not None:
            self.without_better = 0 if better else self.without_better + 1
            self.gave_up = self.without_better >= patience
        self.epoch += 1
        self.step = self.images = self.skipped = 0
        self.epoch_seconds = 0.0
        self.sums = {}

    @property
    def at_best(self) -> bool:
        """The weights are those of the best epoch: it has just ended."""
        return self.step == 0 and self.epoch > 0 and self.best_epoch == self.epoch


class RunFile:
    """``RUN/resume.safetensors``: detector, its average, optimizer, scaler, counters, all of the same step.

    Args:
        out: folder of the run.
        every: seconds between two checkpoints within an epoch.
        detector: the one in training.
        judged: the averaged one, or the same.
        optimizer: of the detector.
        scaler: of its losses.
        settings: of the run, as JSON has them; a resumed run must have the same but for :data:`MAY_CHANGE`.
        processes: that train together; only the first touches files.
    """

    def __init__(
        self,
        out: Path,
        every: float,
        detector: Detector,
        judged: Detector,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        settings: dict[str, Any],
        processes: Processes = ALONE,
    ) -> None:
        self.out, self.processes = out, processes
        self.checkpoint = Checkpoint(out / "resume.safetensors", every)
        self.detector, self.judged, self.optimizer, self.scaler = detector, judged, optimizer, scaler
        self.settings = json.loads(to_json(settings))

    def due(self) -> bool:
        """Whether it is time for a checkpoint within an epoch."""
        return self.processes.first and self.checkpoint.due()

    def write(self, state: RunState) -> None:
        """Write everything as it is now.

        Raises:
            InputError: where that is impossible; what was written earlier is left as it was.
        """
        if not self.processes.first:
            return
        tensors = {f"model.{name}": tensor for name, tensor in self.detector.state_dict().items()}
        if self.judged is not self.detector:
            tensors |= {f"average.{name}": tensor for name, tensor in self.judged.state_dict().items()}
        for i, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": v for name, v in values.items() if v is not None}
        described = {
            "state": asdict(state),
            "settings": self.settings,
            "scaler": self.scaler.state_dict(),
            "optimizer": sorted(self.optimizer.state_dict()["state"]),
        }
        metadata = description(self.detector) | {n: to_json(values) for n, values in described.items()}
        self.checkpoint.write(Content(tensors, {"format": FORMAT, "version": masu.__version__, **metadata}))

    def write_results(self, state: RunState) -> None:
        """The files that show a state: the last model, the best one if that is it, all epochs' figures."""
        if not self.processes.first:
            return
        save(self.judged, self.out / "last.safetensors")
        if state.at_best:
            save(self.judged, self.out / "best.safetensors")
        write_text(self.out / "metrics.jsonl", "".join(to_json(row) + "\n" for row in state.history))

    def restore_best(self, state: RunState) -> bool:
        """Whether the best model is in its place; one that was deleted is made anew where that is possible.

        The checkpoint before the last may be that of the best epoch; the last one's is written by
        :meth:`write_results`.
        """
        path, before = self.out / "best.safetensors", self.checkpoint.before
        if path.is_file() or not state.best_epoch:
            return True
        if damage(before) is not None:
            return False
        tensors, metadata = read_file(before)
        try:
            earlier = state_of(metadata, before)
        except InputError:
            return False
        own = self.judged.state_dict()
        part = "model." if self.judged is self.detector else "average."
        found = {name.removeprefix(part): t for name, t in tensors.items() if name.startswith(part)}
        fits = found.keys() == own.keys() and all(found[name].shape == own[name].shape for name in own)
        if not (fits and earlier.at_best and earlier.best_epoch == state.best_epoch):
            return False
        best = copy.deepcopy(self.judged)
        best.load_state_dict(found)
        save(best, path)
        return True

    @torch.no_grad()
    def read(self, say: Callable[[str], None], steps: int) -> RunState:
        """Put the last state that is whole back into detector, averaged detector, optimizer and scaler.

        Args:
            say: told where that is not the newest.
            steps: of an epoch.

        Raises:
            InputError: where none is whole, for one of another layout, naming what is not understood, or for
                settings other than those the run was started with; nothing is changed then.
        """
        content = self.checkpoint.read(say) if self.processes.first else Content({}, {})
        tensors, metadata = _shared(content, self.processes)
        path = self.checkpoint.read_from
        state = state_of(metadata, path)
        try:
            self._same_settings(read(dict[str, Any], parsed(metadata, "settings"), "settings"))
            if state.step > steps:
                raise bad_input("state.step", f"{state.step}", f"at most {steps}")
            scaler = read(dict[str, float], parsed(metadata, "scaler"), "scaler")
            if scaler.keys() != self.scaler.state_dict().keys():
                raise bad_input("scaler", f"{listed(scaler)}", f"{listed(self.scaler.state_dict())}")
            self._check_tensors(tensors, metadata)
        except InputError as error:
            raise _not_understood(error, metadata, path) from None
        for part, filled in (("model.", self.detector), ("average.", self.judged)):
            found = {name.removeprefix(part): t for name, t in tensors.items() if name.startswith(part)}
            if found:
                filled.load_state_dict(found)
        values: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, i, key = name.split(".", 2)
                values.setdefault(int(i), {})[key] = tensor
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        for index, kept in values.items():
            # laid out in memory as its parameter: AdamW goes through both without looking at strides
            for key, tensor in kept.items():
                if tensor.shape == trained[index].shape:
                    kept[key] = torch.empty_like(trained[index]).copy_(tensor)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": values, "param_groups": groups})
        self.scaler.load_state_dict(json.loads(metadata["scaler"]))
        return state

    def _check_tensors(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Refuse a name, shape, type or value that this run would not have written."""
        wanted = {f"model.{name}": tensor for name, tensor in self.detector.state_dict().items()}
        if self.judged is not self.detector:
            wanted |= {f"average.{name}": tensor for name, tensor in self.judged.state_dict().items()}
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        last = Within(0, len(trained) - 1)
        if "optimizer" in metadata:
            optimized = read(list[Annotated[int, last]], parsed(metadata, "optimizer"), "optimizer")
        else:
            numbers = {name.split(".")[1] for name in tensors if name.startswith("optimizer.")}
            optimized = [i for i in range(len(trained)) if str(i) in numbers]
        for i in optimized:
            for key in KEPT[type(self.optimizer)]:
                like = trained[i].new_zeros((), dtype=torch.float32) if key == "step" else trained[i]
                wanted[f"optimizer.{i}.{key}"] = like
        for name in [*wanted, *tensors]:
            found = "nothing" if name not in tensors else _described(tensors[name])
            should = "nothing" if name not in wanted else _described(wanted[name])
            if found != should:
                raise bad_input(name[:120], found, should)
        for name, tensor in tensors.items():
            check_values(name, tensor, self.checkpoint.read_from)

    def _same_settings(self, earlier: dict[str, Any]) -> None:
        now = self.settings
        unknown = sorted(earlier.keys() - now.keys())
        if unknown:
            raise _odd(f"settings.{unknown[0][:60]}", "an unknown setting")
        changed = [n for n in now if now[n] != earlier.get(n, now[n]) and n not in MAY_CHANGE]
        if changed:
            raise bad_input(
                self.checkpoint.path,
                f"{changed[0]} {earlier.get(changed[0])!r} in the run and {now[changed[0]]!r} now",
                "the same settings",
                "resume with the options that the run was started with",
                kind=OtherSettingsError,
            )


class Begun(NamedTuple):
    """What a run was begun with, as its checkpoint says it.

    Attributes:
        detector: as it is made anew, with random weights; None where the file is of an older version.
        precision: what the networks compute in; None where the file does not say.
    """

    detector: Detector | None
    precision: Precision | None


def begun_as(out: Path) -> Begun | None:
    """What a run was begun with; None where no checkpoint is whole.

    So it goes on without the weights it started from and without another look at the data's statistics.

    Raises:
        InputError: for a description that this masu does not understand, or that does not fit the tensors.
    """
    file = Checkpoint(out / "resume.safetensors", 0.0)
    path = next((path for path in (file.path, file.before) if damage(path) is None), None)
    if path is None:
        return None
    with TensorFile(path) as tensors:
        metadata = dict(tensors.metadata)
        parts = [name for name in tensors.entries if name.startswith("model.")]
        entries = {name.removeprefix("model."): tensors.entries[name] for name in parts}
    detector = None
    if "config" in metadata:
        try:
            with torch.random.fork_rng(devices=[]):
                detector = from_description(metadata, path, entries)
        except InputError as error:
            raise _not_understood(error, metadata, path) from None
    with suppress(InputError):
        settings = parsed(metadata, "settings")
        precision = settings.get("precision") if isinstance(settings, dict) else None
        if precision in PRECISIONS and precision != "auto":
            return Begun(detector, precision)
    return Begun(detector, None)


class OtherSettingsError(InputError):
    """Settings of a run that are not those it was started with."""

    default_code = "other-settings"


def state_of(metadata: Mapping[str, str], path: Path) -> RunState:
    """The counters of a checkpoint's metadata.

    Raises:
        InputError: for another layout, naming what is not understood.
    """
    try:
        layout = metadata.get("format", FORMAT)
        if layout != FORMAT:
            raise bad_input("format", f"{layout[:40]!r}", f"{FORMAT!r}")
        given = parsed(metadata, "state")
        missing = [one.name for one in fields(RunState) if isinstance(given, dict) and one.name not in given]
        if missing:
            raise bad_input(f"state.{missing[0]}", "none", "this counter")
        state: RunState = read(RunState, given, "state")
        for number, row in enumerate(state.history, start=1):
            for name in (*ROW, *row):
                figure = read(float | None, row.get(name), f"state.history.{number}.{str(name)[:40]}")
                if (name in ROW and figure is None) or (name == "epoch" and figure != number):
                    raise _odd(f"state.history.{number}.{name}", shown(row.get(name)))
        if not state.best_epoch <= state.epoch == len(state.history):
            best = f"the best of them {state.best_epoch}"
            raise _odd(
                "state.epoch", f"{state.epoch} with {len(state.history)} epochs in the history, {best}"
            )
        if state.images and not state.epoch_seconds:
            raise _odd("state.epoch_seconds", f"0 after {state.images} images")
    except InputError as error:
        raise _not_understood(error, metadata, path) from None
    return state


def _not_understood(error: InputError, metadata: Mapping[str, str], path: Path) -> InputError:
    if isinstance(error, OtherSettingsError):
        return error
    version = visible(" ".join(metadata.get("version", "of an unknown version").split()))[:40]
    why = visible(" ".join(str(error).split()))[:600]
    found = f"a state that masu {masu.__version__} does not understand ({why}), written by masu {version}"
    wanted = "one of this version"
    fix = "go on with the masu that wrote it, or start anew in another folder (--out)"
    line = f"{path}: found {found}; wanted {wanted}; {fix}"
    return InputError(line, thing=str(path), found=found, wanted=wanted, fix=fix, code="other-version")


def _odd(thing: str, found: str) -> InputError:
    """An entry that no run writes; what was wanted is said of the file as a whole."""
    return InputError(f"{thing}: found {found}", thing=thing, found=found)


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _shared(content: Content, processes: Processes) -> Content:
    """The content that process 0 has."""
    described = {
        name: (str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in content.tensors.items()
    }
    described, metadata = processes.of_first((described, content.metadata))
    tensors = content.tensors
    if not processes.first:
        tensors = {
            n: torch.empty(shape, dtype=getattr(torch, dtype)) for n, (dtype, shape) in described.items()
        }
    processes.copy_first(list(tensors.values()))
    return Content(tensors, metadata)


def intact(out: Path) -> str:
    """What a run's folder holds to go on from, for the end of an error's line."""
    file = Checkpoint(out / "resume.safetensors", 0.0)
    for path in (file.path, file.before):
        if damage(path) is None:
            try:
                state = state_of(metadata_of(path), path)
            except InputError:
                continue
            return (
                f"{path} holds the state of epoch {state.epoch + 1} after {state.step} of its steps: "
                "go on from there with --resume"
            )
    return "nothing was learnt yet"
