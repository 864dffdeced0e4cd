"""Bytes of strangers as pixels: only kinds of images that are safe to open, and only so large."""

from __future__ import annotations

import base64
import binascii
import io
import re
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from masu.data.pixels.pictures import DECODER_ERRORS, decoders_silent, read_picture
from masu.errors import InputError
from masu.service.limits import Limits, RefusedError

Array = np.ndarray[Any, Any]

KINDS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM")
"""Of Pillow; others start programs or read other files."""

_DATA = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w.+-]+=[^;,]*)*;base64,", re.ASCII)
_SHOWN = 40


def picture_of(content: bytes, limits: Limits) -> Array:
    """The image of a file's bytes as ``(H, W, 3)`` uint8, upright.

    Raises:
        RefusedError: no image of a known kind, a damaged one, one of too many bytes or pixels.
    """
    if len(content) > limits.image:
        raise too_many_bytes(limits)
    with decoders_silent():
        try:
            image = Image.open(io.BytesIO(content), formats=_kinds())
            pixels = image.width * image.height
        except Image.DecompressionBombError:
            message = f"image: found more pixels than Pillow opens, wanted at most {limits.pixels}"
            raise RefusedError(413, message, "INVALID_IMAGE") from None
        except DECODER_ERRORS:
            message = f"image: found {len(content)} bytes of no known kind, wanted JPEG, PNG or the like"
            raise RefusedError(400, message, "INVALID_IMAGE") from None
        if pixels > limits.pixels:
            message = f"image: found {pixels} pixels, wanted at most {limits.pixels}"
            raise RefusedError(413, message, "INVALID_IMAGE")
        try:
            return read_picture(image)
        except InputError as error:
            raise RefusedError(400, f"image: {error.found}", "INVALID_IMAGE") from None


@cache
def _kinds() -> tuple[str, ...]:
    """Those that this Pillow can open."""
    Image.init()
    return tuple(kind for kind in KINDS if kind in Image.OPEN)


def is_data_url(text: str) -> bool:
    """Whether a text is an image that is written out in it."""
    return text[:5].lower() == "data:"


def bytes_of(text: str, limits: Limits) -> bytes:
    """What a text of base64 holds, with or without ``data:image/png;base64,`` before it.

    Raises:
        RefusedError: another text, or too long a one.
    """
    start = 0
    if is_data_url(text):
        head = _DATA.match(text)
        if head is None:
            message = f"image: found {text[:_SHOWN]!r}, wanted data:image/…;base64,…"
            raise RefusedError(400, message, "INVALID_IMAGE")
        start = head.end()
    if (len(text) - start) * 3 // 4 > limits.image:
        raise too_many_bytes(limits)
    try:
        return base64.b64decode("".join(text[start:].split()), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(400, "image: found a text that is no base64", "INVALID_IMAGE") from None


def too_many_bytes(limits: Limits) -> RefusedError:
    """What to say of an image that is too long."""
    return RefusedError(413, f"image: found more than {limits.image} bytes", "INVALID_IMAGE")
