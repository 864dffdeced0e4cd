"""A detector as one file: weights and description, of strangers too.

Nothing in a file is run. Its description is read by the schema of the settings before anything is built; its
tensors' names, shapes and types, which stand in its header, are compared with those of a network without
memory (on torch's meta device) before anything is allocated. So what a file can make masu take is in
proportion to its size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import safetensors.torch
import torch
from torch import Tensor

import masu
from masu.atomic import write_whole
from masu.detectors.calibration import Calibration
from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector
from masu.detectors.margins import Margins, check_margins
from masu.detectors.older_files import in_todays_words
from masu.detectors.torchvision_models import load_torchvision
from masu.detectors.zoo import DETECTORS, checked_names, make
from masu.devices import device_of
from masu.errors import InputError, bad_input, listed, visible
from masu.json_text import parsed
from masu.misspelt import meant_by
from masu.model_path import model_file
from masu.settings import Length, read, unknown
from masu.tensor_file import Entry, TensorFile, TensorFileError
from masu.thresholds import check_threshold
from masu.way import Way, refuse_mixed

FORMAT = "masu-1"
"""Marks a model file; a later number means a layout that older versions cannot read."""

EXPORTED = (".onnx", ".xml", ".pt2", ".tflite", ".param")
"""Suffixes of what ``masu export`` writes, which cannot be turned back into a detector."""

WANTED = "a model file that masu wrote (RUN/best.safetensors)"

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Types that weights may have in a file; a detector has them as float32."""

COUNTER = "num_batches_tracked"
"""Of normalisation in training; a file may lack it or have it without need."""

NAMED = {"thresholds": "thresholds", "calibration": "calibrated scores", "margins": "margins"}
"""Entries that are of one way of looking, and what people call them. A file says it in ``measured`` where it
is not the model's own."""

Names = Annotated[list[str], Length(1, 1_000_000)]
TrainedOn = dict[str, Annotated[str, Length(0, 10_000)] | None]


def save(detector: Detector, path: str | os.PathLike[str]) -> None:
    """Write a detector with its class names and settings to one safetensors file.

    The file appears whole or not at all: it is written beside its place and then renamed.

    Args:
        detector: any detector of masu.
        path: the file; its folder is made, and an older file replaced.

    Raises:
        InputError: where it cannot be written, or :func:`load` would refuse it: for weights that are not
            finite, thresholds, margins or a calibration of other classes; an earlier file is left as it was.
    """
    if type(detector).__name__ not in DETECTORS:
        raise TypeError(f"detector: found {type(detector).__name__}, wanted a detector of masu")
    path = Path(path)
    if detector.kind == "detector":
        checked_names(detector.names)
    check_threshold(dict(detector.thresholds), detector.names)
    trained_on = read(TrainedOn, dict(detector.trained_on), "trained_on")
    metadata = {"format": FORMAT, "version": masu.__version__, **description(detector)}
    if detector.thresholds:
        metadata["thresholds"] = json.dumps(dict(detector.thresholds), allow_nan=False)
    if detector.calibration is not None:
        detector.calibration.check_names(detector.names)
        metadata["calibration"] = json.dumps(asdict(detector.calibration), allow_nan=False)
    check_margins(dict(detector.margins), detector.names)
    if detector.margins:
        metadata["margins"] = json.dumps(dict(detector.margins), allow_nan=False)
    metadata |= _said_of_way(detector.measured, detector.way, metadata)
    if trained_on:
        metadata["trained_on"] = json.dumps(trained_on)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in detector.state_dict().items()}
    for name, tensor in tensors.items():
        check_values(name, tensor, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, [safetensors.torch.save(tensors, metadata)])


def _said_of_way(measured: Way | None, own: Way, metadata: Mapping[str, str]) -> dict[str, str]:
    """How what a file carries was measured, where that is not the model's own way."""
    if measured in (None, own) or not NAMED.keys() & metadata.keys():
        return {}
    return {"measured": json.dumps(asdict(measured))}


def description(detector: Detector) -> dict[str, str]:
    """What a file says of a detector beside its weights, see :func:`from_description`."""
    return {
        "type": type(detector).__name__,
        "names": json.dumps(detector.names),
        "config": json.dumps(_settings(detector.config), allow_nan=False),
    }


def _settings(config: DetectorConfig) -> dict[str, Any]:
    """The settings by name; ``tiles``, which earlier versions do not know, only where there are some."""

    def named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in pairs if name != "tiles" or value is not None}

    return asdict(config, dict_factory=named)


def from_description(
    metadata: Mapping[str, str], path: Path, entries: Mapping[str, Entry] | None = None
) -> Detector:
    """The detector of a :func:`description`, with random weights.

    Args:
        metadata: holds the description.
        path: the file, for the message.
        entries: tensors that the file says it has; compared before anything is allocated.

    Raises:
        InputError: for a description that no masu of this version writes, or other tensors than it has.
    """
    said = _described(metadata, path)
    if entries is not None:
        check_layout(entries, _without_memory(said, metadata, path), path)
    return _made(said, metadata, path)


def _without_memory(said: _Described, metadata: Mapping[str, str], path: Path) -> dict[str, Tensor]:
    """The tensors of a described network on torch's meta device."""
    # what is trained changes no tensor's name or shape, and finding it out on that device is slow
    pyramid = replace(said.config.pyramid, frozen_stride=0)
    with torch.device("meta"):
        like = _made(replace(said, config=said.config.with_pyramid(pyramid)), metadata, path)
    tensors: dict[str, Tensor] = like.state_dict()
    return tensors


def _made(said: _Described, metadata: Mapping[str, str], path: Path) -> Detector:
    try:
        return make(said.config, said.names)
    except ValueError as error:
        raise _unusable(error, metadata, path) from None


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Detector:
    """A detector from a file that :func:`save` wrote, or ``"torchvision/NAME"`` with its COCO weights.

    Weights of float16, bfloat16 and float64 are taken as float32.

    Args:
        path: the model file, a run whose best model is meant, or the name; nothing in it is run.
        device: where the detector is put, see :func:`masu.devices.device_of`.

    Returns:
        The detector with its class names, settings, thresholds, margins and calibration.

    Raises:
        InputError: for a device that is not there, a file that is missing or no model of masu, a setting that
            is unknown or out of its range, weights of other names, shapes or types or that are not finite, or
            a download that fails.
    """
    there = device_of(device)
    if str(path).startswith("torchvision/"):
        return load_torchvision(str(path).removeprefix("torchvision/")).to(there)
    path = model_file(path)
    with _opened(path) as file:
        said = _described(file.metadata, path)
        metadata = file.metadata
        check_layout(file.entries, _without_memory(said, metadata, path), path)
        tensors = _tensors(file, path)
        for name, tensor in tensors.items():
            check_values(name, tensor, path)
    detector = _made(said, metadata, path)
    detector.thresholds, detector.trained_on = said.thresholds, said.trained_on
    detector.calibration, detector.margins = said.calibration, said.margins
    detector.measured = said.measured
    own = detector.state_dict()
    for name, tensor in tensors.items():  # tables of places, which are computed and never learnt
        given = not tensor.is_floating_point() and not name.endswith(COUNTER)
        if given and not torch.equal(tensor, own[name]):
            raise bad_input(path, f"other numbers in {name}", "those of the network", "train it anew")
    detector.load_state_dict(tensors, strict=False)
    return detector.to(there).eval()


def store_thresholds(
    path: str | os.PathLike[str],
    thresholds: Mapping[str, float],
    margins: Margins = MappingProxyType({}),
    measured: Way | None = None,
) -> None:
    """Write the smallest score to show of each class into a model file, in place of those it had.

    The weights stay as they are, to the byte; the file appears whole or not at all. Its margins go: they are
    of the boxes that the earlier thresholds let pass.

    Args:
        path: a file that :func:`save` wrote.
        thresholds: class name → score in 0..1; a class without one is shown from 0.5. Empty: none.
        margins: class name → share of a box's size, measured with these thresholds.
        measured: the way of looking in which they were chosen, ``detector.way``; None: the model's own, one
            look at each image.

    Raises:
        InputError: for a file that is missing or no model of masu, an unknown class, a score outside 0..1, a
            number that is no margin, or a calibration that was measured in another way.
    """
    _restate(
        Path(path),
        lambda own: replace(own, thresholds=dict(thresholds), margins=dict(margins)),
        measured,
        ("calibration",),
    )


def store_calibration(
    path: str | os.PathLike[str],
    calibration: Calibration | None,
    thresholds: Mapping[str, float],
    margins: Margins = MappingProxyType({}),
    measured: Way | None = None,
) -> None:
    """Write what the scores of each class become into a model file, with thresholds for such scores.

    As :func:`store_thresholds`.

    Args:
        path: a file that :func:`save` wrote.
        calibration: None: scores are the network's own again.
        thresholds: class name → calibrated score.
        margins: as of :func:`store_thresholds`.
        measured: likewise. A calibration is of one look: it is applied to each of two.

    Raises:
        InputError: as :func:`store_thresholds`; for a calibration of an unknown class, or of two looks.
    """
    if calibration is not None and measured is not None and measured.looks != 1:
        raise bad_input(path, "a calibration of two looks", "one of one look, which each look applies")
    _restate(
        Path(path),
        lambda own: replace(own, calibration=calibration, thresholds=dict(thresholds), margins=dict(margins)),
        measured,
    )


def store_margins(path: str | os.PathLike[str], margins: Margins, measured: Way | None = None) -> None:
    """Write how far the boxes of each class are to be enlarged into a model file.

    As :func:`store_thresholds`, whose thresholds stay.

    Args:
        path: a file that :func:`save` wrote.
        margins: class name → share of a box's size. Empty: none.
        measured: as of :func:`store_thresholds`.

    Raises:
        InputError: as :func:`store_thresholds`; for a number that is no margin, or thresholds that were
            measured in another way.
    """
    _restate(
        Path(path),
        lambda own: replace(own, margins=dict(margins)),
        measured,
        ("calibration", "thresholds"),
    )


def _restate(
    path: Path,
    change: Callable[[_Described], _Described],
    measured: Way | None,
    staying: Sequence[str] = (),
) -> None:
    """Write into a model file what its thresholds, calibration and margins become; some of them stay."""
    path = Path(os.path.realpath(path))  # a link stays a link
    with _opened(path) as file:
        said = _described(file.metadata, path)
        new = change(said)
        metadata, tensors = dict(file.metadata), _tensors(file, path)
    own = Way(said.config.pyramid.input.min_size)
    there = [NAMED[name] for name in staying if getattr(said, name)]
    refuse_mixed(path, there, said.measured or own, measured or own)
    check_threshold(new.thresholds, new.names)
    check_margins(new.margins, new.names)
    for name in (*NAMED, "measured"):
        metadata.pop(name, None)
    if new.thresholds:
        metadata["thresholds"] = json.dumps(new.thresholds)
    if new.margins:
        metadata["margins"] = json.dumps(new.margins, allow_nan=False)
    if new.calibration is not None:
        new.calibration.check_names(new.names)
        metadata["calibration"] = json.dumps(asdict(new.calibration), allow_nan=False)
    metadata |= _said_of_way(measured, own, metadata)
    write_whole(path, [safetensors.torch.save(tensors, metadata)])


def check_layout(found: Mapping[str, Entry], wanted: Mapping[str, Tensor], path: Path) -> None:
    """Compare the tensors that a file says it has with those of a network, before any is read.

    Raises:
        InputError: for another name, shape or type, naming the tensor.
    """
    for name in [*wanted, *found]:
        counts = name.endswith(COUNTER)
        if counts and (name not in found or name.replace(COUNTER, "running_mean") in wanted):
            shape: Any = ()
        else:
            shape = tuple(wanted[name].shape) if name in wanted else "nothing"
        has = found[name].shape if name in found else () if counts else "nothing"
        if has != shape:
            raise bad_input(
                path,
                f"{has} for {_short(name)}",
                f"{shape}; these are weights of another architecture or other classes",
                "choose the --architecture they were trained with",
            )
        dtype = found[name].dtype if name in found else None
        own = torch.int64 if counts else wanted[name].dtype
        if dtype is not None and dtype != own and not (own.is_floating_point and dtype in FLOATS):
            words = FLOATS if own.is_floating_point else (own,)
            raise bad_input(
                path,
                f"{_word(dtype)} for {_short(name)}",
                listed(_word(one) for one in words).replace(", ", " or "),
                "these are no weights that masu wrote",
            )


def check_values(name: str, tensor: Tensor, path: Path) -> None:
    """Refuse a tensor with which nothing could be computed.

    Raises:
        InputError: for numbers that are not finite in float32, or negative variances, naming the tensor.
    """
    if not tensor.is_floating_point():
        return
    bad = int((~torch.isfinite(tensor.float())).sum())
    kind = "that are not finite"
    if not bad and name.endswith("running_var"):
        bad, kind = int((tensor < 0).sum()), "below 0, which no variance is"
    if bad:
        raise bad_input(
            path,
            f"{bad} of {tensor.numel()} numbers of {_short(name)} {kind}",
            "finite weights",
            "take an earlier state of the training, or train with a lower --lr",
        )


@dataclass(frozen=True)
class _Described:
    config: DetectorConfig
    names: tuple[str, ...]
    thresholds: dict[str, float]
    calibration: Calibration | None
    margins: dict[str, float]
    measured: Way | None
    trained_on: dict[str, str | None]


def _opened(path: Path) -> TensorFile:
    if path.suffix in EXPORTED:
        fix = "take the .safetensors file that it was exported from"
        raise bad_input(path, "an exported model", WANTED, fix)
    if not path.is_file():
        if not path.exists():
            raise bad_input(path, "no such file", WANTED, meant_by(path, ""), code="missing-file")
        raise bad_input(path, "a folder" if path.is_dir() else "no file", WANTED)
    try:
        file = TensorFile(path)
    except (TensorFileError, OSError) as error:
        raise bad_input(path, f"a file that is no safetensors ({error})", WANTED) from None
    if file.metadata.get("format") != FORMAT:
        file.close()
        raise bad_input(path, "a safetensors file without masu's description", WANTED)
    return file


def _tensors(file: TensorFile, path: Path) -> dict[str, Tensor]:
    try:
        return file.tensors()
    except (TensorFileError, OSError) as error:
        raise bad_input(path, f"a file that cannot be read ({error})", WANTED) from None


def _described(metadata: Mapping[str, str], path: Path) -> _Described:
    """What a file says of its detector, by the schema of the settings."""
    try:
        if "type" not in metadata:
            raise bad_input("type", "none", "it beside the weights")
        kind = metadata["type"]
        if kind not in DETECTORS:
            raise bad_input("type", f"{kind[:40]!r}", f"one of {', '.join(DETECTORS)}", code="unknown-name")
        config_kind = DETECTORS[kind][1]
        given = in_todays_words(kind, parsed(metadata, "config"))
        later = list(unknown(config_kind, given))
        if later:
            found = f"unknown setting{'s' * (len(later) > 1)} {listed(map(repr, later), 5)}"
            raise InputError(found, thing="config", found=found)
        config = read(config_kind, given, "")
        names = tuple(read(Names, parsed(metadata, "names"), "names"))
        if DETECTORS[kind][0].kind == "detector":
            checked_names(names)
        elif names != ("object",):
            raise bad_input("names", f"{listed(names, 3)[:80]}", "the one class of proposals, object")
        thresholds = read(
            dict[str, float], parsed({"thresholds": "{}", **metadata}, "thresholds"), "thresholds"
        )
        check_threshold(thresholds, names)
        calibration = None
        if "calibration" in metadata:
            calibration = read(Calibration, parsed(metadata, "calibration"), "calibration")
            calibration.check_names(names)
        margins = read(dict[str, float], parsed({"margins": "{}", **metadata}, "margins"), "margins")
        check_margins(margins, names)
        measured = read(Way, parsed(metadata, "measured"), "measured") if "measured" in metadata else None
        trained_on = read(TrainedOn, parsed({"trained_on": "{}", **metadata}, "trained_on"), "trained_on")
    except ValueError as error:
        raise _unusable(error, metadata, path) from None
    return _Described(config, names, thresholds, calibration, margins, measured, trained_on)


def _unusable(error: ValueError, metadata: Mapping[str, str], path: Path) -> InputError:
    why = visible(" ".join(str(error).split()))
    version = visible(" ".join(metadata.get("version", "unknown").split()))
    found = (
        f"settings that masu {masu.__version__} does not know ({why[:600]}), written by masu {version[:40]}"
    )
    wanted, fix = "a file of this version or older", "update masu"
    line = f"{path}: found {found}; wanted {wanted}; {fix}"
    return InputError(line, thing=str(path), found=found, wanted=wanted, fix=fix, code="other-version")


def _short(name: str) -> str:
    name = visible(" ".join(name.split()))
    return name if len(name) <= 120 else f"{name[:120]}…"


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
