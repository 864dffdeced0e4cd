"""Backbones: an image batch to feature maps of falling resolution.

:func:`backbone` returns :class:`Stages` with random weights; ``masu.nets.imagenet`` has the pretrained ones.
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

from masu.errors import InputError, bad_input
from masu.nets.conv import use_fast_convs
from masu.nets.norm import evaluating

TIMM = "timm/"
"""What the names of timm's feature extractors begin with."""

PROBE = 64
"""Pixels per side of the image with which a network is tried out."""


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

    @torch.no_grad()
    def freeze_to_stride(self, stride: int) -> None:
        """Take every parameter of the stages whose maps have at most this stride out of training.

        Nothing else changes: the network is tried out in ``eval()`` mode, also on the meta device.
        """
        x = next(self.parameters()).new_zeros((1, self.in_channels, PROBE, PROBE))
        with evaluating(self):
            for stage in self.children():
                x = stage(x)
                if x.shape[-1] * stride < PROBE:
                    return
                stage.requires_grad_(False)

    @property
    def first_conv(self) -> str:
        """Name of the convolution that sees the pixels."""
        names: list[str] = [name for name, module in self.named_modules() if isinstance(module, nn.Conv2d)]
        return names[0]

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        conv = self.get_submodule(self.first_conv)
        assert isinstance(conv, nn.Conv2d)
        return conv.in_channels


class WholeNet(Stages):
    """A network of timm that is not one module after the other; all of it can be frozen, or nothing.

    Args:
        net: returns its maps as a list.
        channels: channels of each map.
        strides: pixels per cell of each map.
    """

    def __init__(self, net: nn.Module, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__({}, [str(i) for i in range(len(channels))], channels, strides)
        self.net = net

    def forward(self, x: Tensor) -> list[Tensor]:
        """See :meth:`Stages.forward`."""
        maps: list[Tensor] = self.net(x)
        return [maps[int(i)] for i in self.returned]

    def freeze_to_stride(self, stride: int) -> None:
        """See :meth:`Stages.freeze_to_stride`."""
        if 0 < stride < self.strides[-1]:
            raise bad_input(
                "frozen stride",
                f"{stride}",
                f"0 or at least {self.strides[-1]}, since this network cannot be cut into stages",
                "freeze nothing or all of it",
            )
        self.requires_grad_(stride == 0)


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
    """EfficientNet-Lite0 (Tan & Le 2019, the Lite variant), maps of strides 8, 16 and 32."""
    return _coarse(as_stages(_of_timm("tf_efficientnet_lite0")))


def efficientnet_lite1() -> Stages:
    """EfficientNet-Lite1: Lite0, deeper."""
    return _coarse(as_stages(_of_timm("tf_efficientnet_lite1")))


def efficientnet_lite2() -> Stages:
    """EfficientNet-Lite2: Lite1, a tenth wider."""
    return _coarse(as_stages(_of_timm("tf_efficientnet_lite2")))


def _coarse(stages: Stages) -> Stages:
    stages.use_from_stride(8)
    return stages


def timm_stages(name: str) -> Stages:
    """A feature extractor of timm by its name there, with random weights; all of its maps.

    Raises:
        InputError: where timm has no such feature extractor, or one for a single image size only.
    """
    name = registered(name)
    try:
        try:
            net = _tried_out(name)
        except RuntimeError as error:
            if "meta tensors" not in str(error):
                raise
            with torch.device("cpu"):  # it looks at values, which a network without memory has not
                net = _tried_out(name).to("meta")
    except (RuntimeError, AttributeError, AssertionError, ValueError, TypeError, LookupError) as error:
        raise unknown_backbone(TIMM + name, f" ({' '.join(str(error).split())})") from None
    return as_stages(net)


def _of_timm(name: str) -> Any:
    import timm  # takes a second to import, which the other networks need not pay

    return timm.create_model(name, pretrained=False, features_only=True)


def _tried_out(name: str) -> Any:
    net = _of_timm(name)
    with torch.no_grad():
        maps = net.eval()(torch.zeros((1, 3, PROBE, 2 * PROBE)))
    found = [tuple(m.shape[1:]) for m in maps]
    info = zip(net.feature_info.channels(), net.feature_info.reduction(), strict=True)
    if found != (wanted := [(c, PROBE // s, 2 * PROBE // s) for c, s in info]):
        raise ValueError(f"its maps are {found}, not {wanted}")
    return net


def registered(name: str) -> str:
    """A name of timm's own list, back again; timm would look for others on a hub or in a folder.

    Raises:
        InputError: for ``hf-hub:…``, ``local-dir:…`` and whatever else is no plain name.
    """
    if re.fullmatch(r"\w+(\.\w+)?", name, re.ASCII) is None:
        raise unknown_backbone(TIMM + name, " (no plain name; hubs and folders are never asked)")
    return name


def as_stages(net: Any) -> Stages:
    """A feature extractor of timm (``features_only=True``) as stages where it is a sequence of modules."""
    channels, strides = net.feature_info.channels(), net.feature_info.reduction()
    use_fast_convs(net)
    stages: dict[str, nn.Module] = {}
    if hasattr(net, "return_layers"):
        stages, returned = dict(net.named_children()), list(net.return_layers)
    elif hasattr(net, "blocks") and getattr(net, "feature_hooks", 0) is None:
        stages = {n: module for n, module in net.named_children() if n != "blocks"}
        last_of_stem = next(reversed(stages))
        stages |= {f"blocks_{n}": block for n, block in net.blocks.named_children()}
        returned = [f"blocks_{i - 1}" if i else last_of_stem for i in sorted(net._stage_out_idx)]
    else:
        return WholeNet(net, channels, strides)
    return Stages(stages, returned, channels, strides)


def unknown_backbone(name: str, why: str = "") -> InputError:
    """The error for a name that stands for no backbone."""
    return bad_input(
        "backbone",
        f"{name!r}{why}",
        f"one of {', '.join(BACKBONES)}, or timm/NAME with a feature extractor of timm for images of "
        "any size, such as timm/mobilenetv4_conv_small",
        code="unknown-name",
    )


def backbone(name: str, channels: int = 3) -> Stages:
    """A backbone by name, with random weights.

    Args:
        name: one of ``BACKBONES``, or ``timm/NAME``.
        channels: of the images.

    Raises:
        InputError: for an unknown name.
    """
    if name in BACKBONES:
        net = BACKBONES[name]()
    elif name.startswith(TIMM):
        net = timm_stages(name.removeprefix(TIMM))
    else:
        raise unknown_backbone(name)
    if channels != 3:
        first = net.get_submodule(net.first_conv)
        assert isinstance(first, nn.Conv2d)
        first.in_channels = channels
        first.weight = nn.Parameter(adapt_channels(first.weight.detach(), channels))
    return net


def adapt_channels(weight: Tensor, channels: int) -> Tensor:
    """The weights of a first convolution ``(out, 3, h, w)`` for images of other channels.

    One channel gets the sum of the three, as a grey picture seen in colour; more get them in turn, scaled so
    that the sum over all channels stays what it was.
    """
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    return weight[:, [i % 3 for i in range(channels)]] * (3 / channels)


BACKBONES = {
    "resnet50": resnet50,
    "mobilenet_v3_large": mobilenet_v3_large,
    "efficientnet_lite0": efficientnet_lite0,
    "efficientnet_lite1": efficientnet_lite1,
    "efficientnet_lite2": efficientnet_lite2,
}
"""The backbones that masu knows by name."""
