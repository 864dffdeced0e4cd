"""What a picture looks like, in a few bytes: damaged, the same file, or the same picture again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image

from masu.data.audit.likeness import SIDE, connected, like_pictures
from masu.data.pixels.headers import FIRST_ON_ITS_SIDE, ORIENTATION, known_orientation, read_header
from masu.data.pixels.large import windowed
from masu.data.pixels.pictures import (
    DECODER_ERRORS,
    NPY,
    TIFF_SUFFIXES,
    Array,
    TooLargeError,
    UnreadableImageError,
    absence,
    damage,
    open_picture,
    read_bands,
    read_rgb,
    upright,
)
from masu.data.pixels.threads import in_threads
from masu.regular import read_bytes

DIGEST = 16
"""Bytes of a file's digest."""

_DRAFT = 2 * SIDE
_SUFFIXES_OF_BANDS = (NPY, *TIFF_SUFFIXES)
_BLOCK = 8


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """One image file.

    Attributes:
        path: the file.
        fault: what is wrong with it, empty for a sound one; then the rest counts for nothing.
        size: height and width, upright.
        orientation: EXIF orientation, 1 for none.
        digest: of the file's bytes.
        small: ``(SIDE, SIDE)`` uint8 grey, upright.
    """

    path: Path
    fault: str
    size: tuple[int, int]
    orientation: int
    digest: bytes
    small: Array


@dataclass(frozen=True, eq=False)
class Fingerprints(Sequence[Fingerprint]):
    """Fingerprints of N files in few arrays; ``[i]`` gives one.

    Attributes:
        paths: the files.
        sizes: heights and widths, upright, ``(N, 2)`` int32; 0 where a file is at fault.
        orientations: EXIF orientations ``(N,)`` uint8, 1 for none.
        digests: of the files' bytes, ``(N, 16)`` uint8.
        small: ``(N, SIDE, SIDE)`` uint8 grey, upright.
        faults: what is wrong with a file, by its position; sound ones are not in it.
    """

    paths: Sequence[Path]
    sizes: Array
    orientations: Array
    digests: Array
    small: Array
    faults: dict[int, str]

    @classmethod
    def empty(cls, paths: Sequence[Path]) -> Fingerprints:
        """Room for the fingerprints of these files."""
        count = len(paths)
        small = np.zeros((count, SIDE, SIDE), np.uint8)
        digests = np.zeros((count, DIGEST), np.uint8)
        return cls(paths, np.zeros((count, 2), np.int32), np.ones(count, np.uint8), digests, small, {})

    @classmethod
    def of(cls, fingerprints: Sequence[Fingerprint]) -> Fingerprints:
        """The same fingerprints in arrays."""
        if isinstance(fingerprints, cls):
            return fingerprints
        found = cls.empty([one.path for one in fingerprints])
        for index, one in enumerate(fingerprints):
            found.put(index, one)
        return found

    def put(self, index: int, one: Fingerprint) -> None:
        """Write one into its place."""
        self.sizes[index], self.orientations[index], self.small[index] = one.size, one.orientation, one.small
        self.digests[index] = np.frombuffer(one.digest.ljust(DIGEST, b"\0"), np.uint8)
        if one.fault:
            self.faults[index] = one.fault

    @property
    def sound(self) -> Array:
        """Positions of the files without fault, rising."""
        without = np.ones(len(self), bool)
        without[list(self.faults)] = False
        return np.flatnonzero(without)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Fingerprint: ...

    @overload
    def __getitem__(self, index: slice) -> list[Fingerprint]: ...

    def __getitem__(self, index: int | slice) -> Fingerprint | list[Fingerprint]:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        index = range(len(self))[index]
        height, width = self.sizes[index].tolist()
        fault, digest = self.faults.get(index, ""), self.digests[index].tobytes()
        orientation = int(self.orientations[index])
        return Fingerprint(self.paths[index], fault, (height, width), orientation, digest, self.small[index])


def fingerprint(path: Path) -> Fingerprint:
    """Decode a file, JPEG at an eighth of its size where that is enough, so that damage shows.

    Pillow warns of large and of slightly damaged files; :func:`fingerprint_images` keeps that quiet.
    """
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    try:
        digest = hashlib.blake2b(read_bytes(path), digest_size=DIGEST).digest()
        if path.suffix.lower() in _SUFFIXES_OF_BANDS:
            return _of_bands(path, digest)
        with open_picture(path) as image:
            orientation = known_orientation(image.getexif().get(ORIENTATION))
            size = (image.height, image.width)
            image.draft("L", (_DRAFT, _DRAFT))
            small = np.array(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    except (TooLargeError, Image.DecompressionBombError) as error:
        try:
            return _of_windows(path, digest, error)
        except UnreadableImageError as fault:
            return Fingerprint(path, fault.found, (0, 0), 1, b"", nothing)
    except UnreadableImageError as error:
        return Fingerprint(path, error.found, (0, 0), 1, b"", nothing)
    except FileNotFoundError:
        return Fingerprint(path, absence(path), (0, 0), 1, b"", nothing)
    except DECODER_ERRORS as error:
        return Fingerprint(path, damage(path, error).found, (0, 0), 1, b"", nothing)
    size = size[::-1] if orientation >= FIRST_ON_ITS_SIDE else size
    return Fingerprint(path, "", size, orientation, digest, upright(small, orientation))


def _of_windows(path: Path, digest: bytes, error: Exception) -> Fingerprint:
    """Of a file that is too large to be decoded at once; all of it is read."""
    picture = windowed(path, None)
    if picture is None:
        raise error if isinstance(error, UnreadableImageError) else damage(path, error)
    pixels = picture.reduced(max(min(picture.height, picture.width) // _DRAFT, 1)).pixels
    small = np.asarray(Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    return Fingerprint(path, "", (picture.height, picture.width), picture.orientation, digest, small)


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
    orientation = read_header(path).orientation
    return Fingerprint(path, "", size, orientation, digest, np.asarray(picture).clip(0, 255).astype(np.uint8))


def fingerprint_images(
    paths: Sequence[Path], workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Fingerprints:
    """The fingerprints of many files, in their order.

    Args:
        paths: image files.
        workers: threads; default: one per processor.
        progress: called with (files done, files in total).
    """
    found = Fingerprints.empty(paths)

    def look(block: range) -> None:
        for index in block:
            found.put(index, fingerprint(paths[index]))

    in_threads(look, len(paths), _BLOCK, workers, progress)
    return replace(found, faults=dict(sorted(found.faults.items())))


def same_files(fingerprints: Sequence[Fingerprint]) -> list[tuple[int, ...]]:
    """Groups of positions whose files are equal to the byte."""
    prints = Fingerprints.of(fingerprints)
    sound = prints.sound
    _, group_of = np.unique(prints.digests[sound].view("V16").ravel(), return_inverse=True)
    return groups(sound, group_of)


def near_duplicates(
    fingerprints: Sequence[Fingerprint], progress: Callable[[int, int], None] | None = None
) -> list[tuple[int, ...]]:
    """Groups of positions that show the same picture: copies, at another size or quality.

    Two small pictures must agree as a whole and, separately, in their details: pictures of one microscope
    agree as a whole without being the same. Plain pictures without detail are never taken for the same,
    unless their files are. Of more than ``EXACT`` pictures a pair at the very edge may be missed, see
    :func:`masu.data.audit.likeness.like_pictures`.

    Args:
        fingerprints: of the files.
        progress: called with (parts of the work done, parts in total).

    Returns:
        The groups, each of two positions or more.
    """
    prints = Fingerprints.of(fingerprints)
    sound = prints.sound
    leader = like_pictures(prints.small[sound], progress=progress)
    _, same = np.unique(prints.digests[sound].view("V16").ravel(), return_inverse=True)
    first = np.zeros(len(sound), np.intp)
    first[same[::-1]] = np.arange(len(sound))[::-1]
    return groups(sound, connected(leader, np.arange(len(sound)), first[same]))


def groups(positions: Array, group_of: Array) -> list[tuple[int, ...]]:
    """Positions of the same group, of at least two, rising; the groups by their first."""
    order = np.argsort(group_of, kind="stable")
    starts = np.flatnonzero(np.diff(group_of[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    several = ends - starts > 1
    found = (
        tuple(positions[order[a:b]].tolist()) for a, b in zip(starts[several], ends[several], strict=True)
    )
    return sorted(found)
