"""Pyramid and first head, pretrained on made-up scenes and installed with masu.

ImageNet weights say what things look like, not where they end; a detector has to learn that with every
training. These weights of the small architectures bring it along (``studies/pretrain.py`` makes them).
"""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch

from masu.atomic import write_whole
from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.retinanet import RetinaNet
from masu.detectors.zoo import Config, pyramid_of

FOLDER = Path(__file__).parent / "weights"


def file_of(config: Config) -> Path:
    """Where the weights for a configuration are, if there are any."""
    pyramid = pyramid_of(config)
    kind = type(config).__name__.removesuffix("Config")
    return FOLDER / f"{kind}-{pyramid.backbone}-{pyramid.fpn_channels}.safetensors".replace("/", "_").lower()


def shipped(detector: Detector, path: Path) -> Path:
    """Write what is installed of a pretrained detector, in half precision."""
    heads = ("rpn.fpn.", "rpn.head.") if isinstance(detector, FasterRCNN) else ("fpn.", "head.")
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
    filled, own = 0, detector.state_dict()
    for name, given in safetensors.torch.load_file(path).items():
        if isinstance(detector, RetinaNet) and name.startswith("head.classes.output."):
            given = given.repeat_interleave(len(detector.names), dim=0)
        if name in own and own[name].shape == given.shape:
            own[name].copy_(given)
            filled += 1
    return filled
