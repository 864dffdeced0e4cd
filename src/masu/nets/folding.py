"""Constant normalisation taken into the weights of the convolution before it: one pass over the maps less."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn

from masu.nets.norm import FrozenNorm

Net = TypeVar("Net", bound=nn.Module)


def share_weights(net: Net) -> Net:
    """A copy of a network's structure whose tensors are those of ``net``."""
    return copy.deepcopy(net, {id(t): t for t in chain(net.parameters(), net.buffers())})


class _Scaled(nn.Conv2d):
    """A convolution followed by a :class:`FrozenNorm`, computed with scaled weights at every call."""

    norm: FrozenNorm

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        scaled, shift = _folded(weight, bias, self.norm)
        place = scaled.data_ptr()

        def pack(saved: Tensor) -> Tensor | None:
            return None if saved.data_ptr() == place else saved

        def unpack(saved: Tensor | None) -> Tensor:  # scaled weights are made again, not kept
            return _folded(weight, bias, self.norm)[0].detach() if saved is None else saved

        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            y: Tensor = super()._conv_forward(x, scaled, shift)
        return y


@torch.no_grad()
def join_norms(net: nn.Module, *inputs: Tensor | Sequence[Tensor]) -> None:
    """Let every :class:`FrozenNorm` run directly after a convolution be computed by that convolution.

    For training: the convolution's weights stay what they are, tensor names too. Which norms follow which
    convolutions is seen by running the network once.

    Args:
        net: changed in place.
        inputs: small ones will do.
    """
    for norm, conv in _pairs(net, inputs).items():
        if isinstance(norm, FrozenNorm):
            norm.joined = True
            object.__setattr__(conv, "norm", norm)  # a reference, not a child: the norm has its own name
            conv.__class__ = type(f"Scaled{type(conv).__name__}", (_Scaled, type(conv)), {})


@torch.no_grad()
def fold_norms(net: nn.Module, *inputs: Tensor | Sequence[Tensor]) -> None:
    """Fold every normalisation inside ``net`` that is run directly after a convolution into its weights.

    For prediction: ``net`` then computes what it computed in ``eval()`` mode. Folded convolutions have
    weights of their own, all other tensors are untouched.

    Args:
        net: changed in place, see :func:`share_weights`.
        inputs: small ones will do.
    """
    for norm, conv in _pairs(net.eval(), inputs).items():
        if isinstance(conv, _Scaled):
            conv.__class__ = type(conv).__mro__[2]  # what it was before join_norms
        weight, bias = _folded(conv.weight, conv.bias, norm)
        conv.weight = nn.Parameter(weight, requires_grad=False)
        conv.bias = nn.Parameter(bias, requires_grad=False)
        for parent in net.modules():
            for name, child in list(parent.named_children()):
                if child is norm:
                    setattr(parent, name, getattr(norm, "act", None) or nn.Identity())


def _pairs(net: nn.Module, inputs: tuple[Tensor | Sequence[Tensor], ...]) -> dict[nn.Module, nn.Conv2d]:
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


def _folded(weight: Tensor, bias: Tensor | None, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that also does the normalisation after it."""
    assert isinstance(norm, nn.BatchNorm2d | FrozenNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = -norm.running_mean if bias is None else bias - norm.running_mean
    return weight * scale[:, None, None, None], norm.bias + shift * scale


def copied(net, tensors):  # TEMP
    own = [*net.parameters(), *net.buffers()]
    memo = {id(a): b for a, b in zip(own, tensors, strict=True)}
    return copy.deepcopy(net, memo)
