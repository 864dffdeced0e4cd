"""Feature pyramid: backbone maps to maps of one width, coarse meaning added to fine resolution.

Source: Lin et al. 2017 (FPN), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masu.nets.conv import Conv1x1, Conv3x3
from masu.nets.hooks import is_plain
from masu.ops.conv3x3 import conv3x3
from masu.ops.roi_align import empty_levels

Extra = Literal["subsampled", "convolved", "convolved_backbone"]


class EveryOther(nn.Module):
    """Every other cell of a map."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, ⌈H / 2⌉, ⌈W / 2⌉)``."""
        return x[:, :, ::2, ::2]


class FPN(nn.Module):
    """Lateral 1×1 and output 3×3 convolutions, and levels above the coarsest.

    Args:
        in_channels: channels of the backbone's maps, finest first.
        channels: channels of every map returned.
        norm: batch normalisation after each convolution in place of its bias.
        extra: ``"subsampled"``: one more level, every other cell of the coarsest (Lin et al. 2017, FPN).
            ``"convolved"``: two more by 3×3 convolutions of stride 2 from the coarsest level, or
            ``"convolved_backbone"``: from the backbone's coarsest map (Lin et al. 2017, focal loss).

    Attributes:
        levels: number of maps returned.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, norm: bool = False, extra: Extra = "subsampled"
    ) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_conv(c, channels, 1, norm) for c in in_channels)
        self.output = nn.ModuleList(_conv(channels, channels, 3, norm) for _ in in_channels)
        self.from_backbone = extra == "convolved_backbone"
        sources = (
            [] if extra == "subsampled" else [in_channels[-1] if self.from_backbone else channels, channels]
        )
        self.extra = nn.ModuleList(_halving(c, channels) for c in sources)
        self.subsample: nn.Module = EveryOther()
        self.levels = len(in_channels) + (len(self.extra) or 1)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Backbone's maps ``(N, in_channels[l], H_l, W_l)`` → ``levels`` maps ``(N, channels, H_l, W_l)``."""
        laterals = [layer(x) for layer, x in zip(self.lateral, maps, strict=True)]
        top = laterals[-1]
        merged = [top]
        for x in reversed(laterals[:-1]):
            top = _add_enlarged(x, top)
            merged.insert(0, top)
        if torch.is_grad_enabled() or torch.compiler.is_exporting() or len(self.extra):
            outputs = [layer(x) for layer, x in zip(self.output, merged, strict=True)]
            return [*outputs, *self._extra(outputs[-1], maps[-1])]
        sizes = [(x.shape[2], x.shape[3]) for x in merged]
        outputs = empty_levels(top, [*sizes, (-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2))])
        for layer, x, output in zip(self.output, merged, outputs, strict=False):
            conv = _only_conv(layer)
            if conv is None:
                output.copy_(layer(x))
            else:
                conv3x3(x, conv.weight, conv.bias, output, conv.prepared)
        outputs[-1].copy_(self.subsample(outputs[-2]))
        return outputs

    def _extra(self, coarsest: Tensor, of_backbone: Tensor) -> list[Tensor]:
        if not len(self.extra):
            return [self.subsample(coarsest)]
        first, second = self.extra
        sixth = first(of_backbone if self.from_backbone else coarsest)
        return [sixth, second(sixth.relu())]


def _only_conv(layer: nn.Module) -> Conv3x3 | None:
    """The convolution that a layer consists of, where nothing hangs on either and its norm is folded in."""
    conv, *norm = (list(layer.children()) if is_plain(layer, nn.Sequential) else []) or [layer]
    alone = is_plain(conv, Conv3x3) and all(is_plain(module, nn.Identity) for module in norm)
    return conv if alone and isinstance(conv, Conv3x3) else None


def _add_enlarged(fine: Tensor, coarse: Tensor) -> Tensor:
    """``fine`` plus ``coarse`` at its size, each cell repeated; written into ``fine``."""
    height, width = coarse.shape[2:]
    exporting = torch.compiler.is_exporting()
    if exporting or torch.is_grad_enabled() or fine.shape[2:] != (2 * height, 2 * width):
        return fine.add_(F.interpolate(coarse, size=fine.shape[2:], mode="nearest"))
    cells = fine.view(*fine.shape[:2], height, 2, width, 2)
    cells.add_(coarse[:, :, :, None, :, None])
    return fine


def _halving(in_channels: int, out_channels: int) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
    nn.init.kaiming_uniform_(conv.weight, a=1)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def _conv(in_channels: int, out_channels: int, kernel: int, norm: bool) -> nn.Sequential:
    conv = (Conv3x3 if kernel == 3 else Conv1x1)(in_channels, out_channels, bias=not norm)
    nn.init.kaiming_uniform_(conv.weight, a=1)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels)) if norm else nn.Sequential(conv)
