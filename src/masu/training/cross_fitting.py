"""Detectors that have not seen the images which they judge (cross-fitting).

The images are shared out into folds. A short training on all other folds gives the detector that judges one
fold, so that no detector judges labels that it has learnt.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from masu.data.dataset import Array, Dataset
from masu.data.splitting import share_out
from masu.detectors.build import load
from masu.detectors.detector import Detector
from masu.errors import InputError, bad_input
from masu.training.recipe import TrainSettings
from masu.training.train import train


@dataclass(frozen=True, eq=False)
class Fold:
    """Images and the detector that has not seen them.

    Attributes:
        number: of the fold, from 0.
        images: ``(n,)`` int64, positions in the data set.
        detector: trained on all other images.
    """

    number: int
    images: Array
    detector: Detector


def folds_of(data: Dataset, folds: int, seed: int, groups: Sequence[Sequence[int]] = ()) -> tuple[Array, ...]:
    """Share out the images of a data set into folds, classes alike in each.

    Args:
        data: labelled images.
        folds: how many.
        seed: of the order in which images are shared out.
        groups: positions of images that show the same; they stay in one fold.

    Returns:
        For each fold ``(n,)`` int64 positions in ``data``; each image is in one fold.

    Raises:
        InputError: for fewer images, or groups of images, than folds.
    """
    names = [f"fold {number}" for number in range(folds)]
    try:
        shared = share_out(data, dict.fromkeys(names, 1 / folds), seed, groups)
    except InputError as error:
        if error.thing != "--split-by":
            raise
        raise bad_input(
            data.root,
            f"{len(data)} images, too few that differ",
            f"at least {folds}, one for each fold",
            "label more images, or ask for fewer folds",
        ) from None
    return tuple(np.flatnonzero(shared.members[shared.splits.index(name)]) for name in names)


def cross_fitted(
    data: Dataset,
    settings: TrainSettings,
    folds: int = 3,
    *,
    groups: Sequence[Sequence[int]] = (),
    report: Callable[[int, dict[str, Any]], None] | None = None,
    device: str | torch.device = "auto",
) -> Iterator[Fold]:
    """Train a detector for each fold, on all images outside of it; its files are gone afterwards.

    Args:
        data: labelled images.
        settings: of each training; a time budget is that of one.
        folds: how many.
        groups: positions of images that show the same; they stay in one fold.
        report: told the number of the fold and what :func:`masu.training.train.train` reports.
        device: where the networks compute.

    Raises:
        InputError: as of :func:`masu.training.train.train`, and for fewer images than folds.
    """
    for number, images in enumerate(folds_of(data, folds, settings.seed, groups)):
        others = np.setdiff1d(np.arange(len(data)), images)
        told = None if report is None else _numbered(report, number)
        with tempfile.TemporaryDirectory(prefix="masu-fold-") as place:
            result = train(
                replace(data.take(others), accepted=True),
                None,
                settings,
                Path(place),
                report=told,
                device=device,
                checkpoint_seconds=1e9,
            )
            if result.interrupted:
                raise KeyboardInterrupt
            detector = load(result.last, device)
        yield Fold(number, images, detector)


def _numbered(report: Callable[[int, dict[str, Any]], None], number: int) -> Callable[[dict[str, Any]], None]:
    return lambda event: report(number, event)
