"""What reading a data set gives: images, class names, objects in flat arrays, and the faults met."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from masu.errors import InputError
from masu.records import Target

Array = np.ndarray[Any, Any]


class Sample(NamedTuple):
    """One image on disk with its labelled objects.

    Attributes:
        image: path of the image; it existed when the data set was read.
        target: its objects, boxes in pixels of that image.
    """

    image: Path
    target: Target


OF_AN_IMAGE = frozenset(("missing-image", "unreadable-image"))
"""Kinds of faults that cost a whole image."""


@dataclass(frozen=True)
class Fault:
    """Something in a data set that masu left out or repaired.

    Attributes:
        kind: one of :data:`masu.data.kinds.KINDS`, such as ``no-area``.
        file: the annotation or image file.
        where: the place in it, such as ``object 13 (RBC)`` or ``annotation id 57``.
        found: what is wrong, such as ``box 504 337 504 337 has no area``.
        action: what was done, ``skipped`` or ``clipped to 0 0 640 480``.
    """

    kind: str
    file: Path
    where: str
    found: str
    action: str

    def __str__(self) -> str:
        return " ".join(f"{self.file}: {self.where}: {self.found}, {self.action}".split())


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled set of images: ``len(data)``, ``data[i] -> Sample``, ``for image, target in data``.

    The objects of all images lie in flat arrays: 21 bytes an object and about 100 an image, which worker
    processes share.

    Attributes:
        root: the folder (or the folder of the file) that was read.
        split: the split that was read; None for everything.
        splits: the splits that exist in ``root``.
        names: ``K`` class names; a label ``k`` of a target means ``names[k]``.
        category_ids: ``K`` ids of the source file, in the order of ``names`` (Pascal VOC has none: 1..K).
        paths: ``(N,)`` bytes, the image files, as :func:`os.fsencode` gives them.
        starts: ``(N + 1,)`` int64; objects ``starts[i]`` to ``starts[i + 1]`` belong to image ``i``.
        boxes: ``(M, 4)`` float32 of all images, xyxy in pixels of the image.
        labels: ``(M,)`` int32.
        ignored: ``(M,)`` bool, see :class:`masu.Target`.
        faults: what reading left out or repaired.
    """

    root: Path
    split: str | None
    splits: tuple[str, ...]
    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    paths: Array = field(repr=False)
    starts: Array = field(repr=False)
    boxes: Array = field(repr=False)
    labels: Array = field(repr=False)
    ignored: Array = field(repr=False)
    faults: tuple[Fault, ...] = field(default=(), repr=False)

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
        targets = [target for _, target in samples]
        lengths = [len(target) for target in targets]
        return cls(
            root=root,
            split=split,
            splits=splits,
            names=names,
            category_ids=tuple(range(1, len(names) + 1)) if category_ids is None else category_ids,
            paths=np.array([os.fsencode(image) for image, _ in samples], dtype=np.bytes_),
            starts=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
            boxes=np.concatenate([np.zeros((0, 4), np.float32), *(t.boxes.numpy() for t in targets)]),
            labels=np.concatenate([np.zeros(0, np.int32), *(t.labels.numpy() for t in targets)]).astype(
                np.int32
            ),
            ignored=np.concatenate([np.zeros(0, np.bool_), *(t.ignored.numpy() for t in targets)]),
            faults=faults,
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        index = range(len(self))[index]
        own = slice(self.starts[index], self.starts[index + 1])
        boxes, labels, ignored = (
            torch.from_numpy(a[own].copy()) for a in (self.boxes, self.labels, self.ignored)
        )
        return Sample(self.path(index), Target(boxes, labels, ignored))

    def path(self, index: int) -> Path:
        """The file of an image."""
        return Path(os.fsdecode(self.paths[index]))

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def take(self, indices: Iterable[int]) -> Dataset:
        """The same data set with only the images at ``indices``, in that order; faults stay as they are.

        Raises:
            IndexError: for an index outside ``-len(data)..len(data)-1``.
        """
        return Dataset.of(
            (self[index] for index in indices),
            self.names,
            root=self.root,
            split=self.split,
            splits=self.splits,
            category_ids=self.category_ids,
            faults=self.faults,
        )

    def refuse_bad(self, most: float) -> None:
        """Refuse a data set of which too much had to be left out.

        Args:
            most: largest share of images, or of objects, that may be left out; 0 refuses at the first.

        Raises:
            InputError: above it, with the figures and the first fault.
        """
        bad = [fault for fault in self.faults if fault.action == "skipped"]
        whole = [f for f in bad if f.kind in OF_AN_IMAGE or (f.kind, f.where) == ("annotation", "the file")]
        for what, count, kept in (
            ("images", len(whole), len(self)),
            ("objects", len(bad) - len(whole), len(self.boxes)),
        ):
            if count > most * (count + kept):
                first = next(fault for fault in bad if (fault in whole) == (what == "images"))
                raise InputError(
                    f"{self.root}: found {count} of {count + kept} {what} faulty, wanted at most {most:.0%} "
                    f"(--max-bad); the first: {first}; see all with 'masu check {self.root}'"
                )
