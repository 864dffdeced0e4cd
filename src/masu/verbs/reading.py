"""The images that a verb is about: the right split of a data set, read once and looked at."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

from masu.data.audit.fingerprints import fingerprint_images, near_duplicates
from masu.data.audit.prospects import said_of_few, said_of_no_empty
from masu.data.audit.strays import find_unread
from masu.data.dataset import Dataset
from masu.data.formats import read_annotations, said_of_drafts, usable
from masu.data.pixels.unread import animated, said_of_animated, said_of_unread
from masu.data.splits import evaluation_split, training_split, validation_split
from masu.data.splitting import apart, hold_back
from masu.errors import bad_input, counted

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (images done, images in total)."""

Counter: TypeAlias = Callable[[str], AbstractContextManager[Progress]]
"""Shows that something goes on, under a title, for as long as it is open."""

IN_MEMORY = "a data set in memory"
"""Beside what options of a path mean nothing, see :func:`refuse_beside`."""

MOST_TOLD = 20
"""Faults that are told one by one."""

_HELD_BACK = 0.2


@contextmanager
def quiet(_title: str) -> Iterator[Progress]:
    """A :data:`Counter` that shows nothing."""
    yield lambda _done, _total: None


def to_train_on(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    channels: int | None = None,
    counter: Counter = quiet,
) -> Dataset:
    """The images that a training would learn from.

    Args:
        path: data set.
        split: default: train, else trainval, where there are splits.
        form: its format; default: found by looking.
        images: another folder that holds the images.
        channels: of the images where they are no RGB photographs.
        counter: shows how far the looking is.

    Raises:
        InputError: as of :func:`masu.read_dataset`; where no split is for training.
    """
    with counter("reading annotations"):
        source = read_annotations(path, form, images)
    return looked_at(source, training_split(split, source.splits, path), channels, counter)


def to_measure_on(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    channels: int | None = None,
    counter: Counter = quiet,
) -> Dataset:
    """As :func:`to_train_on`, the images to measure on: the split test, else val, where there are splits."""
    with counter("reading annotations"):
        source = read_annotations(path, form, images)
    return looked_at(source, evaluation_split(split, source.splits, path), channels, counter)


def to_calibrate_on(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    channels: int | None = None,
    counter: Counter = quiet,
) -> Dataset:
    """As :func:`to_train_on`, the images to calibrate on: the split val, where there are splits.

    A split for training or testing is never taken unless it is asked for: the first flatters a model, the
    second is to judge it.
    """
    source = read_annotations(path, form, images)
    chosen = validation_split(split, source.splits, path)
    if chosen is None and source.splits:
        raise bad_input(
            path,
            f"the splits {', '.join(source.splits)}",
            "one that is named for validation",
            "say which with split=NAME",
        )
    return looked_at(source, chosen, channels, counter)


def looked_at(source: Dataset, split: str | None, channels: int | None, counter: Counter = quiet) -> Dataset:
    """The images of a split, looked at and fit for a detector.

    Args:
        source: all annotations, as of :func:`masu.data.formats.read_annotations`.
        split: one of ``source.splits``; None takes all images.
        channels: of the images where they are no RGB photographs.
        counter: shows how far the looking is.

    Raises:
        InputError: as of :func:`masu.read_dataset`.
    """
    with counter("looking at images") as progress:
        return usable(source, split, None, progress, channels)


def training_and_validation(
    path: str | os.PathLike[str],
    split: str | None = None,
    val: str | os.PathLike[str] | None = None,
    val_split: str | None = None,
    *,
    seed: int = 0,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    max_bad: float = 0.05,
    channels: int | None = None,
    counter: Counter = quiet,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Dataset, Dataset]:
    """The images to learn from and to validate on, with nothing in common.

    Validation is the data's own part for it, or other data; without either a fifth of the training images is
    held back, every class in both, images that are almost the same together. Images that are in a validation
    or test split, too, are never trained on.

    Args:
        path: data set.
        split: to learn from; default: train, else trainval, where there are splits.
        val: other data to validate on.
        val_split: to validate on; default: val.
        seed: of the holding back.
        form: format of the data; default: found by looking.
        images: another folder that holds the images.
        max_bad: largest share of faulty images or objects.
        channels: of the images where they are no RGB photographs.
        counter: shows how far the looking is.
        tell: told where images are held back, what in the folders is not read, and what little few or
            one-sided images promise.

    Raises:
        InputError: as of :func:`masu.read_dataset`; where no split is for training; for more faults than
            ``max_bad``.
    """
    with counter("reading annotations"):
        source = read_annotations(path, form, images)
    chosen = training_split(split, source.splits, path)
    if val is None:
        other, other_split = source, validation_split(val_split, source.splits, path)
    else:
        other = read_annotations(val, None, images)
        other_split = validation_split(val_split, other.splits, val)
        if other_split is None and other.splits:
            raise bad_input(
                val,
                f"the splits {', '.join(other.splits)}",
                "one that is named for validation",
                "say which with --val-split NAME",
            )
    with counter("looking at images") as progress:
        own = apart(source, chosen, other_split if val is None else None)
        training = usable(own, None, None, progress, channels)
        validation = None
        if val is not None or other_split is not None:
            validation = usable(other, other_split, training.names, progress, channels)
    if validation is None:
        training, validation = _held_back(training, Path(path), seed, max_bad, counter, tell)
    unread = said_of_unread(dict.fromkeys(file for one in (source, other) for file in find_unread(one)))
    for said in (*unread, *said_of_animated(animated((*training.paths, *validation.paths)))):
        tell(f"{path}: {said}")
    for expected in (said_of_few(training, validation), said_of_no_empty(training)):
        if expected is not None:
            tell(expected)
    return training, validation


def _held_back(
    training: Dataset, path: Path, seed: int, max_bad: float, counter: Counter, tell: Callable[[str], None]
) -> tuple[Dataset, Dataset]:
    if len(training) < 2:
        raise bad_input(path, f"{counted(len(training), 'image')}", "at least 2, one of them for validation")
    training.refuse_bad(max_bad)
    with counter("looking for images that are almost the same") as progress:
        prints = fingerprint_images(list(training.paths), progress=progress)
    with counter("comparing images") as progress:
        groups = near_duplicates(prints, progress)
    kept, held = hold_back(training, _HELD_BACK, seed, groups)
    of = "" if training.split is None else f" of the split {training.split}"
    tell(f"{path}: no validation split, {len(held)} of {len(training)} images{of} are held back for it")
    return kept, held


def refuse_beside(beside: str, verb: str, **options: object) -> None:
    """Refuse options of a path where nothing is read at a path.

    Args:
        beside: what was given instead, such as ``a data set in memory``.
        verb: the function that was called.
        **options: by name; None: not given.

    Raises:
        TypeError: naming those that were given.
    """
    given = [f"{name}=" for name, value in options.items() if value is not None]
    if given:
        them = "it" if len(given) == 1 else "them"
        raise TypeError(
            f"{verb}: found {', '.join(given)} beside {beside}, wanted {them} beside a path; "
            f"leave {them} out, or give {them} to masu.read_dataset"
        )


def tell_faults(report: Callable[[str], None], *datasets: Dataset) -> None:
    """Tell what reading has left out: drafts that nobody confirmed, and the first faults, each once."""
    for said in _of_drafts(datasets):
        report(said)
    faults = list(dict.fromkeys(fault for data in datasets for fault in data.faults))
    for fault in faults[:MOST_TOLD]:
        report(str(fault))
    if faults:
        were = "was" if len(faults) == 1 else "were"
        shown = f", {MOST_TOLD} shown" if len(faults) > MOST_TOLD else ""
        report(f"{counted(len(faults), 'fault')} in the data {were} skipped or clipped{shown}")


def warn_of_faults(*datasets: Dataset) -> None:
    """A warning of what reading has left out or clipped, for callers who see no ``Dataset``."""
    for said in _of_drafts(datasets):
        warnings.warn(said, stacklevel=3)
    for root, faults in dict.fromkeys((data.root, data.faults) for data in datasets if data.faults):
        warnings.warn(
            f"{root}: {counted(len(faults), 'fault')} skipped or clipped, the first: "
            f"{faults[0]}; masu.check(path) names all",
            stacklevel=3,
        )


def _of_drafts(datasets: Sequence[Dataset]) -> list[str]:
    """One sentence of each folder with drafts that nobody confirmed."""
    told = dict.fromkeys((said_of_drafts(data), data.root) for data in datasets)
    return [f"{root}: {said}" for said, root in told if said is not None]
