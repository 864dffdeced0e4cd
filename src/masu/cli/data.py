"""The parts of a data set that a verb is about: read once, looked at with a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from masu.cli.notes import detail, note, working
from masu.errors import InputError, counted

if TYPE_CHECKING:
    from masu.data.dataset import Dataset

_HELD_BACK = 0.2


def looked_at(source: Dataset, split: str | None, channels: int | None = None) -> Dataset:
    """The images of a split, looked at and fit for a detector.

    Args:
        source: all annotations, as of :func:`masu.data.formats.read_annotations`.
        split: one of ``source.splits``; None takes all images.
        channels: of the images where they are no RGB photographs.

    Raises:
        InputError: as of :func:`masu.read_dataset`.
    """
    from masu.data.formats import usable

    _tell(source, split)
    with working("looking at images") as progress:
        return usable(source, split, None, progress, channels)


def _tell(source: Dataset, split: str | None) -> None:
    splits = f"splits {', '.join(source.splits)}" if source.splits else "no splits"
    chosen = f"split {split}" if split else "all images"
    detail(f"{source.root}: format {source.form}, {counted(len(source), 'image')}, {splits}; {chosen} taken")


def training_and_validation(
    path: Path,
    split: str | None,
    val: Path | None,
    val_split: str | None,
    *,
    seed: int,
    form: str | None,
    images: Path | None,
    max_bad: float,
    channels: int | None = None,
) -> tuple[Dataset, Dataset]:
    """The images to learn from and to validate on, with nothing in common.

    Validation is DATA's own part for it, or other data; without either a fifth of the training images is held
    back, every class in both, images that are almost the same together. Images that are in a validation or
    test split, too, are never trained on.

    Raises:
        InputError: as of :func:`masu.read_dataset`; where no split is for training; for more faults than
            ``max_bad``.
    """
    from masu.data.formats import read_annotations, usable
    from masu.data.splits import training_split, validation_split
    from masu.data.splitting import apart

    source = read_annotations(path, form, images)
    chosen = training_split(split, source.splits, path)
    if val is None:
        other, other_split = source, validation_split(val_split, source.splits, path)
    else:
        other = read_annotations(val, None, images)
        other_split = validation_split(val_split, other.splits, val)
        if other_split is None and other.splits:
            found = (
                f"{val}: found the splits {', '.join(other.splits)}, wanted one that is named for validation"
            )
            raise InputError(f"{found}; say which with --val-split NAME")
    _tell(source, chosen)
    if val is not None or other_split is not None:
        _tell(other, other_split)
    with working("looking at images") as progress:
        own = apart(source, chosen, other_split if val is None else None)
        training = usable(own, None, None, progress, channels)
        if val is not None or other_split is not None:
            return training, usable(other, other_split, training.names, progress, channels)
    return _held_back(training, path, seed, max_bad)


def _held_back(training: Dataset, path: Path, seed: int, max_bad: float) -> tuple[Dataset, Dataset]:
    from masu.data.audit.fingerprints import fingerprint_images, near_duplicates
    from masu.data.splitting import hold_back

    if len(training) < 2:
        raise InputError(
            f"{path}: found {counted(len(training), 'image')}, wanted at least 2, one of them for validation"
        )
    training.refuse_bad(max_bad)
    with working("looking for images that are almost the same") as progress:
        groups = near_duplicates(fingerprint_images(list(training.paths), progress=progress))
    kept, held = hold_back(training, _HELD_BACK, seed, groups)
    of = "" if training.split is None else f" of the split {training.split}"
    note(f"{path}: no validation split, {len(held)} of {len(training)} images{of} are held back for it")
    return kept, held
