"""Train a detector: one loop, read from top to bottom.

All randomness derives from the seed and the number of the step, so that a run continues from its last
checkpoint without saved random states. The checkpoint is the truth; all other files of a run follow from it.
Processes that a launcher has started make the steps of one process together (docs/processes.md).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from masu.atomic import WriteError, write_text
from masu.data.audit.small_objects import advice_on_tiles
from masu.data.dataset import Dataset
from masu.data.fitting import measured
from masu.data.loading.callables import refuse_unpicklable
from masu.data.loading.crops import Crops
from masu.data.loading.loader import batch_count, epoch_batches
from masu.data.loading.pictures import LAST_BYTES, MOST_BYTES, Pictures
from masu.data.loading.repeats import described, repeat_factors
from masu.data.loading.workers import LostWorkerError
from masu.detectors.detector import Detector
from masu.detectors.model_file import description, from_description
from masu.detectors.prediction import out_of_memory
from masu.devices import device_of
from masu.errors import InputError, bad_input, counted, listed
from masu.evaluation.evaluate import evaluate
from masu.json_text import to_json
from masu.ops.images import padded_size
from masu.precision import check_precision, chosen_precision
from masu.processes import LostProcessError, Processes, joined, launched
from masu.training.finished import as_it_ended, further, is_finished, is_resumable
from masu.training.nonfinite import skip_or_stop
from masu.training.recipe import TrainSettings, evaluates, progress, read_at
from masu.training.run_lock import alone_in
from masu.training.run_state import Begun, RunFile, RunState, begun_as, intact
from masu.training.samples import drawn_samples, write_samples
from masu.training.start import starting_detector
from masu.training.step import Learner
from masu.training.stopping import Stop
from masu.training.train_page import TrainPage
from masu.training.unreadable import Unreadable

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
    device: str | torch.device = "auto",
    more: Mapping[str, str] | None = None,
    keep_checkpoint: bool = True,
) -> TrainResult:
    """Train a detector and keep its best and last state in a folder.

    A process that a launcher such as ``torchrun`` has started trains with the others of its group; the first
    of them writes and reports.

    Args:
        data: training images.
        val: validation images; None trains without evaluation.
        settings: how to train.
        out: folder for ``best.safetensors``, ``last.safetensors``, ``metrics.jsonl``, ``settings.json``,
            ``report.html`` and sample pictures.
        report: told of every step and epoch.
        resume: go on from the state in ``out`` instead of starting anew; a run that is finished gives its
            result. Under a launcher, which may start a training again at any time, also where there is none
            yet.
        workers: processes that read images ahead; they change nothing but the time.
        max_bad: largest share of faulty images or objects that are skipped; 0 refuses at the first.
        checkpoint_seconds: between two checkpoints within an epoch; where writing one takes long, it is
            more, so that they cost 2 % of the time; 0 writes after every step. They change nothing in what
            is learnt.
        device: where the network computes, see :func:`masu.devices.device_of`. A run may be resumed on
            another one.
        more: texts of further files in ``out``, by name.
        keep_checkpoint: whether the state to go on from stays when the training is finished.

    Raises:
        InputError: where ``out`` already holds a run and ``resume`` is false, or holds none and it is true,
            or another training runs in it; for data without objects or with more faults than ``max_bad``,
            found before the first step or in an image later; for a loss or gradient that is not finite,
            naming the images and the term; where a file cannot be written, memory does not suffice,
            worker processes are lost again and again or another process of the group is lost, naming what is
            intact; for a precision that the device only imitates; for fewer images in a batch than processes,
            or processes with other settings or data; for an augmentation of one's own that cannot be sent to
            worker processes, or that returns what cannot be used.
    """
    settings = settings.resolved()
    if workers and settings.augmentation is not None:
        refuse_unpicklable(settings.augmentation)
    data = data if data.sizes.all() else measured(data, channels=settings.channels)  # samples of one's own
    for part in (data, val):
        if part is not None:
            part.refuse_bad(max_bad)
    with joined() as processes:
        here = device_of(device)
        _check_alike(data, val, settings, processes)
        out = Path(processes.of_first(str(out)))
        before = processes.first and resume and is_finished(out)
        resume = processes.of_first(processes.first and _check(data, val, out, resume))
        if processes.of_first(before):
            now = settings.described() | {"trained_on": _trained_on(data, val)}
            history = processes.of_first(as_it_ended(out, now) if processes.first else [])
            if report and processes.first:
                report({"event": "start", "said": f"{out}: this training is finished; {further(out)}"})
            return TrainResult(
                out / "best.safetensors", out / "last.safetensors", history[-1]["seconds"], history
            )
        begun = begun_as(out) if resume and processes.first else None
        computed_in = chosen_precision(settings.precision, here, begun and begun.precision)
        if settings.precision == "auto" and report and processes.first:
            report({"event": "start", "said": f"precision auto: {computed_in}"})
        settings = replace(settings, precision=processes.of_first(computed_in))
        check_precision(settings.precision, here)
        with alone_in(out) if processes.first else nullcontext():
            try:
                return _train(
                    data,
                    val,
                    settings,
                    out,
                    report if report and processes.first else lambda _: None,
                    resume,
                    workers,
                    max_bad,
                    checkpoint_seconds,
                    more or {},
                    processes,
                    here,
                    begun,
                    keep_checkpoint,
                )
            except (WriteError, LostWorkerError, LostProcessError) as error:
                seen = processes.first or out.is_dir()  # not so on another machine
                raise error.because(intact(out) if seen else f"process 0 has {out}") from None
            except (MemoryError, RuntimeError, OSError) as error:
                if not out_of_memory(error):
                    raise
                fix = (
                    "lower --batch-size or --image-size" if settings.batch_size > 1 else "lower --image-size"
                )
                fix += ", or raise --accumulate" if settings.accumulate < settings.batch_size else ""
                raise bad_input(
                    "memory",
                    f"too little for a step of {counted(settings.batch_size, 'image')}",
                    "more",
                    f"{fix}, in another folder; {intact(out)}",
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
    more: Mapping[str, str],
    processes: Processes,
    here: torch.device,
    begun: Begun | None,
    keep_checkpoint: bool,
) -> TrainResult:
    unreadable = Unreadable(data, max_bad, report, processes)
    detector = _of_first(begun, out, processes) if resume else None
    detector = (detector or starting_detector(settings, data, report)).to(here)
    processes.copy_first(list(detector.state_dict().values()))
    if settings.image_size == "auto":
        settings = replace(settings, image_size=detector.input.min_size)
    learner = Learner(detector, settings, processes)
    judged = learner.judged
    for one in (detector, judged):
        one.trained_on = _trained_on(data, val)
    factors = repeat_factors(data) if settings.balance else None
    crops = Crops(data, detector.input, factors)
    repeats = None if factors is None else described(factors, len(crops))
    refuse_lone_values(detector, settings, crops)
    for sentence in (crops.described(), repeats, advice_on_tiles(data, detector.input)):
        if sentence is not None:
            report({"event": "start", "said": sentence})
    steps = batch_count(crops, settings.batch_size)
    said = settings.described() | {
        "names": data.names,
        "training_images": len(data),
        "split": data.split,
        "val_split": None if val is None else val.split,
    }
    kept_of = (detector, judged, learner.optimizer, learner.scaler)
    saved = RunFile(out, checkpoint_seconds, *kept_of, said, processes)
    state, lost = RunState(), None
    if resume:
        state = saved.read(lambda said: report({"event": "start", "said": said}), steps)
        saved.write_results(state)  # a kill may have come between the state and these
        if not processes.of_first(processes.first and saved.restore_best(state)):
            lost = _lost_best(out, state)
            report({"event": "fault", "fault": str(lost)})
    else:
        saved.write(state)  # shows at once that the folder can be written to
    if val is not None and not (~val.ignored).any():
        warning = (
            "the validation images have no objects: no epoch can be called the best, the last state is kept"
        )
        report({"event": "start", "said": warning})
    if processes.first:
        written = settings.described() | {"trained_on": judged.trained_on}
        write_text(out / "settings.json", to_json(written, indent=2) + "\n")
        for name, text in more.items():
            write_text(out / name, text)
    shorter = read_at(settings, detector.input)
    kept = 0 if workers else MOST_BYTES // processes.world
    last = LAST_BYTES // (processes.world * max(workers, 1))
    pictures = Pictures(settings.channels, shorter, kept, last, settings.tiling)
    page = TrainPage(out, settings, (data, val), unreadable.told, steps)

    def show(ended: str | None = None) -> None:
        if processes.first:
            page.write(state, done(), ended)

    def done() -> float:
        return progress(settings, state.epoch * steps + state.step, steps, state.seconds)

    def before() -> float:
        return progress(settings, state.epoch * steps, steps, state.seconds - state.epoch_seconds)

    stop = Stop(patient=processes.world > 1)
    parts = processes.world * settings.accumulate
    own = range(processes.rank * settings.accumulate, (processes.rank + 1) * settings.accumulate)
    if processes.first and not state.gave_up and done() < 1:
        show()
        report({"event": "start", "said": f"open {page.file} to watch it"})
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
                pictures=pictures,
                crops=crops,
                start=state.step,
                workers=workers,
                parts=parts,
                own=own,
                on_fault=unreadable.add,
                on_lost=lambda said: report({"event": "fault", "fault": said}),
            ):
                images, faults = processes.sum(len(batch), unreadable.untold)
                if faults:
                    unreadable.tell()
                if not images:
                    continue
                number = state.epoch * steps + batch.number
                losses, state.learning_rate, bad = learner.step(batch, images, state.epoch, number, done())
                if bad is not None:
                    skip_or_stop(bad, settings, state, out)
                    report({"event": "fault", "fault": f"{bad}; step skipped"})
                if bad is None or bad.overflow:
                    state.add(losses, int(images))

                now = time.perf_counter()
                (seconds,) = processes.sum((now - clock) * processes.first)
                state.next_step(batch.number, seconds)
                clock = now
                report({"event": "step", "steps": steps, **state.progress(settings.epochs, done())})
                if done() >= 1:
                    break
                with processes.stopping_together():
                    stop.if_asked()
                if saved.due():
                    saved.write(state)
                    clock = time.perf_counter()
                if processes.first and page.due():
                    show()
                    clock = time.perf_counter()

            unreadable.tell()
            row = state.row()
            state.step = steps  # the clock may have ended the epoch early
            at_mark = evaluates(settings, state.epoch, before(), done())
            if val is not None and at_mark:
                metrics = evaluate(judged, val, progress=lambda *_: stop.if_asked(), processes=processes)
                row = processes.of_first(row | _figures(metrics.as_dict()))
                if processes.first:
                    _write_samples(judged, val, out / "samples" / f"epoch_{state.epoch + 1:03d}")
            score = next((row[name] for name in ("ap", "ar100") if row.get(name) is not None), None)
            kept = processes.of_first(at_mark or saved.due())  # a pass over ten images takes half a second
            state.end_epoch(row, score, kept=kept, validated=val is not None, patience=settings.patience)
            if kept:
                saved.write(state)  # first: a resumed run writes the files of the next lines again from it
                saved.write_results(state)
                show()
            report({"event": "epoch", "epochs": settings.epochs, **row})
    except KeyboardInterrupt:
        if stop.at_once:
            raise  # in the middle of a step: what was written last stands
        saved.write(state)
        saved.write_results(state)
        show("stopped by hand; the same command with --resume goes on from there")
        return _result(out, state, interrupted=True)
    except InputError as error:
        if isinstance(error, LostProcessError):
            stop.ignore_launcher()
        with suppress(WriteError):  # the folder itself may be what is wrong
            show(f"stopped: {error}")
        raise
    finally:
        stop.leave()
    if lost is not None and not processes.of_first((out / "best.safetensors").is_file()):
        raise lost
    if processes.first and not keep_checkpoint and not launched():  # a launcher may start it once more
        saved.checkpoint.drop()
    return _result(out, state, interrupted=False)


def _of_first(begun: Begun | None, out: Path, processes: Processes) -> Detector | None:
    """The detector of the run that goes on, as process 0 found it; None where its checkpoint does not say."""
    found = None if begun is None else begun.detector
    said = processes.of_first(None if found is None else description(found))
    return found if found is not None or said is None else from_description(said, out)


def refuse_lone_values(detector: Detector, settings: TrainSettings, crops: Crops) -> None:
    """Refuse a training in which a normalisation would see a single value of each channel.

    Raises:
        InputError: where a part of a batch may be one image whose deepest map is one cell.
    """
    trained = any(isinstance(module, _BatchNorm) and module.training for module in detector.train().modules())
    parts = -(-settings.batch_size // settings.accumulate)
    alone = parts == 1 or len(crops) % settings.batch_size == 1
    if not (trained and alone):
        return
    policy, stride = detector.input, detector.pyramid.backbone.strides[-1]
    for height, width in crops.shapes():
        tall, wide = padded_size(height, width, policy)
        if tall <= stride and wide <= stride:
            raise bad_input(
                "--image-size",
                f"{policy.min_size} px and a step of one image, whose deepest map is a single cell "
                "that normalisation cannot be trained on",
                "more",
                "choose a larger --image-size, a --batch-size that leaves no image alone, or --frozen-norms",
            )


def _check_alike(data: Dataset, val: Dataset | None, settings: TrainSettings, processes: Processes) -> None:
    """Refuse processes that would not train the same on the same."""
    if settings.batch_size < processes.world:
        raise bad_input(
            "--batch-size",
            f"{settings.batch_size} for {processes.world} processes",
            f"at least {processes.world}: it counts the images of a step in all processes together",
        )
    processes.alike("settings", json.dumps(settings.described()))
    digest = hashlib.blake2b()
    for part in (data, val):
        if part is not None:
            digest.update(repr((part.names, [os.path.basename(path) for path in part.paths])).encode())
            for array in (part.starts, part.boxes, part.labels, part.ignored):
                digest.update(array.tobytes())
    processes.alike("data", digest.hexdigest())


def _check(data: Dataset, val: Dataset | None, out: Path, resume: bool) -> bool:
    """Whether to resume; refuses what cannot be done."""
    if not (~data.ignored).any():
        raise bad_input(data.root, f"no labelled object in {len(data)} images", "at least one")
    if val is not None and val.names != data.names:
        found = f"the classes {listed(val.names)} to validate on and {listed(data.names)} to learn"
        fix = "read it with names=data.names"
        raise bad_input(val.root, found, "the same classes in the same order", fix)
    return resumes(out, resume)


def resumes(out: Path, resume: bool) -> bool:
    """Whether a training goes on in ``out`` from the state that it left.

    Args:
        out: folder of the run.
        resume: whether it may.

    Returns:
        False for a new run, and for one that is finished, of which nothing is to be written.

    Raises:
        InputError: where it holds a training that is not to go on, or none that can.
    """
    resumable = is_resumable(out)
    if (resumable or is_finished(out)) and not resume:
        raise bad_input(
            out,
            "a training that is already there",
            "an empty folder",
            "continue it (--resume) or choose another one (--out)",
        )
    if resume and not resumable and not is_finished(out) and not launched():
        raise bad_input(out, "no training to resume", "the --out folder of an earlier run")
    return resume and resumable


def _trained_on(data: Dataset, val: Dataset | None) -> dict[str, str | None]:
    """What a model says of the data that it has learnt from."""
    said = {"data": data.root.resolve().name, "split": data.split}
    return said | ({} if val is None else {"val_split": val.split or "held back"})


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


def _write_samples(detector: Detector, val: Dataset, folder: Path) -> None:
    samples = [val[i] for i in range(min(4, len(val)))]
    threshold = 0.5 if detector.kind == "detector" else 0.9
    write_samples(drawn_samples(detector, samples, threshold), folder)


def _lost_best(out: Path, state: RunState) -> InputError:
    """What to say of a best model that was deleted; of the epochs to come, one is the best."""
    line = bad_input(
        out / "best.safetensors",
        f"no such file, and no checkpoint of epoch {state.best_epoch} whose model it was",
        "the best model of the run",
        f"take {out / 'last.safetensors'}, of epoch {state.epoch}, or train anew in another folder (--out)",
        code="missing-file",
    )
    state.best, state.best_epoch = -1.0, 0
    return line


def _result(out: Path, state: RunState, interrupted: bool) -> TrainResult:
    return TrainResult(
        out / "best.safetensors", out / "last.safetensors", state.seconds, state.history, interrupted
    )
