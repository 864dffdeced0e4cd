"""For prediction: constant normalisation taken into the weights of the convolution before it."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn

from masu.nets.norm import FrozenNorm

Net = TypeVar("Net", bound=nn.Module)


def share_weights(net: Net) -> Net:
    """A copy of a network's structure whose tensors are those of ``net``."""
    return copy.deepcopy(net, {id(t): t for t in chain(net.parameters(), net.buffers())})


@torch.no_grad()
def fold_norms(net: nn.Module, *inputs: Tensor | list[Tensor]) -> None:
    """Fold every normalisation inside ``net`` that is run directly after a convolution.

    Which those are is seen by running the network once. ``net`` then computes what it computed in ``eval()``
    mode; its folded convolutions have weights of their own, all other tensors are untouched.

    Args:
        net: changed in place, see :func:`share_weights`.
        inputs: small ones will do.
    """
    conv_of_norm = _pairs(net.eval(), inputs)
    for parent in list(net.modules()):
        for name, norm in list(parent.named_children()):
            if norm in conv_of_norm:
                _fold(conv_of_norm[norm], norm)
                setattr(parent, name, getattr(norm, "act", None) or nn.Identity())


def _pairs(net: nn.Module, inputs: tuple[Tensor | list[Tensor], ...]) -> dict[nn.Module, nn.Conv2d]:
    """Each normalisation that took the output of a convolution, where both ran once."""
    made: dict[int, nn.Conv2d] = {}  # outputs by identity; kept alive below, so that no two are the same
    alive, pairs, runs = [], {}, dict.fromkeys(net.modules(), 0)

    def watch(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        runs[module] += 1
        if isinstance(module, nn.Conv2d):
            made[id(output)] = module
            alive.append(output)
        elif id(args[0]) in made:
            pairs[module] = made[id(args[0])]

    kinds = (nn.Conv2d, nn.BatchNorm2d, FrozenNorm)
    hooks = [m.register_forward_hook(watch) for m in net.modules() if isinstance(m, kinds)]
    try:
        net(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return {norm: conv for norm, conv in pairs.items() if runs[norm] == runs[conv] == 1}


def _fold(conv: nn.Conv2d, norm: nn.Module) -> None:
    assert isinstance(norm, nn.BatchNorm2d | FrozenNorm)
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    shift = -mean if conv.bias is None else conv.bias - mean
    conv.weight = nn.Parameter(conv.weight * scale[:, None, None, None], requires_grad=False)
    conv.bias = nn.Parameter(norm.bias + shift * scale, requires_grad=False)
