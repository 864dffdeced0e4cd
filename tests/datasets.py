"""Data sets in columns, made by hand for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from masu.data.dataset import CROWD, Dataset, Paths
from masu.data.splits import in_order

Box = tuple[float, float, float, float]
Object = tuple[Box, str, bool]
Image = tuple[Path, Sequence[Object]]


def data_of(
    parts: Mapping[str | None, Iterable[Image]],
    names: Sequence[str],
    ids: Sequence[int] | None = None,
    *,
    size: tuple[int, int] = (0, 0),
    sizes: Mapping[str, tuple[int, int]] | None = None,
    root: Path = Path(),
) -> Dataset:
    """A data set of images and their objects by split; None are those of no split.

    An image that two splits label alike is one, in both.
    """
    splits = tuple(in_order(split for split in parts if split is not None))
    rows: dict[tuple[Path, tuple[Object, ...]], list[str | None]] = {}
    for split, images in parts.items():
        for path, objects in images:
            rows.setdefault((path, tuple(objects)), []).append(split)
    every = [one for _, objects in rows for one in objects]
    lengths = [len(objects) for _, objects in rows]
    data = Dataset.of([], names, root=root, category_ids=None if ids is None else tuple(ids))
    members = np.zeros((len(splits), len(rows)), np.bool_)
    for column, owners in enumerate(rows.values()):
        members[[splits.index(owner) for owner in owners if owner is not None], column] = True
    return replace(
        data,
        splits=splits,
        paths=Paths.of(path for path, _ in rows),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        boxes=np.array([box for box, _, _ in every], np.float64).reshape(-1, 4),
        labels=np.array([list(names).index(name) for _, name, _ in every], np.int32),
        flags=np.array([CROWD * ignored for _, _, ignored in every], np.uint8),
        areas=np.full(len(every), np.nan),
        sizes=np.array([(sizes or {}).get(path.name, size) for path, _ in rows], np.int32).reshape(-1, 2),
        claimed=np.zeros((len(rows), 2), np.int32),
        relative=np.zeros(len(rows), np.bool_),
        members=members,
        image_files=np.zeros(len(rows), np.int32),
        object_files=np.zeros(len(every), np.int32),
        image_ids=np.arange(1, len(rows) + 1),
        places=np.concatenate([np.zeros(0, np.int64), *(np.arange(1, n + 1) for n in lengths)]),
    )
