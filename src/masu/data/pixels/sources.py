"""What people hand to ``predict``: one image or many, as files or as pixels; without PyTorch."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from masu.data.pixels.pictures import find_images
from masu.errors import bad_input

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_HINTS = {
    "NoneType": "; cv2.imread gives None for a file that it cannot read",
    "bytes": "; for an encoded image write Image.open(io.BytesIO(data))",
    "Sample": "; for a data set write predict(data.paths)",
}

_NO_LISTS = (bytes, bytearray, Mapping, Set)
"""What can be walked through, but holds no images in an order."""

Item = TypeVar("Item")


class Given(NamedTuple):
    """The images that were given.

    Attributes:
        images: each a file or pixels, in order; read once.
        alone: it was a single one, not in a list.
    """

    images: Iterator[Any]
    alone: bool


def given_images(source: Any, *, tensors: bool = True) -> Given:
    """The images that one argument means.

    Args:
        source: a file, a Pillow image, an array or a tensor alone; a folder (with all below it) or a pattern
            such as ``shots/*.jpg``; or any list or iterator of files and pixels.
        tensors: whether they may be tensors, or any other arrays but NumPy's.

    Raises:
        TypeError: for anything else, here or when the images are walked through.
        InputError: for a folder or pattern without images, or a URL.
    """
    if isinstance(source, str | os.PathLike) and _is_many(source):
        return Given(iter(find_images([source])), alone=False)
    is_image = _is_image(source, tensors)
    if is_image and getattr(source, "ndim", 0) < 4:
        return Given(iter([_checked(source, tensors)]), alone=True)
    many = is_image or (isinstance(source, Iterable) and not isinstance(source, _NO_LISTS))
    if not many or (_is_array(source) and not is_image):
        raise TypeError(_wrong(source, "", tensors))
    return Given(
        (_checked(image, tensors, f" at position {i}") for i, image in enumerate(source)), alone=False
    )


def in_batches(images: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The images, ``size`` at a time; no more are read ahead."""
    rest = iter(images)
    while batch := list(islice(rest, size)):
        yield batch


def _is_many(source: str | os.PathLike[str]) -> bool:
    """Whether a path means several images: a folder, or a pattern where there is no such file."""
    return os.path.isdir(source) or (not os.path.exists(source) and glob.has_magic(os.fspath(source)))


def _is_array(value: Any) -> bool:
    return hasattr(value, "ndim") and hasattr(value, "shape")


def _is_image(value: Any, tensors: bool) -> bool:
    held = isinstance(value, str | os.PathLike | Image.Image | np.ndarray)
    return held or (tensors and _is_array(value))


def _checked(image: Any, tensors: bool, where: str = "") -> Any:
    if isinstance(image, str) and _ADDRESS.match(image):
        fix = "fetch it first: urllib.request.urlretrieve(url, 'image.jpg')"
        raise bad_input(image, "a URL", "a file on this computer", fix)
    if not _is_image(image, tensors):
        raise TypeError(_wrong(image, where, tensors))
    return image


def _wrong(value: Any, where: str, tensors: bool) -> str:
    kind = type(value).__name__
    found = "None" if value is None else f"a value of type {kind}"
    pixels = "an array (H, W, 3) or a tensor (3, H, W)" if tensors else "or an array (H, W, 3)"
    wanted = f"an image (a path, a Pillow image, {pixels}), a folder or a list of images"
    return f"predict: found {found}{where}, wanted {wanted}{_HINTS.get(kind, '')}"
