"""TEMPORARY stand-in until the fast header reader lands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from masu.data.pixels.pictures import DECODER_ERRORS, UnreadableImageError, absence


class Headers(NamedTuple):
    sizes: Any
    orientations: Any
    faults: dict[int, str]


def read_headers(paths: Sequence[Path], progress: Callable[[int, int], None] | None = None) -> Headers:
    sizes = np.zeros((len(paths), 2), np.int32)
    orientations = np.ones(len(paths), np.uint8)
    faults = {}
    for i, path in enumerate(paths):
        try:
            if path.suffix.lower() == ".npy":
                continue
            with Image.open(path) as picture:
                o = int(picture.getexif().get(0x0112, 1) or 1)
                orientations[i] = o if 1 <= o <= 8 else 1
                sizes[i] = (picture.width, picture.height) if 5 <= o <= 8 else (picture.height, picture.width)
        except FileNotFoundError:
            faults[i] = absence(path)
        except (*DECODER_ERRORS, Image.DecompressionBombError) as error:
            faults[i] = f"a damaged image ({type(error).__name__}: {error})"
    return Headers(sizes, orientations, faults)
