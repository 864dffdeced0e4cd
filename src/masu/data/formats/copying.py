"""A data set on its way into a new folder: what every format's writer asks for and says.

What a format cannot hold is said, not dropped in silence.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from masu.atomic import new_copy, new_text
from masu.data.dataset import CROWD, DIFFICULT, Dataset
from masu.data.formats.naming import file_names
from masu.errors import bad_input

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Drafts:
    """What makes the boxes of a data set drafts of a model that nobody has looked at.

    Attributes:
        scores: ``(M,)`` float64, 0 to 1, in the order of the data set's boxes.
        version: of the model, such as ``cells-1f2e3d4c``.
    """

    scores: Array
    version: str


class Copy:
    """What is written: images, their new names and sizes, their objects by split.

    Attributes:
        out: the new folder; it exists and is empty.
        data: what to write, boxes as they stand.
        strays: images without annotation, which come along and stay so.
        link: make links to the images instead of copies.
        drafts: scores, where the boxes are a model's; None where they are labels.
    """

    def __init__(
        self,
        out: Path,
        data: Dataset,
        strays: Sequence[Path],
        *,
        link: bool,
        by_stem: bool,
        drafts: Drafts | None = None,
    ) -> None:
        self.out, self.data, self.strays, self.link = out, data, tuple(strays), link
        self.drafts = drafts
        self._said: list[str] = []
        finite: Array = np.asarray(np.isfinite(data.boxes).all(axis=1))
        self._finite: list[bool] = finite.tolist()
        self._names, self._stray_names = file_names(data, strays, by_stem=by_stem, said=self._said)

    def parts(self) -> list[tuple[str | None, list[int]]]:
        """Splits with the positions of their images; a data set without splits is one, of None.

        Images of no split beside splits come last, under None.
        """
        data = self.data
        found: list[tuple[str | None, list[int]]] = [
            (split, np.flatnonzero(mine).tolist())
            for split, mine in zip(data.splits, data.members, strict=True)
        ]
        rest = np.flatnonzero(~data.members.any(0)).tolist()
        if rest or not found:
            found.append((None, rest))
        return found

    def name(self, index: int) -> str:
        """The new name of an image, without folder."""
        return self._names[index]

    def image(self, index: int, folder: str) -> str:
        """Put an image into a folder of the new data set, once; its new name."""
        name = self._names[index]
        self._put(self.data.paths[index], self.out / folder / name)
        return name

    def put_strays(self, folder: str) -> list[str]:
        """Put the images without annotation into a folder; their new names."""
        for stray in self.strays:
            self._put(stray, self.out / folder / self._stray_names[stray])
            self.say("{} images without annotation are copied and stay without")
        return [self._stray_names[stray] for stray in self.strays]

    def stream(self, name: str) -> IO[str]:
        """A new text file of the data set, in UTF-8, with ``\\n`` as it is written."""
        return new_text(self.out / name)

    def text(self, name: str, text: str) -> None:
        """A new text file of the data set, in UTF-8."""
        with self.stream(name) as file:
            file.write(text)

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of an image, upright."""
        height, width = self.data.sizes[index].tolist()
        return height, width

    def said_size(self, index: int) -> tuple[int, int]:
        """Height and width for the annotation: those of the image, or what was claimed of it."""
        height, width = self.data.claimed[index].tolist()
        return (height, width) if height else self.size(index)

    def objects(self, index: int) -> Iterator[int]:
        """The rows of an image's objects whose numbers a file can hold."""
        own = self.data.objects(index)
        for row in range(own.start, own.stop):
            if self._finite[row]:
                yield row
            else:
                self.say("numbers that are not finite cannot be written: {} boxes left out")

    def name_of(self, row: int) -> str:
        """The class of an object."""
        name: str = self.data.names[self.data.labels[row]]
        return name

    def score(self, row: int) -> float | None:
        """The score of a draft, None of a label."""
        return None if self.drafts is None else float(self.drafts.scores[row])

    def say_without_scores(self, form: str) -> None:
        """That a format has no place for the scores of drafts; see :mod:`masu.data.formats.draft_list`."""
        if self.drafts is not None:
            self.say(f"{form} has no place for scores: they are in the list of drafts alone")

    def is_ignored(self, row: int) -> bool:
        """Whether training and scoring leave an object out."""
        return bool(self.data.flags[row])

    def count_difficult(self, row: int, sentence: str) -> None:
        """Say a sentence for an object that is VOC's *difficult*."""
        if self.data.flags[row] & DIFFICULT:
            self.say(sentence)

    def count_crowd(self, row: int, sentence: str) -> None:
        """Say a sentence for an object that is a crowd region."""
        if self.data.flags[row] & CROWD:
            self.say(sentence)

    def say(self, sentence: str) -> None:
        """Say what the format holds in another way; ``{}`` becomes how often it was said."""
        self._said.append(sentence)

    def said(self) -> list[str]:
        """Each sentence once."""
        return [text.replace("{}", str(count)) for text, count in Counter(self._said).items()]

    @property
    def supercategories(self) -> tuple[str, ...]:
        """COCO's, by class; empty texts where there are none."""
        return self.data.supercategories or ("",) * len(self.data.names)

    def say_unordered(self) -> None:
        """What is lost in a format that knows classes by their names alone."""
        data = self.data
        used = set(np.unique(data.labels).tolist())
        kept = [(data.names[k], data.category_ids[k]) for k in range(len(data.names)) if k in used]
        names = sorted(name for name, _ in kept)
        if kept != [(name, number) for number, name in enumerate(names, start=1)]:
            self.say("order and ids of the classes are not kept: they will be alphabetical, from 1")
        if unused := [name for k, name in enumerate(data.names) if k not in used]:
            shown = ", ".join(unused[:8]) + (" …" if len(unused) > 8 else "")
            self.say(f"classes without objects are not kept: {shown}")

    def say_not_coco(self) -> None:
        """What only COCO holds of what there is: areas of masks, supercategories, lists of classes, ids."""
        data = self.data
        if any(data.supercategories):
            self.say("supercategories are not kept")
        if data.class_lists is not None:
            self.say("which classes an image was checked for is not kept")
        with np.errstate(invalid="ignore", over="ignore"):
            areas = (data.boxes[:, 2:] - data.boxes[:, :2]).prod(1)
            own = np.isfinite(data.areas) & ~np.isclose(data.areas, areas, rtol=1e-3, equal_nan=True)
        if own.any():
            self.say(f"areas of masks are not kept: {int(own.sum())} objects")
        if data.form == "coco" and len(data):
            self.say("the ids of images and objects are not kept")

    def _put(self, source: Path, target: Path) -> None:
        if os.path.lexists(target):
            return
        try:
            new_copy(source, target, link=self.link)
        except OSError as error:
            found = f"a file that cannot be copied ({(error.strerror or str(error)).lower()})"
            fix = "look at the file and at the room on the disk"
            raise bad_input(source, found, f"a copy in {self.out.parent.parent}", fix) from None
