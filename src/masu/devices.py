"""Where networks compute: the processor, or a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from masu.errors import bad_input, listed

FUSED = ("cpu", "cuda", "mps", "xpu")
"""Kinds of device for which PyTorch has optimizers of one kernel."""


def device_of(word: str | torch.device = "auto") -> torch.device:
    """The device that a word means.

    Args:
        word: ``"auto"``: the process's own CUDA device where there is one, else the processor; ``"cpu"``,
            ``"cuda"``, ``"cuda:1"``, ``"mps"``, or a ``torch.device``.

    Raises:
        InputError: another word, or a device that is not there.
    """
    if word == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = _there()
    try:
        device = torch.device(word)
    except RuntimeError:
        device = None
    if device is None or not _is_there(device, there):
        why = "" if torch.version.cuda else "; this PyTorch is built without CUDA"
        raise bad_input("device", f"{str(word)!r:.60}{why}", listed(there), "choose one that is there")
    return device


def _is_there(device: torch.device, there: list[str]) -> bool:
    """``mps`` and ``mps:0`` are one device."""
    return str(device) in there or (device.type in there and device.type != "cuda" and not device.index)


def _there() -> list[str]:
    """The words for the devices of this computer."""
    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *(["cuda"] if cuda else []), *cuda, *mps]


def moved(image: Tensor, device: torch.device) -> Tensor:
    """An image on a device; to a GPU it is copied while the processor goes on."""
    if device.type != "cuda" or image.device.type != "cpu":
        return image.to(device)
    return image.pin_memory().to(device, non_blocking=True)
