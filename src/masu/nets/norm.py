"""Batch normalisation with constant statistics, for good or for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from masu.nets.hooks import take_hooks


class FrozenNorm(nn.Module):
    """Batch normalisation whose statistics, scale and shift are constants.

    The batches of a detector are too small to estimate statistics; a pretrained backbone keeps those of
    its pretraining (He et al. 2016; torchvision ``FrozenBatchNorm2d``). Tensor names are those of
    ``nn.BatchNorm2d``, so that state dicts are interchangeable. Buffers, not parameters: no optimizer
    sees them.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps = norm.eps
        self.joined = False  # computed by the convolution before it, see masu.nets.folding.join_norms
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, getattr(norm, name).detach().clone())
        self.act = getattr(norm, "act", None)  # timm's layers carry their activation

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        state_dict.pop(f"{prefix}num_batches_tracked", None)  # a counter that only training statistics need
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(N, C, H, W)``."""
        if not self.joined:
            x = F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return x if self.act is None else self.act(x)


def freeze_norms(net: nn.Module) -> None:
    """Replace every batch normalisation inside ``net`` by its :class:`FrozenNorm`; hooks stay."""
    for name, child in net.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenNorm(child)
            take_hooks(frozen, child)
            setattr(net, name, frozen)
        else:
            freeze_norms(child)


def set_norm_eps(net: nn.Module, eps: float) -> None:
    """Set the epsilon of every normalisation layer inside ``net``."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | FrozenNorm):
            module.eps = eps


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """``net`` in ``eval()`` mode for a while: it can be tried out and no statistics change."""
    modes = {module: module.training for module in net.modules()}
    try:
        for module in modes:
            module.training = False
        yield
    finally:
        for module, training in modes.items():
            module.training = training
