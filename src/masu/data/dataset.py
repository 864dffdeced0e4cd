"""What reading a data set gives: samples, class names and the faults met on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from masu.records import Target


class Sample(NamedTuple):
    """One image on disk with its labelled objects.

    Attributes:
        image: path of the image; it existed when the data set was read.
        target: its objects, boxes in pixels of that image.
    """

    image: Path
    target: Target


@dataclass(frozen=True)
class Fault:
    """Something in a data set that masu left out or repaired.

    Attributes:
        file: the annotation or image file.
        where: the place in it, such as ``object 13 (RBC)`` or ``annotation id 57``.
        found: what is wrong, such as ``box 504 337 504 337 has no area``.
        action: what was done, ``skipped`` or ``clipped to 0 0 640 480``.
    """

    file: Path
    where: str
    found: str
    action: str

    def __str__(self) -> str:
        return " ".join(f"{self.file}: {self.where}: {self.found}, {self.action}".split())


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled set of images: ``len(data)``, ``data[i] -> Sample``.

    Attributes:
        root: the folder (or the folder of the file) that was read.
        split: the split that was read; None for everything.
        splits: the splits that exist in ``root``.
        names: ``K`` class names; a label ``k`` of a target means ``names[k]``.
        category_ids: ``K`` ids of the source file, in the order of ``names`` (Pascal VOC has none: 1..K).
        samples: the images and their targets.
        faults: what reading left out or repaired.
    """

    root: Path
    split: str | None
    splits: tuple[str, ...]
    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    samples: tuple[Sample, ...] = field(repr=False)
    faults: tuple[Fault, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def take(self, indices: Iterable[int]) -> Dataset:
        """The same data set with only the samples at ``indices``, in that order.

        Raises:
            IndexError: for an index outside ``-len(data)..len(data)-1``.
        """
        return replace(self, samples=tuple(self.samples[index] for index in indices))
