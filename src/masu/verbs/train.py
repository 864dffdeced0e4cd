"""Train: from a folder of labelled images to a run, with all that can be refused before anything is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from masu.data.dataset import Dataset
from masu.devices import device_of
from masu.errors import bad_input
from masu.nets.imagenet import installed
from masu.precision import check_precision, chosen_precision
from masu.processes import described
from masu.training.recipe import TrainSettings
from masu.training.run_state import begun_as
from masu.training.start import backbone_of, refuse_start
from masu.training.train import Report, TrainResult, resumes
from masu.training.train import train as run
from masu.verbs.reading import IN_MEMORY, refuse_beside, training_and_validation, warn_of_faults
from masu.words import nearest

DataSource = str | os.PathLike[str] | Dataset
"""A data set, or where it is."""


def train(
    data: DataSource,
    val: DataSource | None = None,
    settings: TrainSettings | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    val_split: str | None = None,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    report: Report | None = None,
    resume: bool = False,
    workers: int = 0,
    max_bad: float = 0.05,
    checkpoint_seconds: float = 30.0,
    keep_checkpoint: bool = False,
    device: str | torch.device = "auto",
    **changed: Any,
) -> TrainResult:
    """Train a detector on labelled images, and keep its best and last state in a folder.

    ``masu.train("photos", time_budget=60)`` does what ``masu train photos --time-budget 60`` does::

        result = masu.train("photos", time_budget=60)
        detector = masu.load(result.best)

    Args:
        data: where the data set is, in any format that masu reads, or one from :func:`masu.read_dataset`.
        val: other data to validate on. Default: of a path its split for that, without one a fifth of the
            images, held back; of a ``Dataset``: none, and the training is not evaluated.
        settings: how to train.
        out: folder for ``best.safetensors``, ``last.safetensors``, ``metrics.jsonl``, ``settings.json``,
            ``report.html`` and sample pictures. Default: ``runs/train-1``, or the next number that is free.
        split: of a path, to learn from; default: train, else trainval, where it has splits.
        val_split: of a path, to validate on; default: val.
        form: format of the data at a path; default: found by looking.
        images: another folder that holds the images of a path.
        report: told of the start, every step and every epoch: a dict with ``event``.
        resume: go on from the state in ``out`` instead of starting anew; a run that is finished gives its
            result.
        workers: processes that read images ahead; they change nothing but the time.
        max_bad: largest share of faulty images or objects that are skipped; 0 refuses at the first.
        checkpoint_seconds: between two checkpoints within an epoch; 0 writes after every step.
        keep_checkpoint: keep the state to go on from, several times the size of the model, when the training
            is finished; a training that was stopped always keeps it.
        device: where the network computes, see :func:`masu.devices.device_of`.
        **changed: fields of :class:`masu.TrainSettings` by name, in the place of those in ``settings``:
            ``time_budget`` in seconds, ``epochs``, ``architecture``, ``weights``, ``image_size``, ….

    Returns:
        Where the model files are, and the figures of every epoch.

    Raises:
        TypeError: for a name that is no setting, options of a path beside a ``Dataset``, or a ``Dataset``
            beside a path.
        InputError: for data that cannot be read or have no split to learn from, settings that do not fit
            together, weights that are not there, a folder that already holds a run, more faults than
            ``max_bad``, a loss that is not finite, or a disk or memory that does not suffice.
    """
    settings = with_fields(settings or TrainSettings(), changed)
    if isinstance(data, Dataset):
        refuse_beside(IN_MEMORY, "train", split=split, val_split=val_split, form=form, images=images)
        if not isinstance(val, Dataset | None):
            raise TypeError(
                f"train: found data in memory and val at {os.fspath(val)}, wanted both alike; write "
                "val=masu.read_dataset(val, names=data.names)"
            )
        training, validation = data, val
    elif isinstance(val, Dataset):
        raise TypeError(
            f"train: found data at {os.fspath(data)} and val in memory, wanted both alike; write "
            "masu.read_dataset(data, split='train')"
        )
    folder = prepared(settings, out, resume, device)
    if not isinstance(data, Dataset) and not isinstance(val, Dataset):
        training, validation = training_and_validation(
            data,
            split,
            val,
            val_split,
            seed=settings.seed,
            form=form,
            images=images,
            max_bad=max_bad,
            channels=settings.channels,
            tell=lambda said: report({"event": "start", "said": said}) if report else None,
        )
        warn_of_faults(training, validation)
    return run(
        training,
        validation,
        settings,
        folder,
        report=report,
        resume=resume,
        workers=workers,
        max_bad=max_bad,
        checkpoint_seconds=checkpoint_seconds,
        device=device,
        keep_checkpoint=keep_checkpoint,
    )


def with_fields(settings: TrainSettings, changed: Mapping[str, Any]) -> TrainSettings:
    """The settings with other values of some.

    Raises:
        TypeError: for a name that is no setting.
        InputError: for values that do not fit together.
    """
    known = [one.name for one in fields(settings)]
    for name in changed:
        if name not in known:
            near = nearest(name, known)
            meant = f"did you mean {near}?" if near else "help(masu.TrainSettings) names them"
            raise TypeError(f"train: found {name}=…, wanted a setting; {meant}")
    return replace(settings, **changed)


def prepared(
    settings: TrainSettings, out: str | os.PathLike[str] | None, resume: bool, device: str | torch.device
) -> Path:
    """The folder of a run, after everything was refused that needs no look at an image.

    Raises:
        InputError: for weights or a device that are not there, a detector that cannot be built, a precision
            that the device only imitates, or a folder that does not fit to ``resume``.
    """
    first = described().first  # only that process need have the folder
    begun = begun_as(Path(out)) if resume and out is not None and first else None
    going_on = begun is not None and begun.detector is not None if first else resume
    if not going_on and settings.weights == "auto" and not installed(backbone_of(settings)):
        raise bad_input(
            "--weights",
            f"no installed weights for {backbone_of(settings)}",
            "a choice: --weights imagenet downloads them, --weights none starts from random ones, "
            "--weights FILE from a model",
        )
    if out is None and resume:
        raise bad_input("--resume", "no --out", "the folder of the run to go on with")
    folder = next(_free_folders()) if out is None else Path(out)
    here = device_of(device)
    check_precision(chosen_precision(settings.precision, here, begun and begun.precision), here)
    if not going_on:
        refuse_start(settings)
    if first:  # the others may come when the first has begun to write
        resumes(folder, resume)
    return folder


def _free_folders() -> Iterator[Path]:
    return (path for i in range(1, 10_000) if not (path := Path(f"runs/train-{i}")).exists())
