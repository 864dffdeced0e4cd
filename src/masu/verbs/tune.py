"""Tune: settings of a trained model that need no training, and which of them gain AP beyond chance."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from masu.data.dataset import Dataset
from masu.detectors.build import load, save
from masu.detectors.detector import Detector
from masu.errors import bad_input, counted, listed
from masu.explanation.tuning import PREFERENCES, Preference, Try, Tuning
from masu.explanation.tuning import tune as run
from masu.exports.write import LAST_SUFFIXES
from masu.model_path import model_file
from masu.ranges import SECONDS
from masu.verbs.reading import IN_MEMORY, Counter, quiet, refuse_beside, to_calibrate_on, warn_of_faults

_OPTIONS = {
    "thresholds": "--store-thresholds",
    "calibration": "--calibrate right",
    "margins": "--store-margins SHARE",
}
"""Of ``masu evaluate``, by what they store."""


@dataclass(frozen=True, eq=False)
class Tuned:
    """What :func:`tune` found.

    Attributes:
        model: the file that was tuned; None for a detector in memory.
        data: where the images are; None for a data set in memory.
        split: of the images, where they have splits.
        images: how many there are.
        tuning: the tries, and the detector with what is kept.
        out: the file that was written; None where nothing was.
    """

    model: Path | None
    data: Path | None
    split: str | None
    images: int
    tuning: Tuning = field(repr=False)
    out: Path | None = None

    @property
    def detector(self) -> Detector:
        """A copy of the model with the settings that are kept."""
        return self.tuning.detector

    @property
    def tries(self) -> tuple[Try, ...]:
        """In the order in which they were made."""
        return self.tuning.tries

    @property
    def gained(self) -> bool:
        """Whether any setting is kept."""
        return self.tuning.gained

    @property
    def said(self) -> str:
        """The answer in a sentence or two."""
        on = f"on {counted(self.images, 'image')}"
        stored = ["thresholds of these images"] if self.tuning.thresholds else []
        where = "no file was asked for" if self.out is None else f"written to {self.out}"
        if self.gained:
            kept = [f"{one.name} {one.before:g} -> {one.after:g}" for one in self.tuning.kept]
            return f"Kept {on}: {', '.join([*kept, *stored])}; {where}."
        if not self.tries:
            said = f"Nothing was tried {on}: the time did not suffice."
            return f"{said} New: {stored[0]}; {where}." if stored else said
        said = f"Nothing is kept: no setting gains AP beyond chance {on}."
        if stored:
            return f"{said} New: {stored[0]}; {where}."
        return f"{said} No file was written; the model is good as it is."

    @property
    def store_again(self) -> str | None:
        """The command that stores anew what was dropped; None where nothing was."""
        if not self.tuning.dropped:
            return None
        options = [_OPTIONS[name] for name in self.tuning.dropped]
        if "calibration" in self.tuning.dropped and "thresholds" in self.tuning.dropped:
            options.remove(_OPTIONS["thresholds"])  # --calibrate stores them too
        where = [shlex.quote(str(place)) for place in (self.out or "MODEL", self.data or "DATA")]
        split = [] if self.split is None else ["--split", shlex.quote(self.split)]
        return " ".join(["masu evaluate", *where, *split, *options])

    def write_page(self, file: Path) -> None:
        """Write one HTML file that needs nothing else: every try, and where objects are lost."""
        from masu.explanation.tuning_page import write_page

        name = "a data set in memory" if self.data is None else self.data.resolve().name
        where = f"{name}, split {self.split}" if self.split else name
        write_page(self.tuning, file, where, self.images, self.said)

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON knows it."""
        return {
            "model": None if self.model is None else str(self.model),
            "data": None if self.data is None else str(self.data),
            "split": self.split,
            "images": self.images,
            "said": self.said,
            "milliseconds": self.tuning.milliseconds,
            "level": self.tuning.level,
            "tries": [_as_dict(one) for one in self.tries],
            "left_out": list(self.tuning.left_out),
            "lost": dict(self.tuning.lost),
            "lost_after": None if self.tuning.lost_after is None else dict(self.tuning.lost_after),
            "faster": [_as_dict(one) for one in self.tuning.faster],
            "thresholds": dict(self.tuning.thresholds),
            "dropped": list(self.tuning.dropped),
            "store_again": self.store_again,
            "out": None if self.out is None else str(self.out),
        }


def _as_dict(one: Try) -> dict[str, Any]:
    return {
        "stage": one.stage,
        "setting": one.setting,
        "before": one.before,
        "after": one.after,
        "ap": asdict(one.ap),
        "milliseconds": one.milliseconds,
        "kept": one.kept,
    }


def tune(
    model: str | os.PathLike[str] | Detector,
    data: str | os.PathLike[str] | Dataset,
    *,
    out: str | os.PathLike[str] | None = None,
    split: str | None = None,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    time_budget: float = 60.0,
    prefer: Preference = "ap",
    store_thresholds: bool = False,
    device: str = "auto",
    report: str | os.PathLike[str] | None = None,
    counter: Counter = quiet,
) -> Tuned:
    """Try other settings of a trained model on labelled images and keep those that gain AP beyond chance.

    Tried are the settings at which the funnel loses objects (suppressions, numbers of proposals and
    detections, score thresholds), the last suppression, and the size of the images. The model stays as it is.

    Args:
        model: a model file that masu wrote, a run, or a detector.
        data: where the labelled images are, in any format that masu reads, or a data set from
            :func:`masu.read_dataset`. They must be none that the model was trained on, and others than those
            that will judge it.
        out: file for the model with what is kept; it is written only where something is.
        split: of a path; default: val, where it has splits.
        form: format of the data at a path; default: found by looking.
        images: another folder that holds the images of a path.
        time_budget: seconds after which no further setting is tried.
        prefer: ``"ap"``; or ``"speed"``, which also keeps fewer proposals where that is faster and AP stays.
        store_thresholds: give it the score with the largest F1 of each class on these images.
        device: of a model file, see ``masu evaluate --device``.
        report: also write a page of the tries.
        counter: shows how far each evaluation is.

    Returns:
        ``detector``, ``tries``, ``gained`` and, in a sentence, ``said``; ``tuning`` has the rest.

    Raises:
        TypeError: for options of a path beside a data set.
        InputError: for a model or data that cannot be read, an exported file, a proposal generator, an
            ``out`` that is already there, an unknown ``prefer``, data without a split for validation, fewer
            than two images or no labelled object.
    """
    SECONDS.check("--time-budget", time_budget)
    if prefer not in PREFERENCES:
        raise bad_input("prefer", repr(prefer), f"one of {listed(PREFERENCES)}", code="unknown-name")
    file = None if isinstance(model, Detector) else model_of(model)
    out = None if out is None else Path(out)
    if out is not None:
        refuse_out(out, file)
    detector = model if isinstance(model, Detector) else load(model_of(model), device)
    if detector.kind == "proposals":
        raise bad_input(file or "model", "a proposal generator", "a detector with classes")
    where = None if isinstance(data, Dataset) else Path(data)
    if isinstance(data, Dataset):
        refuse_beside(IN_MEMORY, "tune", split=split, form=form, images=images)
    else:
        channels = detector.input.channels
        data = to_calibrate_on(data, split, form=form, images=images, channels=channels, counter=counter)
        warn_of_faults(data)
    tuning = run(
        detector, data, seconds=time_budget, prefer=prefer, thresholds=store_thresholds, counter=counter
    )
    if not (tuning.gained or tuning.thresholds):
        out = None
    if out is not None:
        save(tuning.detector, out)
    done = Tuned(file, where, data.split, len(data), tuning, out)
    if report is not None:
        done.write_page(Path(report))
    return done


def model_of(path: str | os.PathLike[str]) -> Path:
    """The model file at a path: the path itself, or the best model of a run.

    Raises:
        InputError: for an exported file, or a folder without a model.
    """
    path = Path(path)
    if path.suffix in LAST_SUFFIXES:
        raise bad_input(
            path,
            "an exported file, whose settings cannot be changed",
            "a model file that masu wrote (RUN/best.safetensors)",
            "tune the model and export it again",
        )
    return model_file(path)


def refuse_out(out: Path, model: Path | None) -> None:
    """Refuse, before anything is measured, a file that would replace another.

    Raises:
        InputError: for the model itself, or a path where something is.
    """
    if model is not None and os.path.realpath(out) == os.path.realpath(model):
        raise bad_input(out, "the model itself", "another file", "choose another --out")
    if os.path.lexists(out):
        raise bad_input(out, "something that is already there", "a new file", "choose another --out")
