"""Constant normalisation taken into the weights of the convolution before it: one pass over the maps less.

Which norm follows which convolution is seen by running the network on noise. Whether the convolution may do
the work of both is tried the same way, with norms that are far from doing nothing: every module must give
what it gave before. Where something else reads the convolution's output or its weights, it does not.
"""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from masu.nets.conv import Conv1x1, Conv3x3, SameConv
from masu.nets.hooks import is_plain, shared_hooks
from masu.nets.norm import FrozenNorm, evaluating

Net = TypeVar("Net", bound=nn.Module)
Norm = FrozenNorm | nn.BatchNorm2d
Pair = tuple[Norm, nn.Conv2d]
Undo = Callable[[], None]
Outputs = dict[nn.Module, list[Tensor]]
Inputs = Sequence[Tensor | Sequence[Tensor]]
Wanted = Callable[[Norm, nn.Conv2d], bool]
Places = dict[nn.Module, list[tuple[nn.Module, str]]]
Change = Callable[[Places, Norm, nn.Conv2d], Undo]

STATISTICS = ("weight", "bias", "running_mean", "running_var")


def copied(net: Net, of: Callable[[Tensor], Tensor]) -> Net:
    """A copy of a network with the same hooks, see :func:`masu.nets.hooks.shared_hooks`.

    Args:
        net: left as it is.
        of: what the copy has in place of each tensor: a clone of it, or the tensor itself.
    """
    return _copy(net, {id(tensor): of(tensor) for tensor in _tensors(net)})


def _tensors(net: nn.Module) -> list[Tensor]:
    """Parameters, buffers and what modules keep besides, such as the weights that pruning computes."""
    others = (value for module in net.modules() for value in vars(module).values())
    return [*net.parameters(), *net.buffers(), *(value for value in others if isinstance(value, Tensor))]


def _copy(net: Net, tensors: dict[int, Tensor]) -> Net:
    return copy.deepcopy(net, {**tensors, **shared_hooks(net)})


class _Scaled(nn.Conv2d):
    """A convolution followed by a :class:`FrozenNorm`, computed with scaled weights at every call."""

    norm: FrozenNorm

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        scaled, shift = _folded(weight, bias, self.norm)
        if not torch.is_grad_enabled() or torch.compiler.is_compiling():  # a compiler decides what is kept
            found: Tensor = super()._conv_forward(x, scaled, shift)
            return found
        place = scaled.data_ptr()

        def pack(saved: Tensor) -> Tensor | None:
            return None if saved.data_ptr() == place else saved

        def unpack(saved: Tensor | None) -> Tensor:  # scaled weights are made again, not kept
            return _folded(weight, bias, self.norm)[0].detach() if saved is None else saved

        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            y: Tensor = super()._conv_forward(x, scaled, shift)
        return y


class ScaledConv2d(_Scaled):
    """``nn.Conv2d`` and the norm after it."""


class ScaledConv1x1(_Scaled, Conv1x1):
    """:class:`masu.nets.conv.Conv1x1` and the norm after it."""


class ScaledConv3x3(_Scaled, Conv3x3):
    """:class:`masu.nets.conv.Conv3x3` and the norm after it."""


class ScaledSameConv(_Scaled, SameConv):
    """:class:`masu.nets.conv.SameConv` and the norm after it."""


SCALED: dict[type[nn.Conv2d], type[_Scaled]] = {
    nn.Conv2d: ScaledConv2d,
    Conv1x1: ScaledConv1x1,
    Conv3x3: ScaledConv3x3,
    SameConv: ScaledSameConv,
}
"""Convolutions that can do the work of a norm, and what they become."""

_UNSCALED: dict[type[nn.Conv2d], type[nn.Conv2d]] = {scaled: plain for plain, scaled in SCALED.items()}


@torch.no_grad()
def join_norms(net: nn.Module, *inputs: Tensor | Sequence[Tensor]) -> None:
    """Let every :class:`FrozenNorm` run directly after a convolution be computed by that convolution.

    For training: the convolution's weights stay what they are, tensor names too. Neither statistics nor
    torch's global generator change. What has hooks or is parametrized stays as it is, and so does a network
    on the meta device, which cannot be tried out.

    Args:
        net: changed in place.
        inputs: small ones will do, of at least one image; their values do not matter.
    """
    for norm, conv in _sound_pairs(net, inputs, _can_be_joined, _join):
        _join({}, norm, conv)


@torch.no_grad()
def fold_norms(net: nn.Module, *inputs: Tensor | Sequence[Tensor]) -> None:
    """Fold every normalisation inside ``net`` that is run directly after a convolution into its weights.

    For prediction: ``net`` then computes what it computed in ``eval()`` mode. Folded convolutions have
    weights of their own, all other tensors are untouched. What has hooks, is parametrized or is of a type
    that is not known here stays as it is.

    Args:
        net: changed in place, see :func:`copied`.
        inputs: small ones will do, of at least one image; their values do not matter.
    """
    pairs = _sound_pairs(net.eval(), inputs, _can_be_folded, _fold)
    places = _places(net)
    for norm, conv in pairs:
        _fold(places, norm, conv)


def _can_be_joined(norm: Norm, conv: nn.Conv2d) -> bool:
    return isinstance(norm, FrozenNorm) and not norm.joined and type(conv) in SCALED


def _can_be_folded(norm: Norm, conv: nn.Conv2d) -> bool:
    """Whether they are both still on their own, or joined with each other and nobody else."""
    joined = norm if isinstance(norm, FrozenNorm) and norm.joined else None
    return getattr(conv, "norm", None) is joined


def _places(net: nn.Module) -> Places:
    """The parents of every module, and its names in them."""
    places: Places = {}
    for parent in net.modules():
        for name, child in parent.named_children():
            places.setdefault(child, []).append((parent, name))
    return places


def _join(places: Places, norm: Norm, conv: nn.Conv2d) -> Undo:
    assert isinstance(norm, FrozenNorm)
    kind, prepared = type(conv), vars(conv).pop("prepared", None)
    norm.joined = True
    object.__setattr__(conv, "norm", norm)  # a reference, not a child: the norm has its own name
    conv.__class__ = SCALED[kind]

    def undo() -> None:
        norm.joined = False
        conv.__class__ = kind
        del vars(conv)["norm"]
        if prepared is not None:
            vars(conv)["prepared"] = prepared

    return undo


def _fold(places: Places, norm: Norm, conv: nn.Conv2d) -> Undo:
    kind, weight, bias = type(conv), conv.weight, conv.bias
    of_conv: dict[str, object] = {
        name: vars(conv).pop(name) for name in ("norm", "prepared") if name in vars(conv)
    }
    conv.__class__ = _UNSCALED.get(kind, kind)
    scaled, shift = _folded(weight, bias, norm)
    conv.weight = nn.Parameter(scaled, requires_grad=False)
    conv.bias = nn.Parameter(shift, requires_grad=False)
    for parent, name in places[norm]:
        setattr(parent, name, getattr(norm, "act", None) or nn.Identity().eval())

    def undo() -> None:
        conv.__class__ = kind
        conv.weight, conv.bias = weight, bias
        vars(conv).update(of_conv)
        for parent, name in places[norm]:
            setattr(parent, name, norm)

    return undo


def _folded(weight: Tensor, bias: Tensor | None, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that also does the normalisation after it."""
    assert isinstance(norm, nn.BatchNorm2d | FrozenNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = -norm.running_mean if bias is None else bias - norm.running_mean
    return weight * scale[:, None, None, None], norm.bias + shift * scale


def _sound_pairs(net: nn.Module, inputs: Inputs, wanted: Wanted, change: Change) -> list[Pair]:
    """Norms and the convolutions before them that can be changed and ``net`` computes what it did.

    ``net`` itself is left as it was. Ordinary networks run twice; where the results differ, again in double
    precision, since some networks magnify rounding, and only where they differ there too with each pair.
    """
    if any(tensor.is_meta for tensor in _tensors(net)):
        return []
    twin = _exact(net, torch.float32)
    sound = _sound_in(twin, _noise(inputs, torch.float32), wanted, change, one_by_one=False)
    if sound is None:
        twin = _exact(net, torch.float64)
        sound = _sound_in(twin, _noise(inputs, torch.float64), wanted, change, one_by_one=True)
    own = dict(zip(twin.modules(), net.modules(), strict=True))
    return cast("list[Pair]", [(own[norm], own[conv]) for norm, conv in sound or []])


def _exact(net: Net, least: torch.dtype) -> Net:
    """``net`` or a copy of it in which rounding is not mistaken for a fault.

    It is on the CPU, since a GPU may multiply single precision with three digits, and at least in ``least``.
    """
    tensors = _tensors(net)
    if all(t.device.type == "cpu" and t.dtype == _at_least(t.dtype, least) for t in tensors):
        return net
    memo: dict[int, Tensor] = {}
    for tensor in tensors:
        moved = tensor.detach().to("cpu", _at_least(tensor.dtype, least))
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(moved, requires_grad=False) if is_parameter else moved
    return _copy(net, memo)


def _at_least(kind: torch.dtype, least: torch.dtype) -> torch.dtype:
    return torch.promote_types(kind, least) if kind.is_floating_point else kind


def _noise(inputs: Inputs, least: torch.dtype) -> list[Any]:
    generator = torch.Generator().manual_seed(0)

    def noise(like: Tensor) -> Tensor:
        kind = _at_least(like.dtype, least)
        return torch.randn(like.shape, generator=generator, device="cpu", dtype=kind)

    return [noise(x) if isinstance(x, Tensor) else [noise(tensor) for tensor in x] for x in inputs]


def _sound_in(
    net: nn.Module, noise: list[Any], wanted: Wanted, change: Change, one_by_one: bool
) -> list[Pair] | None:
    """See :func:`_sound_pairs`; None where not all pairs hold together and none is tried alone."""
    with evaluating(net), _other_statistics(net):
        outputs, found = _run(net, noise)
        pairs = [pair for pair in found if wanted(*pair)]
        # what a convolution gives changes where its norm is still to come, for modules that pass it on too
        changing = {id(outputs[conv][0]) for _, conv in found if not isinstance(conv, _Scaled)}
        before = {
            module: [None if module is not net and id(leaf) in changing else leaf for leaf in leaves]
            for module, leaves in outputs.items()
        }

        places = _places(net)

        def hold(chosen: list[Pair]) -> bool:
            with ExitStack() as undo:
                for pair in chosen:
                    undo.callback(change(places, *pair))
                return _agree(_run(net, noise)[0], before)

        if not pairs or hold(pairs):
            return pairs
        if not one_by_one:
            return None
        sound: list[Pair] = []
        for pair in pairs:
            if hold([*sound, pair]):
                sound.append(pair)
        return sound


@contextmanager
def _other_statistics(net: nn.Module) -> Iterator[None]:
    """The norms of ``net`` with other constants for a while: fresh ones do nothing, which hides faults."""
    generator = torch.Generator().manual_seed(1)
    norms = [module for module in net.modules() if _is_norm(module)]
    kept = {norm: [getattr(norm, name) for name in STATISTICS] for norm in norms}
    try:
        for norm, (weight, bias, mean, var) in kept.items():
            size, exact = (2, len(var)), var.dtype
            high, wide = torch.rand(size, generator=generator, device="cpu", dtype=exact) + 0.5
            up, away = torch.randn(size, generator=generator, device="cpu", dtype=exact)
            _set_statistics(norm, weight * high, bias + up, mean + away * var.sqrt(), var * wide)
        yield
    finally:
        for norm, tensors in kept.items():
            _set_statistics(norm, *tensors)


def _set_statistics(norm: nn.Module, *tensors: Tensor) -> None:
    for name, tensor in zip(STATISTICS, tensors, strict=True):
        is_parameter = isinstance(getattr(norm, name), nn.Parameter) and not isinstance(tensor, nn.Parameter)
        setattr(norm, name, nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor)


def _is_norm(module: nn.Module) -> bool:
    """Whether a module is one of the known norms, with constants of its own and nothing else about it."""
    kind = type(module)
    if f"{kind.__module__}.{kind.__qualname__}" == "timm.layers.norm_act.BatchNormAct2d":
        if not is_plain(module.get_submodule("drop"), nn.Identity):
            return False
    elif kind not in (FrozenNorm, nn.BatchNorm2d):
        return False
    return is_plain(module, kind) and all(getattr(module, name) is not None for name in STATISTICS)


def _run(net: nn.Module, noise: list[Any]) -> tuple[Outputs, list[Pair]]:
    """What every module gave, and each norm that took the output of a convolution, where both ran once."""
    modules = list(net.modules())
    convs = {module for module in modules if is_plain(module, *SCALED, *SCALED.values())}
    norms = {module for module in modules if _is_norm(module)}
    made: dict[int, nn.Module] = {}  # outputs by identity; all are kept alive, so that no two are the same
    alive: list[object] = []
    outputs: dict[nn.Module, object] = {}
    pairs: dict[nn.Module, nn.Module] = {}
    runs: Counter[nn.Module] = Counter()

    def watch(module: nn.Module, args: tuple[object, ...], output: object) -> None:
        runs[module] += 1
        alive.append(output)
        outputs[module] = output
        if module in convs:
            made[id(output)] = module
        elif module in norms and args and id(args[0]) in made:
            pairs[module] = made[id(args[0])]

    with _watched(net, watch):
        net(*noise)
    once = [
        (norm, conv)
        for norm, conv in pairs.items()
        if isinstance(norm, Norm) and isinstance(conv, nn.Conv2d) and runs[norm] == runs[conv] == 1
    ]
    tensors = {
        module: [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        for module, output in outputs.items()
    }
    return tensors, once


@contextmanager
def _watched(net: nn.Module, watch: Callable[..., None]) -> Iterator[None]:
    """One more hook on every module for a while, which is not shared with the network that ``net`` copies."""
    kept = {module: module._forward_hooks for module in net.modules()}
    try:
        for module, hooks in kept.items():
            module._forward_hooks = OrderedDict(hooks)
            module.register_forward_hook(watch)
        yield
    finally:
        for module, hooks in kept.items():
            module._forward_hooks = hooks


def _agree(found: Outputs, before: dict[nn.Module, list[Tensor | None]]) -> bool:
    """Whether all modules that still run gave what they gave before."""
    return all(
        b is None or _same(a, b)
        for module in before.keys() & found.keys()
        for a, b in zip(found[module], before[module], strict=True)
    )


def _same(found: Tensor, before: Tensor) -> bool:
    """Whether two tensors are the same as far as their type can tell."""
    if found.shape != before.shape:
        return False
    if not before.is_floating_point():
        return torch.equal(found, before)
    largest = before.nan_to_num(0, 0, 0).abs().amax().item() if before.numel() else 0.0
    allowed = torch.finfo(before.dtype).eps ** 0.5 * largest
    return torch.allclose(found, before, rtol=0, atol=allowed, equal_nan=True)
