"""The list of what a model drafted, beside labels whose files have no place to say so.

COCO, YOLO, Pascal VOC and CVAT say nowhere who looked, and their tools write files anew as a whole. So the
list says what was drafted, and a photograph is a draft as long as its labels are the same, to a pixel: who
corrects a box makes labels of that photograph, a program that only writes the file anew does not. The list
lies beside the files of labels, so that it goes where their folder goes, and has a suffix that no tool reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from masu.atomic import not_written
from masu.data.dataset import Dataset
from masu.data.formats.copying import Copy
from masu.data.formats.editing import DIGITS, Frame, Held, Stamp, Unconfirmed, stamp_of, write_in_place
from masu.data.formats.form import load_json
from masu.data.formats.rows import BadEntryError, Box, Rows
from masu.data.formats.tree import plain
from masu.errors import InputError, bad_input
from masu.json_text import to_json

SUFFIX = ".masu-drafts"
"""Of the file of a list; before it are ``masu-`` and the start of a checksum."""

_ABOUT = (
    "What a model drafted. masu leaves a photograph out as long as its labels are those of this list. Delete "
    "this file once you have looked at every photograph."
)
_WANTED = "the list of drafts that masu wrote"
_FIX = "restore it, or delete it once you have looked at every photograph"
MOST_BYTES = 1_000_000_000
"""Size of a file."""

_LETTERS = 8
_SAME = 1.0  # pixels; some tools write whole ones
_ONE_EACH = ("score", "attributes")
"""What each drafted box has one of, and reading counts as left out."""

_Side = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]

Array = np.ndarray[Any, Any]


class Drafted(msgspec.Struct, frozen=True):
    """What a model drafted in one photograph.

    Attributes:
        size: height and width, upright.
        boxes: xyxy in pixels.
        classes: of each box.
        scores: of each box, 0 to 1.
    """

    size: tuple[_Side, _Side]
    boxes: list[Box]
    classes: list[str]
    scores: list[float]

    def says(self, boxes: Array, classes: Sequence[str]) -> bool:
        """Whether labels, ``(n, 4)`` in pixels, are these."""
        return _pairs(np.array(self.boxes).reshape(-1, 4), self.classes, boxes, classes) is not None


class DraftList(msgspec.Struct, frozen=True):
    """The content of a file.

    Attributes:
        model: version of the model that drafted.
        drafts: by the name of the photograph, without folder.
        about: for people.
    """

    model: str
    drafts: dict[str, Drafted]
    about: str = _ABOUT

    @classmethod
    def read(cls, file: Path) -> DraftList:
        """The list in a file.

        Raises:
            InputError: where there is none.
        """
        try:
            found = msgspec.convert(load_json(file, MOST_BYTES), cls)
        except BadEntryError as error:
            raise bad_input(file, error.found, _WANTED, _FIX) from None
        except msgspec.ValidationError as error:
            raise bad_input(file, f"another content ({error})", _WANTED, _FIX) from None
        for name, one in found.drafts.items():
            if not len(one.boxes) == len(one.classes) == len(one.scores):
                counts = f"{len(one.boxes)}, {len(one.classes)} and {len(one.scores)}"
                raise bad_input(file, f"{counts} boxes, classes and scores of {name}", _WANTED, _FIX)
        return found

    def text(self) -> str:
        """Of the file: one line for each photograph."""
        rows = (
            f"  {to_json(name)}: {to_json(msgspec.to_builtins(one))}" for name, one in self.drafts.items()
        )
        about, model = to_json(self.about), to_json(self.model)
        return f'{{"about": {about},\n "model": {model},\n "drafts": {{\n' + ",\n".join(rows) + "\n }}\n"

    def without(self, photo: str) -> DraftList:
        """The list without a photograph."""
        kept = {name: one for name, one in self.drafts.items() if plain(name) != plain(photo)}
        return DraftList(self.model, kept, self.about)


def write_lists(copy: Copy, written: Dataset) -> None:
    """Write the list of a new data set of drafts, into each folder that has files of its labels.

    Args:
        copy: of drafts, after its files were written.
        written: these files as they are read.
    """
    assert copy.drafts is not None
    rows = {copy.name(index): index for index in range(len(copy.data))}
    folders: dict[Path, dict[str, Drafted]] = {}
    for index, path in enumerate(written.paths):
        source = rows[path.name]
        height, width = copy.size(source)
        boxes, classes = _labels_of(written, index, (height, width))
        made = Drafted(
            (height, width), boxes.round(DIGITS).tolist(), classes, _scores(copy, source, boxes, classes)
        )
        folder = written.files[int(written.image_files[index])].parent
        folders.setdefault(folder, {})[path.name] = made
    for folder, drafts in folders.items():
        text = DraftList(copy.drafts.version, drafts).text()
        name = f"{sha256(text.encode()).hexdigest()[:_LETTERS]}{SUFFIX}"
        copy.text(os.path.relpath(folder / name, copy.out), text)


def _scores(copy: Copy, index: int, boxes: Array, classes: Sequence[str]) -> list[float]:
    """The score of each label that was written of an image: that of the nearest draft of its class."""
    own = copy.data.objects(index)
    assert copy.drafts is not None
    names = [copy.name_of(row) for row in range(own.start, own.stop)]
    scores = copy.drafts.scores[own]
    return [float(scores[np.argmin(row)]) for row in _apart(boxes, classes, copy.data.boxes[own], names)]


def without_drafts(data: Dataset, rows: Rows) -> Dataset:
    """The data set without the photographs whose labels are what a model drafted.

    Args:
        data: as its files say it, boxes of relative images in shares.
        rows: what it was made of.

    Raises:
        InputError: a list that cannot be read.
    """
    known: dict[tuple[str, str], list[tuple[Drafted, Path]]] = {}
    for folder in dict.fromkeys(map(os.path.dirname, rows.files)):
        for list_ in (Path(folder, name) for name in rows.tree.folder(folder).by_suffix.get(SUFFIX, ())):
            for name, one in DraftList.read(list_).drafts.items():
                known.setdefault((folder, plain(name)), []).append((one, list_))
    if not known:
        return data
    folder_of = [*map(os.path.dirname, rows.files)]
    kept, drafts, lists = [], [], []
    for index, text in enumerate(data.paths.texts()):
        listed = known.get((folder_of[data.image_files[index]], plain(os.path.basename(text))), ())
        file = next((file for one, file in listed if one.says(*_labels_of(data, index, one.size))), None)
        if file is None:
            kept.append(index)
        else:
            drafts.append(Path(text))
            lists.append(file)
    if not drafts:
        return data
    left = data.take(kept)
    gone = len(data.boxes) - len(left.boxes)
    counts = {key: count - gone * (key in _ONE_EACH) for key, count in data.left_out.items()}
    left = replace(
        left,
        drafts=tuple(sorted({*data.drafts, *drafts})),
        draft_lists=tuple(sorted({*lists})),
        left_out={key: count for key, count in counts.items() if count > 0},
    )
    return left if rows.ids else _without_classes_of(data, left)


def _without_classes_of(data: Dataset, left: Dataset) -> Dataset:
    """What is left, without the classes that only drafts had."""
    before, now = (np.bincount(one.labels, minlength=len(one.names)) > 0 for one in (data, left))
    kept = np.flatnonzero(now | ~before).tolist()
    new = np.full(len(data.names), -1, np.int32)
    new[kept] = np.arange(len(kept))
    return left.relabelled(
        new,
        names=tuple(data.names[k] for k in kept),
        category_ids=tuple(range(1, len(kept) + 1)),
        supercategories=tuple(data.supercategories[k] for k in kept) if data.supercategories else (),
    )


def _labels_of(data: Dataset, index: int, size: tuple[int, int]) -> tuple[Array, list[str]]:
    """Boxes ``(n, 4)`` in pixels and classes of an image of a height and width."""
    own = data.objects(index)
    boxes = np.asarray(data.boxes[own], np.float64)
    if data.relative[index]:
        boxes = boxes * np.tile(size[::-1], 2)
    return boxes, [data.names[label] for label in data.labels[own].tolist()]


def _pairs(drafts: Array, names: Sequence[str], boxes: Array, classes: Sequence[str]) -> list[int] | None:
    """The draft of each label, in whatever order; None where the labels are not what was drafted."""
    if len(drafts) != len(boxes):
        return None
    apart = _apart(boxes, classes, drafts, names)
    pairs = []
    for row in apart:
        nearest = int(np.argmin(row))
        if not row[nearest] <= _SAME:
            return None
        apart[:, nearest] = np.inf
        pairs.append(nearest)
    return pairs


def _apart(boxes: Array, classes: Sequence[str], drafts: Array, names: Sequence[str]) -> Array:
    """``(n, m)`` the largest difference of two sides in pixels, infinite between different classes."""
    with np.errstate(over="ignore", invalid="ignore"):  # sides that are infinite, or nearly so
        far: Array = np.abs(boxes[:, None] - drafts[None]).max(axis=2, initial=0)
    far[np.array(classes, object)[:, None] != np.array(names, object)[None]] = np.inf
    return far


class _Known(NamedTuple):
    """A list that was read: when it was written, the model, drafts by the plain name of the photograph."""

    stamp: Stamp
    model: str
    drafts: dict[str, Drafted]


class DraftLists:
    """The lists beside files of labels as they are now, for labels that are changed in place."""

    def __init__(self) -> None:
        self._files: dict[str, list[Path]] = {}
        self._known: dict[Path, _Known] = {}

    def look(self, files: Iterable[str | os.PathLike[str]]) -> None:
        """Take note of which lists there are."""
        self._files = {}
        for file in sorted(map(Path, files)):
            self._files.setdefault(os.path.abspath(file.parent), []).append(file)

    def photographs(self) -> frozenset[tuple[str, str]]:
        """Folder of the labels and plain name of each photograph that a readable list names."""
        found: set[tuple[str, str]] = set()
        for folder, files in self._files.items():
            for file in files:
                with suppress(InputError):
                    found |= {(folder, name) for name in self._read(file).drafts}
        return frozenset(found)

    def names(self, labels: Path, photo: Path) -> bool:
        """Whether a readable list beside a file of labels names a photograph."""
        for file in self._beside(labels):
            with suppress(InputError):
                if plain(photo.name) in self._read(file).drafts:
                    return True
        return False

    def unconfirmed(
        self, labels: Path, photo: Path, size: tuple[int, int], held: Sequence[Held]
    ) -> Unconfirmed | None:
        """The labels of a photograph where they are what a model drafted.

        Args:
            labels: the file that they stand in.
            photo: the photograph.
            size: its height and width, upright.
            held: the labels.

        Raises:
            InputError: a list beside the file that cannot be read.
        """
        entries = tuple(label.entry for label in held)
        boxes = np.array([entry.box for entry in entries], np.float64).reshape(-1, 4)
        for file in self._beside(labels):
            known = self._read(file)
            one = known.drafts.get(plain(photo.name))
            if one is None:
                continue
            rows = zip(one.boxes, one.classes, one.scores, strict=True)
            shown = [(box, *rest) for found, *rest in rows if (box := Frame(size).shown(found)) is not None]
            drafts, names, scores = zip(*shown, strict=True) if shown else ((), (), ())
            drawn = np.array(drafts, np.float64).reshape(-1, 4)
            pairs = _pairs(drawn, names, boxes, [entry.name for entry in entries])
            if pairs is not None:
                return Unconfirmed(known.model, entries, tuple(scores[at] for at in pairs))
        return None

    def confirm(self, labels: Path, photo: Path) -> None:
        """Take a photograph off the lists beside its labels: somebody has looked at it.

        Raises:
            InputError: a list that cannot be read.
            WriteError: one that cannot be written.
        """
        for file in self._beside(labels):
            if plain(photo.name) not in self._read(file).drafts:
                continue
            left = DraftList.read(file).without(photo.name)
            if left.drafts:
                write_in_place(file, left.text().encode())
                continue
            try:
                file.unlink()
            except OSError as error:
                raise not_written(file, error) from None

    def _beside(self, labels: Path) -> list[Path]:
        return self._files.get(os.path.abspath(labels.parent), [])

    def _read(self, file: Path) -> _Known:
        """What a list says now; nothing where it is gone."""
        stamp = stamp_of(file)
        if stamp is None:
            return _Known((0, 0, 0), "", {})
        known = self._known.get(file)
        if known is None or known.stamp != stamp:
            content = DraftList.read(file)
            drafts = {plain(name): one for name, one in content.drafts.items()}
            known = self._known[file] = _Known(stamp, content.model, drafts)
        return known
