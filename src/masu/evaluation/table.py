"""Boxes of all images in columns, as the figures are computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from masu.errors import bad_input
from masu.evaluation.overlaps import Array
from masu.records import Detections, Target


@dataclass(frozen=True, eq=False)
class Table:
    """Labelled objects or detections, one row each; image by image.

    Attributes:
        images: number of images.
        image: ``(R,)`` int64, from 1.
        category: ``(R,)`` int64, from 1.
        xyxy: ``(R, 4)`` float64.
        area: ``(R,)`` float64, that sizes are told by.
        score: ``(R,)`` float64; of objects 1.
        ignored: ``(R,)`` bool, crowd regions and difficult objects.
        difficult: ``(R,)`` bool.
    """

    images: int
    image: Array
    category: Array
    xyxy: Array
    area: Array
    score: Array
    ignored: Array
    difficult: Array

    @classmethod
    def of_targets(cls, targets: Sequence[Target], category_of: Array | None) -> Table:
        """Labelled objects.

        Args:
            targets: of each image.
            category_of: the category of each label; None makes all of them 1.

        Raises:
            InputError: for a label that has no category.
        """
        objects = np.array([len(t) for t in targets], dtype=np.int64)
        label = _column([t.labels.cpu().numpy() for t in targets], np.int64)
        return cls(
            images=len(targets),
            image=_numbers(objects),
            category=_category(label, category_of, "targets"),
            xyxy=_boxes([t.boxes.detach().cpu().double().numpy() for t in targets]),
            area=_column([t.areas.cpu().double().numpy() for t in targets], np.float64),
            score=np.ones(len(label)),
            ignored=_column([t.ignored.cpu().numpy() for t in targets], np.bool_),
            difficult=_column([t.difficult.cpu().numpy() for t in targets], np.bool_),
        )

    @classmethod
    def of_detections(cls, detections: Sequence[Detections], category_of: Array | None) -> Table:
        """Detections of each image; as :meth:`of_targets`."""
        found = np.array([len(d) for d in detections], dtype=np.int64)
        label = _column([d.labels.cpu().numpy() for d in detections], np.int64)
        xyxy = _boxes([d.boxes.detach().cpu().double().numpy() for d in detections])
        none = np.zeros(len(label), np.bool_)
        return cls(
            images=len(detections),
            image=_numbers(found),
            category=_category(label, category_of, "detections"),
            xyxy=xyxy,
            area=(xyxy[:, 2:] - xyxy[:, :2]).prod(1),
            score=_column([d.scores.detach().cpu().double().numpy() for d in detections], np.float64),
            ignored=none,
            difficult=none,
        )

    @property
    def xywh(self) -> Array:
        """``(R, 4)`` left, top, width, height."""
        return np.concatenate([self.xyxy[:, :2], self.xyxy[:, 2:] - self.xyxy[:, :2]], axis=1)

    def rows(self, image: int) -> slice:
        """The rows of an image, by its number from 1."""
        return slice(*np.searchsorted(self.image, [image, image + 1]).tolist())

    def where(self, kept: Array) -> Table:
        """Only some of the rows."""
        return Table(self.images, *(column[kept] for column in self._columns))

    def joined(self, other: Table) -> Table:
        """The rows of both, no longer image by image."""
        pairs = zip(self._columns, other._columns, strict=True)
        return Table(self.images, *(np.concatenate(pair) for pair in pairs))

    def with_boxes(self, xyxy: Array) -> Table:
        """The same rows elsewhere."""
        return replace(self, xyxy=xyxy)

    @property
    def _columns(self) -> list[Array]:
        return [getattr(self, column.name) for column in fields(self) if column.name != "images"]


def _numbers(lengths: Array) -> Array:
    return np.repeat(np.arange(1, len(lengths) + 1, dtype=np.int64), lengths)


def _column(parts: list[Array], kind: type[np.generic]) -> Array:
    return np.concatenate([np.zeros(0, kind), *parts])


def _boxes(parts: list[Array]) -> Array:
    return np.concatenate([np.zeros((0, 4)), *parts])


def _category(label: Array, category_of: Array | None, owner: str) -> Array:
    if category_of is None:
        return np.ones_like(label)
    wrong = label[(label < 0) | (label >= len(category_of))]
    if len(wrong):
        raise bad_input(
            owner,
            f"label {wrong[0]}",
            f"0 to {len(category_of) - 1}, one per class name",
            "give the names that the labels index",
        )
    categories: Array = category_of[label] if len(label) else label
    return categories
