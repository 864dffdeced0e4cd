"""Image files as arrays, with Pillow and NumPy alone: what :mod:`masu.runtime` can read, too."""

from __future__ import annotations

import glob
import importlib
import math
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from masu.errors import InputError, bad_input, listed
from masu.misspelt import meant_by
from masu.regular import NotRegularError, open_regular, require_regular

Array = np.ndarray[Any, Any]
Answer = TypeVar("Answer")

NPY = ".npy"
TIFF_SUFFIXES = (".tif", ".tiff")

HEIC_SUFFIXES = (".heic", ".heif", ".hif")

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        *(".png", ".apng", ".gif", ".webp", ".bmp", ".dib", ".tga"),
        *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        *(".pbm", ".pgm", ".ppm", ".pnm"),
        ".avif",
        *HEIC_SUFFIXES,
        *TIFF_SUFFIXES,
        NPY,
    )
)
"""Suffixes, lower case, by which images are found in folders; a file named outright may have any.

Pillow reads HEIC with the package pillow-heif; without it such a file is a fault that says so.
"""

FILM_SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".flv", ".mpg", ".mpeg", ".mts", ".m2ts"),
        *(".3gp", ".ogv"),
    )
)
"""Suffixes, lower case, of films, which :func:`masu.watch` reads."""

UNREAD_SUFFIXES = FILM_SUFFIXES | frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw"),
        *(".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
        *(".svg", ".psd", ".psb", ".xcf", ".ai", ".eps", ".jxl", ".jxr", ".exr", ".hdr", ".dcm", ".pdf"),
    )
)
"""Suffixes, lower case, of what is no image to masu: films, raw files of cameras and other pictures."""

_ORIENTATION, _BITS_PER_SAMPLE = 0x0112, 0x0102
_ROWS = 512  # of a picture that are converted together
NO_HEIC = "HEIC, which needs the package pillow-heif"
"""What is found of a file that is HEIC where nothing reads it."""

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

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
        found: what is wrong with it, without the path; in full.
    """

    default_code = "unreadable-image"

    def __init__(
        self, path: object, found: str, fix: str, wanted: str = "an image Pillow can read", code: str = ""
    ) -> None:
        said, whole = bad_input(path, found, wanted, fix), " ".join(found.split())
        super().__init__(str(said), thing=said.thing, found=whole, wanted=wanted, fix=fix, code=code)


class TooLargeError(UnreadableImageError):
    """An image of more pixels than are decoded at once."""


def open_picture(path: Path) -> Image.Image:
    """The file as Pillow opens it, with the help of pillow-heif where that is needed and installed.

    Raises:
        UnreadableImageError: HEIC without that package.
        Exception: what Pillow raises.
    """
    require_regular(path)
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        with open_regular(path) as file:
            head = file.read(12)
        if head[4:8] != b"ftyp" or head[8:] not in _HEIF_BRANDS:  # its name may be any: phones rename
            raise
    try:
        plugin = importlib.import_module("pillow_heif")
    except ImportError:
        found, fix = NO_HEIC, "pip install pillow-heif, or convert the file to JPEG"
        raise UnreadableImageError(path, found, fix) from None
    plugin.register_heif_opener()
    return Image.open(path)


def read_picture(image: Image.Image) -> Array:
    """An open Pillow picture as ``(H, W, 3)`` uint8, upright; errors as of :func:`read_rgb`."""
    try:
        return _decode(image, "image")
    except InputError:
        raise
    except DECODER_ERRORS as error:  # Pillow opens lazily: the damage may show only now
        thing = getattr(image, "filename", "") or "image"
        raise damage(thing, error) from None


class _Silence:
    """How many threads are decoding, and what warnings were before the first of them began."""

    lock, depth = Lock(), 0
    before: Any = None


@contextmanager
def decoders_silent() -> Iterator[None]:
    """No warnings meanwhile, in any number of threads at once.

    Pillow warns of large and of slightly damaged files; it raises for those it cannot decode. Python keeps
    one list of filters for all threads: the first takes it away, and the last puts it back.
    """
    with _Silence.lock:
        if not _Silence.depth:
            _Silence.before = warnings.catch_warnings()
            _Silence.before.__enter__()
            warnings.simplefilter("ignore")
        _Silence.depth += 1
    try:
        yield
    finally:
        with _Silence.lock:
            _Silence.depth -= 1
            if not _Silence.depth:
                _Silence.before.__exit__(None, None, None)


def read_rgb(path: Path) -> Array:
    """An image file as ``(H, W, 3)`` uint8, upright; 16-bit grey scaled to 8 bits, alpha dropped.

    Raises:
        UnreadableImageError: a file that is missing, damaged, too large or no image.
    """
    return _read(path, lambda image: _decode(image, path))


class Reduced(NamedTuple):
    """An image at a whole fraction of its size.

    Attributes:
        array: ``(⌈H / factor⌉, ⌈W / factor⌉, 3)`` uint8, each pixel the mean of about ``factor²``.
        factor: 1, 2, 4 or 8; of a picture that is read by windows any.
        size: ``H`` and ``W``.
    """

    array: Array
    factor: float
    size: tuple[int, int]


def read_reduced(path: Path, shorter: int) -> Reduced:
    """An image file as of :func:`read_rgb`, as small as it can be with a shorter side of ``shorter`` pixels.

    A JPEG is decoded at that size (ITU-T T.81 knows blocks of 8×8, of which libjpeg computes a part): of
    photographs of 12 megapixels in a fraction of the time.
    """

    def decode(image: Image.Image) -> Reduced:
        wide, tall = image.size
        factor = next((k for k in (8, 4, 2) if min(wide, tall) >= k * shorter), 1)
        drafted = image.draft(None, (wide // factor, tall // factor)) if factor > 1 else None
        array = _decode(image, path)
        if drafted is not None:
            turned = image.getexif().get(_ORIENTATION, 1) in range(5, 9)
            return Reduced(array, factor, (wide, tall) if turned else (tall, wide))
        size = (array.shape[0], array.shape[1])
        if factor > 1:
            array = np.asarray(Image.fromarray(array).reduce(factor))
        return Reduced(array, factor, size)

    return _read(path, decode)


def _read(path: Path, decode: Callable[[Image.Image], Answer]) -> Answer:
    try:
        if path.is_dir():
            raise UnreadableImageError(path, "a folder", "name the files in it")
        with decoders_silent(), open_picture(path) as image:
            return decode(image)
    except FileNotFoundError:
        raise UnreadableImageError(path, absence(path), "check the path", code="missing-file") from None
    except UnidentifiedImageError:
        if path.suffix.lower() in FILM_SUFFIXES:
            fix = "name films without photographs: masu detect MODEL FILM, masu.detect_film"
            raise UnreadableImageError(path, "a film", fix) from None
        empty = path.stat().st_size == 0
        found = "an empty file" if empty else "a file that is no image or of an unknown kind"
        raise UnreadableImageError(path, found, "convert it to PNG or JPEG") from None
    except InputError:
        raise
    except (*DECODER_ERRORS, Image.DecompressionBombError) as error:
        raise damage(path, error) from None


def damage(path: object, error: Exception) -> UnreadableImageError:
    """The fault of a file that a decoder stumbles over."""
    if isinstance(error, Image.DecompressionBombError):
        fix = 'cut it into tiles: --tiles 640, which but for TIFF needs pip install "masu[large]"'
        return TooLargeError(path, f"too large an image ({error})", fix)
    if isinstance(error, NotRegularError):
        return UnreadableImageError(path, str(error.strerror), "leave it out")
    if isinstance(error, MemoryError):
        found = "a picture for which the memory does not suffice"
        return UnreadableImageError(path, found, "cut it into tiles")
    found = f"a damaged image ({type(error).__name__}: {error})"
    if isinstance(path, Path) and path.is_file() and not path.stat().st_size:
        found = "an empty file"
    return UnreadableImageError(path, found, "replace the file or leave it out")


def check_size(path: object, shape: Sequence[int]) -> None:
    """Refuse an image of more pixels than Pillow opens, before it is decoded.

    The limit is twice ``PIL.Image.MAX_IMAGE_PIXELS``; of more than four bands or pages, as many values as
    four bands of that size have.

    Args:
        path: the file, for the message.
        shape: of what would be decoded, the channels anywhere.

    Raises:
        TooLargeError: for such an image.
    """
    if Image.MAX_IMAGE_PIXELS is None:
        return
    most = 2 * Image.MAX_IMAGE_PIXELS
    pixels, values = math.prod(sorted(shape)[-2:]), math.prod(shape)
    if pixels > most or values > 4 * most:
        found = f"too large an image ({pixels} pixels, {values} values; the limit is {most}, {4 * most})"
        raise TooLargeError(path, found, "cut it into tiles")


def absence(path: Path) -> str:
    """What to say of a file that is not there: a link may be, and lead nowhere."""
    if not path.is_symlink():
        return "no such file"
    return f"a link to {os.readlink(path)}, which does not exist: restore that or delete the link"


def _decode(image: Image.Image, thing: object) -> Array:
    upright = _turned(image)
    if upright.width == 0 or upright.height == 0:
        raise bad_input(
            thing, f"a size of {upright.width}×{upright.height}", "at least one pixel", "replace it"
        )
    if upright.mode.startswith("I"):
        return _three(to_bytes(_in_16_bits(np.clip(np.asarray(upright), 0, 65535).astype(np.uint16), image)))
    if upright.mode == "F":
        grey = np.asarray(upright)
        most = 1.0 if np.nanmax(grey) <= 1 else 255.0
        return _three((np.clip(np.nan_to_num(grey) / most, 0, 1) * 255).round().astype(np.uint8))
    if upright.mode == "L":
        return _three(np.asarray(upright))
    array = np.empty((upright.height, upright.width, 3), np.uint8)
    for top in range(0, upright.height, _ROWS):  # every copy of a large picture takes half a gigabyte
        strip = upright.crop((0, top, upright.width, min(top + _ROWS, upright.height)))
        if strip.mode == "P":
            strip = strip.convert("RGBA")  # straight to RGB, Pillow warns of transparency
        array[top : top + _ROWS] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    return array


def _in_16_bits(grey: Array, image: Image.Image) -> Array:
    """Values of a TIFF that has fewer than 16 bits of them (microscopes write 12) in 0–65535."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))[0]
    return grey if bits >= 16 else (grey.astype(np.uint32) * 65535 // (2**bits - 1)).astype(np.uint16)


def _turned(image: Image.Image) -> Image.Image:
    """The picture upright; itself where it is, since a copy of a large one takes a gigabyte."""
    image.load()  # of a PNG, what says the orientation may come last
    if image.getexif().get(_ORIENTATION, 1) not in range(2, 9):
        return image
    return ImageOps.exif_transpose(image)


def to_bytes(array: Array) -> Array:
    """uint16 in 0–65535 as uint8 in 0–255, rounded."""
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _three(grey: Array) -> Array:
    return np.repeat(grey[..., None], 3, axis=2)


def read_bands(path: Path, channels: int) -> Array:
    """A file of any channels and depth as it stands, ``(H, W, C)`` or ``(H, W)``, upright.

    Of a TIFF with several pictures the first; pages are channels where there are as many of them.

    Raises:
        UnreadableImageError: a file that is missing, damaged or too large, or a compressed TIFF that neither
            tifffile nor Pillow reads in its full depth.
    """
    try:
        require_regular(path)
        if path.suffix.lower() == NPY:
            check_size(path, npy_shape(path))
            return _channels_last(np.load(path, allow_pickle=False), channels)
        if path.suffix.lower() in TIFF_SUFFIXES:
            return _read_tiff(path, channels)
        with open_picture(path) as picture:
            return np.array(ImageOps.exif_transpose(picture))
    except FileNotFoundError:
        raise UnreadableImageError(path, absence(path), "check the path", code="missing-file") from None
    except UnreadableImageError:
        raise
    except (*DECODER_ERRORS, Image.DecompressionBombError) as error:
        raise damage(path, error) from None


def npy_shape(path: Path) -> tuple[int, ...]:
    """The shape of the array in a ``.npy`` file, from its header.

    Raises:
        OSError, ValueError: no such file, or not of that kind.
    """
    with open_regular(path) as file:
        version = np.lib.format.read_magic(file)
        # version 3 is 2 with other names of fields, which no image has
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, kind = read(file)
    if kind.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    return shape


@dataclass(frozen=True)
class TiffPlan:
    """What of a TIFF is the image.

    Attributes:
        decode: gives the image as it is stored.
        shape: ``(H, W)`` or ``(H, W, C)`` of it where it has as many channels as wanted, as stored.
        page: height and width of the first page, as stored.
        bits: of a channel, once it is read.
        packed: of a channel where they fill no byte; else None.
        orientation: the tag's value.
    """

    decode: Callable[[], Array]
    shape: tuple[int, ...]
    page: tuple[int, int]
    bits: int
    packed: int | None
    orientation: int


@contextmanager
def tiff_plan(path: Path, channels: int) -> Iterator[TiffPlan]:
    """An open TIFF, of which no picture is decoded yet.

    Of several pictures the first is meant; pages are channels where there are as many of them.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        decode: Callable[[], Array] = file.asarray
        shape = channels_last_shape(file.series[0].shape, channels)
        if len(file.pages) > 1 and not _has(shape, channels):
            first = channels_last_shape(page.shape, channels)
            if _has(first, channels) or len(shape) > 3:
                decode, shape = page.asarray, first
        size = (page.imagelength, page.imagewidth)
        tag = page.tags.get("Orientation")
        bits = 8 * (page.dtype.itemsize if page.dtype else 1)
        packed = None if page.bitspersample in (1, bits) else page.bitspersample
        yield TiffPlan(decode, shape, size, bits, packed, 1 if tag is None else tag.value)


def channels_last_shape(shape: tuple[int, ...], channels: int) -> tuple[int, ...]:
    """The shape of an array once its channels are last, as :func:`read_bands` puts them."""
    weightless = np.broadcast_to(np.uint8(0), shape)
    return tuple(_channels_last(weightless, channels).shape)


def _read_tiff(path: Path, channels: int) -> Array:
    with tiff_plan(path, channels) as plan:
        check_size(path, plan.shape)
        try:
            array = _channels_last(plan.decode(), channels)
        except (ValueError, ImportError, NotImplementedError) as error:
            if isinstance(error, ValueError) and "imagecodecs" not in str(error):
                raise
            if plan.packed is not None:
                raise _refused_tiff(
                    path, f"a TIFF of {plan.packed} bits a channel", "with 8 or 16 bits"
                ) from None
            return _decompressed(path, plan.bits)
        return upright(array, plan.orientation)


def _decompressed(path: Path, bits: int) -> Array:
    """A TIFF that tifffile needs imagecodecs for; Pillow has most codecs, but makes 16 bits of colour 8."""
    try:
        with Image.open(path) as picture:
            array = np.array(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        array = np.zeros(0, np.uint8)
    if array.size and 8 * array.dtype.itemsize >= bits:
        return array
    raise _refused_tiff(path, f"a compressed TIFF of {bits} bits a channel", "uncompressed")


def _refused_tiff(path: Path, found: str, instead: str) -> UnreadableImageError:
    fix = f"install the package imagecodecs or save the file {instead}"
    return UnreadableImageError(path, found, fix, "one that can be read in full")


def _has(shape: tuple[int, ...], channels: int) -> bool:
    return shape[2:] == (channels,) or (channels == 1 and len(shape) == 2)


def _channels_last(array: Array, channels: int) -> Array:
    array = array.squeeze() if array.ndim > 3 else array
    if array.ndim == 3 and array.shape[-1] != channels and array.shape[0] == channels:
        return array.transpose(1, 2, 0)
    return array


def upright(array: Array, orientation: int) -> Array:
    """Undo the orientation 1..8 of TIFF and EXIF: mirrored, then turned."""
    if orientation in (2, 4, 5, 7):
        array = array[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(array, turns)


def planes(array: Array, channels: int, thing: str) -> Array:
    """``(H, W, C)`` of any type as ``(C, H, W)``: uint8, float32 0..1 from uint16, or float32 as they are.

    Raises:
        UnreadableImageError: another number of channels, or values that are not finite.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] != channels or 0 in array.shape:
        first = array.ndim == 3 and array.shape[0] == channels
        fix = f"leave it out, or train with --channels {array.shape[2] if array.ndim == 3 else 1}"
        raise UnreadableImageError(
            thing,
            f"shape {array.shape}",
            "transpose(1, 2, 0) it" if first else fix,
            f"an image of {channels} channels (H, W, {channels})",
        )
    if array.dtype == np.uint16:
        array = array.astype(np.float32) / 65535
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise UnreadableImageError(
                thing, "values that are not finite", "replace them", "finite numbers in every channel"
            )
    return np.array(array.transpose(2, 0, 1), order="C")


def is_image_name(name: str) -> bool:
    """Whether a file of this name in a folder is an image: by its suffix, and not hidden.

    Hidden are also the ``._`` files that macOS lays beside others; they hold no picture.
    """
    return _has_suffix(name, IMAGE_SUFFIXES)


def is_unread_name(name: str) -> bool:
    """Whether a file of this name is a film, or a picture of a kind that masu does not read."""
    return _has_suffix(name, UNREAD_SUFFIXES)


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
        raise bad_input(
            "images", "no source", "a file, a folder or a pattern", "name at least one", code="no-images"
        )
    found: dict[Path, None] = {}
    for source in sources:
        images = _expand(source, IMAGE_SUFFIXES)
        if not images:
            what = "a folder without images" if os.path.isdir(source) else "no such file and no match"
            if others := passed_over([source]):
                what = f"no image, only {listed((path.name for path in others), 3)}"
            raise bad_input(
                source,
                what,
                "an image, a folder of images or a pattern such as 'shots/*.jpg'",
                _fix(source, others),
                code="no-images" if os.path.isdir(source) or others else "missing-file",
            )
        found.update(dict.fromkeys(images))
    return list(found)


def _fix(source: str | os.PathLike[str], others: Sequence[Path]) -> str:
    if not others:
        return "check the path" if os.path.isdir(source) else meant_by(source)
    if all(_has_suffix(path.name, FILM_SUFFIXES) for path in others):
        return f"films are read by name: masu detect MODEL {others[0].name}"
    return "convert these to JPEG or PNG"


def passed_over(sources: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The pictures and films that :func:`find_images` leaves out: those of ``UNREAD_SUFFIXES``.

    Args:
        sources: as there. A file named outright is never left out.
    """
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    folders = (source for source in sources if not os.path.isfile(source))
    return list(dict.fromkeys(path for source in folders for path in _expand(source, UNREAD_SUFFIXES)))


def _expand(source: str | os.PathLike[str], suffixes: frozenset[str]) -> list[Path]:
    if os.path.isfile(source):
        return [Path(source)]
    if os.path.isdir(source):
        inside = (Path(name) for name in files_below(source))
    else:
        inside = (Path(name) for name in _matches(os.fspath(source)))
    return sorted(path for path in inside if _has_suffix(path.name, suffixes) and path.is_file())


def files_below(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Paths of all that is no folder in a folder and its subfolders, one after the other, in any order.

    Links to folders are not followed, and folders that are not ours to read are passed over.
    """
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry.path
        except OSError:
            continue


def _matches(pattern: str) -> Iterator[str]:
    """What :func:`glob.glob` finds; ``**`` goes behind a link once, wherever links lead."""
    if "\0" in pattern:
        return
    parts = pattern.split(os.sep)
    if "**" not in parts:
        yield from glob.glob(pattern)
        return
    at = parts.index("**")
    before, behind = os.sep.join(parts[:at]), os.sep.join(parts[at + 1 :])
    tops = glob.glob(before or os.sep) if at else [""]
    for folder in _folders_below(tops):
        inner = os.path.join(glob.escape(folder), behind or "*")
        yield from _matches(inner)


def _folders_below(tops: Sequence[str]) -> Iterator[str]:
    """Folders with all below them that are not hidden, also behind links, each once."""
    seen: set[str] = set()
    waiting = list(tops)
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        yield folder
        try:
            with os.scandir(folder or ".") as entries:
                names = [entry.name for entry in entries if is_folder(entry)]
        except OSError:  # not ours to read
            continue
        waiting += (os.path.join(folder, name) for name in sorted(names, reverse=True) if name[:1] != ".")


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _has_suffix(name: str, suffixes: frozenset[str]) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes
