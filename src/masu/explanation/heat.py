"""A map of numbers laid over a picture."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

_STOPS = torch.tensor([[20, 11, 53], [101, 21, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]]) / 255
"""Dark to bright, brightness rising evenly, so that it can be read without telling colours apart."""

_OPAQUE = 0.85
"""Share of the colour where the map is highest."""

_SHADES = 32
"""Colours of a map without its picture."""


def heat(picture: Tensor, values: Tensor) -> Image.Image:
    """The picture in grey, with the map in colours from dark violet over orange to light yellow.

    Args:
        picture: ``(3, H, W)`` uint8.
        values: ``(H, W)`` in 0..1; where it is 0 the grey picture is seen.
    """
    grey = picture.float().mul(torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=0) / 255
    colour = _colours(values).permute(2, 0, 1)  # (3, H, W)
    share = _OPAQUE * values.clamp(0, 1)
    mixed = torch.lerp(grey.expand(3, -1, -1), colour, share.expand(3, -1, -1))
    return Image.fromarray((mixed * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy())


def stain(values: Tensor) -> Image.Image:
    """The map alone in the same colours, the more transparent the lower, to be laid over a grey picture.

    Args:
        values: ``(h, w)`` in 0..1.

    Returns:
        A picture of so many dots in ``_SHADES`` colours, which a PNG stores in few bytes.
    """
    scale = torch.linspace(0, 1, _SHADES)
    made = Image.fromarray((values.clamp(0, 1) * (_SHADES - 1)).round().to(torch.uint8).numpy(), "P")
    made.putpalette((_colours(scale) * 255).round().to(torch.uint8).flatten().tolist())
    made.info["transparency"] = bytes((scale * _OPAQUE * 255).round().to(torch.uint8).tolist())
    return made


def _colours(values: Tensor) -> Tensor:
    """``(...)`` in 0..1 → ``(..., 3)`` red, green, blue in 0..1."""
    place = values.clamp(0, 1) * (len(_STOPS) - 1)
    low = place.floor().clamp(max=len(_STOPS) - 2).long()
    return torch.lerp(_STOPS[low], _STOPS[low + 1], (place - low)[..., None])
