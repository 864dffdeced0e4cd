"""The numbers that networks compute with; weights, boxes, scores and losses are float32 in any case.

Source: Micikevicius et al. 2018 (Mixed Precision Training).
"""

from __future__ import annotations

import torch

from masu.errors import bad_input
from masu.words import Precision

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def chosen_precision(
    precision: Precision, device: torch.device, before: Precision | None = None
) -> Precision:
    """``"auto"`` as what it stands for: bf16 where a device has instructions for it, else fp32.

    It depends on the device alone and on no clock, so that a run is the same whenever it is made.

    Args:
        precision: what was asked for.
        device: where the networks compute.
        before: what a run that goes on has computed in, which ``"auto"`` keeps.
    """
    if precision != "auto":
        return precision
    if before is not None:
        return before
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and any(
            supported()
            for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
            if (supported := getattr(torch.cpu, name, None)) is not None
        )
    return "bf16" if native else "fp32"


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuse what a device can only imitate, many times slower than it computes in fp32.

    Raises:
        InputError: for fp16 anywhere but on a CUDA GPU, or bf16 on a GPU without it.
    """
    if precision == "fp16" and device.type != "cuda":
        found = f"fp16 on {device.type}"
        raise bad_input("--precision", found, "fp32 or bf16 there", "choose bf16, or use a CUDA GPU")
    native = device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bf16" and not native:
        name = torch.cuda.get_device_name(device)
        raise bad_input("--precision", f"bf16 on {name}", "a GPU that computes in it", "choose fp16")


def networks_in(precision: Precision, device: torch.device) -> torch.autocast:
    """The context in which a detector's networks compute in a precision."""
    return torch.autocast(device.type, _TYPES[precision], enabled=precision != "fp32")


def loss_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """What multiplies the loss, so that small gradients do not vanish in fp16; elsewhere it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
