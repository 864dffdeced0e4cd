"""A data set without its faults: what can be decided without a person is, and each change is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from masu.data.audit.checks import DUPLICATE, overlaps, similar_names
from masu.data.audit.fingerprints import Fingerprint, same_files
from masu.data.formats.reading import Box, Contents, Marked, Picture, fit_box, other_labels

_TESTED_BEFORE_TRAINED = ("test", "val", "valid", "validation")
_DONE = {"skipped": "left out"}


class Change(NamedTuple):
    """One change: the file and place it concerns, and what was done."""

    file: Path
    where: str
    done: str


def mend(
    parts: Mapping[str | None, Contents], prints: Mapping[Path, Fingerprint]
) -> tuple[dict[str | None, Contents], list[Change]]:
    """Leave out or correct what ``find_faults`` finds, where that needs no judgement.

    Boxes without area, outside, not finite or under a pixel are left out, corners in the wrong order swapped,
    boxes that reach outside cut, boxes that are there twice kept once. Images that cannot be read are left
    out; of the same file with the same labels twice one stays, in the test rather than in the training
    split. Class names that differ in case or blanks become the commonest of them. What reading could not use
    is not there to begin with; it is told, too. Where an annotation is for a picture of another size, or the
    same file has other labels elsewhere, a person has to look: they stay.

    Returns:
        The new contents, by split, and the changes.
    """
    changes = [
        Change(fault.file, fault.where, f"{_DONE.get(fault.action, fault.action)}: {fault.found}")
        for contents in parts.values()
        for fault in contents.faults
    ]
    changes = list(dict.fromkeys(changes))
    spelling = _spellings(parts, changes)
    dropped = _repeated(parts, prints)
    told: set[tuple[str | None, Path]] = set()
    mended: dict[str | None, Contents] = {}
    done: dict[tuple[Path, int], Picture] = {}
    others = other_labels(parts)
    for split, contents in parts.items():
        pictures = []
        for picture in contents.pictures:
            reason = prints[picture.image].fault or dropped.get((split, picture.image), "")
            if reason:
                if (split, picture.image) not in told:
                    told.add((split, picture.image))
                    place = "" if prints[picture.image].fault or split is None else f"split {split}"
                    changes.append(Change(picture.image, place, f"image left out: {reason}"))
                continue
            key = (picture.image, others.get((split, picture.image), 0))
            if key not in done:
                done[key] = _mended(picture, prints[picture.image].size, spelling, changes)
            pictures.append(done[key])
        mended[split] = _with_names(contents, pictures, spelling)
    return mended, list(dict.fromkeys(changes))


def _mended(
    picture: Picture, size: tuple[int, int], spelling: Mapping[str, str], changes: list[Change]
) -> Picture:
    if picture.size is not None and picture.size != size:
        # its boxes may mean another picture: a person has to look
        return picture._replace(
            objects=[i._replace(name=spelling.get(i.name, i.name)) for i in picture.objects]
        )
    kept: list[Marked] = []
    boxes: list[Box] = []
    for item in picture.objects:
        file = picture.file_of(item)
        x1, y1, x2, y2 = item.box
        fitted = fit_box((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), size)
        if fitted.box is None:
            changes.append(Change(file, item.where, f"left out: {fitted.found}"))
            continue
        sides = (fitted.box[2] - fitted.box[0], fitted.box[3] - fitted.box[1])
        if min(sides) < 1:
            changes.append(Change(file, item.where, f"left out: {sides[0]:.3g}×{sides[1]:.3g} pixels"))
            continue
        if x2 < x1 or y2 < y1:
            changes.append(Change(file, item.where, "corners swapped"))
        if fitted.action:
            changes.append(Change(file, item.where, fitted.action))
        box = fitted.box if fitted.kind or x2 < x1 or y2 < y1 else item.box
        name = spelling.get(item.name, item.name)
        same = [i for i, other in enumerate(kept) if (other.name, other.ignored) == (name, item.ignored)]
        twin = next((i for i in same if overlaps([boxes[i], fitted.box])[0, 1] >= DUPLICATE), None)
        if twin is not None:
            changes.append(Change(file, item.where, f"left out: the same as {kept[twin].where}"))
            continue
        kept.append(item._replace(box=box, name=name))
        boxes.append(fitted.box)
    return picture._replace(objects=kept, size=size)


def _spellings(parts: Mapping[str | None, Contents], changes: list[Change]) -> dict[str, str]:
    """The name that each misspelt one becomes."""
    names = dict.fromkeys(name for contents in parts.values() for name in contents.names)
    count = Counter(
        item.name for contents in parts.values() for picture in contents.pictures for item in picture.objects
    )
    spelling = {}
    for alike in similar_names(names):
        best = max(alike, key=lambda name: (count[name], name))
        for name in alike:
            if name != best:
                spelling[name] = best
                changes.append(Change(Path(), f"class {name!r}", f"renamed {best!r}"))
    return spelling


def _with_names(contents: Contents, pictures: list[Picture], spelling: Mapping[str, str]) -> Contents:
    kept = [
        (name, number)
        for name, number in zip(contents.names, contents.category_ids, strict=True)
        if name not in spelling
    ]
    return contents._replace(
        pictures=pictures, names=tuple(n for n, _ in kept), category_ids=tuple(i for _, i in kept), faults=()
    )


def _repeated(
    parts: Mapping[str | None, Contents], prints: Mapping[Path, Fingerprint]
) -> dict[tuple[str | None, Path], str]:
    """Which image to leave out of which split, and why."""
    paths = list(prints)
    groups = [[paths[i] for i in group] for group in same_files([prints[path] for path in paths])]
    twins = {path: group for group in groups for path in group}
    dropped: dict[tuple[str | None, Path], str] = {}
    # first of its group and its labels → the split that has it, test before val
    tested: dict[tuple[Path, frozenset[tuple[str, Box]]], str] = {}
    splits = [split for split in _TESTED_BEFORE_TRAINED if split in parts]
    splits += [split for split in parts if split not in splits]  # type: ignore[misc]
    for split in splits:
        here: set[tuple[Path, frozenset[tuple[str, Box]]]] = set()
        for picture in parts[split].pictures:
            path = twins.get(picture.image, [picture.image])[0]
            # the same file under other labels is not the same: which is right, a person has to say
            first = (path, frozenset((item.name, item.box) for item in picture.objects))
            elsewhere = tested.get(first)
            apart = elsewhere is not None and not (split == "trainval" and elsewhere.startswith("val"))
            if first in here:
                dropped[split, picture.image] = "the same file as another of this split"
            elif apart:
                dropped[split, picture.image] = f"the same file is in {elsewhere}"
            here.add(first)
        if split in _TESTED_BEFORE_TRAINED:
            for first in here:
                tested.setdefault(first, str(split))
    return dropped
