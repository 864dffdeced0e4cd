"""Pyramid and first head, pretrained on made-up scenes and installed with masu.

ImageNet weights say what things look like, not where they end; a detector has to learn that with every
training. These weights of the small architectures bring it along (``studies/pretrain.py`` makes them).
"""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch

from masu.atomic import write_whole
from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector

FOLDER = Path(__file__).parent / "weights"


def file_of(config: DetectorConfig) -> Path:
    """Where the weights for a configuration are, if there are any."""
    name = f"{config.pretrained}-{config.pyramid.backbone}-{config.pyramid.fpn_channels}.safetensors"
    return FOLDER / name.replace("/", "_").lower()


def shipped(detector: Detector, path: Path) -> Path:
    """Write what is installed of a pretrained detector, in half precision."""
    place = next(name for name, module in detector.named_modules() if module is detector.pyramid)
    heads = tuple(f"{place}.{part}.".lstrip(".") for part in ("fpn", "head"))
    tensors = {
        name: t.half().contiguous() for name, t in detector.state_dict().items() if name.startswith(heads)
    }
    write_whole(path, [safetensors.torch.save(tensors)])
    return path


@torch.no_grad()
def fill_pretrained(detector: Detector) -> int:
    """Put the installed weights into pyramid and first head; what has another shape stays as it is.

    A one-stage detector was pretrained with the one class *thing*: each of its classes starts as that.

    Returns:
        The number of tensors filled.
    """
    path = file_of(detector.config)
    if not path.exists():
        return 0
    filled, own, by_class = 0, detector.state_dict(), detector.class_rows
    for name, given in safetensors.torch.load_file(path).items():
        if name in by_class:
            given = given.repeat_interleave(len(detector.names), dim=0)
        if name in own and own[name].shape == given.shape:
            own[name].copy_(given)
            filled += 1
    return filled
