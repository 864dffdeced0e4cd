"""What a picture looks like, in a few bytes: damaged, the same file, or the same picture again."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import numpy as np
from PIL import Image

from masu.data.pixels.pictures import (
    DECODER_ERRORS,
    Array,
    UnreadableImageError,
    absence,
    read_bands,
    read_rgb,
)

SIDE = 32
"""Pixels per side of the small grey picture that is kept."""

ALIKE = 0.97
"""Correlation of two small pictures from which they may show the same."""

FINE = 0.6
"""The same for what blurring takes away: two shots of one scene agree in outline alone."""

_DRAFT = 2 * SIDE
_TURNED_BY = 0x0112
_SUFFIXES_OF_BANDS = (".npy", ".tif", ".tiff")
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """One image file.

    Attributes:
        path: the file.
        fault: what is wrong with it, empty for a sound one; then the rest counts for nothing.
        size: height and width, upright.
        orientation: EXIF orientation, 1 for none.
        digest: of the file's bytes.
        small: ``(SIDE, SIDE)`` uint8 grey.
    """

    path: Path
    fault: str
    size: tuple[int, int]
    orientation: int
    digest: bytes
    small: Array


def fingerprint(path: Path) -> Fingerprint:
    """Decode a file, JPEG at an eighth of its size where that is enough, so that damage shows.

    Pillow warns of large and of slightly damaged files; :func:`fingerprint_images` keeps that quiet.
    """
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    try:
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        if path.suffix.lower() in _SUFFIXES_OF_BANDS:
            return _of_bands(path, digest)
        with Image.open(path) as image:
            orientation = int(image.getexif().get(_TURNED_BY, 1) or 1)
            size = (image.height, image.width)
            image.draft("L", (_DRAFT, _DRAFT))
            small = np.array(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    except UnreadableImageError as error:
        return Fingerprint(path, error.found, (0, 0), 1, b"", nothing)
    except FileNotFoundError:
        return Fingerprint(path, absence(path), (0, 0), 1, b"", nothing)
    except (*DECODER_ERRORS, Image.DecompressionBombError) as error:
        empty = path.is_file() and path.stat().st_size == 0
        found = "an empty file" if empty else f"a damaged image ({type(error).__name__}: {error})"
        return Fingerprint(path, found, (0, 0), 1, b"", nothing)
    return Fingerprint(path, "", size[::-1] if 5 <= orientation <= 8 else size, orientation, digest, small)


def _of_bands(path: Path, digest: bytes) -> Fingerprint:
    try:
        array = read_bands(path, 3)
    except UnreadableImageError as error:
        try:
            array = read_rgb(path)  # enough for a photograph
        except UnreadableImageError:
            raise error from None
    grey = array if array.ndim == 2 else array.mean(axis=int(np.argmin(array.shape)))
    low, high = float(np.nanmin(grey)), float(np.nanmax(grey))
    grey = (np.nan_to_num(grey) - low) / max(high - low, 1e-9) * 255
    picture = Image.fromarray(grey.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX)
    size = (int(grey.shape[0]), int(grey.shape[1]))
    return Fingerprint(path, "", size, 1, digest, np.asarray(picture).clip(0, 255).astype(np.uint8))


def fingerprint_images(
    paths: Sequence[Path], workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> list[Fingerprint]:
    """The fingerprints of many files, in their order.

    Args:
        paths: image files.
        workers: threads; default: one per processor.
        progress: called with (files done, files in total).
    """
    # Threads, since decoders let go of the interpreter; bare ones, since Ctrl-C in the middle of what
    # concurrent.futures does in this thread leaves its locks closed for ever.
    todo = deque(enumerate(paths))
    done: SimpleQueue[tuple[int, Fingerprint | BaseException]] = SimpleQueue()
    found: dict[int, Fingerprint] = {}
    with warnings.catch_warnings():  # here: in threads it would forget what was before
        warnings.simplefilter("ignore")
        try:
            for _ in range(min(workers or os.cpu_count() or 1, len(paths))):
                Thread(target=_look, args=(todo, done), daemon=True).start()
            while len(found) < len(paths):
                index, one = done.get()
                if isinstance(one, BaseException):
                    raise one
                found[index] = one
                if progress is not None:
                    progress(len(found), len(paths))
        finally:
            todo.clear()
    return [found[index] for index in range(len(paths))]


def _look(todo: deque[tuple[int, Path]], done: SimpleQueue[tuple[int, Fingerprint | BaseException]]) -> None:
    with suppress(IndexError):
        while True:
            index, path = todo.popleft()
            try:
                done.put((index, fingerprint(path)))
            except BaseException as error:  # noqa: BLE001 raised where somebody waits
                done.put((index, error))


def same_files(fingerprints: Sequence[Fingerprint]) -> list[tuple[int, ...]]:
    """Groups of positions whose files are equal to the byte."""
    groups: dict[bytes, list[int]] = {}
    for index, one in enumerate(fingerprints):
        if not one.fault:
            groups.setdefault(one.digest, []).append(index)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def near_duplicates(fingerprints: Sequence[Fingerprint]) -> list[tuple[int, ...]]:
    """Groups of positions that show the same picture: copies, at another size or quality.

    Two small pictures must agree as a whole and, separately, in their details: pictures of one microscope
    agree as a whole without being the same. Plain pictures without detail are never taken for the same,
    unless their files are.
    """
    sound = [index for index, one in enumerate(fingerprints) if not one.fault]
    pairs: list[tuple[int, int]] = []
    if sound:
        small = np.stack([fingerprints[index].small for index in sound]).astype(np.float32)
        first_of = np.arange(len(sound))
        whole, detail = _unit(small), _unit(small - _blurred(small))
        for start in range(0, len(sound), _BLOCK):
            rows = slice(start, start + _BLOCK)
            alike = (whole[rows] @ whole.T >= ALIKE) & (detail[rows] @ detail.T >= FINE)
            for row in alike:
                mates = np.unique(first_of[row])
                if len(mates) > 1:
                    first_of[np.isin(first_of, mates)] = mates[0]
        pairs = [(sound[first], sound[at]) for at, first in enumerate(first_of) if first != at]
    for group in same_files(fingerprints):
        pairs += [(group[0], other) for other in group[1:]]
    return _joined(pairs)


def _unit(pictures: Array) -> Array:
    """Rows of mean 0 and length 1; of a plain picture, zeros."""
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > SIDE, flat / np.maximum(length, 1e-9), 0)  # under one grey level: nothing


def _blurred(pictures: Array) -> Array:
    """Each pixel the mean of the 5×5 around it."""
    padded = np.pad(pictures, ((0, 0), (2, 2), (2, 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    means: Array = windows.mean(axis=(3, 4), dtype=np.float32)
    return means


def _joined(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Pairs to groups, each rising, by their first."""
    leader: dict[int, int] = {}

    def first(index: int) -> int:
        while leader.setdefault(index, index) != index:
            index = leader[index]
        return index

    for a, b in pairs:
        low, high = sorted((first(a), first(b)))
        leader[high] = low
    groups: dict[int, list[int]] = {}
    for index in sorted(leader):
        groups.setdefault(first(index), []).append(index)
    return [tuple(group) for group in groups.values()]
