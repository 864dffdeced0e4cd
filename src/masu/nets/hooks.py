"""Hooks: what a user hangs on a module to see or change what it computes; no shortcut may pass them over."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
"""Where a module keeps its hooks, by their number."""

ABOUT_HOOKS = (
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)
"""Where a module keeps how its hooks want to be called."""


def is_plain(module: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Whether to call a module is to do what one of ``kinds`` does and nothing else.

    Not so for a subclass (a parametrized module is one), with a hook (also one for all modules), or where the
    object has been given a ``forward`` of its own.
    """
    return (
        type(module) in kinds
        and not any(getattr(module, name) for name in HOOKS)
        and "forward" not in vars(module)
        and not any(getattr(torch_module, f"_global{name}") for name in HOOKS)
    )


def global_hooks() -> dict[str, Any]:
    """The hooks that fire for all modules, by where torch keeps them."""
    return {name: dict(getattr(torch_module, f"_global{name}")) for name in HOOKS}


def take_hooks(module: nn.Module, original: nn.Module) -> None:
    """Hang on ``module`` what hangs on ``original``, also what will be hung on it later."""
    for name in (*HOOKS, *ABOUT_HOOKS, "_is_full_backward_hook"):
        setattr(module, name, getattr(original, name))


def shared_hooks(net: nn.Module) -> dict[int, Any]:
    """Memo for :func:`copy.deepcopy` with which the copy carries the hooks of ``net`` itself.

    One that is hung on the original later fires in the copy too. A hook that is a method of ``net``, of a
    module inside it or of an object that one of them keeps belongs to the network; the copy gets its own.
    """
    modules = list(net.modules())
    inside = {id(value) for module in modules for value in (module, *vars(module).values())} - {id(None)}
    memo: dict[int, Any] = {}
    for module in modules:
        hooks = [hook for name in HOOKS for hook in getattr(module, name).values()]
        foreign = [hook for hook in hooks if id(_owner(hook)) not in inside]
        memo |= {id(hook): hook for hook in foreign}
        if len(foreign) == len(hooks):
            places = [getattr(module, name) for name in (*HOOKS, *ABOUT_HOOKS)]
            memo |= {id(place): place for place in places}
    return memo


def _owner(hook: Any) -> object:
    while isinstance(hook, partial):
        hook = hook.func
    return getattr(hook, "__self__", None)
