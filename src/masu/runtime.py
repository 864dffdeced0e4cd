"""Run an exported model with NumPy, Pillow and ONNX Runtime, OpenVINO, LiteRT or ncnn, without PyTorch.

``masu export`` writes the file::

    from masu.runtime import Model

    model = Model("cells.onnx")
    for found in model.predict(["a.jpg", "b.jpg"], threshold=0.5):  # or one image, a folder, a pattern
        print(found.names, found.scores, found.boxes)

or on the command line ``python -m masu.runtime cells.onnx photographs/*.jpg``.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import json
import os
import reprlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, overload

import numpy as np
from PIL import Image, ImageOps

from masu.cores import limited_cores
from masu.data.pixels.large import as_picture
from masu.data.pixels.pictures import find_images, planes, read_bands, read_picture, read_rgb, to_bytes
from masu.data.pixels.sources import given_images, in_batches
from masu.data.pixels.windows import Held, Picture
from masu.errors import InputError, bad_input, visible
from masu.external_data import keeps_external_data
from masu.fusion import fused, mirrored
from masu.json_text import to_json
from masu.litert import Litert
from masu.ncnn_part import NcnnPart
from masu.partition import PartitionedGraph
from masu.ranges import BATCH_SIZE, MARGIN, SHARE
from masu.seal import broken, files_of
from masu.settings import read
from masu.streams import CLOSED_PIPE, OutputError, kept_safe
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, check_threshold
from masu.tiles import Tiles
from masu.views import Rows, find, found_in_each
from masu.way import Way

Array = np.ndarray[Any, Any]
Source = str | os.PathLike[str] | Image.Image | Array
"""A file, a Pillow image or an ``(H, W, 3)`` array."""

Engine = Literal["onnxruntime", "openvino", "litert", "ncnn"]

ENTRY = "masu"
"""Name of the entry in the file's metadata that holds the :class:`Description`."""

MOST_CLASSES = 100_000
"""Class names of a file."""

LONGEST_SIDE = 100_000
"""Pixels."""

USUAL_IOU = 0.5
"""Above which two boxes of a class are one object, where a file does not say it."""

LEFT_OUT = 3
"""Exit code, as of ``masu detect``: done, but for images that are named on standard error."""

ENGINES: dict[str, tuple[str, ...]] = {
    ".onnx": ("onnxruntime", "openvino"),
    ".xml": ("openvino",),
    ".tflite": ("litert",),
    ".param": ("ncnn",),
}
"""What runs a file, by its suffix; the first is the default."""

_OUTPUTS = ("boxes", "scores", "labels", "count")


@dataclass(frozen=True)
class Description:
    """What an exported file says about itself.

    Attributes:
        names: class names; labels index them.
        kind: ``"detector"`` or ``"proposals"``.
        architecture: type of the network.
        version: of the masu that wrote the file.
        min_size: length to which the graph brings the shorter side, in pixels.
        max_size: largest length of the longer side.
        channels: None for RGB photographs, else channels of an image.
        min_score: scores below are never returned.
        max_detections: most detections of an image, or of a tile and of the reduced whole each.
        threshold: score from which to show detections, where a user asks for none.
        thresholds: the same of single classes by name, where it was measured.
        margins: how far a box of a class is enlarged on every side to hold its object whole, as a share of
            the box's size ``√(w·h)``, where it was measured.
        trained_on: data and splits of the training, for people to read.
        tiles: how pictures larger than a tile are cut, as :class:`masu.tiles.Tiles` says it; None: never.
        nms_thresh: IoU above which the detector takes two boxes of a class for one object, also those of two
            tiles. Files say it where it is not 0.5.
        measured: the way of looking in which thresholds, margins and calibrated scores were measured, as
            :class:`masu.way.Way` says it; None: one look at ``min_size``.
    """

    names: tuple[str, ...]
    kind: str
    architecture: str
    version: str
    min_size: int
    max_size: int
    channels: int | None
    min_score: float
    max_detections: int
    threshold: float = DEFAULT_THRESHOLD
    thresholds: dict[str, float] = field(default_factory=dict)
    trained_on: dict[str, str | None] = field(default_factory=dict)
    margins: dict[str, float] = field(default_factory=dict)
    tiles: dict[str, Any] | None = None
    nms_thresh: float = USUAL_IOU
    measured: dict[str, Any] | None = None

    def to_json(self) -> str:
        """As an exported file holds it."""
        return json.dumps(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """The attributes; those that earlier versions do not know only where they say something."""
        said = vars(self).items()
        return {name: value for name, value in said if name not in _LATER or value != _LATER[name]}

    @property
    def tiling(self) -> Tiles | None:
        """How pictures larger than a tile are cut; None: never."""
        return None if self.tiles is None else Tiles(**self.tiles)

    @property
    def way_measured(self) -> Way:
        """The way of looking in which thresholds, margins and calibrated scores were measured."""
        return Way(self.min_size) if self.measured is None else Way(**self.measured)

    def with_tiles(self, tiles: Tiles | None) -> Description:
        """The same with other tiles, whose ``iou`` is the file's where it says none."""
        iou = self.tiles.get("iou") if self.tiles and tiles and tiles.iou is None else None
        return replace(
            self, tiles=None if tiles is None else asdict(tiles) | ({} if iou is None else {"iou": iou})
        )

    @classmethod
    def from_json(cls, text: str) -> Description:
        """The description that a file holds.

        Raises:
            ValueError: where a value is missing, unknown, of another type or out of its range.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"{type(values).__name__} in the place of its entries")
        known = {entry.name: entry for entry in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"the entry {name!r}")
            if not _FITS[name](value):
                raise ValueError(f"{name} {reprlib.repr(value)}")
        lacking = [name for name, entry in known.items() if name not in values and _is_required(entry)]
        if lacking:
            raise ValueError(f"no entry {lacking[0]!r}")
        made = cls(**values | {"names": tuple(values["names"])})
        for what, table in (("threshold", made.thresholds), ("margin", made.margins)):
            if unknown := table.keys() - set(made.names):
                raise ValueError(f"a {what} of {sorted(unknown)[0]!r}, which is no class")
        return made


def _is_whole(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _is_score(value: object) -> bool:
    return type(value) in (int, float) and 0 <= float(str(value)) <= 1


def _are_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MOST_CLASSES
        and all(isinstance(name, str) and name for name in value)
        and len(set(value)) == len(value)
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_table(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def _is_any(kind: Any) -> Callable[[object], bool]:
    """Whether a value is one of a settings class, or None."""

    def fits(value: object) -> bool:
        try:
            read(kind | None, value, "")
        except InputError:
            return False
        return True

    return fits


_LATER: dict[str, object] = {"margins": {}, "tiles": None, "nms_thresh": USUAL_IOU, "measured": None}
"""Entries that earlier versions do not know, and what is meant where they are left out."""

_FITS: dict[str, Callable[[object], bool]] = {
    "names": _are_names,
    "kind": lambda value: value in ("detector", "proposals"),
    "architecture": _is_text,
    "version": _is_text,
    "min_size": _is_whole(1, LONGEST_SIDE),
    "max_size": _is_whole(1, LONGEST_SIDE),
    "channels": lambda value: value is None or _is_whole(1, 10_000)(value),
    "min_score": _is_score,
    "max_detections": _is_whole(1, 1_000_000),
    "threshold": _is_score,
    "thresholds": _is_table(_is_score),
    "margins": _is_table(lambda value: value in MARGIN),
    "trained_on": _is_table(lambda value: value is None or isinstance(value, str)),
    "tiles": _is_any(Tiles),
    "nms_thresh": _is_score,
    "measured": _is_any(Way),
}
"""What each entry of a description must be."""


def _is_required(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def described(path: Path, text: str | None) -> Description:
    """The description in a file's metadata.

    Raises:
        InputError: there is none, or one of a later masu.
    """
    if not text:
        raise bad_input(
            path, "a model without masu's description", "a file that masu export wrote", "make one with it"
        )
    try:
        return Description.from_json(text)
    except (ValueError, RecursionError) as error:
        raise bad_input(
            path,
            f"a description that this masu does not know ({error})",
            "one of this version or older",
            "update masu or export again",
            code="other-version",
        ) from None


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in one image, best score first.

    Attributes:
        boxes: ``(k, 4)`` float32 x1 y1 x2 y2 in pixels of the image as it was given.
        scores: ``(k,)`` float32 in 0..1.
        labels: ``(k,)`` int64.
        names: ``k`` class names.
        path: the image file; None where ``predict`` was given pixels.
    """

    boxes: Array
    scores: Array
    labels: Array
    names: tuple[str, ...]
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.boxes)


def check_answer(file: Path, answer: Sequence[Array], images: int, classes: int) -> None:
    """Refuse what a graph answers that no graph of ``masu export`` does.

    Args:
        file: the graph's, for the message.
        answer: as of :meth:`Model.run`.
        images: ``N``.
        classes: ``K``.

    Raises:
        InputError: for other shapes or types, boxes that are not finite, a label without a name, or a count
            of more rows than there are.
    """
    shapes, kinds = [x.shape for x in answer], [str(x.dtype) for x in answer]
    rows = shapes[0][1] if len(shapes[0]) == 3 else 0
    wrong = None
    if kinds != ["float32", "float32", "int64", "int64"]:
        wrong = f"answers of the types {', '.join(kinds)}"
    elif shapes != [(images, rows, 4), (images, rows), (images, rows), (images,)]:
        wrong = f"answers of the shapes {', '.join(map(str, shapes))}"
    else:
        boxes, scores, labels, count = answer
        there = np.arange(scores.shape[1]) < count[:, None]
        if (count < 0).any() or (count > scores.shape[1]).any():
            wrong = f"a count of {count.min()} to {count.max()} among {scores.shape[1]} rows"
        elif ((labels < 0) | (labels >= classes))[there].any():
            wrong = f"labels from {labels[there].min()} to {labels[there].max()} of {classes} classes"
        elif not np.isfinite(boxes[there]).all():
            wrong = "boxes that are not finite"
        elif not ((scores >= 0) & (scores <= 1))[there].all():
            wrong = "scores outside 0 to 1"
    if wrong is not None:
        wanted = f"{', '.join(_OUTPUTS)} as masu export writes them"
        raise bad_input(file, wrong, wanted, "export the model again")


def refuse_broken(path: Path) -> None:
    """Refuse a file whose checksum is not its own; a ``.bin`` that belongs to it counts too.

    Raises:
        InputError: for that, and for a file that cannot be read.
    """
    try:
        wrong = broken(path, files_of(path)[1:])
    except OSError as error:
        wrong = f"a file that cannot be read ({error.filename}: {error.strerror})"
    if wrong is not None:
        raise bad_input(path, wrong, "a file as masu export wrote it", "copy it again, or export it again")


def _refuse_external_data(path: Path) -> None:
    """An ONNX file must hold all its weights: older runtimes read any file that another one names."""
    try:
        if not keeps_external_data(path.read_bytes()):
            return
        found = "weights that are kept in another file"
    except ValueError as error:
        found = f"a file that is no ONNX model ({error})"
    raise bad_input(path, found, "one file with everything in it", "make it with masu export")


class Model:
    """An exported detector; any number of threads may call it at once.

    A process that was forked after it was opened cannot use it: open it there, or start processes by spawn.

    Args:
        path: an ``.onnx`` file, the ``.xml`` of OpenVINO beside its ``.bin``, a ``.tflite`` file, or
            the ``.param`` of ncnn beside its ``.bin``.
        engine: ``"onnxruntime"``, the default for ``.onnx``, ``"openvino"``, that for ``.xml``, which takes
            ``.onnx`` too, ``"litert"`` for ``.tflite`` or ``"ncnn"`` for ``.param``.
        threads: of the engine; default: its own choice, or in a container no more than its share of
            processor time is worth.

    Raises:
        InputError: no such file, a file that ``masu export`` did not write, or an engine that is not
            installed.
    """

    def __init__(
        self, path: str | os.PathLike[str], engine: Engine | None = None, threads: int | None = None
    ) -> None:
        path = Path(path)
        if path.suffix not in ENGINES:
            wanted = ", ".join(ENGINES)
            raise bad_input(path, f"the suffix {path.suffix!r}", wanted, "make one with masu export")
        if not path.is_file():
            raise bad_input(
                path, "no such file", "a file that masu export wrote", "check the path", code="missing-file"
            )
        chosen = engine or ENGINES[path.suffix][0]
        if chosen not in ENGINES[path.suffix]:
            engines = " or ".join(ENGINES[path.suffix])
            raise bad_input(path, f"engine {chosen} for {path.suffix}", engines, "or export to onnx")
        refuse_broken(path)
        if path.suffix == ".onnx":
            _refuse_external_data(path)
        opened = _OPEN[chosen](path, threads or limited_cores())
        self.description = described(path, opened.description)
        if (opened.inputs, opened.outputs) != (["images"], list(_OUTPUTS)):
            found = f"a graph from {', '.join(opened.inputs)} to {', '.join(opened.outputs)}"
            wanted = f"one from images to {', '.join(_OUTPUTS)}"
            raise bad_input(path, found, wanted, "make one with masu export")
        self._run, self._tta = opened.run, False
        self._file, self._process = path, os.getpid()

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""
        return self.description.names

    @property
    def thresholds(self) -> dict[str, float]:
        """The score of each class from which to show detections; ``predict`` takes it as ``threshold``."""
        described = self.description
        return {name: described.thresholds.get(name, described.threshold) for name in described.names}

    @property
    def otherwise(self) -> str:
        """How the file's thresholds and margins were measured where the model looks in another way."""
        now = Way(self.description.min_size, 2 if self._tta else 1)
        return self.description.way_measured.unlike(now)

    @overload
    def predict(
        self,
        images: Image.Image,
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> Found: ...

    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        images: str | os.PathLike[str] | Array,
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> Found | list[Found]: ...

    @overload
    def predict(
        self,
        images: Iterable[Source],
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> list[Found]: ...

    def predict(
        self,
        images: Any,
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> Found | list[Found]:
        """Find objects in one image or many.

        Args:
            images: one image: a path, a Pillow image or an array ``(H, W, 3)`` uint8 (also uint16, grey, or
                with alpha, which is dropped); for a model of other channels ``(H, W, C)``. Or many: a folder,
                a pattern such as ``"shots/*.jpg"``, a list of images, mixed as you like, or an iterator.
            threshold: smallest score returned, one number or one per class by its name, as in
                ``self.thresholds``; default: the model's own, low, as evaluation wants it.
            batch_size: images of the same size that run together.
            margins: enlarge each box by the margin of its class, within the image; the default of
                ``threshold`` is ``self.thresholds`` then, of which the margins were measured.

        Returns:
            :class:`Found` for one image; for many a list of them in the order of the images.

        Raises:
            TypeError: for what is no image.
            InputError: for a file that is no readable image, a URL, a folder without images, an array of
                another shape or type, a threshold outside 0..1 or of an unknown class, a batch size out of
                range, or margins that the file does not have or that were measured in another way of looking.
        """
        given = given_images(images, tensors=False)
        found = list(self._each(given.images, threshold, batch_size, margins))
        return found[0] if given.alone else found

    def stream(
        self,
        images: Source | Iterable[Source],
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> Iterator[Found]:
        """As :meth:`predict`, one after the other, with at most ``batch_size`` images in memory."""
        return self._each(given_images(images, tensors=False).images, threshold, batch_size, margins)

    def _each(
        self, images: Iterable[Any], threshold: Threshold | None, batch_size: int, margins: bool
    ) -> Iterator[Found]:
        BATCH_SIZE.check("batch_size", batch_size)
        if threshold is not None:
            check_threshold(threshold, self.names)
        if margins and not self.description.margins:
            fix = "measure them with masu evaluate --store-margins and export again"
            raise bad_input("margins", f"none in {self._file}", "a file that has some", fix)
        if margins and self.otherwise:
            wanted, fix = "the same way of looking", "ask the file so (with_tta), or measure them anew"
            raise bad_input("margins", f"measured {self.otherwise}", wanted, fix)
        if margins and threshold is None:
            threshold = self.thresholds
        return self._walk(images, threshold, batch_size, margins)

    def _walk(
        self, images: Iterable[Any], threshold: Threshold | None, batch_size: int, margins: bool
    ) -> Iterator[Found]:
        for batch in in_batches(images, batch_size):
            seen = [self._seen(image) for image in batch]
            found = found_in_each(seen, self._rows, partial(self._in_tiles, batch_size))
            for given, image, rows in zip(batch, seen, found, strict=True):
                path = Path(given) if isinstance(given, str | os.PathLike) else None
                one = self._found(rows, threshold, path)
                yield self._enlarged(one, *image.shape[1:]) if margins else one

    def _rows(self, images: Sequence[Array]) -> list[Rows]:
        """What is found in images ``(C, H, W)``."""
        looks = self._of_graph(images)
        if not self._tta:
            return looks
        others = self._of_graph([image[..., ::-1] for image in images])
        return [
            fused(look, mirrored(other, image.shape[-1]), self.description.max_detections)
            for image, look, other in zip(images, looks, others, strict=True)
        ]

    def _of_graph(self, images: Sequence[Array]) -> list[Rows]:
        """What the graph finds in images ``(C, H, W)``; those of one size run together."""
        found: dict[int, Rows] = {}
        for shape in dict.fromkeys(image.shape for image in images):
            same = [i for i, image in enumerate(images) if image.shape == shape]
            answers = zip(*self.run(np.stack([self._given(images[i]) for i in same])), strict=True)
            for i, (boxes, scores, labels, count) in zip(same, answers, strict=True):
                found[i] = Rows(boxes[:count], scores[:count], labels[:count])
        return [found[i] for i in range(len(images))]

    def _seen(self, image: Any) -> Array | Picture:
        """An image ``(C, H, W)``, or a picture that is cut."""
        tiles = self.description.tiling
        picture = as_picture(image, self.description.channels, tiles)
        if picture is not None:
            return picture
        pixels = self._pixels(image)
        tiled = tiles is not None and tiles.needed(*pixels.shape[1:])
        return Held(pixels.transpose(1, 2, 0)) if tiled else pixels

    def _in_tiles(self, batch_size: int, picture: Picture) -> Rows:
        said = self.description
        tiles = said.tiling
        assert tiles is not None
        iou = said.nms_thresh if tiles.iou is None else tiles.iou
        return find(picture, tiles, iou, said.min_size, said.max_size, self._look, batch_size)

    def _look(self, images: Sequence[Array]) -> list[Rows]:
        return self._rows([image.transpose(2, 0, 1) for image in images])

    def _given(self, pixels: Array) -> Array:
        """``(C, H, W)`` as the graph takes it."""
        if self.description.channels is None:
            return pixels.transpose(1, 2, 0)
        return pixels.astype(np.float32) / 255 if pixels.dtype == np.uint8 else pixels

    def with_tiles(self, tiles: Tiles | None) -> Model:
        """The same graph that cuts large pictures otherwise; this one stays as it is.

        Args:
            tiles: how they are cut, as ``masu.tiles.Tiles(640, overlap=0.2)``; None: never.
        """
        own = copy.copy(self)
        own.description = self.description.with_tiles(tiles)
        return own

    def with_tta(self) -> Model:
        """The same graph that looks at each image twice, as it is and mirrored; this one stays as it is.

        See ``masu.with_tta``; ``otherwise`` says where thresholds and margins were measured without it.
        """
        own = copy.copy(self)
        own._tta = True
        return own

    def run(self, images: Array) -> tuple[Array, Array, Array, Array]:
        """The graph itself.

        Args:
            images: ``(N, H, W, 3)`` uint8, or with ``channels`` ``(N, C, H, W)`` float32; N may be 0.

        Returns:
            ``boxes (N, D, 4)`` float32, ``scores (N, D)`` float32, ``labels (N, D)`` int64, ``count (N,)``
            int64; zeros beyond ``count``.

        Raises:
            InputError: for another shape or type, which OpenVINO would convert without a word.
        """
        channels = self.description.channels
        axis, many, kind = (3, 3, np.uint8) if channels is None else (1, channels, np.float32)
        shape = images.shape
        if len(shape) != 4 or shape[axis] != many or 0 in shape[1:] or images.dtype != kind:
            wanted = "(N, H, W, 3) uint8" if channels is None else f"(N, {channels}, H, W) float32"
            raise bad_input("images", f"shape {shape} of {images.dtype}", wanted, "or use predict")
        if os.getpid() != self._process:
            raise bad_input(
                self._file,
                "a model that was opened before this process was forked, without the threads that it runs on",
                "one opened in the process that uses it",
                "open it there",
            )
        answer = self._run(images)
        check_answer(self._file, answer, shape[0], len(self.names))
        boxes, scores, labels, count = answer
        return boxes, scores, labels, count

    def _pixels(self, image: str | os.PathLike[str] | Image.Image | Array) -> Array:
        """An image as ``(C, H, W)``."""
        channels = self.description.channels
        if channels is not None:
            if isinstance(image, np.ndarray):
                array, thing = image, "image array"
            elif isinstance(image, Image.Image):
                array, thing = np.asarray(ImageOps.exif_transpose(image)), "image"
            else:
                array, thing = read_bands(Path(image), channels), str(image)
            return planes(array, channels, thing)
        if isinstance(image, Image.Image):
            return read_picture(image).transpose(2, 0, 1)
        if not isinstance(image, np.ndarray):
            return read_rgb(Path(image)).transpose(2, 0, 1)
        array = to_bytes(image) if image.dtype == np.uint16 else image
        array = array[..., None] if array.ndim == 2 else array
        if array.ndim != 3 or array.dtype != np.uint8 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
            floats = np.issubdtype(image.dtype, np.floating)
            fix = (
                "write (255 * image).astype('uint8') for floats 0–1" if floats else "convert or transpose it"
            )
            raise bad_input("image array", f"shape {image.shape} of {image.dtype}", "(H, W, 3) uint8", fix)
        array = np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[..., :3]
        return np.ascontiguousarray(array).transpose(2, 0, 1)

    def _enlarged(self, found: Found, height: int, width: int) -> Found:
        margins = [self.description.margins.get(name, 0.0) for name in found.names]
        low, high = found.boxes[:, :2], found.boxes[:, 2:]
        size = np.sqrt(np.clip(high - low, 0, None).prod(axis=1))
        reach = (size * np.array(margins, np.float32))[:, None]
        most = np.array([width, height], np.float32)
        boxes = np.concatenate([np.clip(low - reach, 0, most), np.clip(high + reach, 0, most)], axis=1)
        return replace(found, boxes=boxes)

    def _found(self, rows: Rows, threshold: Threshold | None, path: Path | None) -> Found:
        boxes, scores, labels = rows
        keep = np.ones(len(scores), bool)
        if isinstance(threshold, Mapping):
            least = np.array([threshold.get(name, DEFAULT_THRESHOLD) for name in self.names], np.float32)
            keep &= scores >= least[labels]
        elif threshold is not None:
            keep &= scores >= threshold
        labels = labels[keep].astype(np.int64)
        return Found(boxes[keep], scores[keep], labels, tuple(self.names[label] for label in labels), path)


def _openable(path: Path) -> Path | bytes:
    """The path; of a name that is no text, which ONNX Runtime does not take, the content."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return path


class _Opened(NamedTuple):
    """A graph in its runtime."""

    run: Callable[[Array], Sequence[Array]]
    description: str | None
    inputs: list[str]
    outputs: list[str]


def _open_onnxruntime(path: Path, threads: int | None) -> _Opened:
    try:
        import onnxruntime
    except ImportError:
        raise _missing("onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(_openable(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 its own exceptions have no common class
        raise bad_input(
            path, f"a file that ONNX Runtime cannot open ({error})", "an ONNX model", "export it again"
        ) from None
    text = session.get_modelmeta().custom_metadata_map.get(ENTRY)

    def run(images: Array) -> Sequence[Array]:
        try:
            answer: Sequence[Array] = session.run(list(_OUTPUTS), {"images": images})
        except Exception as error:  # noqa: BLE001 as above
            raise _failed(path, images, error) from None
        return answer

    inputs, outputs = [x.name for x in session.get_inputs()], [x.name for x in session.get_outputs()]
    return _Opened(run, text, inputs, outputs)


def _failed(path: Path, images: Array, error: Exception) -> InputError:
    found = f"a graph that does not run on {images.shape} of {images.dtype} ({error})"
    return bad_input(path, found, "one that masu export wrote", "export it again")


@contextmanager
def _signal_stack_kept() -> Iterator[None]:
    """OpenVINO leaves a stack for signals and may free it: the next signal would end the process."""
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    kept = ctypes.create_string_buffer(64)  # a stack_t, as sigaltstack(2) gives and takes it
    if libc is not None:
        libc.sigaltstack(None, kept)
    try:
        yield
    finally:
        if libc is not None:
            libc.sigaltstack(kept, None)


def _open_openvino(path: Path, threads: int | None) -> _Opened:
    try:
        import openvino
    except ImportError:
        raise _missing("openvino") from None
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        with _signal_stack_kept():
            core = openvino.Core()
            model = core.read_model(path)
            compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise bad_input(
            path, f"a file that OpenVINO cannot open ({error})", "a model", "export it again"
        ) from None
    entry = [ENTRY] if model.has_rt_info([ENTRY]) else ["framework", ENTRY]  # the latter from an ONNX file
    text = model.get_rt_info(entry).astype(str) if model.has_rt_info(entry) else None
    own = threading.local()  # a request holds the answer of one call

    def run(images: Array) -> Sequence[Array]:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        try:
            answers = own.request.infer([images])
        except RuntimeError as error:
            raise _failed(path, images, error) from None
        return [np.array(answers[port]) for port in compiled.outputs]

    inputs, outputs = ([min(port.names, default="?") for port in p] for p in (model.inputs, model.outputs))
    return _Opened(run, text, inputs, outputs)


def _open_litert(path: Path, threads: int | None) -> _Opened:
    return _of_parts(path, Litert(path, threads))


def _open_ncnn(path: Path, threads: int | None) -> _Opened:
    return _of_parts(path, NcnnPart(path, threads))


def _of_parts(path: Path, parts: Litert | NcnnPart) -> _Opened:
    graph = PartitionedGraph(parts.partition, parts.run, described(path, parts.description).channels)
    return _Opened(graph, parts.description, ["images"], list(_OUTPUTS))


_OPEN: dict[str, Callable[[Path, int | None], _Opened]] = {
    "onnxruntime": _open_onnxruntime,
    "openvino": _open_openvino,
    "litert": _open_litert,
    "ncnn": _open_ncnn,
}


def _missing(engine: str) -> InputError:
    return bad_input(
        engine, "no such package", f"the package {engine}", f"pip install {engine}", code="missing-package"
    )


def _main(arguments: Sequence[str] | None = None) -> int:
    with kept_safe():
        try:
            code = _run_all(arguments)
            sys.stdout.flush()
        except OutputError as error:
            code = CLOSED_PIPE if error.closed else _refused(str(error))
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        fix = f"see '{self.prog} --help'"
        raise InputError(f"{message}; {fix}", thing=self.prog, found=message, fix=fix)


def _run_all(arguments: Sequence[str] | None) -> int:
    parser = _Parser(
        prog="python -m masu.runtime", description="Find objects with an exported model; prints JSON."
    )
    parser.add_argument("model", help=".onnx, .xml, .tflite or .param that masu export wrote")
    parser.add_argument("images", nargs="+", help="image files, folders or patterns")
    parser.add_argument(
        "--threshold", metavar=SHARE.short, help="smallest score; default: the file's own, per class"
    )
    parser.add_argument(
        "--margins", action="store_true", help="enlarge boxes by the file's margins, to hold objects whole"
    )
    parser.add_argument("--tta", action="store_true", help="look at each image mirrored, too")
    parser.add_argument("--engine", choices=tuple(_OPEN))
    try:
        chosen = parser.parse_args(arguments)
        least = None
        if chosen.threshold is not None and (least := SHARE.read(chosen.threshold)) is None:
            raise bad_input(
                "--threshold",
                f"{chosen.threshold!r:.60}",
                str(SHARE),
                "choose one of these",
                code="out-of-range",
            )
        model = Model(chosen.model, chosen.engine)
        model = model.with_tta() if chosen.tta else model
        threshold = model.thresholds if least is None else least
        if model.otherwise and chosen.margins and model.description.margins:
            was = f"margins that were measured {model.otherwise}"
            raise bad_input("--margins", was, "a model that looks so", "or leave --margins out")
        if model.otherwise and least is None and model.description.thresholds:
            _told(f"masu: the file's thresholds were measured {model.otherwise}")
        faults = 0
        for path in find_images(chosen.images):
            try:
                found = model.predict([path], threshold, margins=chosen.margins)[0]
            except InputError as error:
                _refused(str(error))
                faults += 1
                continue
            rows = zip(
                found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), found.names, strict=True
            )
            objects = [
                {"box": box, "score": score, "label": label, "name": name} for box, score, label, name in rows
            ]
            print(to_json({"file": str(path), "detections": objects}, ensure_ascii=False))  # noqa: T201
    except (InputError, OSError) as error:
        return _refused(str(error))
    return LEFT_OUT if faults else 0


def _refused(message: str) -> int:
    _told(f"masu: error: {message}")
    return 2


def _told(line: str) -> None:
    print(visible(line), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(_main())
