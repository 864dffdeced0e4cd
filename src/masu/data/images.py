"""Images in, tensors out: whatever holds a picture becomes ``(3, H, W)`` RGB."""

from __future__ import annotations

import glob
import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from masu.data.reading import bad_input
from masu.errors import InputError

IMAGE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jfif",
        ".png",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".gif",
        ".ppm",
        ".pgm",
        ".jp2",
        ".npy",
    )
)
"""Suffixes, lower case, by which images are found in folders; a file named outright may have any."""

DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What decoders raise for damaged files, besides the OSError that Pillow documents."""


class UnreadableImageError(InputError):
    """An image file that cannot be decoded.

    Attributes:
        found: what is wrong with it, without the path.
    """

    def __init__(self, path: object, found: str, fix: str, wanted: str = "an image Pillow can read") -> None:
        super().__init__(str(bad_input(path, found, wanted, fix)))
        self.found = " ".join(found.split())


def read_image(image: str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor) -> Tensor:
    """An image as an RGB tensor ``(3, H, W)``.

    Args:
        image: a path, a Pillow image, an array ``(H, W)`` or ``(H, W, C)``, or a tensor ``(C, H, W)``, with
            C = 1, 3 or 4 (the fourth, alpha, is dropped). Values are uint8 in 0–255, uint16 in 0–65535 or
            floats in 0–1. The EXIF orientation of files and Pillow images is applied.

    Returns:
        uint8, contiguous; 16-bit grey scaled to 8 bits. Arrays and tensors of floats give float32 in 0–1.
        Never shares memory with an array or a Pillow image; an RGB tensor is handed back as it is.

    Raises:
        InputError: a file that is missing, damaged, too large or no image; an array or tensor of another
            shape, type or range.
    """
    if isinstance(image, Tensor):
        return _from_tensor(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Image.Image):
        return _read_picture(image)
    if not isinstance(image, str | os.PathLike):
        raise bad_input(
            "image",
            f"a value of type {type(image).__name__}",
            "a path, a Pillow image, an array (H, W, 3) or a tensor (3, H, W)",
            "pass one of these",
        )
    return _read_file(Path(image))


def find_images(sources: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The image files that the sources mean, each once, in the order of the sources.

    Args:
        sources: files (any suffix), folders (searched with their subfolders, sorted, hidden files left out)
            and patterns such as ``shots/**/*.jpg``.

    Raises:
        InputError: no source, or a source that yields no image.
    """
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    if not sources:
        raise bad_input("images", "no source", "a file, a folder or a pattern", "name at least one")
    found: dict[Path, None] = {}
    for source in sources:
        images = _expand(source)
        if not images:
            what = "a folder without images" if os.path.isdir(source) else "no such file and no match"
            raise bad_input(
                source,
                what,
                "an image, a folder of images or a pattern such as 'shots/*.jpg'",
                "check the path",
            )
        found.update(dict.fromkeys(images))
    return list(found)


def _expand(source: str | os.PathLike[str]) -> list[Path]:
    if os.path.isfile(source):
        return [Path(source)]
    if os.path.isdir(source):
        inside = (Path(folder, name) for folder, _, names in os.walk(source) for name in names)
    else:
        inside = (Path(name) for name in glob.glob(os.fspath(source), recursive=True))
    return sorted(path for path in inside if _is_image_name(path.name) and path.is_file())


def _is_image_name(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _read_picture(image: Image.Image) -> Tensor:
    try:
        return _decode(image, "image")
    except InputError:
        raise
    except DECODER_ERRORS as error:  # Pillow opens lazily: the damage may show only now
        thing = getattr(image, "filename", "") or "image"
        found = f"a damaged image ({type(error).__name__}: {error})"
        raise UnreadableImageError(thing, found, "replace the file or leave it out") from None


def _read_file(path: Path) -> Tensor:
    try:
        if path.is_dir():
            raise UnreadableImageError(path, "a folder", "name the files in it")
        # Pillow warns of large and of slightly damaged files; it raises for those it cannot decode.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return _decode(image, path)
    except FileNotFoundError:
        raise UnreadableImageError(path, "no such file", "check the path") from None
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        found = "an empty file" if empty else "a file that is no image or of an unknown kind"
        raise UnreadableImageError(path, found, "convert it to PNG or JPEG") from None
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(path, f"too large an image ({error})", "cut it into tiles") from None
    except InputError:
        raise
    except DECODER_ERRORS as error:
        found = f"a damaged image ({type(error).__name__}: {error})"
        raise UnreadableImageError(path, found, "replace the file or leave it out") from None


def _decode(image: Image.Image, thing: object) -> Tensor:
    upright = ImageOps.exif_transpose(image)
    if upright.width == 0 or upright.height == 0:
        raise bad_input(
            thing, f"a size of {upright.width}×{upright.height}", "at least one pixel", "replace it"
        )
    if upright.mode.startswith("I"):
        return _from_array(np.clip(np.asarray(upright), 0, 65535).astype(np.uint16))
    if upright.mode == "F":
        grey = np.asarray(upright)
        most = 1.0 if np.nanmax(grey) <= 1 else 255.0
        return _from_array((np.clip(np.nan_to_num(grey) / most, 0, 1) * 255).round().astype(np.uint8))
    if upright.mode == "P":
        upright = upright.convert("RGBA")  # straight to RGB, Pillow warns of transparency
    return _from_array(np.array(upright.convert("RGB")))


def _from_array(array: np.ndarray[Any, Any]) -> Tensor:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise bad_input(
            "image array",
            f"shape {array.shape}",
            "(H, W) or (H, W, 3)",
            "transpose or index it to that shape",
        )
    if array.dtype == np.uint16:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise bad_input(
            "image array",
            f"values of type {array.dtype}",
            "uint8, uint16 or floats 0–1",
            "convert it to uint8",
        )
    kind = np.uint8 if array.dtype == np.uint8 else np.float32
    planes = np.array(array.transpose(2, 0, 1), dtype=kind, order="C")
    return _from_tensor(torch.from_numpy(planes))


def _from_tensor(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4) or image.numel() == 0:
        colours_last = image.numel() > 0 and image.ndim == 3 and image.shape[-1] in (1, 3, 4)
        hint = "permute(2, 0, 1) it" if colours_last else "index or stack it"
        raise bad_input("image tensor", f"shape {tuple(image.shape)}", "(3, H, W)", f"{hint} to that shape")
    if image.dtype != torch.uint8:
        if not image.is_floating_point():
            raise bad_input(
                "image tensor", f"values of type {image.dtype}", "uint8 or floats 0–1", "convert it to uint8"
            )
        low, high = (float(value) for value in image.aminmax())
        if not (low >= 0 and high <= 1):
            raise bad_input(
                "image", f"floats from {low:g} to {high:g}", "floats 0–1", "divide by 255 or convert to uint8"
            )
        image = image.to(torch.float32)
    if image.shape[0] == 1:
        image = image.expand(3, -1, -1)
    return image[:3].contiguous()
