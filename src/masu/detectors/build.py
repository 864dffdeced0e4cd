"""Detectors from names and files: build, save, load."""

from __future__ import annotations

import json
import os
import types
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

import masu
from masu.atomic import write_whole
from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector
from masu.detectors.older_files import in_todays_words
from masu.detectors.pretrained import fill_pretrained
from masu.detectors.torchvision_models import from_torchvision, load_torchvision
from masu.detectors.zoo import ARCHITECTURES, DETECTORS, make
from masu.errors import InputError
from masu.nets.imagenet import fill_imagenet, installed
from masu.ranges import IMAGE_SIZE
from masu.thresholds import check_threshold

__all__ = ["build", "from_torchvision", "load", "make", "save", "store_thresholds", "warm_start"]

FORMAT = "masu-1"
"""Marks a model file; a later number means a layout that older versions cannot read."""

EXPORTED = (".onnx", ".xml", ".pt2")
"""Suffixes of what ``masu export`` writes, which cannot be turned back into a detector."""

Start = Literal["auto", "imagenet", "none"]


def build(
    architecture: str | DetectorConfig,
    names: Sequence[str],
    weights: Start = "auto",
    image_size: int | None = None,
) -> Detector:
    """A new detector, ready to be trained.

    Args:
        architecture: a name that ``masu models`` lists, or a configuration.
        names: class names, without background; a proposals-only architecture has the one class ``object``.
        weights: what the backbone starts from. ``"imagenet"``: pretrained weights, with the normalisation and
            the early stages that the configuration holds constant. ``"none"``: random, everything trained.
            ``"auto"``: ``"imagenet"`` where these weights are installed and need no download, with pyramid
            and first head pretrained on made-up scenes where masu has them; else ``"none"``.
        image_size: length of the shorter side the network sees; default: the architecture's own.

    Raises:
        InputError: for an unknown architecture, repeated or missing names, or a download that fails.
    """
    config = configuration(architecture) if isinstance(architecture, str) else architecture
    if weights not in get_args(Start):
        raise InputError(f"weights: found {weights!r}, wanted one of {', '.join(get_args(Start))}")
    if image_size is not None:
        IMAGE_SIZE.check("image_size", image_size)
    pyramid = config.pyramid
    pretrained = weights == "imagenet" or (weights == "auto" and installed(pyramid.backbone))
    if not pretrained:
        pyramid = replace(pyramid, frozen_norms=False, frozen_stride=0, frozen_depthwise=False)
    if image_size is not None:
        pyramid = replace(pyramid, input=pyramid.input.of_size(image_size))
    detector = make(config.with_pyramid(pyramid), names)
    if pretrained:
        fill_imagenet(detector.pyramid.backbone, pyramid.backbone)
    if pretrained and weights == "auto":
        fill_pretrained(detector)
    return detector


def configuration(architecture: str) -> DetectorConfig:
    """The configuration of an architecture by its name.

    Raises:
        InputError: for an unknown name.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"architecture: found {architecture!r}, wanted one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[architecture]()


def save(detector: Detector, path: str | os.PathLike[str]) -> None:
    """Write a detector with its class names and settings to one safetensors file.

    The file appears whole or not at all: it is written beside its place and then renamed.

    Raises:
        InputError: where it cannot be written; an earlier file is left as it was.
    """
    if type(detector).__name__ not in DETECTORS:
        raise TypeError(f"detector: found {type(detector).__name__}, wanted a detector of masu")
    path = Path(path)
    metadata = {
        "format": FORMAT,
        "version": masu.__version__,
        "type": type(detector).__name__,
        "names": json.dumps(detector.names),
        "config": json.dumps(asdict(detector.config)),
    }
    if detector.thresholds:
        metadata["thresholds"] = json.dumps(dict(detector.thresholds))
    if detector.trained_on:
        metadata["trained_on"] = json.dumps(dict(detector.trained_on))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in detector.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, [safetensors.torch.save(tensors, metadata)])


def store_thresholds(path: str | os.PathLike[str], thresholds: Mapping[str, float]) -> None:
    """Write the smallest score to show of each class into a model file, in place of those it had.

    The weights stay as they are, to the byte; the file appears whole or not at all.

    Args:
        path: a file that :func:`save` wrote.
        thresholds: class name → score in 0..1; a class without one is shown from 0.5. Empty: none.

    Raises:
        InputError: for a file that is missing or no model of masu, an unknown class or a score outside 0..1.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    metadata, tensors = _read(path)
    check_threshold(thresholds, json.loads(metadata["names"]))
    metadata.pop("thresholds", None)
    if thresholds:
        metadata["thresholds"] = json.dumps(dict(thresholds))
    write_whole(path, [safetensors.torch.save(tensors, metadata)])


def load(path: str | os.PathLike[str]) -> Detector:
    """A detector from a file that :func:`save` wrote, or ``"torchvision/NAME"`` with its COCO weights.

    Raises:
        InputError: for a file that is missing or no model of masu, or a download that fails.
    """
    if str(path).startswith("torchvision/"):
        return load_torchvision(str(path).removeprefix("torchvision/"))
    path = Path(path)
    metadata, tensors = _read(path)
    try:
        given = in_todays_words(metadata["type"], json.loads(metadata["config"]))
        config: DetectorConfig = _from_dict(DETECTORS[metadata["type"]][1], given)
        detector = make(config, json.loads(metadata["names"]))
        detector.thresholds = dict(json.loads(metadata.get("thresholds", "{}")))
        detector.trained_on = dict(json.loads(metadata.get("trained_on", "{}")))
        check_threshold(detector.thresholds, detector.names)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: found settings that masu {masu.__version__} does not know ({error}), written by masu "
            f"{metadata.get('version', 'unknown')}; wanted a file of this version or older; update masu"
        ) from None
    _fill(detector, tensors, path)
    return detector.eval()


@dataclass(frozen=True)
class WarmStart:
    """What :func:`warm_start` took over.

    Attributes:
        kept: tensors that were taken over whole.
        reset: names of the tensors that start anew, since the other model has none or one of another shape.
        classes: names of the classes whose rows were taken over.
        new_classes: those that the other model does not know.
    """

    kept: int
    reset: tuple[str, ...]
    classes: tuple[str, ...]
    new_classes: tuple[str, ...]

    def __str__(self) -> str:
        said = [f"{self.kept} tensors kept"]
        if self.classes:
            said.append(f"classes kept: {', '.join(self.classes)}")
        if self.new_classes:
            said.append(f"new classes: {', '.join(self.new_classes)}")
        if self.reset:
            more = f" and {len(self.reset) - 4} more" if len(self.reset) > 4 else ""
            said.append(f"started anew: {', '.join(self.reset[:4])}{more}")
        return "; ".join(said)


@torch.no_grad()
def warm_start(detector: Detector, source: Detector) -> WarmStart:
    """Take over from another detector what fits: tensors by name and shape, class rows by class name.

    Args:
        detector: filled in place.
        source: of the same kind and backbone; classes, anchors and widths may differ.

    Raises:
        InputError: where kind or backbone differ.
    """
    found, wanted = (f"{type(d).__name__} on {d.config.pyramid.backbone}" for d in (source, detector))
    if found != wanted:
        raise InputError(
            f"weights: found a {found}, wanted a {wanted}; choose the --model and --backbone "
            "it was trained with"
        )
    own, theirs = detector.state_dict(), source.state_dict()
    same = [n for n in own if n in theirs and own[n].shape == theirs[n].shape]
    rows, given_rows = detector.class_rows, source.class_rows
    pairs = {
        name: (
            rows[name].view(own[name], len(detector.names)),
            given_rows[name].view(theirs[name], len(source.names)),
        )
        for name in rows.keys() & given_rows.keys()
    }
    fits = all(len(a) == len(b) and a.shape[2:] == b.shape[2:] for a, b in pairs.values())
    known = [name for name in detector.names if pairs and fits and name in source.names]
    for name, (mine, given) in pairs.items() if known else ():
        mine[:, [detector.names.index(n) for n in known]] = given[:, [source.names.index(n) for n in known]]
        if rows[name].background:
            own[name][-1] = theirs[name][-1]
    kept = [name for name in same if name not in rows]
    for name in kept:
        own[name].copy_(theirs[name])
    reset = [n for n in own if n not in kept and not (known and n in pairs) and "num_batches" not in n]
    classes = detector.names if detector.kind == "detector" else ()
    return WarmStart(len(kept), tuple(reset), tuple(known), tuple(n for n in classes if n not in known))


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    wanted = "wanted a model file that masu wrote (RUN/best.safetensors)"
    if path.suffix in EXPORTED:
        raise InputError(
            f"{path}: found an exported model, {wanted}; take the .safetensors file that it was exported from"
        )
    if not path.is_file():
        raise InputError(f"{path}: found {'a folder' if path.is_dir() else 'no such file'}, {wanted}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") == FORMAT:
                return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: found a file that is no safetensors ({error}), {wanted}") from None
    raise InputError(f"{path}: found a safetensors file without masu's description, {wanted}")


def _fill(module: nn.Module, tensors: dict[str, torch.Tensor], path: Path | str) -> None:
    """Load tensors that must be the module's own, but for the counters of normalisation in training."""
    own = module.state_dict()
    for name in [*own, *tensors]:
        if name.endswith("num_batches_tracked"):
            continue
        found = tuple(tensors[name].shape) if name in tensors else "nothing"
        wanted = tuple(own[name].shape) if name in own else "nothing"
        if found != wanted:
            raise InputError(
                f"{path}: found {found} for {name}, wanted {wanted}; these are weights of another "
                "architecture or other classes; choose the --model they were trained with"
            )
    module.load_state_dict(tensors, strict=False)


def _from_dict(kind: Any, value: Any) -> Any:
    """Rebuild a dataclass from JSON; an unknown or missing key is an error."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        unknown = value.keys() - {field.name for field in fields(kind)}
        if unknown:
            raise ValueError(f"unknown setting {sorted(unknown)[0]!r}")
        return kind(**{name: _from_dict(hints[name], item) for name, item in value.items()})
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        item_kinds = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
        return tuple(_from_dict(k, item) for k, item in zip(item_kinds, value, strict=True))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"unknown choice {value!r}")
        return value
    if isinstance(kind, types.UnionType):
        return value
    return kind(value)
