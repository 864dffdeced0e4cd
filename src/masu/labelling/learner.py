"""The process that trains: one round on what is labelled now, told on standard output line by line."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from masu.data.audit.fingerprints import fingerprint_images, near_duplicates
from masu.data.dataset import Dataset
from masu.data.formats import read_annotations, usable
from masu.data.formats.tree import Tree
from masu.data.loading.transforms import Augmentation
from masu.data.splits import TEST, VAL, role, training_split, validation_split
from masu.data.splitting import apart
from masu.errors import InputError, bad_input
from masu.labelling.held_back import FEWEST, HELD, TEACHES, HeldBack
from masu.labelling.learning import learn
from masu.labelling.photographs import name_of
from masu.training.recipe import TrainSettings


@dataclass(frozen=True)
class Parts:
    """What a round is about.

    Attributes:
        training: photographs to learn from.
        held: photographs to measure on; None: none yet.
        goes_on: the last model has learned from none of ``held``.
    """

    training: Dataset
    held: Dataset | None
    goes_on: bool


def main(task: Mapping[str, Any]) -> None:
    """Train, and print what happens as JSON objects, one a line.

    Args:
        task: ``folder`` of the photographs, ``form`` of their labels, ``answered`` (names of the photographs
            that are done), ``drawn`` (those of them to hold back), ``held_back`` (a file), ``out`` for the
            run, ``weights`` (the last model, or None), ``seconds``, and ``flip``: whether objects are the
            same in a mirror.
    """
    augmentation = Augmentation() if task["flip"] else Augmentation(horizontal_flip=0.0)
    try:
        parts = parts_of(task)
        learned = learn(
            parts.training,
            parts.held,
            Path(task["out"]),
            budget=float(task["seconds"]),
            weights=Path(task["weights"]) if parts.goes_on and task["weights"] is not None else None,
            settings=TrainSettings(precision="auto", augmentation=augmentation),
            tta=task["flip"],
            report=lambda progress: _tell(event="progress", progress=min(progress, 1.0)),
        )
    except InputError as error:
        _tell(event="failed", text=_said(error))
        return
    _tell(event="learned", **learned.as_dict())


def parts_of(task: Mapping[str, Any]) -> Parts:
    """The photographs to learn from and those that are held back.

    Where the data set has splits they are those for training and validation; what no split names teaches,
    too, unless it lies in a folder for validation or testing. Without a split for validation some
    photographs are held back.

    Args:
        task: as of :func:`main`.

    Raises:
        InputError: labels that cannot be read, or nothing to learn from.
    """
    folder, answered = Path(task["folder"]), set(task["answered"])
    source = read_annotations(folder, task["form"])
    source = source.take([at for at, path in enumerate(source.paths) if name_of(path, folder) in answered])
    validation = validation_split(None, source.splits, folder)
    teaching = _teaching(source, validation, folder)
    if validation is not None:
        return Parts(usable(teaching), usable(source.part(validation), names=source.names), True)
    data = usable(teaching)
    names = [name_of(path, folder) for path in data.paths]
    groups = near_duplicates(fingerprint_images(list(data.paths)))
    held_back = HeldBack(Path(task["held_back"]))
    goes_on = held_back.known
    part = np.array(held_back.decide(names, groups, set(task["drawn"])))
    if not (part == TEACHES).any():
        raise bad_input(folder, "no photograph to learn from", f"at least {FEWEST} with labels")
    held = data.take(np.flatnonzero(part == HELD)) if (part == HELD).any() else None
    return Parts(data.take(np.flatnonzero(part == TEACHES)), held, goes_on)


def _teaching(source: Dataset, validation: str | None, folder: Path) -> Dataset:
    """The photographs of the split for training, and those that no split names."""
    tree = Tree(folder)
    loose = ~source.members.any(axis=0)
    loose &= np.array([_may_teach(tree.split_of(path)) for path in source.paths], bool)
    if not source.splits:
        return source.take(np.flatnonzero(loose))
    try:
        chosen = training_split(None, source.splits, folder)
    except InputError:  # what there is for training has no list yet
        if not loose.any():
            raise
        return source.take(np.flatnonzero(loose))
    members = source.members.copy()
    if chosen is not None:
        members[source.splits.index(chosen)] |= loose
    return apart(replace(source, members=members), chosen, validation)


def _may_teach(split: str | None) -> bool:
    return split is None or role(split) not in (VAL, TEST)


def _said(error: InputError) -> str:
    """What was wrong, without the commands that a person in a browser does not give."""
    said = (
        error.thing,
        f"found {error.found}" * bool(error.found),
        f"wanted {error.wanted}" * bool(error.wanted),
    )
    return ", ".join(part for part in said if part) or str(error)


def _tell(**said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """The process that gave the task holds the other end of standard input; without it nobody listens."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    first = sys.stdin.buffer.readline()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(10)  # the page and the drafts come first
    main(json.loads(first))
    sys.stdout.flush()
    os._exit(0)  # the other thread waits for standard input, which Python's own end does not bear
