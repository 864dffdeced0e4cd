"""What a reader finds, gathered in columns: images, objects, classes, faults, each with its place in a file.

A reader fills it; :func:`masu.data.formats.resolving.resolved` makes a data set of it.
"""

from __future__ import annotations

import math
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from masu.data.class_lists import ClassLists, Lists
from masu.data.formats.tree import Look, Tree, folder_text

Array = np.ndarray[Any, Any]
Box = tuple[float, float, float, float]


_NOTHING = np.zeros(0)


class BadEntryError(Exception):
    """One image or object of an annotation file that cannot be understood; the rest of the file can.

    Attributes:
        found: what is there.
        wanted: what should be.
    """

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(f"{found}, wanted {wanted}")
        self.found, self.wanted = found, wanted


class RowFault(NamedTuple):
    """A fault met in reading; ``image`` is a row, -1 where it is about none."""

    kind: str
    file: Path
    where: str
    found: str
    action: str
    image: int
    splits: tuple[str, ...]


class Objects(NamedTuple):
    """Some objects in columns; see :class:`masu.data.dataset.Dataset`. ``classes`` are codes of ``Rows``."""

    images: Array
    boxes: Array
    classes: Array
    places: Array
    flags: Array
    areas: Array
    files: Array


class Rows:
    """Images and objects as the files have them, in the order in which they are met.

    Attributes:
        tree: the files of the data set's folder.
        root: that folder.
        files: annotation files, by number.
        names: the images' names, by row.
        looks: ways to look for images, by number.
        classes: class names, each with its code.
        ids: ids of classes in the source; empty where it has none, and names are put in order.
        supercategories: COCO's, by class name.
        known: by word of a split, the classes that it has a list of.
        left_out: what is read over, with how often.
        words: rows of images by the word for their split; a word is what a file, folder or cell calls it.
        faults: what could not be used.
        dropped: rows of images that are left out again.
        drafts: images that have drafts alone, which nobody has confirmed, by the file that holds these.
        folders_mean_splits: whether folders of images say splits where nothing else does.
        describe: words for an object's place, from its number and class.
        describe_image: words for an image's place, from its number and name.
    """

    def __init__(
        self,
        tree: Tree,
        describe: Callable[[int, str], str],
        describe_image: Callable[[int, str], str] = lambda number, name: f"image {name}",
    ) -> None:
        self.tree, self.root = tree, tree.root
        self.describe, self.describe_image = describe, describe_image
        self.files: list[Path] = []
        self.names: list[str] = []
        self.looks: list[Look] = []
        self.classes: dict[str, int] = {}
        self.ids: dict[str, int] = {}
        self._given: set[int] = set()
        self._highest = -1
        self.supercategories: dict[str, str] = {}
        self.known: dict[str, set[str]] = {}
        self.left_out: Counter[str] = Counter()
        self.words: dict[str, array[int]] = {}
        self.faults: list[RowFault] = []
        self.dropped: set[int] = set()
        self.drafts: dict[Path, Path] = {}
        self.folders_mean_splits = True
        self._image_files, self._image_looks, self._relative = array("i"), array("i"), array("b")
        self._sizes, self._numbers = array("i"), array("q")
        self._chunks: list[Objects] = []
        self._listed = array("q")
        self._absent, self._partial = (array("q"), array("i")), (array("q"), array("i"))
        self._object = (array("q"), array("d"), array("i"), array("q"), array("B"), array("d"), array("i"))

    def file(self, path: Path) -> int:
        """The number of an annotation file that is being read from now on."""
        self.files.append(path)
        return len(self.files) - 1

    def look(self, folders: Iterable[str | Path], *, stem: bool = False, foreign: bool = False) -> int:
        """The number of a way to look for images, for :meth:`image`; see :class:`Look`."""
        look = Look(tuple(dict.fromkeys(map(folder_text, folders))), stem, foreign)
        if not self.looks or self.looks[-1] != look:
            self.looks.append(look)
        return len(self.looks) - 1

    def split(self, word: str) -> None:
        """Say that there is a split, also where no image is in it."""
        self.words.setdefault(word, array("q"))

    def image(
        self,
        name: str,
        file: int,
        look: int,
        *,
        number: int = 0,
        size: tuple[int, int] | None = None,
        splits: Iterable[str] = (),
        relative: bool = False,
    ) -> int:
        """One image; its row.

        Args:
            name: as the file has it.
            file: number of the annotation file.
            look: number of the way to look for it.
            number: its place in the file.
            size: height and width as the annotation says.
            splits: words for the splits it is in.
            relative: its boxes are shares of the upright image, 0 to 1.
        """
        row = len(self.names)
        self.names.append(name)
        self._image_files.append(file)
        self._image_looks.append(look)
        self._relative.append(relative)
        self._numbers.append(number)
        self._sizes.extend(size or (0, 0))
        for word in splits:
            self.words.setdefault(word, array("q")).append(row)
        return row

    def images(
        self,
        names: Sequence[str],
        file: int,
        look: int,
        numbers: Array,
        sizes: Array,
        split: str | None,
        *,
        relative: bool = False,
    ) -> int:
        """Many images of one file at once, ``sizes (n, 2)``; the row of the first. See :meth:`image`."""
        row = len(self.names)
        self.names += names
        self._image_files.extend([file] * len(names))
        self._image_looks.extend([look] * len(names))
        self._relative.extend([relative] * len(names))
        self._numbers.frombytes(np.ascontiguousarray(numbers, np.int64).tobytes())
        self._sizes.frombytes(np.ascontiguousarray(sizes, np.int32).tobytes())
        if split is not None:
            rows = np.arange(row, row + len(names), dtype=np.int64)
            self.words.setdefault(split, array("q")).frombytes(rows.tobytes())
        return row

    def number_class(self, name: str, number: int | None = None) -> None:
        """Give a class its number in the source.

        A class that has one keeps it; where another class has the number, and where there is none, it becomes
        the one above all that are given.

        Args:
            name: of the class.
            number: in the source.
        """
        if name in self.ids:
            return
        if number is None or number in self._given:
            number = self._highest + 1
        self.ids[name] = number
        self._given.add(number)
        self._highest = max(self._highest, number)

    def code(self, name: str) -> int:
        """The code of a class."""
        return self.classes.setdefault(class_name(name), len(self.classes))

    def object(
        self,
        image: int,
        box: Box,
        name: str,
        number: int,
        file: int,
        *,
        flag: int = 0,
        area: float = math.nan,
    ) -> None:
        """One object.

        Args:
            image: row of its image.
            box: x1 y1 x2 y2 in pixels, or shares where the image was said to be ``relative``.
            name: of its class.
            number: its place in the file.
            file: number of the annotation file.
            flag: see :attr:`masu.data.dataset.Dataset.flags`.
            area: of its mask, in square pixels, if it is known.
        """
        images, boxes, classes, places, flags, areas, files = self._object
        images.append(image)
        boxes.extend(box)
        classes.append(self.code(name))
        places.append(number)
        flags.append(flag)
        areas.append(area)
        files.append(file)

    def objects(self, objects: Objects) -> None:
        """Many objects at once."""
        self._chunks.append(objects)

    def fault(
        self,
        kind: str,
        file: Path,
        where: str,
        found: str,
        action: str = "skipped",
        *,
        image: int = -1,
        splits: Iterable[str] = (),
    ) -> None:
        """Something that could not be used, or that is doubtful."""
        self.faults.append(RowFault(kind, file, where, found, action, image, tuple(splits)))

    def bad(
        self,
        error: BadEntryError,
        file: Path,
        where: str,
        *,
        image: int = -1,
        splits: Iterable[str] = (),
    ) -> None:
        """An entry that cannot be understood."""
        self.fault("annotation", file, where, f"found {error}", image=image, splits=splits)

    def all_objects(self) -> Objects:
        """Every object, in the order of its image's row; those of one image in the order they were met."""
        images, boxes, classes, places, flags, areas, files = self._object
        single = Objects(
            np.array(images, np.int64),
            np.array(boxes, np.float64).reshape(-1, 4),
            np.array(classes, np.int32),
            np.array(places, np.int64),
            np.array(flags, np.uint8),
            np.array(areas, np.float64),
            np.array(files, np.int32),
        )
        chunks = [list(single), *(list(chunk) for chunk in self._chunks)]
        self._chunks = []
        self._object = (array("q"), array("d"), array("i"), array("q"), array("B"), array("d"), array("i"))
        columns = joined(chunks)
        if not (np.diff(columns[0]) >= 0).all():
            order = np.argsort(columns[0], kind="stable")
            for column in columns:
                sort(column, order)
        return Objects(*columns)

    def image_columns(self) -> tuple[Array, Array, Array, Array, Array]:
        """Of all images: file, look, whether relative, sizes ``(n, 2)``, numbers."""
        return (
            np.array(self._image_files, np.int32),
            np.array(self._image_looks, np.int32),
            np.array(self._relative, np.bool_),
            np.array(self._sizes, np.int32).reshape(-1, 2),
            np.array(self._numbers, np.int64),
        )

    def class_lists(
        self, listed: Sequence[int], absent: Iterable[tuple[int, int]], partial: Iterable[tuple[int, int]]
    ) -> None:
        """Say which classes images were checked for.

        Args:
            listed: rows of images that were checked for ``absent`` classes and those of their objects alone.
            absent: rows of images, and codes of classes that are not there.
            partial: rows of images, and codes of classes of which not every object is labelled.
        """
        self._listed.extend(listed)
        for pairs, (images, classes) in ((absent, self._absent), (partial, self._partial)):
            for image, code in pairs:
                images.append(image)
                classes.append(code)

    def all_class_lists(self) -> ClassLists | None:
        """What was said of images by row and of classes by code; None for nothing."""
        if not self._listed and not self._partial[0]:
            return None
        count = len(self.names)
        listed = np.zeros(count, np.bool_)
        listed[np.array(self._listed, np.int64)] = True
        absent, partial = (
            Lists.of(np.array(images, np.int64), np.array(classes, np.int32), count)
            for images, classes in (self._absent, self._partial)
        )
        return ClassLists(listed, absent, partial)

    def drop(self, row: int) -> None:
        """Leave an image out again; its objects go with it."""
        self.dropped.add(row)

    def size(self, row: int, size: tuple[int, int]) -> None:
        """Say the height and width of an image that was met before."""
        self._sizes[2 * row], self._sizes[2 * row + 1] = size

    def take_numbers_for_ids(self) -> None:
        """Take class names for ids where all are whole numbers, and no two the same, as 1 and 01 are."""
        if all(name.isdecimal() and len(name) < 10 for name in self.classes):
            numbers = {name: int(name) for name in self.classes}
            if len(set(numbers.values())) == len(numbers):
                self.ids = numbers

    def class_order(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Class names and their ids: by id where the source has ids, else by name from 1."""
        if self.ids:
            names = sorted(self.ids, key=lambda name: self.ids[name])
            return tuple(names), tuple(self.ids[name] for name in names)
        names = sorted(self.classes)
        return tuple(names), tuple(range(1, len(names) + 1))


def sort(column: Array, order: Array) -> None:
    """Bring a column into an order where it lies, one number of a row at a time."""
    if column.ndim == 1:
        column[:] = column[order]
        return
    for at in range(column.shape[1]):
        column[:, at] = column[order, at]


def joined(chunks: list[list[Array]]) -> list[Array]:
    """Columns in chunks as whole ones. Each chunk is let go of early: all of it twice would be too much."""
    columns: list[Array] = []
    for at in range(len(chunks[0])):
        parts = [chunk[at] for chunk in chunks]
        for chunk in chunks:
            chunk[at] = _NOTHING  # not a part of itself, which would keep the whole
        filled = [part for part in parts if len(part)]
        columns.append(filled[0] if len(filled) == 1 else np.concatenate(parts))
        del parts, filled
    chunks.clear()
    return columns


_POSITIONS = 1_000_000


def place_of(entry: int, position: int) -> int:
    """One number for an object: of an entry of a file, and its position there; :func:`entry_of` undoes it.

    Beyond a million objects of one entry, which no file means, the rest have the last number.
    """
    return entry * _POSITIONS + min(position, _POSITIONS - 1)


def entry_of(place: int) -> tuple[int, int]:
    """The entry and the position that :func:`place_of` made a number of."""
    return divmod(place, _POSITIONS)


def class_name(name: str) -> str:
    """A class's name in one Unicode form: composed and decomposed accents are one class."""
    return name if name.isascii() else unicodedata.normalize("NFC", as_text(name))


def as_text(name: str) -> str:
    """The name; halves of letters that JSON and YAML can hold, but no text, become their escapes."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()
