"""A data set without its faults: what can be decided without a person is, and each change is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from masu.data.audit.checks import DUPLICATE, Looked, similar_names
from masu.data.audit.emptied import Key, share_emptied
from masu.data.audit.fingerprints import same_files
from masu.data.audit.overlaps import first_twins
from masu.data.dataset import Array, Dataset
from masu.data.fitting import KEPT, unfit
from masu.data.splits import TEST, TRAINVAL, VAL, role
from masu.errors import counted

_DONE = {"skipped": "left out"}
_NOTHING_DONE = ("kept", KEPT)


class Change(NamedTuple):
    """One change: the file and place it concerns, and what was done."""

    file: Path
    where: str
    done: str


def mend(looked: Looked) -> tuple[Dataset, list[Change]]:
    """Leave out or correct what ``find_faults`` finds, where that needs no judgement.

    Boxes without area, outside, not finite or under a pixel are left out, corners in the wrong order swapped,
    boxes that reach outside cut, boxes that are there twice kept once. Images that cannot be read are left
    out; of the same file with the same labels twice one stays, in the test rather than in the training
    split. Class names that differ in case or blanks become the commonest of them. What reading could not use
    is not there to begin with; it is told, too. Where an annotation is for a picture of another size, or the
    same file has other labels elsewhere, a person has to look: they stay. A split that would lose all its
    images to another gets a part of what both have, and one without an image is left out. Mending twice is
    mending once.

    Returns:
        The new data set, and the changes.
    """
    changes = [
        Change(fault.file, fault.where, f"{_DONE.get(fault.action, fault.action)}: {fault.found}")
        for fault in looked.data.faults
        if fault.action not in _NOTHING_DONE
    ]
    data = _renamed(looked.data, changes)
    data = _mended_boxes(data, np.asarray(data.claimed.any(axis=1)), changes)
    data = _without_repeated(replace(looked, data=data), changes)
    return replace(data, faults=()), list(dict.fromkeys(changes))


def _mended_boxes(data: Dataset, doubtful: Array, changes: list[Change]) -> Dataset:
    owner = data.image_of
    swapped = (data.boxes[:, 2:] < data.boxes[:, :2]).any(1) & ~doubtful[owner]
    boxes = np.array(data.boxes, np.float64)
    corners = boxes[swapped].reshape(-1, 2, 2)
    boxes[swapped] = np.concatenate([corners.min(1), corners.max(1)], 1)
    kept = np.ones(len(boxes), np.bool_)
    straight = replace(data, boxes=boxes)
    cut: dict[int, str] = {}
    for row, image, fit in unfit(straight):
        if doubtful[image]:
            continue
        if fit.box is None:
            kept[row] = False
            changes.append(Change(data.file_of(row), data.where(row), f"left out: {fit.found}"))
        else:
            boxes[row] = fit.box if fit.kind else boxes[row]
            cut[row] = fit.action
    with np.errstate(invalid="ignore"):
        sides = boxes[:, 2:] - boxes[:, :2]
    for row in np.flatnonzero(kept & (sides < 1).any(1) & ~doubtful[owner]).tolist():
        kept[row] = False
        small = f"left out: {sides[row, 0]:.3g}×{sides[row, 1]:.3g} pixels"
        changes.append(Change(data.file_of(row), data.where(row), small))
    said = [(row, "corners swapped") for row in np.flatnonzero(swapped & kept).tolist()]
    said += [(row, action) for row, action in cut.items() if kept[row] and action]
    changes += [Change(data.file_of(row), data.where(row), what) for row, what in said]
    rows = np.flatnonzero(kept & ~doubtful[owner])
    kinds = np.column_stack([owner[rows], data.labels[rows], data.flags[rows]])
    groups = np.unique(kinds, axis=0, return_inverse=True)[1].ravel()
    twins = first_twins(boxes[rows], groups, DUPLICATE)
    for at in np.flatnonzero(twins >= 0).tolist():
        row, twin = int(rows[at]), int(rows[twins[at]])
        kept[row] = False
        done = f"left out: the same as {data.where(twin)}"
        changes.append(Change(data.file_of(row), data.where(row), done))
    return replace(data, boxes=boxes).keep(kept)


def _renamed(data: Dataset, changes: list[Change]) -> Dataset:
    """One spelling for each class: the commonest."""
    count = np.bincount(data.labels, minlength=len(data.names))
    position = {name: k for k, name in enumerate(data.names)}
    new = np.arange(len(data.names))
    for alike in similar_names(data.names):
        best = max(alike, key=lambda name: (count[position[name]], name))
        for name in alike:
            if name != best:
                new[position[name]] = position[best]
                changes.append(Change(Path(), f"class {name!r}", f"renamed {best!r}"))
    stay = np.flatnonzero(new == np.arange(len(new)))
    if len(stay) == len(new):
        return data
    chosen = stay.tolist()
    return data.relabelled(
        np.searchsorted(stay, new).astype(np.int32),
        names=tuple(data.names[k] for k in chosen),
        category_ids=tuple(data.category_ids[k] for k in chosen),
        supercategories=tuple(data.supercategories[k] for k in chosen) if data.supercategories else (),
    )


def _without_repeated(looked: Looked, changes: list[Change]) -> Dataset:
    """Leave out unreadable images, repeated ones from the split that may miss them, and empty splits."""
    data, prints = looked.data, looked.prints
    first_of = {other: group[0] for group in same_files(prints) for other in group}
    members = data.members.copy()
    kept = np.ones(len(data), np.bool_)
    labels = [_labels(data, index, int(at), first_of) for index, at in enumerate(looked.print_of.tolist())]
    for index, at in enumerate(looked.print_of.tolist()):
        if at in prints.faults:
            kept[index] = False
            changes.append(Change(looked.paths[at], "", f"image left out: {prints.faults[at]}"))
    members &= kept
    readable = replace(data, members=members.copy())
    tested: dict[Key, str] = {}
    order = [s for wanted in (TEST, VAL) for s in data.splits if role(s) == wanted]
    order_of_all = [*order, *(s for s in data.splits if s not in order)]
    reasons: dict[tuple[str, int], str] = {}
    for split in order_of_all:
        row = data.splits.index(split)
        here: set[Key] = set()
        for index in np.flatnonzero(members[row]).tolist():
            key = labels[index]
            elsewhere = tested.get(key)
            apart = elsewhere is not None and not (role(split) == TRAINVAL and role(elsewhere) == VAL)
            reason = "the same file as another of this split" if key in here else ""
            reason = reason or (f"the same file is in {elsewhere}" if apart else "")
            if reason:
                members[row, index] = False
                reasons[split, index] = f"image left out: {reason}"
            here.add(key)
        if split in order:
            for key in here:
                tested.setdefault(key, split)
    for shared in share_emptied(readable, prints, looked.print_of, labels, members):
        among = ", ".join(f"{count} to {split}" for split, count in shared.among.items())
        done = f"had {counted(shared.images, 'image')} in common, now each is in one: {among}"
        changes.append(Change(Path(), f"splits {' and '.join(shared.splits)}", done))
    for split in order_of_all:
        row = data.splits.index(split)
        for index in np.flatnonzero(readable.members[row] & ~members[row]).tolist():
            done = reasons.get((split, index), "image left out: shared out to another split")
            changes.append(Change(data.paths[index], f"split {split}", done))
    rest: set[Key] = set()
    listed_nowhere = ~data.members.any(0)
    for index in np.flatnonzero(listed_nowhere & kept).tolist():
        if labels[index] in rest:
            kept[index] = False
            done = "image left out: the same file as another"
            changes.append(Change(data.paths[index], "", done))
        rest.add(labels[index])
    kept &= listed_nowhere | members.any(0)
    return _without_empty_splits(replace(data, members=members).take(np.flatnonzero(kept)), changes)


def _without_empty_splits(data: Dataset, changes: list[Change]) -> Dataset:
    """Leave out splits without an image, unless all are: nothing can be trained or validated on one."""
    full = data.members.any(1)
    if full.all() or not full.any():
        return data
    empty = [data.splits[row] for row in np.flatnonzero(~full).tolist()]
    changes += [Change(Path(), f"split {split}", "left out: no image in it") for split in empty]
    chosen = np.flatnonzero(full)
    return replace(data, splits=tuple(data.splits[row] for row in chosen), members=data.members[chosen])


def _labels(data: Dataset, index: int, at: int, first_of: dict[int, int]) -> Key:
    """A file and what it is labelled with. Of different labels a person has to say which are right."""
    own = data.objects(index)
    table = np.column_stack([data.labels[own], data.flags[own], data.boxes[own]]) + 0.0
    return first_of.get(at, at), table[np.lexsort(table.T)].tobytes()
