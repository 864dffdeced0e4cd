"""torchvision's detectors as detectors of masu: same weights, same answers, or a refusal that says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torchvision
from torch import Tensor, nn

from masu.detectors.detector import Detector
from masu.detectors.torchvision_families import Family, OneStage, TwoStages, check_tree, refused
from masu.detectors.torchvision_fcos import FCOSFamily
from masu.detectors.zoo import ARCHITECTURES, checked_names, make
from masu.errors import InputError, bad_input

FAMILIES: tuple[Family, ...] = (TwoStages(), FCOSFamily(), OneStage())
"""Every kind that can be taken over; FCOS has all that marks a RetinaNet, so it comes first."""

NAMES = {theirs: ours for family in FAMILIES for theirs, ours in family.names.items()}
"""torchvision's names of the architectures and masu's."""


def load_torchvision(name: str) -> Detector:
    """A torchvision detector with its COCO weights, downloaded through torchvision's weights API.

    Raises:
        InputError: for another name, or where the download fails.
    """
    if name not in NAMES:
        raise bad_input(
            f"torchvision/{name}", "an unknown model", f"one of {', '.join(NAMES)}", code="unknown-name"
        )
    weights = torchvision.models.get_model_weights(name)["DEFAULT"]
    try:
        state = weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        found, wanted = f"download from {weights.url} failed ({error})", "a network connection"
        thing = f"torchvision/{name}"
        raise InputError(
            f"{thing}: {found}; wanted {wanted}", thing=thing, found=found, wanted=wanted, code="no-network"
        ) from None
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=91)
    family = family_of(model.state_dict())
    if not name.endswith("v2"):
        _freeze_like_pretrained(model, eps=0.0 if family.frozen_eps_is_zero and "resnet50" in name else 1e-5)
    model.load_state_dict(state, strict=False)
    return from_torchvision(model, coco_names(weights.meta["categories"]), NAMES[name])


def _freeze_like_pretrained(model: nn.Module, eps: float) -> None:
    """Frozen normalisation in the body, as torchvision's builders use it only along with a download."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, torchvision.ops.FrozenBatchNorm2d(child.num_features, eps))


def coco_names(categories: Sequence[str]) -> tuple[str, ...]:
    """Class names from torchvision's COCO categories: without background, unused ids numbered."""
    return tuple(f"unused {i}" if name == "N/A" else name for i, name in enumerate(categories) if i > 0)


def from_torchvision(
    model: nn.Module | Mapping[str, Any],
    names: Sequence[str] | None = None,
    architecture: str | None = None,
) -> Detector:
    """Take over a torchvision detector: weights, and from a model also its settings.

    Wrappers (``DataParallel``, ``torch.compile``), prefixes of names (``module.``, ``model.``) and
    checkpoints (``{"model": …}``, ``{"state_dict": …}``) are unwrapped. Of several ``transform.min_size`` the
    last is taken, which torchvision predicts with.

    Args:
        model: one of torchvision's Faster R-CNN, RetinaNet or FCOS models or its state dict. From a state
            dict the settings are the architecture's own, with frozen normalisation (epsilon 1e-5) where
            torchvision's pretrained models have it.
        names: class names without background, in the order of torchvision's ids 1..K; for one-stage models,
            whose head has a column for every id, in the order of ids 0..K-1, or, as they are usually trained,
            of ids 1..K: one name less than columns, and column 0, never used, is left out. Default:
            ``class 1``, ``class 2`` … (one stage: from ``class 0``).
        architecture: masu's name; default: recognised. A state dict does not tell the two MobileNet
            architectures apart, there it is needed.

    Returns:
        A detector with the same weights that gives the same answers.

    Raises:
        InputError: for another architecture, another number of names, or a model with a setting, a part or a
            change that masu has no counterpart of; it names that.
    """
    model, state = _unwrapped(model)
    family = family_of(state)
    name = architecture or family.recognise(state, isinstance(model, nn.Module))
    if name not in family.names.values():
        raise bad_input(
            "architecture", f"{name!r}", f"one of {', '.join(family.names.values())}", code="unknown-name"
        )
    config = ARCHITECTURES[name]()
    if isinstance(model, nn.Module):
        check_tree(model, next(t for t, ours in family.names.items() if ours == name), family.parts)
        config = family.settings(model, config)
    elif any(
        key.endswith("bn1.num_batches_tracked") or key == "backbone.body.0.1.num_batches_tracked"
        for key in state
    ):
        config = config.with_pyramid(replace(config.pyramid, frozen_norms=False))
    state, chosen = family.named(state, None if names is None else checked_names(names))
    try:
        detector = make(config, chosen)
    except ValueError as error:
        raise refused(
            f"settings that do not go together ({error})", "those of torchvision's own models"
        ) from None
    _fill(detector, {family.rename(key): family.reorder(key, x, config) for key, x in state.items()}, name)
    return detector.train(model.training) if isinstance(model, nn.Module) else detector.eval()


def _fill(detector: Detector, tensors: Mapping[str, Tensor], name: str) -> None:
    own = detector.state_dict()
    if tensors.keys() != own.keys():
        odd = sorted(tensors.keys() ^ own.keys())[0]
        where = "has" if odd in tensors else "lacks"
        raise refused(
            f"a model that {where} the tensor {odd}, unlike {name}", "an unchanged torchvision model"
        )
    for key, tensor in tensors.items():
        if tensor.shape != own[key].shape:
            found, wanted = tuple(tensor.shape), tuple(own[key].shape)
            raise refused(f"{found} for {key}", f"{wanted}, as {name} has it")
    detector.load_state_dict(dict(tensors))


def _unwrapped(given: Any) -> tuple[Any, dict[str, Tensor]]:
    """The model or state dict itself, and its tensors by torchvision's names."""
    if not isinstance(given, nn.Module | Mapping):
        raise bad_input(
            "model",
            type(given).__name__,
            "a torchvision model or its state dict",
            'masu.load("torchvision/NAME") downloads one',
        )
    model = given
    while isinstance(model, nn.Module) and isinstance(
        inner := getattr(model, "module", getattr(model, "_orig_mod", None)), nn.Module
    ):
        model = inner
    if not isinstance(model, nn.Module):
        for key in ("model", "state_dict", "model_state_dict"):
            if isinstance(model.get(key), Mapping):
                model = model[key]
    state: dict[str, Any] = dict(model.state_dict() if isinstance(model, nn.Module) else model)
    for prefix in ("module.", "_orig_mod.", "model.") * 2:
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise refused(f"{type(value).__name__} for {key!r}", "a state dict, tensors by their names")
        if value.is_meta:
            raise refused(f"{key} on the meta device, which has no values", "a model with weights")
    return model, state


def family_of(state: Mapping[str, Tensor]) -> Family:
    """The kind of a torchvision detector, by its state dict.

    Raises:
        InputError: for another network.
    """
    for family in FAMILIES:
        if family.mark in state:
            return family
    raise bad_input("model", "no detector of torchvision", f"one of {', '.join(NAMES)}")
