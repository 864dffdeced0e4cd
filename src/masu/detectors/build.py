"""Detectors by name: build one, and start it from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import torch

from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector
from masu.detectors.model_file import load, save, store_calibration, store_margins, store_thresholds
from masu.detectors.pretrained import fill_pretrained
from masu.detectors.torchvision_models import from_torchvision
from masu.detectors.zoo import ARCHITECTURES, make
from masu.errors import bad_input
from masu.nets.imagenet import fill_imagenet, installed
from masu.ranges import IMAGE_SIZE
from masu.words import Start

__all__ = [
    "build",
    "from_torchvision",
    "load",
    "make",
    "save",
    "store_calibration",
    "store_margins",
    "store_thresholds",
    "warm_start",
]


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
            and heads pretrained on made-up scenes as far as masu has them; else ``"none"``.
        image_size: length of the shorter side the network sees; default: the architecture's own.

    Returns:
        The detector, in training mode.

    Raises:
        InputError: for an unknown architecture, repeated or missing names, or a download that fails.
    """
    config = configuration(architecture) if isinstance(architecture, str) else architecture
    if weights not in get_args(Start):
        raise bad_input(
            "weights", f"{weights!r}", f"one of {', '.join(get_args(Start))}", code="unknown-name"
        )
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
        raise bad_input(
            "architecture", f"{architecture!r}", f"one of {', '.join(ARCHITECTURES)}", code="unknown-name"
        )
    return ARCHITECTURES[architecture]()


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
        fix = "choose the --architecture and --backbone it was trained with"
        raise bad_input("weights", f"a {found}", f"a {wanted}", fix)
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
    place, given_place = ({n: i for i, n in enumerate(d.names)} for d in (detector, source))
    known = [name for name in detector.names if pairs and fits and name in given_place]
    for name, (mine, given) in pairs.items() if known else ():
        mine[:, [place[n] for n in known]] = given[:, [given_place[n] for n in known]]
        if rows[name].background:
            own[name][-1] = theirs[name][-1]
    kept = [name for name in same if name not in rows]
    for name in kept:
        own[name].copy_(theirs[name])
    taken, whole = set(known), set(kept)
    reset = [n for n in own if n not in whole and not (known and n in pairs) and "num_batches" not in n]
    classes = detector.names if detector.kind == "detector" else ()
    return WarmStart(len(kept), tuple(reset), tuple(known), tuple(n for n in classes if n not in taken))
