"""Pyramid and heads, pretrained on made-up scenes and installed with masu.

ImageNet weights say what things look like, not where they end; a detector has to learn that with every
training. These weights of the small architectures bring it along (``studies/pretrain.py`` makes them).
"""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from masu.atomic import write_whole
from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector

FOLDER = Path(__file__).parent / "weights"

SECOND_STAGE = ("box_head.", "predictor.deltas.")
"""What is installed of Faster R-CNN's. The small default's box head is twice as wide: half of its units know
what things are and where they end, the others are free to learn what tells classes apart (docs/models.md)."""

CLASSES_OF_ONE_STAGE = "head.classes."
"""What of a one-stage head is never installed: pretrained to know things in general, it learned more slowly
what tells classes apart (docs/models.md)."""


def file_of(config: DetectorConfig) -> Path:
    """Where the weights for a configuration are, if there are any."""
    name = f"{config.pretrained}-{config.pyramid.backbone}-{config.pyramid.fpn_channels}.safetensors"
    return FOLDER / name.replace("/", "_").lower()


def shipped(detector: Detector, path: Path) -> Path:
    """Write what is installed of a pretrained detector, in half precision."""
    place = next(name for name, module in detector.named_modules() if module is detector.pyramid)
    parts = (*(f"{place}.{part}.".lstrip(".") for part in ("fpn", "head")), *SECOND_STAGE)
    tensors = {
        name: t.half().contiguous()
        for name, t in detector.state_dict().items()
        if name.startswith(parts) and not name.startswith(CLASSES_OF_ONE_STAGE)
    }
    write_whole(path, [safetensors.torch.save(tensors)])
    return path


@torch.no_grad()
def fill_pretrained(detector: Detector) -> int:
    """Put the installed weights into a detector; what has another shape stays as it is.

    They know where things end, whatever they are: the boxes of every class start as those of a thing.

    Returns:
        The number of tensors filled.
    """
    path = file_of(detector.config)
    if not path.exists():
        return 0
    filled, own, by_class, classes = 0, detector.state_dict(), detector.class_rows, len(detector.names)
    tensors = safetensors.torch.load_file(path)
    second = {name for name in own if name.startswith(SECOND_STAGE)}
    wide_enough = second == {name for name in tensors if name.startswith(SECOND_STAGE)} and all(
        all(mine >= theirs for mine, theirs in zip(own[name].shape, tensors[name].shape, strict=True))
        for name in second
    )
    for name, given in tensors.items():
        if name not in own or (name in second and not wide_enough):
            continue
        if name in by_class:
            rows = by_class[name]
            one = given.view(rows.blocks, 1, rows.values, *given.shape[1:])
            given = one.expand(-1, classes, *one.shape[2:]).flatten(0, 2)
        if name in second:
            given = _among_more(given, own[name])
        if own[name].shape == given.shape:
            own[name].copy_(given)
            filled += 1
    return filled


def _among_more(given: Tensor, own: Tensor) -> Tensor:
    """A layer's weights as the first of the rows and columns that a wider layer has.

    Its units see nothing of the further ones and so answer as they did; the further ones keep their weights.
    """
    wider = own.clone()
    wider[: len(given)] = 0
    wider[tuple(slice(0, length) for length in given.shape)] = given
    return wider
