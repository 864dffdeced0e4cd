"""What every reader of a data set shares: its records, its rules for faulty boxes, its errors.

A reader is one file with a ``READER``: ``find`` says whether a path holds its format, ``read`` parses it
into ``Contents``, and ``assemble`` turns those into a ``Dataset`` by the same rules for every format.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import Any, NamedTuple

from masu.data.dataset import Dataset, Fault, Sample
from masu.errors import bad_input, listed
from masu.records import Target

Box = tuple[float, float, float, float]

USUAL_SPLITS = ("train", "val", "valid", "validation", "trainval", "test")

UNLISTED = ""
"""Asks a reader for the images that are in none of the splits."""

_FARTHEST = 1e7  # float32 no longer holds single pixels beyond 2**24
_ROUNDING = 0.1  # pixels by which annotation tools overshoot when they round


class Marked(NamedTuple):
    """One object as a file has it.

    Attributes:
        where: its place in the file.
        box: xyxy in pixels.
        name: class.
        ignored: whether training and scoring leave it out.
        file: the file, where it is another one than that of its picture.
    """

    where: str
    box: Box
    name: str
    ignored: bool
    file: Path | None = None


class Picture(NamedTuple):
    """One image as a file has it: its path, the annotation file, (height, width) if known, its objects."""

    image: Path
    file: Path
    size: tuple[int, int] | None
    objects: Sequence[Marked]

    def file_of(self, item: Marked) -> Path:
        """The annotation file of one of the objects."""
        return item.file or self.file


class Contents(NamedTuple):
    """All that a reader parsed.

    Attributes:
        pictures: images that exist, each once, with their objects as they stand in the file.
        names: class names, in the order of their source ids.
        category_ids: their ids in the source.
        faults: what could not be used.
        left_out: what the source knows and masu does not carry, such as ``{"segmentation": 12}`` objects.
    """

    pictures: Sequence[Picture]
    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    faults: Sequence[Fault]
    left_out: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Source:
    """A data set as it lies on disk, found but not yet read.

    Attributes:
        root: the folder no file name may leave.
        splits: the file or folder that defines each split, in the order to list them.
        files: the annotation files of the whole data set.
        parsed: what a reader keeps from one split to the next.
    """

    root: Path
    splits: Mapping[str, Path]
    files: tuple[Path, ...]
    parsed: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


class Reader(NamedTuple):
    """One format.

    Attributes:
        name: of the format.
        looks: for messages.
        find: what of it is at a path, if anything.
        read: a split of it; None reads everything.
        has_unlisted: whether images can be in no split; then ``read`` also takes ``UNLISTED``.
    """

    name: str
    looks: str
    find: Callable[[Path], Source | None]
    read: Callable[[Source, str | None], Contents]
    has_unlisted: bool = False


class BadEntryError(Exception):
    """One image or object of an annotation file that cannot be understood; the rest of the file can.

    Attributes:
        found: what is there.
        wanted: what should be.
    """

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(f"{found}, wanted {wanted}")

    def fault(self, file: Path, where: str) -> Fault:
        """The fault that says so."""
        return Fault("annotation", file, where, f"found {self}", "skipped")


class Fitted(NamedTuple):
    """A box inside its image (None: nothing of use), and the kind, text and action of its fault, if any."""

    box: Box | None
    kind: str = ""
    found: str = ""
    action: str = ""


def leaves(name: str, file: Path, root: Path) -> bool:
    """Whether a file name, taken from the folder of its annotation file, leads out of the root.

    Only the text counts: a folder of images may be a link to another disk.
    """
    top = os.path.abspath(root)
    full = os.path.normpath(os.path.join(os.path.abspath(file.parent), _slashed(name)))
    return bool(PureWindowsPath(name).drive) or os.path.commonpath([top, full]) != top


def find_image(name: str, folders: tuple[Path, ...]) -> Path | None:
    """The image of that name in the first of the folders that has it."""
    for folder in folders:
        path = os.path.join(folder, _slashed(name))
        if os.path.isfile(path):
            return Path(path)
    return None


def refuse_leaving(name: str, file: Path, where: str, root: Path) -> None:
    """Refuse an image that an annotation file looks for outside of the data set.

    Raises:
        InputError: naming file, place and image.
    """
    if leaves(name, file, root):
        raise bad_input(
            f"{file}, {where}",
            f"the file name {name!r}, which leaves {root}",
            "a path inside the data set",
            "write file names relative to the folder of the images",
        )


def load_json(file: Path, most_bytes: int) -> Any:
    """The content of a JSON file.

    Raises:
        BadEntryError: for a file that is too large, cannot be read or is no JSON.
    """
    try:
        if (size := file.stat().st_size) > most_bytes:
            raise BadEntryError(f"a file of {size / 1e6:.0f} MB", f"at most {most_bytes / 1e6:.0f} MB")
        return json.loads(file.read_bytes())
    except json.JSONDecodeError as error:
        found = f"broken JSON ({error.msg}: line {error.lineno}, column {error.colno})"
        raise BadEntryError(found, "annotations") from None
    except (ValueError, RecursionError, OSError) as error:
        raise BadEntryError(f"unusable JSON ({type(error).__name__}: {error})", "annotations") from None


def as_pixels(value: object, what: str) -> float:
    """A number of a JSON file.

    Raises:
        BadEntryError: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadEntryError(f"{what} {json.dumps(value)[:40]}", "a number of pixels")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def as_text(name: str) -> str:
    """The name; halves of letters that JSON and YAML can hold, but no text, become their escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _slashed(name: str) -> str:
    return name.replace("\\", "/")


def joined(pictures: Iterable[Picture], faults: list[Fault]) -> list[Picture]:
    """Each image once, with the objects of every entry; one that two entries have alike counts once.

    Args:
        pictures: as the files have them, in order.
        faults: told of entries that disagree on the size of an image; the first is taken.
    """
    made: dict[Path, Picture] = {}
    for picture in pictures:
        first = made.setdefault(picture.image, picture)
        if first is picture:
            continue
        if first.size and picture.size and first.size != picture.size:
            (height, width), (other_height, other_width) = first.size, picture.size
            found = f"{other_width}×{other_height} pixels, but {width}×{height} in {first.file.name}"
            where = f"image {picture.image.name}"
            faults.append(Fault("wrong-size", picture.file, where, found, f"taken as {width}×{height}"))
        known = set(map(_label, first.objects))
        more = [
            item._replace(file=picture.file_of(item)) for item in picture.objects if _label(item) not in known
        ]
        size = first.size or picture.size
        made[picture.image] = first._replace(size=size, objects=[*first.objects, *more])
    return list(made.values())


def all_names(parts: Mapping[str | None, Contents]) -> tuple[str, ...]:
    """The class names of all splits, each once, those of the first split first."""
    return tuple(dict.fromkeys(name for contents in parts.values() for name in contents.names))


def other_labels(parts: Mapping[str | None, Contents]) -> dict[tuple[str | None, Path], int]:
    """The images that a split labels in another way than those before it.

    Args:
        parts: contents by split.

    Returns:
        ``(split, image)`` → which of the image's labellings the split has, from 1; 0, the first, is left out.
    """
    seen: dict[Path, list[Picture]] = {}
    found: dict[tuple[str | None, Path], int] = {}
    for split, contents in parts.items():
        for picture in contents.pictures:
            ways = seen.setdefault(picture.image, [])
            way = next((i for i, other in enumerate(ways) if same_objects(other, picture)), len(ways))
            if way == len(ways):
                ways.append(picture)
            if way:
                found[split, picture.image] = way
    return found


def same_objects(one: Picture, other: Picture) -> bool:
    """Whether two pictures have the same objects, in any order."""
    return one.objects is other.objects or (
        len(one.objects) == len(other.objects)
        and sorted(map(_label, one.objects)) == sorted(map(_label, other.objects))
    )


def _label(item: Marked) -> tuple[str, bool, str]:
    return item.name, item.ignored, repr(tuple(map(float, item.box)))  # as text nan is equal to itself


def split_order(names: Iterable[str]) -> list[str]:
    """The usual splits first, in the order of work (train, val, …, test), then the others by name."""
    rank = {name: number for number, name in enumerate(USUAL_SPLITS)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))


def fit_box(box: Box, size: tuple[int, int] | None) -> Fitted:
    """The part of a box inside its image, and what was wrong with it.

    Args:
        box: xyxy in pixels, any numbers.
        size: height and width of the image; None skips the check against the image.

    Returns:
        The box to use; an overhang of up to 0.1 px is rounding: clipped and not a fault.
    """
    shown = "box " + " ".join(f"{value:.7g}" for value in box)
    if not all(math.isfinite(value) for value in box):
        return Fitted(None, "not-finite", f"{shown} is not finite", "skipped")
    if box[2] < box[0] or box[3] < box[1]:
        return Fitted(None, "inverted", f"{shown} has its corners in the wrong order", "skipped")
    if box[2] == box[0] or box[3] == box[1]:
        return Fitted(None, "no-area", f"{shown} has no area", "skipped")
    fitted, kind, found, action = box, "", "", ""
    if size is not None:
        height, width = size
        x1, y1, x2, y2 = box
        fitted = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
        if fitted[2] <= fitted[0] or fitted[3] <= fitted[1]:
            found = f"{shown} lies outside the image of {width}×{height} pixels"
            return Fitted(None, "outside", found, "skipped")
        if max(abs(a - b) for a, b in zip(box, fitted, strict=True)) > _ROUNDING:
            kind, found = "overhang", f"{shown} reaches outside the image of {width}×{height} pixels"
            action = "clipped to " + " ".join(f"{value:.7g}" for value in fitted)
    if max(abs(value) for value in fitted) > _FARTHEST:
        return Fitted(None, "outside", f"{shown} lies beyond any image", "skipped")
    x1, y1, x2, y2 = struct.unpack("4f", struct.pack("4f", *fitted))
    if x2 <= x1 or y2 <= y1:
        return Fitted(None, "no-area", f"{shown} has no area", "skipped")
    return Fitted((x1, y1, x2, y2), kind, found, action)


def assemble(contents: Contents, source: Source, split: str | None, names: Sequence[str] | None) -> Dataset:
    """The data set of a reader's contents, faulty boxes repaired or left out.

    Raises:
        InputError: no image at all, or an object whose class is not among the given ``names``.
    """
    if not contents.pictures:
        first = f"; the first fault: {contents.faults[0]}" if contents.faults else ""
        thing = source.root if split is None else f"{source.root}, split {split!r}"
        raise bad_input(
            thing,
            f"no image with an annotation{first}",
            "at least one",
            "check that the images lie where the annotations say and that the list of the split is not empty",
        )
    known = contents.names if names is None else tuple(names)
    faults = list(contents.faults)
    samples = []
    for picture in contents.pictures:
        target, found = _target(picture, known)
        faults += found
        samples.append(Sample(picture.image, target))
    return Dataset.of(
        samples,
        known,
        root=source.root,
        split=split,
        splits=tuple(source.splits),
        category_ids=_ids_of(known, contents),
        faults=tuple(faults),
    )


def _target(picture: Picture, names: tuple[str, ...]) -> tuple[Target, list[Fault]]:
    boxes: list[Box] = []
    labels: list[int] = []
    ignored: list[bool] = []
    faults: list[Fault] = []
    for item in picture.objects:
        box, kind, found, action = fit_box(item.box, picture.size)
        if found:
            faults.append(Fault(kind, picture.file_of(item), item.where, found, action))
        if box is None:
            continue
        if item.name not in names:
            raise bad_input(
                f"{picture.file_of(item)}, {item.where}",
                f"class {item.name!r}",
                f"one of the known classes ({listed(names)})",
                "rename the class in the annotations, or use a model trained with it",
            )
        boxes.append(box)
        labels.append(names.index(item.name))
        ignored.append(item.ignored)
    return Target(boxes, labels, ignored), faults  # type: ignore[arg-type]


def _ids_of(names: tuple[str, ...], contents: Contents) -> tuple[int, ...]:
    ids = dict(zip(contents.names, contents.category_ids, strict=True))
    free = max(ids.values(), default=0) + 1
    for name in names:
        if name not in ids:
            ids[name], free = free, free + 1
    return tuple(ids[name] for name in names)
