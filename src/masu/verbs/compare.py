"""Compare: two models, or two ways of training, on the same labelled images."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from masu.data.dataset import Dataset
from masu.detectors.sizing import with_image_size
from masu.detectors.tta import with_tta
from masu.errors import bad_input
from masu.evaluation.comparison import Comparison, Run
from masu.evaluation.comparison import compare as run
from masu.evaluation.evaluate import score
from masu.evaluation.predictions import AnyDetector
from masu.exports.exported import open_detector
from masu.misspelt import meant_by
from masu.model_path import BEST
from masu.seal import files_of
from masu.verbs.reading import Counter, quiet, refuse_beside, to_measure_on, warn_of_faults
from masu.verbs.saved import are_predictions, score_saved

Source: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Opened:
    """One run of a side, ready to be scored.

    Attributes:
        file: the model or the saved predictions.
        detector: None for saved predictions.
        size: bytes of the model's file; None for saved predictions and a detector in memory.
    """

    file: Path
    detector: AnyDetector | None
    size: int | None = None


Side: TypeAlias = Source | AnyDetector | Opened | Sequence[Source | AnyDetector | Opened]
"""One model, or several runs of the same training."""


def compare(
    a: Side,
    b: Side,
    data: Source | Dataset,
    *,
    split: str | None = None,
    form: str | None = None,
    images: Source | None = None,
    image_size: int | None = None,
    tta: bool = False,
    batch_size: int = 1,
    device: str = "auto",
    trust_code: bool = False,
    counter: Counter = quiet,
) -> Comparison:
    """Differences of two models' figures on the same images, with 95 % intervals.

    Where a side has several runs that differ in their seed, the noise of training is in the intervals. With
    one run each they are about these two models only.

    Args:
        a: a detector, a model file, an exported file or saved predictions; several of these; or the path of a
            run, of a folder of runs, or a pattern with ``*``, each file of which is a run.
        b: likewise; a positive difference means that it is the better one.
        data: where the labelled images are, in any format that masu reads, or a data set from
            :func:`masu.read_dataset`.
        split: of a path; default: test, else val, where it has splits.
        form: format of the data at a path; default: found by looking.
        images: another folder that holds the images of a path.
        image_size: shorter side that the models of both sides are to see, in pixels, see
            :func:`masu.with_image_size`; default: the own of each. Saved predictions stay as they are.
        tta: models of both sides look at each image mirrored, too, see :func:`masu.with_tta`. Saved
            predictions stay as they are.
        batch_size: images per prediction.
        device: of models of masu, see ``masu evaluate --device``.
        trust_code: open a ``.pt2`` too, which can run any code on this computer.
        counter: shows how far the evaluations are.

    Returns:
        ``figures``, ``per_class``, ``changes`` and, in a sentence, ``said``.

    Raises:
        TypeError: for options of a path beside a data set, and with ``image_size`` or ``tta`` for a detector
            that is none of masu.
        InputError: for a model or data that cannot be read, a folder without a run, a proposal generator, a
            size out of range or another one than that of an exported file, or fewer than two images.
    """
    opened = [opened_side(side, device, trust_code, image_size, tta) for side in (a, b)]
    refuse_idle_looks([one for side in opened for one in side], looks_asked(image_size, tta))
    if isinstance(data, Dataset):
        refuse_beside("a data set in memory", "compare", split=split, form=form, images=images)
    else:
        channels = channels_of([one for side in opened for one in side])
        data = to_measure_on(data, split, form=form, images=images, channels=channels, counter=counter)
        warn_of_faults(data)
    return run(*([_scored(one, data, batch_size, counter) for one in side] for side in opened))


def opened_side(
    side: Side,
    device: str = "auto",
    trust_code: bool = False,
    image_size: int | None = None,
    tta: bool = False,
) -> list[Opened]:
    """Open the runs of a side, before anything is measured.

    Raises:
        InputError: for a path where nothing is, a folder without a run, no run at all, one file twice, what
            is no detector with classes, or another size than that of an exported file.
    """
    opened = [_opened(one, device, trust_code, image_size, tta) for one in models_of(side)]
    files = [os.path.realpath(one.file) for one in opened if one.size is not None or one.detector is None]
    for file in files:
        if files.count(file) > 1:
            raise bad_input(file, "the same file twice on one side", "different runs", "name it once")
    for one in opened:
        if one.detector is not None and one.detector.kind == "proposals":
            raise bad_input(one.file, "a proposal generator", "a detector with classes")
    return opened


def _opened(
    model: Path | AnyDetector | Opened, device: str, trust_code: bool, image_size: int | None, tta: bool
) -> Opened:
    if isinstance(model, Opened):
        return model
    if not isinstance(model, Path):
        return Opened(Path(type(model).__name__), _looking(model, image_size, tta))
    if are_predictions(model):
        return Opened(model, None)
    detector = open_detector(model, trust_code=trust_code, device=device)
    return Opened(model, _looking(detector, image_size, tta), _bytes(model))


def _looking(detector: Any, image_size: int | None, tta: bool) -> AnyDetector:
    sized = detector if image_size is None else with_image_size(detector, image_size)
    looking: AnyDetector = with_tta(sized) if tta else sized
    return looking


def looks_asked(image_size: int | None, tta: bool) -> list[str]:
    """The options by which models are asked to look otherwise: ``["--image-size 672", "--tta"]``."""
    size = [] if image_size is None else [f"--image-size {image_size}"]
    return [*size, "--tta"] if tta else size


def refuse_idle_looks(opened: Sequence[Opened], asked: Sequence[str]) -> None:
    """Refuse options of how models look, see :func:`looks_asked`, where no model looks at all.

    Raises:
        InputError: for saved predictions on both sides.
    """
    if asked and all(one.detector is None for one in opened):
        found = "with saved predictions alone, which were made before"
        fix = f"save them with masu evaluate {' '.join(asked)} --save-predictions"
        raise bad_input(asked[0].partition(" ")[0], found, "a model", fix)


def channels_of(opened: Sequence[Opened]) -> int | None:
    """Channels of the images that all of them look at; None for RGB photographs.

    Raises:
        InputError: where they look at different ones.
    """
    wanted = {one.detector.input.channels: one.file for one in opened if one.detector is not None}
    if len(wanted) > 1:
        (first, other), (second, file) = list(wanted.items())[:2]
        raise bad_input(file, f"images of {second or 3} channels", f"{first or 3}, as {other} looks at")
    return next(iter(wanted), None)


def models_of(side: Side) -> list[Path | AnyDetector | Opened]:
    """The runs of a side: files, or detectors as they are given.

    Raises:
        InputError: for a path where nothing is, a folder without a run, or no run at all.
    """
    if isinstance(side, str | os.PathLike):
        return list(_files(side))
    if isinstance(side, Sequence):
        found = [file for one in side for file in models_of(one)]
        if not found:
            raise bad_input("compare", "no model", "at least one for each side")
        return found
    return [side]


def _files(source: Source) -> list[Path]:
    text = os.fspath(source)
    matches = [text] if os.path.exists(text) else sorted(glob.glob(text, recursive=True))
    if not matches:
        wanted = "a model, a run or saved predictions"
        raise bad_input(source, "no such file", wanted, meant_by(source), code="missing-file")
    return [file for match in matches for file in _files_at(Path(match))]


def _files_at(path: Path) -> list[Path]:
    """The file at a path, or those of the runs in a folder."""
    if not path.is_dir() or are_predictions(path):
        return [path]
    found = [path / BEST] if (path / BEST).is_file() else sorted(path.glob(f"*/{BEST}"))
    if not found:
        raise bad_input(path, f"a folder without {BEST}", "a run, or a folder of runs")
    return found


def _scored(one: Opened, data: Dataset, batch_size: int, counter: Counter) -> Run:
    if one.detector is None:
        return Run(one.file, score_saved(one.file, data))
    with counter(f"evaluating {one.file}") as progress:
        scored = score(one.detector, data, batch_size=batch_size, progress=progress)
    thresholds = dict(getattr(one.detector, "thresholds", {}))
    way = getattr(one.detector, "way", None)
    return Run(one.file, scored, thresholds, one.size, one.detector.input.channels, way)


def _bytes(file: Path) -> int:
    """Of a model's file, weights beside it included."""
    return sum(part.stat().st_size for part in files_of(file) if part.is_file())
