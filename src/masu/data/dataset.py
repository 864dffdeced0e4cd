"""A data set in columns: file names, sizes, boxes, labels, flags and where each stands, in flat arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from masu.data.class_lists import ClassLists
from masu.data.grouped import rows_of
from masu.data.kinds import KINDS, Fault
from masu.data.splits import NO_SPLIT
from masu.errors import bad_input, listed
from masu.records import Target

Array = np.ndarray[Any, Any]

CROWD = 1
"""Flag of a region of many objects: detections in it count for nothing, by their share in it."""

DIFFICULT = 2
"""Flag of VOC's difficult objects: finding one is neither right nor wrong."""


class Sample(NamedTuple):
    """One image on disk with its labelled objects.

    Attributes:
        image: path of the image; it existed when the data set was read.
        target: its objects, boxes in pixels of that image.
    """

    image: Path
    target: Target


@dataclass(frozen=True, eq=False)
class Paths:
    """Many paths in two flat arrays: a million of them take their own bytes and eight more each.

    Processes share them without copying an object for each.

    Attributes:
        text: uint8, the bytes of all paths one after another, as :func:`os.fsencode` gives them.
        ends: ``(N + 1,)`` int64; path ``i`` is ``text[ends[i]:ends[i + 1]]``.
    """

    text: Array
    ends: Array

    @classmethod
    def of(cls, paths: Iterable[str | os.PathLike[str]]) -> Paths:
        """The paths, in their order."""
        encoded = [os.fsencode(path) for path in paths]
        ends = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(one) for one in encoded], out=ends[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def text_of(self, index: int) -> str:
        """One path as a string."""
        index = range(len(self))[index]
        return os.fsdecode(self.text[self.ends[index] : self.ends[index + 1]].tobytes())

    def __getitem__(self, index: int) -> Path:
        return Path(self.text_of(index))

    def __iter__(self) -> Iterator[Path]:
        return (self[index] for index in range(len(self)))

    def texts(self) -> list[str]:
        """All paths as strings."""
        every, ends = self.text.tobytes(), self.ends.tolist()
        return [os.fsdecode(every[a:b]) for a, b in pairwise(ends)]

    def take(self, indices: Sequence[int] | Array) -> Paths:
        """The paths at the indices, in that order."""
        chosen = np.asarray(indices, np.int64)
        at, ends = rows_of(self.ends, chosen)
        return Paths(self.text[at], ends)


def _place(number: int, name: str) -> str:
    return f"object {number}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled set of images: ``len(data)``, ``data[i] -> Sample``, ``for image, target in data``.

    Everything lies in flat arrays that worker processes share: 41 bytes an object (57 as it is read, with
    boxes of float64), and about 50 and its path an image. ``N`` images, ``M`` objects, ``K`` classes.

    Attributes:
        root: the folder (or the folder of the file) that was read.
        split: the split that this is; None for everything.
        splits: the splits that exist in ``root``.
        names: ``K`` class names; a label ``k`` of a target means ``names[k]``.
        category_ids: ``K`` ids of the source file, in the order of ``names`` (Pascal VOC has none: 1..K).
        paths: ``N`` image files. One file is twice among them where two splits label it in different ways.
        starts: ``(N + 1,)`` int64; objects ``starts[i]`` to ``starts[i + 1]`` belong to image ``i``.
        boxes: ``(M, 4)`` xyxy in pixels of the upright image.
        labels: ``(M,)`` int32.
        flags: ``(M,)`` uint8, sums of ``CROWD`` and ``DIFFICULT``.
        areas: ``(M,)`` float64 square pixels as the annotation says, of a mask where there is one; nan where
            it does not.
        sizes: ``(N, 2)`` int32 height and width, upright; 0 where nobody knows.
        claimed: ``(N, 2)`` int32 height and width that an annotation claims for an image of another size, 0
            for all others: its boxes may mean another picture.
        relative: ``(N,)`` bool, images whose boxes are still shares of it, before it was looked at; none in
            what ``read_dataset`` gives.
        members: ``(len(splits), N)`` bool, which image is in which split.
        files: the annotation files.
        image_files: ``(N,)`` int32, the annotation file of each image.
        object_files: ``(M,)`` int32, that of each object.
        image_ids: ``(N,)`` int64, the image's number in its file.
        places: ``(M,)`` int64, the object's number in its file; ``where`` says it in words.
        describe: words for a place, from its number and class.
        form: name of the format that was read.
        supercategories: ``K`` names of COCO's supercategories, empty where there are none.
        left_out: what the source knows and masu does not carry, such as ``{"segmentation": 12}`` objects.
        faults: what reading left out or repaired.
        accepted: whether the faults were counted with those of a larger set that this is a part of.
        class_lists: which classes each image was checked for; None where all were for every class.
        drafts: images of ``root`` that are left out, since a model drafted their boxes and nobody has
            confirmed them.
        draft_lists: files that say so of them, where those of the labels have no place for it.
    """

    root: Path
    split: str | None
    splits: tuple[str, ...]
    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    paths: Paths = field(repr=False)
    starts: Array = field(repr=False)
    boxes: Array = field(repr=False)
    labels: Array = field(repr=False)
    flags: Array = field(repr=False)
    areas: Array = field(repr=False)
    sizes: Array = field(repr=False)
    claimed: Array = field(repr=False)
    relative: Array = field(repr=False)
    members: Array = field(repr=False)
    files: Paths = field(repr=False)
    image_files: Array = field(repr=False)
    object_files: Array = field(repr=False)
    image_ids: Array = field(repr=False)
    places: Array = field(repr=False)
    describe: Callable[[int, str], str] = field(default=_place, repr=False)
    form: str = ""
    supercategories: tuple[str, ...] = field(default=(), repr=False)
    left_out: Mapping[str, int] = field(default_factory=dict, repr=False)
    faults: tuple[Fault, ...] = field(default=(), repr=False)
    accepted: bool = field(default=False, repr=False)
    class_lists: ClassLists | None = field(default=None, repr=False)
    drafts: tuple[Path, ...] = field(default=(), repr=False)
    draft_lists: tuple[Path, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        samples: Iterable[Sample],
        names: Iterable[str],
        *,
        root: Path = Path(),
        split: str | None = None,
        splits: tuple[str, ...] = (),
        category_ids: tuple[int, ...] | None = None,
        faults: tuple[Fault, ...] = (),
    ) -> Dataset:
        """The data set of some samples.

        Args:
            samples: images and targets.
            names: class names.
            root: folder they are from.
            split: their split.
            splits: all splits of the folder.
            category_ids: ids of the classes in the source; default 1..K.
            faults: what was left out.
        """
        samples, names = list(samples), tuple(names)
        lengths = [len(target) for _, target in samples]
        ignored = np.concatenate([np.zeros(0, np.bool_), *(t.ignored.numpy() for _, t in samples)])
        labels = np.concatenate([np.zeros(0, np.int32), *(t.labels.numpy() for _, t in samples)])
        return cls(
            root=root,
            split=split,
            splits=splits,
            names=names,
            category_ids=tuple(range(1, len(names) + 1)) if category_ids is None else category_ids,
            paths=Paths.of(image for image, _ in samples),
            starts=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
            boxes=np.concatenate([np.zeros((0, 4), np.float32), *(t.boxes.numpy() for _, t in samples)]),
            labels=labels.astype(np.int32),
            flags=(ignored * CROWD).astype(np.uint8),
            areas=np.full(len(labels), np.nan),
            sizes=np.zeros((len(samples), 2), np.int32),
            claimed=np.zeros((len(samples), 2), np.int32),
            relative=np.zeros(len(samples), np.bool_),
            members=np.tile(np.array([[name == split] for name in splits], np.bool_), (1, len(samples)))
            if splits
            else np.zeros((0, len(samples)), np.bool_),
            files=Paths.of([root]),
            image_files=np.zeros(len(samples), np.int32),
            object_files=np.zeros(len(labels), np.int32),
            image_ids=np.arange(1, len(samples) + 1),
            places=np.concatenate([np.zeros(0, np.int64), *(np.arange(1, n + 1) for n in lengths)]),
            faults=faults,
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        index = range(len(self))[index]
        own = self.objects(index)
        boxes, flags, areas = self.boxes[own], self.flags[own], self.areas[own]
        sides = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
        unsaid = ~(np.isfinite(areas) & (areas >= 0))
        target = Target(
            boxes,  # type: ignore[arg-type]
            self.labels[own],  # type: ignore[arg-type]
            flags != 0,
            np.where(unsaid, sides.prod(1), areas),  # type: ignore[arg-type]
            flags & DIFFICULT != 0,
        )
        return Sample(self.paths[index], target)

    def objects(self, index: int) -> slice:
        """The rows of an image's objects."""
        return slice(int(self.starts[index]), int(self.starts[index + 1]))

    def splits_of(self, index: int) -> tuple[str, ...]:
        """The splits that an image is in."""
        return tuple(name for name, mine in zip(self.splits, self.members[:, index], strict=True) if mine)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    @property
    def ignored(self) -> Array:
        """``(M,)`` bool, see :class:`masu.Target`."""
        kept: Array = self.flags != 0
        return kept

    @property
    def image_of(self) -> Array:
        """``(M,)`` int64, the image of each object."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def where(self, row: int) -> str:
        """The place of an object in its annotation file, in words."""
        return self.describe(int(self.places[row]), self.names[self.labels[row]])

    def file_of(self, row: int) -> Path:
        """The annotation file of an object."""
        return self.files[self.object_files[row]]

    def counts(self) -> Array:
        """``(K,)`` objects of each class, ignored ones not among them."""
        return np.bincount(self.labels[self.flags == 0], minlength=len(self.names))

    def take(self, indices: Sequence[int] | Array | Iterable[int]) -> Dataset:
        """The same data set with only the images at ``indices``, in that order.

        Faults of other images are left behind.

        Raises:
            IndexError: for an index outside ``-len(data)..len(data)-1``.
        """
        every = range(len(self))
        chosen = np.array([every[int(index)] for index in indices], np.int64)
        if np.array_equal(chosen, np.arange(len(self))):
            return self
        rows, starts = rows_of(self.starts, chosen)
        paths = self.paths.take(chosen)
        kept = set(paths.texts()) if any(fault.image is not None for fault in self.faults) else set()
        return replace(
            self,
            paths=paths,
            starts=starts,
            sizes=self.sizes[chosen],
            claimed=self.claimed[chosen],
            relative=self.relative[chosen],
            members=self.members[:, chosen],
            image_files=self.image_files[chosen],
            image_ids=self.image_ids[chosen],
            faults=tuple(f for f in self.faults if f.image is None or os.fspath(f.image) in kept),
            class_lists=None if self.class_lists is None else self.class_lists.take(chosen),
            **{name: getattr(self, name)[rows] for name in _OF_OBJECTS},
        )

    def keep(self, rows: Array) -> Dataset:
        """The same images with only some objects, ``(M,)`` bool."""
        if rows.all():
            return self
        before = np.concatenate([[0], np.cumsum(rows)])
        starts = before[self.starts]
        return replace(self, starts=starts, **{name: getattr(self, name)[rows] for name in _OF_OBJECTS})

    def united(self) -> Dataset:
        """Each image once, with the objects of all its labellings; one that two have alike counts once."""
        first: dict[str, int] = {}
        owner = np.array([first.setdefault(text, i) for i, text in enumerate(self.paths.texts())], np.int64)
        images = np.unique(owner)
        if len(images) == len(self):
            return self
        kept = np.ones(len(self.boxes), np.bool_)
        known: dict[int, set[tuple[object, ...]]] = {}
        for image in np.flatnonzero(np.bincount(owner, minlength=len(self))[owner] > 1).tolist():
            own = range(*self.objects(image).indices(len(kept)))
            labels = [(int(self.labels[i]), int(self.flags[i]), self.boxes[i].tobytes()) for i in own]
            before = known.setdefault(int(owner[image]), set())
            kept[own] = [label not in before for label in labels]
            before.update(labels)
        members = np.zeros((len(self.splits), len(images)), np.bool_)
        position = np.searchsorted(images, owner)
        for row, image in zip(*np.nonzero(self.members), strict=True):
            members[row, position[image]] = True
        objects = position[self.image_of]
        order = np.argsort(objects, kind="stable")
        order = order[kept[order]]
        heads = {
            name: getattr(self, name)[images]
            for name in ("sizes", "claimed", "relative", "image_files", "image_ids")
        }
        return replace(
            self,
            paths=self.paths.take(images),
            starts=np.searchsorted(objects[order], np.arange(len(images) + 1)),
            members=members,
            class_lists=self._lists_moved(images=position, count=len(images)),
            **heads,
            **{name: getattr(self, name)[order] for name in _OF_OBJECTS},
        )

    def relabelled(self, new: Array, **classes: Any) -> Dataset:
        """The same data set with other classes.

        Args:
            new: ``(K,)`` int32, the new label of each class, −1 for one that is left out; it has no objects.
            classes: ``names``, ``category_ids`` and ``supercategories``.
        """
        labels = new[self.labels] if len(self.labels) else self.labels
        return replace(self, labels=labels, class_lists=self._lists_moved(classes=new), **classes)

    def _lists_moved(
        self, images: Array | None = None, classes: Array | None = None, count: int | None = None
    ) -> ClassLists | None:
        if self.class_lists is None:
            return None
        return self.class_lists.moved(
            np.arange(len(self)) if images is None else images,
            np.arange(len(self.names)) if classes is None else classes,
            len(self) if count is None else count,
        )

    def part(self, split: str | None) -> Dataset:
        """The images of a split; of ``NO_SPLIT``, those that are in none. None is everything."""
        if split is None:
            return self
        mine = ~self.members.any(0) if split == NO_SPLIT else self.members[self.splits.index(split)]
        part = self.take(np.flatnonzero(mine))
        faults = tuple(f for f in part.faults if not f.splits or split in f.splits)
        return replace(part, split=split, faults=faults)

    def parts(self) -> dict[str | None, Dataset]:
        """All parts by their split; what no split names comes last, under ``None``, where there is any.

        A data set without splits is one part, under ``None``.
        """
        found: dict[str | None, Dataset] = {split: self.part(split) for split in self.splits}
        if not self.splits:
            found[None] = self
        elif len(rest := self.part(NO_SPLIT)):
            found[None] = rest
        return found

    def with_faults(self, faults: Iterable[Fault]) -> Dataset:
        """The same with more faults, each told once."""
        return replace(self, faults=tuple(dict.fromkeys((*self.faults, *faults))))

    def refuse_bad(self, most: float) -> None:
        """Refuse a data set of which too much is wrong.

        Args:
            most: largest share of images, or of objects, that may have a fault which ``masu check`` calls an
                error; 0 refuses at the first.

        Raises:
            InputError: above it, with the figures and the first fault.
        """
        if self.accepted:
            return
        errors = [fault for fault in self.faults if KINDS[fault.kind].severity == "error"]
        images = {fault.thing: fault for fault in errors if fault.costs_an_image}
        objects = [fault for fault in errors if not fault.costs_an_image]
        for what, bad, kept in (
            ("images", list(images.values()), len(self)),
            ("objects", objects, len(self.boxes)),
        ):
            total = kept + sum(fault.action == "skipped" for fault in bad)
            if len(bad) > most * total:
                raise bad_input(
                    self.root,
                    f"{len(bad)} of {total} {what} faulty",
                    f"at most {most:.0%} (--max-bad)",
                    f"the first: {bad[0]}; see all with 'masu check {self.root}'",
                )

    def __repr__(self) -> str:
        part = "" if self.split is None else f", split {self.split}"
        counts = f"{len(self)} images, {len(self.boxes)} objects"
        return f"Dataset({self.root}{part}: {counts}, {listed(self.names, 8)})"


def part_name(split: str | None, parts: Mapping[str | None, Dataset]) -> str:
    """What a part is called where figures are shown."""
    return split or ("all" if len(parts) == 1 else NO_SPLIT)


_OF_OBJECTS = ("boxes", "labels", "flags", "areas", "object_files", "places")
