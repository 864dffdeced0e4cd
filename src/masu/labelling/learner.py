"""The process that trains: one round on what is labelled now, told on standard output line by line."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from masu.data.audit.fingerprints import fingerprint_images, near_duplicates
from masu.data.dataset import Dataset
from masu.data.formats import read_annotations, usable
from masu.data.splits import training_split, validation_split
from masu.data.splitting import apart
from masu.errors import InputError, bad_input
from masu.labelling.held_back import HeldBack
from masu.labelling.learning import learn
from masu.labelling.photographs import name_of

FEWEST = 5
"""Labelled photographs that the first round wants."""


def main(task: Mapping[str, Any]) -> None:
    """Train, and print what happens as JSON objects, one a line.

    Args:
        task: ``folder`` of the photographs, ``form`` of their labels, ``left_out`` (names whose labels are
            not finished), ``out`` for the run, ``held_back`` (a file), ``weights`` (the last model, or None)
            and ``seconds``.
    """
    try:
        training, held = parts_of(task)
        learned = learn(
            training,
            held,
            Path(task["out"]),
            budget=float(task["seconds"]),
            weights=None if task["weights"] is None else Path(task["weights"]),
            report=lambda progress: _tell(event="progress", progress=min(progress, 1.0)),
        )
    except InputError as error:
        _tell(event="failed", text=str(error))
        return
    _tell(event="learned", **learned.as_dict())


def parts_of(task: Mapping[str, Any]) -> tuple[Dataset, Dataset | None]:
    """The photographs to learn from and those that are held back.

    Where the data set has splits they are those for training and validation, and none of a test split is
    among them.

    Args:
        task: as of :func:`main`.

    Raises:
        InputError: labels that cannot be read, or nothing to learn from.
    """
    folder = Path(task["folder"])
    source = read_annotations(folder, task["form"])
    if source.splits:
        validation = validation_split(None, source.splits, folder)
        chosen = training_split(None, source.splits, folder)
        source = _with_unlisted(source, chosen)
        training = usable(_without(apart(source, chosen, validation), task))
        return training, None if validation is None else usable(_without(source.part(validation), task))
    data = usable(_without(source, task))
    names = [name_of(path, folder) for path in data.paths]
    groups = near_duplicates(fingerprint_images(list(data.paths)))
    held = np.array(HeldBack(Path(task["held_back"])).decide(names, groups), bool)
    if not (~held).any():
        raise bad_input(folder, "no photograph to learn from", f"at least {FEWEST} with labels")
    return data.take(np.flatnonzero(~held)), data.take(np.flatnonzero(held)) if held.any() else None


def _with_unlisted(source: Dataset, split: str | None) -> Dataset:
    """The photographs of no split belong to one: they were labelled here, and no list knows of them yet."""
    if split is None:
        return source
    members = source.members.copy()
    members[source.splits.index(split)] |= ~source.members.any(axis=0)
    return replace(source, members=members)


def _without(data: Dataset, task: Mapping[str, Any]) -> Dataset:
    left_out, folder = set(task["left_out"]), Path(task["folder"])
    kept = [index for index, path in enumerate(data.paths) if name_of(path, folder) not in left_out]
    return data.take(kept)


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
