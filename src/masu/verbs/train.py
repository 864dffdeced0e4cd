"""Train a detector: one loop, read from top to bottom.

All randomness derives from the seed and the number of the step, so that a run continues from its last
checkpoint without saved random states. The checkpoint is the truth; all other files of a run follow from it.
"""

from __future__ import annotations

import errno
import io
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from masu.atomic import WriteError, write_text, write_whole
from masu.data.formats import Dataset, Fault
from masu.data.loader import Batch, batch_count, epoch_batches
from masu.data.workers import LostWorkerError
from masu.detectors.build import save
from masu.detectors.detector import Detector
from masu.detectors.rpn import RPN
from masu.errors import InputError
from masu.verbs.average import Average
from masu.verbs.evaluate import evaluate
from masu.verbs.nonfinite import not_finite, skip_or_stop
from masu.verbs.recipe import TrainSettings, learning_rate, make_optimizer, progress, step_policy
from masu.verbs.run_lock import alone_in
from masu.verbs.run_state import RunFile, RunState, intact
from masu.verbs.samples import contact_sheet
from masu.verbs.start import starting_detector
from masu.verbs.stopping import Stop
from masu.verbs.train_page import TrainPage

Report = Callable[[dict[str, Any]], None]
"""Told of the start, of every step and epoch: ``{"event": "start" | "step" | "epoch" | "fault", ...}``."""


@dataclass(frozen=True)
class TrainResult:
    """What a training left behind.

    Attributes:
        best: model file with the best validation score (without validation: the last).
        last: model file of the last step.
        seconds: time from the first step on, evaluation not counted.
        history: one dict per epoch: ``epoch``, ``loss``, its terms, ``seconds`` and, where evaluated, ``ap``
            and ``ap50`` (proposals: ``ar100`` and ``ar1000``).
        interrupted: stopped by Ctrl-C or SIGTERM; ``resume=True`` goes on from there.
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
    workers: int = 0,
    max_bad: float = 0.05,
    checkpoint_seconds: float = 30.0,
) -> TrainResult:
    """Train a detector and keep its best and last state in a folder.

    Args:
        data: training images.
        val: validation images; None trains without evaluation.
        settings: how to train.
        out: folder for ``best.safetensors``, ``last.safetensors``, ``metrics.jsonl``, ``settings.json``,
            ``report.html`` and sample pictures.
        report: told of every step and epoch.
        resume: go on from the state in ``out`` instead of starting anew.
        workers: processes that read images ahead; they change nothing but the time.
        max_bad: largest share of faulty images or objects that are skipped; 0 refuses at the first.
        checkpoint_seconds: between two checkpoints within an epoch; where writing one takes long, it is
            more, so that they cost 2 % of the time; 0 writes after every step. They change nothing in what
            is learnt.

    Raises:
        InputError: where ``out`` already holds a run and ``resume`` is false, or holds none and it is true,
            or another training runs in it; for data without objects or with more faults than ``max_bad``,
            found before the first step or in an image later; for a loss or gradient that is not finite,
            naming the images and the term; where a file cannot be written, memory does not suffice or
            worker processes are lost again and again, naming what is intact.
    """
    report = report or (lambda _: None)
    out = Path(out)
    settings = settings.resolved()
    for part in (data, val):
        if part is not None:
            part.refuse_bad(max_bad)
    _check(data, out, resume)
    with alone_in(out):
        try:
            return _train(data, val, settings, out, report, resume, workers, max_bad, checkpoint_seconds)
        except (WriteError, LostWorkerError) as error:
            raise InputError(f"{error}; {intact(out)}") from None
        except (MemoryError, RuntimeError, OSError) as error:
            if not _out_of_memory(error):
                raise
            raise InputError(
                f"memory: found too little for a step of {settings.batch_size} images, wanted more; lower "
                f"--batch-size or --image-size, or raise --accumulate, in another folder; {intact(out)}"
            ) from None


def _train(
    data: Dataset,
    val: Dataset | None,
    settings: TrainSettings,
    out: Path,
    report: Report,
    resume: bool,
    workers: int,
    max_bad: float,
    checkpoint_seconds: float,
) -> TrainResult:
    unreadable = Unreadable(data, max_bad, report)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    detector = starting_detector(settings, data, report).to(device)
    optimizer = make_optimizer(detector, settings)
    average = Average(detector, settings.average) if settings.average else None
    judged = detector if average is None else average.detector
    steps = batch_count(data, settings.batch_size)
    described = asdict(settings) | {"names": data.names, "training_images": len(data)}
    saved = RunFile(out, checkpoint_seconds, detector, judged, optimizer, described)
    state = RunState()
    if resume:
        state = saved.read(lambda said: report({"event": "start", "said": said}))
        _write_results(out, judged, state)  # a kill may have come between the state and these
    else:
        saved.write(state)  # shows at once that the folder can be written to
    write_text(out / "settings.json", json.dumps(asdict(settings), indent=2) + "\n")
    page = TrainPage(out, settings, (data, val), unreadable.told)

    def done() -> float:
        return progress(settings, state.epoch * steps + state.step, steps, state.seconds)

    stop = Stop()
    try:
        stop.listen()
        while (done() < 1 or state.step) and not state.gave_up:
            detector.train()
            clock = time.perf_counter()
            for batch in epoch_batches(
                data,
                settings.batch_size,
                seed=settings.seed,
                epoch=state.epoch,
                augmentation=settings.augmentation,
                channels=settings.channels,
                start=state.step,
                workers=workers,
                on_fault=unreadable.add,
                on_lost=lambda said: report({"event": "fault", "fault": said}),
            ):
                number = state.epoch * steps + batch.number
                state.learning_rate = learning_rate(settings, number, done())
                for group in optimizer.param_groups:
                    group["lr"] = state.learning_rate
                statistics = (
                    [b.clone() for b in detector.buffers()] if settings.on_nonfinite == "skip" else []
                )
                losses = _gradients(detector, batch, settings, number, done())
                norm = nn.utils.clip_grad_norm_(detector.parameters(), settings.clip_norm)
                bad = not_finite(losses, norm, batch, state.epoch)
                if bad is None:
                    optimizer.step()
                    if average is not None:
                        average.update(number)
                    state.add(losses, len(batch))
                else:
                    skip_or_stop(bad, settings, state, detector, statistics, out)
                    report({"event": "fault", "fault": f"{bad}; step skipped"})

                now = time.perf_counter()
                state.next_step(batch.number, now - clock)
                clock = now
                report({"event": "step", "steps": steps, **state.progress(settings.epochs, done())})
                if done() >= 1:
                    break
                stop.if_asked()
                if saved.due():
                    saved.write(state)
                    clock = time.perf_counter()

            row = state.row()
            state.step = steps  # the clock may have ended the epoch early
            if val is not None and (done() >= 1 or (state.epoch + 1) % settings.evaluate_every == 0):
                metrics = evaluate(judged, val, progress=lambda *_: stop.if_asked())
                row |= _figures(metrics.as_dict())
                _write_samples(judged, val, out / "samples" / f"epoch_{state.epoch + 1:03d}.jpg")
            score = next((row[name] for name in ("ap", "ar100") if row.get(name) is not None), None)
            state.end_epoch(row, score, validated=val is not None, patience=settings.patience)
            saved.write(state)  # first: a resumed run writes the files of the next lines again from it
            _write_results(out, judged, state)
            page.write(state, done())
            report({"event": "epoch", "epochs": settings.epochs, **row})
    except KeyboardInterrupt:
        if stop.at_once:
            raise  # in the middle of a step: what was written last stands
        saved.write(state)
        _write_results(out, judged, state)
        page.write(state, done(), "stopped by hand; the same command with --resume goes on from there")
        return _result(out, state, interrupted=True)
    except InputError as error:
        with suppress(WriteError):  # the folder itself may be what is wrong
            page.write(state, done(), f"stopped: {error}")
        raise
    finally:
        stop.leave()
    return _result(out, state, interrupted=False)


def _write_results(out: Path, judged: Detector, state: RunState) -> None:
    """The files that show a state: the last model, the best one if that is it, the figures of all epochs."""
    save(judged, out / "last.safetensors")
    if state.at_best:
        save(judged, out / "best.safetensors")
    write_text(out / "metrics.jsonl", "".join(json.dumps(r) + "\n" for r in state.history))


class Unreadable:
    """The faults of images, each told once; too many end the training."""

    def __init__(self, data: Dataset, most: float, report: Report) -> None:
        self.data, self.most, self.report = data, most, report
        self.told: set[Fault] = set()

    def add(self, fault: Fault) -> None:
        """Tell a fault.

        Raises:
            InputError: where it is one too many.
        """
        if fault in self.told:
            return
        self.told.add(fault)
        self.report({"event": "fault", "fault": str(fault)})
        bad = sum(fault.kind == "unreadable-image" for fault in self.told)
        if bad > self.most * len(self.data):
            raise InputError(
                f"{self.data.root}: found {bad} of {len(self.data)} images unreadable, wanted at most "
                f"{self.most:.0%} (--max-bad); the last: {fault}; replace them or leave them out"
            )


def _gradients(
    detector: Detector, batch: Batch, settings: TrainSettings, number: int, done: float
) -> dict[str, Tensor]:
    """Leave the gradient of a batch's mean loss in the parameters; returns its terms."""
    device = next(detector.parameters()).device
    generator = torch.Generator(device).manual_seed(settings.seed * 1_000_003 + number)
    draw = torch.rand((), generator=torch.Generator().manual_seed(number)).item()
    policy = step_policy(settings, detector.input, done, draw)
    detector.zero_grad()
    terms: dict[str, Tensor] = {}
    size = -(-len(batch) // settings.accumulate)
    for first in range(0, len(batch), size):
        images = [image.to(device) for image in batch.images[first : first + size]]
        share = len(images) / len(batch)
        raw = detector(images, policy)
        losses = detector.losses(raw, batch.targets[first : first + size], generator)
        torch.autograd.backward(torch.stack(list(losses.values())).sum() * share)
        for name, value in losses.items():
            terms[name] = terms.get(name, torch.zeros_like(value)) + value.detach() * share
    return terms


def _check(data: Dataset, out: Path, resume: bool) -> None:
    if not (~data.ignored).any():
        raise InputError(f"{data.root}: found no labelled object in {len(data)} images, wanted at least one")
    resumable = any((out / f"{name}.safetensors").exists() for name in ("resume", "resume-before"))
    if (resumable or (out / "last.safetensors").exists()) and not resume:
        raise InputError(
            f"{out}: found a training that is already there, wanted an empty folder; continue it (--resume) "
            "or choose another one (--out)"
        )
    if resume and not resumable:
        raise InputError(f"{out}: found no training to resume, wanted the --out folder of an earlier run")


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, OSError):  # no memory to start a process
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


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
        file = io.BytesIO()
        sheet.save(file, "JPEG", quality=88)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, [file.getvalue()])


def _result(out: Path, state: RunState, interrupted: bool) -> TrainResult:
    return TrainResult(
        out / "best.safetensors", out / "last.safetensors", state.seconds, state.history, interrupted
    )
