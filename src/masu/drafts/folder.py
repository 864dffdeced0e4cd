"""Drafts as a new folder in the form of a tool, with the photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from masu.data.dataset import Dataset, Paths
from masu.data.formats.copying import Drafts
from masu.data.formats.form import Format
from masu.data.formats.labelme import FOR_X_ANYLABELING
from masu.data.formats.writing import write_dataset
from masu.drafts.draft import Draft
from masu.json_text import to_json

_OTHERS: dict[str, Format] = {"xanylabeling": FOR_X_ANYLABELING}


def form_of(tool: str) -> str | Format:
    """The format that a tool takes: by its name, or itself where masu reads it as another one."""
    return _OTHERS.get(tool, tool)


def write_folder(
    out: Path, tool: str, drafts: Sequence[Draft], names: Sequence[str], version: str, *, link: bool
) -> list[str]:
    """Write drafts; ``out`` appears whole or not at all.

    Args:
        out: folder that does not exist or is empty.
        tool: one of :data:`masu.words.DRAFT_TOOLS`.
        drafts: of photographs with files.
        names: all classes of the model.
        version: of the model.
        link: links to the photographs instead of copies.

    Returns:
        One sentence for each thing that the form cannot hold.

    Raises:
        InputError: as of :func:`masu.data.formats.writing.write_dataset`.
    """
    data = _dataset(drafts, names, from_zero=tool == "yolo")
    scores = np.array([score for draft in drafts for score in draft.scores], np.float64)
    more = {"labels.json": _labels_of_cvat(names)} if tool == "cvat" else {}
    return write_dataset(out, form_of(tool), data, link=link, more=more, drafts=Drafts(scores, version))


def _labels_of_cvat(names: Sequence[str]) -> str:
    """What the page of a new task takes under *Raw*, so that it has the classes."""
    labels = [{"name": name, "type": "rectangle", "attributes": []} for name in names]
    return to_json(labels, ensure_ascii=False, indent=1) + "\n"


def _dataset(drafts: Sequence[Draft], names: Sequence[str], *, from_zero: bool) -> Dataset:
    label = {name: k for k, name in enumerate(names)}
    lengths = [len(draft.boxes) for draft in drafts]
    empty = Dataset.of([], names)
    first = 0 if from_zero else 1
    return replace(
        empty,
        category_ids=tuple(range(first, first + len(names))),
        paths=Paths.of(draft.path for draft in drafts if draft.path is not None),
        starts=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        boxes=np.array([box for draft in drafts for box in draft.boxes], np.float64).reshape(-1, 4),
        labels=np.array([label[name] for draft in drafts for name in draft.names], np.int32),
        flags=np.zeros(sum(lengths), np.uint8),
        areas=np.full(sum(lengths), np.nan),
        sizes=np.array([draft.size for draft in drafts], np.int32).reshape(-1, 2),
        claimed=np.zeros((len(drafts), 2), np.int32),
        relative=np.zeros(len(drafts), np.bool_),
        members=np.zeros((0, len(drafts)), np.bool_),
        image_files=np.zeros(len(drafts), np.int32),
        object_files=np.zeros(sum(lengths), np.int32),
        image_ids=np.arange(1, len(drafts) + 1),
        places=np.arange(1, sum(lengths) + 1),
    )
