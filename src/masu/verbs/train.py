"""Train a detector: one loop, read from top to bottom.

All randomness derives from the seed and the number of the step, so that a run continues from its last step
without saved random states.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from masu.data.formats import Dataset, Fault
from masu.data.loader import batch_count, epoch_batches
from masu.data.transforms import Augmentation
from masu.detectors.build import build, load_weights, save
from masu.detectors.detector import Detector
from masu.detectors.rpn import RPN
from masu.detectors.zoo import ARCHITECTURES, DEFAULT, LEARNING_RATES, pyramid_of
from masu.errors import InputError
from masu.ops.losses import first_non_finite
from masu.verbs.evaluate import evaluate
from masu.verbs.run_state import RunState, read_state, write_state, write_text
from masu.verbs.samples import contact_sheet

Report = Callable[[dict[str, Any]], None]
"""Told of every step and epoch: ``{"event": "step" | "epoch" | "fault", ...}``."""

OptimizerName = Literal["sgd", "adamw"]
Schedule = Literal["cosine", "constant"]


@dataclass(frozen=True)
class TrainSettings:
    """How to train; written to ``RUN/settings.json``.

    Attributes:
        architecture: a name that ``masu models`` lists.
        weights: where to start: ``"auto"``, ``"imagenet"``, ``"none"`` (see :func:`masu.build`) or a model
            file of the same architecture and classes.
        image_size: shorter side in pixels that the network sees; None: the architecture's own.
        epochs: passes over the training images.
        batch_size: images per step.
        optimizer: ``"sgd"`` with momentum 0.9, or ``"adamw"``.
        learning_rate: largest learning rate; None: the architecture's own times ``batch_size`` (SGD), 2e-4
            (AdamW).
        weight_decay: pull of the weights towards zero.
        schedule: ``"cosine"`` down to zero, or ``"constant"``; both after the warm-up.
        warmup_steps: steps over which the learning rate rises from zero, at most a tenth of the run.
        clip_norm: largest norm of a step's gradient.
        augmentation: random changes of the training images.
        evaluate_every: epochs between evaluations on the validation images; the last epoch always is one.
        seed: start of all randomness.
    """

    architecture: str = DEFAULT
    weights: str = "auto"
    image_size: int | None = None
    epochs: int = 20
    batch_size: int = 2
    optimizer: OptimizerName = "sgd"
    learning_rate: float | None = None
    weight_decay: float = 1e-4
    schedule: Schedule = "cosine"
    warmup_steps: int = 100
    clip_norm: float = 10.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    evaluate_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise InputError(
                f"--model: found {self.architecture!r}, wanted one of {', '.join(ARCHITECTURES)}"
            )
        for name in ("epochs", "batch_size", "evaluate_every"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"--{name.replace('_', '-')}: found {getattr(self, name)}, wanted at least 1"
                )
        if self.image_size is not None and self.image_size < 32:
            raise InputError(f"--image-size: found {self.image_size}, wanted at least 32 pixels")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise InputError(f"--lr: found {self.learning_rate}, wanted a number above 0")
        if self.optimizer not in get_args(OptimizerName):
            raise InputError(
                f"--optimizer: found {self.optimizer!r}, wanted {' or '.join(get_args(OptimizerName))}"
            )
        if self.schedule not in get_args(Schedule):
            raise InputError(f"--schedule: found {self.schedule!r}, wanted {' or '.join(get_args(Schedule))}")


@dataclass(frozen=True)
class TrainResult:
    """What a training left behind.

    Attributes:
        best: model file with the best validation score (without validation: the last).
        last: model file of the last step.
        seconds: time spent in training steps, evaluation not counted.
        history: one dict per epoch: ``epoch``, ``loss``, its terms, ``seconds`` and, where evaluated, ``ap``
            and ``ap50`` (proposals: ``ar100`` and ``ar1000``).
        interrupted: stopped by Ctrl-C; ``resume=True`` goes on from there.
    """

    best: Path
    last: Path
    seconds: float
    history: list[dict[str, Any]]
    interrupted: bool = False


def train(
    data: Dataset,
    val: Dataset | None,
    settings: TrainSettings,
    out: Path,
    *,
    report: Report | None = None,
    resume: bool = False,
) -> TrainResult:
    """Train a detector and keep its best and last state in a folder.

    Args:
        data: training images.
        val: validation images; None trains without evaluation.
        settings: how to train.
        out: folder for ``best.safetensors``, ``last.safetensors``, ``metrics.jsonl``, ``settings.json`` and
            sample pictures.
        report: told of every step and epoch.
        resume: go on from the state in ``out`` instead of starting anew.

    Raises:
        InputError: where ``out`` already holds a run and ``resume`` is false, or holds none and it is true;
            for data without objects; for a loss that is not finite, naming the images and the term.
    """
    report = report or (lambda _: None)
    out = Path(out)
    _check(data, out, resume)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    detector = _start(settings, data.names).to(device)
    optimizer = _optimizer(detector, settings)
    steps = batch_count(data, settings.batch_size)
    state = RunState()
    if resume:
        state = read_state(out / "resume.safetensors", detector, optimizer, asdict(settings))
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "settings.json", json.dumps(asdict(settings), indent=2) + "\n")

    try:
        while state.epoch < settings.epochs:
            detector.train()
            for batch in epoch_batches(
                data,
                settings.batch_size,
                seed=settings.seed,
                epoch=state.epoch,
                augmentation=settings.augmentation,
                start=state.step,
                on_fault=lambda fault: _report_fault(report, fault),
            ):
                started = time.perf_counter()
                number = state.epoch * steps + batch.number
                for group in optimizer.param_groups:
                    group["lr"] = _learning_rate(settings, number, steps * settings.epochs)
                generator = torch.Generator(device).manual_seed(settings.seed * 1_000_003 + number)
                raw = detector([image.to(device) for image in batch.images])
                losses = detector.losses(raw, batch.targets, generator)
                _stop_if_not_finite(losses, batch.paths, state.epoch, out)
                optimizer.zero_grad()
                torch.autograd.backward(torch.stack(list(losses.values())).sum())
                nn.utils.clip_grad_norm_(detector.parameters(), settings.clip_norm)
                optimizer.step()

                state.add(losses, len(batch), batch.number, time.perf_counter() - started)
                report({"event": "step", "steps": steps, **state.progress(settings.epochs, steps)})

            row = state.row() | {"learning_rate": optimizer.param_groups[0]["lr"]}
            last_epoch = state.epoch + 1 == settings.epochs
            if val is not None and (last_epoch or (state.epoch + 1) % settings.evaluate_every == 0):
                metrics = evaluate(detector, val)
                row |= _figures(metrics.as_dict())
                _write_samples(detector, val, out / "samples" / f"epoch_{state.epoch + 1:03d}.jpg")
            score = next((row[name] for name in ("ap", "ar100") if row.get(name) is not None), None)
            state.history.append(row)
            save(detector, out / "last.safetensors")
            if val is None or (score is not None and score > state.best):
                state.best = -1.0 if score is None else score
                save(detector, out / "best.safetensors")
            state.next_epoch()
            write_state(out / "resume.safetensors", detector, optimizer, state, asdict(settings))
            write_text(out / "metrics.jsonl", "".join(json.dumps(r) + "\n" for r in state.history))
            report({"event": "epoch", "epochs": settings.epochs, **row})
    except KeyboardInterrupt:
        save(detector, out / "last.safetensors")
        write_state(out / "resume.safetensors", detector, optimizer, state, asdict(settings))
        return _result(out, state, interrupted=True)
    return _result(out, state, interrupted=False)


def backbone_of(architecture: str) -> str:
    """The backbone's name of an architecture."""
    return pyramid_of(ARCHITECTURES[architecture]()).backbone


def _check(data: Dataset, out: Path, resume: bool) -> None:
    objects = sum(int((~data[i].target.ignored).sum()) for i in range(len(data)))
    if objects == 0:
        raise InputError(f"{data.root}: found no labelled object in {len(data)} images, wanted at least one")
    held = (out / "resume.safetensors").exists() or (out / "last.safetensors").exists()
    if held and not resume:
        raise InputError(
            f"{out}: found a training that is already there, wanted an empty folder; continue it (--resume) "
            "or choose another one (--out)"
        )
    if resume and not (out / "resume.safetensors").exists():
        raise InputError(f"{out}: found no training to resume, wanted the --out folder of an earlier run")


def _start(settings: TrainSettings, names: tuple[str, ...]) -> Detector:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if settings.weights in ("auto", "imagenet", "none"):
            start: Any = settings.weights
            return build(settings.architecture, names, start, settings.image_size)
        detector = build(settings.architecture, names, "auto", settings.image_size)
        load_weights(detector, settings.weights)
        return detector


def _optimizer(detector: Detector, settings: TrainSettings) -> torch.optim.Optimizer:
    trained = [p for p in detector.parameters() if p.requires_grad]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(trained, lr=0.0, weight_decay=settings.weight_decay)
    return torch.optim.SGD(trained, lr=0.0, momentum=0.9, weight_decay=settings.weight_decay)


def _learning_rate(settings: TrainSettings, step: int, total: int) -> float:
    """Linear warm-up (Goyal et al. 2017), then the schedule (cosine: Loshchilov & Hutter 2017)."""
    peak = settings.learning_rate
    if peak is None:
        of_sgd = LEARNING_RATES[settings.architecture] * settings.batch_size
        peak = of_sgd if settings.optimizer == "sgd" else 2e-4
    warmup = min(settings.warmup_steps, max(total // 10, 1))
    if step < warmup:
        return peak * (step + 1) / warmup
    if settings.schedule == "constant":
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def _stop_if_not_finite(losses: dict[str, Tensor], paths: Iterable[Path], epoch: int, out: Path) -> None:
    term = first_non_finite(losses)
    if term is None:
        return
    kept = out / "last.safetensors"
    raise InputError(
        f"loss term {term!r}: found {losses[term].item()} in epoch {epoch + 1} on "
        f"{', '.join(map(str, paths))}, wanted a finite number; lower --lr or look at these images; "
        f"{f'the last good model is {kept}' if kept.exists() else 'no model was written yet'}"
    )


def _figures(metrics: dict[str, Any]) -> dict[str, Any]:
    wanted = (
        "ap",
        "ap50",
        "ap75",
        "ap_small",
        "ap_medium",
        "ap_large",
        "ar100",
        "ar1000",
        "seconds_per_image",
    )
    return {name: metrics[name] for name in wanted if name in metrics}


def _write_samples(detector: Detector, val: Dataset, path: Path) -> None:
    samples = [val[i] for i in range(min(4, len(val)))]
    threshold = 0.5 if not isinstance(detector, RPN) else 0.9
    sheet = contact_sheet(detector, samples, threshold)
    if sheet is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, quality=88)


def _report_fault(report: Report, fault: Fault) -> None:
    report({"event": "fault", "fault": str(fault)})


def _result(out: Path, state: RunState, interrupted: bool) -> TrainResult:
    return TrainResult(
        out / "best.safetensors", out / "last.safetensors", state.seconds, state.history, interrupted
    )
