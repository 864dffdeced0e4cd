"""Size and orientation of image files from their first bytes: no picture is decoded.

JPEG and PNG are looked at here, since a data set has very many of them and Pillow decodes a whole PNG to find
its orientation. Whatever is not plain is left to Pillow, so that both give the same answer.

Sources: ITU-T T.81, annex B (JPEG markers); the PNG specification, sections 5 and 11 (chunks).
"""

from __future__ import annotations

import io
import os
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from masu.cores import usable_cores
from masu.data.pixels.large import windowed
from masu.data.pixels.pictures import (
    DECODER_ERRORS,
    NPY,
    TIFF_SUFFIXES,
    Array,
    TooLargeError,
    UnreadableImageError,
    absence,
    channels_last_shape,
    check_size,
    damage,
    npy_shape,
    open_picture,
    tiff_plan,
)
from masu.data.pixels.threads import in_threads
from masu.regular import require_regular

ORIENTATION = 0x0112
"""The EXIF and TIFF tag."""

FIRST_ON_ITS_SIDE = 5
"""Orientation from which heights and widths change places."""

_IMAGE_WIDTH, _IMAGE_LENGTH = 0x0100, 0x0101
_BLOCK = 256
_SLOW = 0.0005  # seconds a file
_HEAD = 4096

_SOF = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), 0xCD, 0xCE, 0xCF))
_SOS, _DQT, _APP0, _APP1, _APP2, _APP14 = 0xDA, 0xDB, 0xE0, 0xE1, 0xE2, 0xEE
_SKIPPED = frozenset((0xC4, 0xCC, 0xDD, 0xFE, *range(0xE3, 0xED), 0xEF))
"""DHT, DAC, DRI, comments and the application segments that nobody reads."""
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_SHORT = 3
_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of each type of EXIF value."""

_PNG = b"\x89PNG\r\n\x1a\n"
_NOTES_OF_PNG = (b"exif\0", b"xmp\0", b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_LONGEST_KEYWORD = 79
_PLAIN = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"PLTE": 0, b"tIME": 0, b"bKGD": 0, b"sBIT": 0}
"""Chunks before the picture that say nothing of its orientation, and their least length."""
_BANDS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits a channel that a PNG of each colour type may have."""


class Files(Protocol):
    """Any sequence of paths, such as a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Path: ...


class Header(NamedTuple):
    """What the first bytes of an image file say.

    Attributes:
        height: pixels, upright.
        width: pixels, upright.
        orientation: 1..8 as EXIF has it; 1 stands upright, from 5 on the picture is stored on its side.
    """

    height: int
    width: int
    orientation: int


@dataclass(frozen=True, eq=False)
class Headers:
    """The headers of N files.

    Attributes:
        sizes: height and width, upright, ``(N, 2)`` int32; 0 where a file cannot be read.
        orientations: ``(N,)`` uint8, 1..8.
        faults: what is wrong with a file, by its position; sound ones are not in it.
    """

    sizes: Array
    orientations: Array
    faults: dict[int, str]


def read_header(path: Path, channels: int | None = None) -> Header:
    """Size and orientation of an image file. What is damaged after the header does not show.

    A file that is too large to be decoded at once has them too, where it can be read by windows.

    Pillow warns of large and of slightly damaged files; :func:`read_headers` keeps that quiet.

    Args:
        path: the file.
        channels: of the image where it is no RGB photograph: tells in an array or a TIFF of three axes which
            one is the channels.

    Raises:
        UnreadableImageError: a file that is missing, has no sound header, is too large or no image.
    """
    try:
        return _header(path, channels)
    except TooLargeError:
        picture = windowed(path, channels)
        if picture is None:
            raise
        return Header(picture.height, picture.width, picture.orientation)


def _header(path: Path, channels: int | None) -> Header:
    suffix = path.suffix.lower()
    try:
        require_regular(path)
        if suffix == NPY:
            return _of_shape(path, channels_last_shape(npy_shape(path), channels or 0), channels, 1)
        if suffix in TIFF_SUFFIXES:
            return _of_tiff(path, channels)
        with open(path, "rb", buffering=0) as file:
            header = _of_plain(file)
        return header or _by_pillow(path)
    except FileNotFoundError:
        raise UnreadableImageError(path, absence(path), "check the path", code="missing-file") from None
    except UnreadableImageError:
        raise
    except (*DECODER_ERRORS, Image.DecompressionBombError) as error:
        raise damage(path, error) from None


def read_headers(
    paths: Files,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
    channels: int | None = None,
) -> Headers:
    """The headers of many files, in their order.

    Args:
        paths: image files.
        progress: called with (files done, files in total).
        workers: threads; default: one, and one per processor where the files are slow to open.
        channels: as of :func:`read_header`.
    """
    sizes = np.zeros((len(paths), 2), np.int32)
    orientations = np.ones(len(paths), np.uint8)
    faults: dict[int, str] = {}

    def look(block: range) -> None:
        for index in block:
            try:
                height, width, orientations[index] = read_header(paths[index], channels)
                sizes[index] = height, width
            except UnreadableImageError as error:
                faults[index] = error.found

    if workers is None:
        workers = _workers(look, len(paths))
    in_threads(look, len(paths), _BLOCK, workers, progress)
    return Headers(sizes, orientations, dict(sorted(faults.items())))


def _workers(look: Callable[[range], None], total: int) -> int:
    """Threads that pay: on a quick disk a second one only waits for the interpreter."""
    first = min(total, _BLOCK)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        look(range(first))
    slow = time.perf_counter() - started > _SLOW * first
    return usable_cores() if slow else 1


def _of_plain(file: io.FileIO) -> Header | None:
    """The header of a plain JPEG or PNG."""
    head = file.read(_HEAD)  # one read is enough for most JPEG files
    if head.startswith(b"\xff\xd8"):
        if header := _of_jpeg(io.BytesIO(head[2:])):
            return header
        file.seek(2)
        with io.BufferedReader(file, _HEAD) as buffered:
            return _of_jpeg(buffered)
    if head.startswith(_PNG):
        file.seek(len(_PNG))
        with io.BufferedReader(file, _HEAD) as buffered:
            return _of_png(buffered)
    return None


def _upright(height: int, width: int, orientation: int) -> Header:
    turned = orientation >= FIRST_ON_ITS_SIDE
    return Header(width, height, orientation) if turned else Header(height, width, orientation)


def known_orientation(orientation: object) -> int:
    """A value of the tag as ``PIL.ImageOps.exif_transpose`` takes it, 1..8: what means nothing is 1."""
    return next((known for known in range(2, 9) if orientation == known), 1)


def _by_pillow(path: Path) -> Header:
    with open_picture(path) as picture:
        # of a TIFF Pillow's own size may be upright already; the tags never are
        tags = getattr(picture, "tag_v2", {})
        height, width = tags.get(_IMAGE_LENGTH, picture.height), tags.get(_IMAGE_WIDTH, picture.width)
        return _upright(int(height), int(width), known_orientation(picture.getexif().get(ORIENTATION)))


def _allowed(height: int, width: int) -> bool:
    """Whether Pillow opens a picture of this size; if not, it says why."""
    most = Image.MAX_IMAGE_PIXELS
    return height > 0 and width > 0 and (most is None or height * width <= 2 * most)


def _of_jpeg(file: BinaryIO) -> Header | None:
    """The header from after the first marker on; None for whatever is not plain."""
    size: tuple[int, int] | None = None
    exif = b""
    other_notes = False
    while True:
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return None
        marker, length = head[1], (head[2] << 8 | head[3]) - 2
        if length < 0:
            return None
        if marker in _SKIPPED:
            file.seek(length, os.SEEK_CUR)
            continue
        body = file.read(length)
        if len(body) < length:
            return None
        if marker == _SOS:
            break
        if marker in _SOF:
            if size or length < 6 or body[0] != 8 or body[5] not in (1, 3, 4) or length % 3:
                return None
            size = (body[1] << 8 | body[2], body[3] << 8 | body[4])
        elif marker == _APP1 and body.startswith(_EXIF):
            if exif:
                return None  # one record in parts
            exif = body[len(_EXIF) :]
        elif marker == _APP1 and body.startswith(_XMP):
            other_notes = True
        elif not _is_plain_segment(marker, body):
            return None
    orientation = _of_exif(exif) if exif else 0
    if orientation is None or (other_notes and not orientation) or not size or not _allowed(*size):
        return None
    return _upright(*size, known_orientation(orientation))


def _is_plain_segment(marker: int, body: bytes) -> bool:
    """Whether a segment is sound and says nothing of the orientation."""
    if marker == _DQT:
        return len(body) % 65 == 0 and max(body[::65], default=0) < 16
    if marker in (_APP0, _APP14):
        return len(body) >= 12
    return marker == _APP1 or (marker == _APP2 and body.startswith(b"ICC_PROFILE\0") and len(body) >= 14)


def _of_exif(record: bytes) -> int | None:
    """The orientation in an EXIF record, 0 where it has none; None for whatever is not plain."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(record[:4])
    if order is None or len(record) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", record, 4)
    if not 8 <= start <= len(record) - 2:
        return None
    (count,) = struct.unpack_from(f"{order}H", record, start)
    if start + 2 + 12 * count > len(record):
        return None
    found = 0
    entries = record[start + 2 : start + 2 + 12 * count]
    for tag, kind, number, value in struct.iter_unpack(f"{order}HHII", entries):
        length = _UNITS.get(kind, len(record)) * number
        if length > 4 and value + length > len(record):
            return None
        if tag == ORIENTATION:
            if found or kind != _SHORT or number != 1:
                return None
            found = value >> 16 if order == ">" else value & 0xFFFF
    return found


def _of_png(file: BinaryIO) -> Header | None:
    """The header from after the signature on; None for whatever is not plain."""
    head = file.read(25)
    if len(head) < 25 or head[:8] != b"\0\0\0\rIHDR":
        return None
    width, height, depth, colour, _, filtering, _, check = struct.unpack(">IIBBBBBI", head[8:])
    if filtering or depth not in _DEPTHS.get(colour, ()) or zlib.crc32(head[4:21]) != check:
        return None
    before: list[bytes] = []
    after: list[bytes] = []
    plain, inside = True, False
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4]), head[4:]
        if kind == b"IDAT":
            inside = True
        elif kind == b"IEND" or not kind.isalpha():
            break
        elif not inside:
            before.append(head + file.read(length + 4))
            plain = plain and length >= _PLAIN.get(kind, length + 1) and _is_sound(before[-1])
            continue
        elif kind == b"eXIf" or kind in _TEXTS:
            chunk = head + file.read(length + 4)
            if kind == b"eXIf" or chunk[8 : 8 + _LONGEST_KEYWORD].startswith(_NOTES_OF_PNG):
                after.append(chunk)
            continue
        file.seek(length + 4, os.SEEK_CUR)
    if not inside or not _allowed(height, width):
        return None
    if plain and not after:
        return _upright(height, width, 1)
    orientation = _of_one_pixel(depth, colour, before, after)
    return None if orientation is None else _upright(height, width, orientation)


def _is_sound(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])


def _of_one_pixel(depth: int, colour: int, before: list[bytes], after: list[bytes]) -> int | None:
    """The orientation that Pillow finds in a PNG with these chunks around a picture of one pixel.

    None where it finds fault: then the file itself has to say with what.
    """
    row = bytes(1 + -(-depth * _BANDS[colour] // 8))
    ihdr = struct.pack(">IIBBBBB", 1, 1, depth, colour, 0, 0, 0)
    chunks = (_chunk(b"IHDR", ihdr), *before, _chunk(b"IDAT", zlib.compress(row)), *after, _chunk(b"IEND"))
    try:
        with Image.open(io.BytesIO(b"".join((_PNG, *chunks)))) as picture:
            return known_orientation(picture.getexif().get(ORIENTATION))
    except DECODER_ERRORS:
        return None


def _chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _of_tiff(path: Path, channels: int | None) -> Header:
    if channels is None:
        try:
            return _by_pillow(path)
        except UnidentifiedImageError:
            pass  # of many bands, perhaps
    with tiff_plan(path, channels or 0) as plan:
        shape = plan.page if channels is None else plan.shape
        return _of_shape(path, shape, channels, known_orientation(plan.orientation))


def _of_shape(path: Path, shape: tuple[int, ...], channels: int | None, orientation: int) -> Header:
    """Of an array with two axes, or three: the channels are the last or, where they are fewer, the first."""
    if len(shape) not in (2, 3) or 0 in shape:
        raise UnreadableImageError(path, f"shape {shape}", "leave it out", "an image (H, W) or (H, W, C)")
    check_size(path, shape)
    height, width = shape[1:] if channels is None and shape[0] < shape[-1] and len(shape) == 3 else shape[:2]
    return _upright(height, width, orientation)
