"""Faults of a data set: all that reading meets, and what only a look at everything together shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from masu.data.audit.fingerprints import Fingerprint, near_duplicates, same_files
from masu.data.formats.reading import Box, Contents, Picture, all_names, fit_box, joined, other_labels
from masu.data.pixels.pictures import Array
from masu.errors import counted, listed
from masu.ops.images import InputPolicy, resized_size

DUPLICATE, NEAR_DUPLICATE = 0.99, 0.9
"""IoU from which two boxes are the same, and mean the same thing."""

FEW_OBJECTS = 10
"""Objects of a class under which it can hardly be learnt."""

IMBALANCE = 50
"""Factor between the commonest and the rarest class."""

TINY = 4.0
"""Side in pixels of the network's input under which an object is hardly seen."""

_APART = (("train", "val"), ("train", "test"), ("val", "test"), ("trainval", "test"))
_SAME_SPLIT = {"valid": "val", "validation": "val"}


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: one of :data:`masu.data.kinds.KINDS`.
        file: annotation or image file, or the data set's folder.
        where: the place in it; empty for the whole.
        found: what is wrong.
        split: the split it was first met in.
        image: picture to look at.
        boxes: places in it, xyxy pixels of the upright picture.
    """

    kind: str
    file: Path
    where: str
    found: str
    split: str | None = None
    image: Path | None = None
    boxes: tuple[Box, ...] = ()

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.file), self.where, self.found) if part)


def find_faults(
    root: Path,
    parts: Mapping[str | None, Contents],
    prints: Mapping[Path, Fingerprint],
    policy: InputPolicy,
    strays: Iterable[Path] = (),
) -> list[Finding]:
    """Everything that is wrong with a data set; a fault met in several splits is told once.

    Args:
        root: the data set's folder.
        parts: what was read, by split.
        prints: fingerprints of all images.
        policy: how the network will see the images.
        strays: images without annotation.
    """
    found: dict[tuple[str, Path, str, str], Finding] = {}
    for finding in _all(root, parts, prints, policy):
        found.setdefault((finding.kind, finding.file, finding.where, finding.found), finding)
    for image in strays:
        finding = Finding("unlabelled-image", image, "", "no annotation names it", None, image)
        found[finding.kind, image, "", finding.found] = finding
    return list(found.values())


def _all(
    root: Path, parts: Mapping[str | None, Contents], prints: Mapping[Path, Fingerprint], policy: InputPolicy
) -> Iterator[Finding]:
    split_of: dict[Path, list[str | None]] = defaultdict(list)
    others = other_labels(parts)
    for split, contents in parts.items():
        if not contents.pictures and (split is not None or len(parts) == 1):
            yield Finding("no-images", root, f"split {split}" if split else "", "nothing in it", split)
        for fault in contents.faults:
            yield Finding(fault.kind, fault.file, fault.where, fault.found, split)
        for picture in contents.pictures:
            first = not split_of[picture.image]
            split_of[picture.image].append(split)
            if (split, picture.image) in others:
                here, there = split or "no split", split_of[picture.image][0]
                found = f"other objects in {here} than in {there}"
                yield Finding("other-labels", picture.image, "", found, split, picture.image)
            if first and split is None and len(parts) > 1:
                yield Finding("unlisted-image", picture.image, "", "no split names it", None, picture.image)
            if first or (split, picture.image) in others:
                yield from _of_picture(picture, prints[picture.image], split)
    every = [picture for contents in parts.values() for picture in contents.pictures]
    pictures = joined(every, [])
    names = all_names(parts)
    for split, contents in parts.items():
        if missing := [name for name in names if name not in contents.names]:
            yield Finding("split-classes", root, f"split {split}", f"no {listed(missing, 8)}", split)
    yield from _of_classes(root, names, pictures)
    yield from _of_objects(root, pictures, prints, policy)
    yield from _of_images(prints, split_of)


def _of_picture(picture: Picture, seen: Fingerprint, split: str | None) -> Iterator[Finding]:
    if seen.fault:
        yield Finding("unreadable-image", picture.image, "", seen.fault, split)
        return
    height, width = seen.size
    if seen.orientation != 1:
        found = f"EXIF orientation {seen.orientation}: upright it is {width}×{height} pixels"
        yield Finding("rotated", picture.image, "", found, split, picture.image)
    if picture.size is not None and picture.size != seen.size:
        turned = ", the size before it is turned upright" if picture.size == (width, height) else ""
        said = f"{picture.size[1]}×{picture.size[0]} pixels in the annotation{turned}"
        found = f"{said}, {width}×{height} in {picture.image.name}"
        yield Finding("wrong-size", picture.file, "", found, split, picture.image)
    kept = []
    for item in picture.objects:
        fitted = fit_box(item.box, seen.size)
        at = (item.box,) if all(np.isfinite(item.box)) else ()
        if fitted.kind:
            file = picture.file_of(item)
            yield Finding(fitted.kind, file, item.where, fitted.found, split, picture.image, at)
        if fitted.box is None:
            continue
        x1, y1, x2, y2 = fitted.box
        if min(x2 - x1, y2 - y1) < 1:
            found = f"box of {x2 - x1:.3g}×{y2 - y1:.3g} pixels"
            yield Finding("sub-pixel", picture.file_of(item), item.where, found, split, picture.image, at)
        if not item.ignored:
            kept.append((item, fitted.box))
    for a, b, share in _overlapping([box for _, box in kept]):
        (first, box), (second, other) = kept[a], kept[b]
        file = picture.file_of(second)
        elsewhere = picture.file_of(first)
        place = first.where if elsewhere == file else f"{first.where} of {elsewhere.name}"
        kind = "duplicate-box" if share >= DUPLICATE else "near-duplicate-box"
        found = f"the same box as {place}" if share >= DUPLICATE else f"IoU {share:.2f} with {place}"
        if first.name != second.name:
            kind, found = "two-classes", f"{second.name}, but {first.name} in {place} (IoU {share:.2f})"
        yield Finding(kind, file, second.where, found, split, picture.image, (box, other))


def overlaps(boxes: Sequence[Box]) -> Array:
    """IoU ``(M, M)`` of boxes with area."""
    x1, y1, x2, y2 = np.asarray(boxes, np.float64).reshape(-1, 4).T
    width = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
    height = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    shared = width.clip(0) * height.clip(0)
    area = (x2 - x1) * (y2 - y1)
    found: Array = shared / (area[:, None] + area - shared)
    return found


def _overlapping(boxes: Sequence[Box]) -> Iterator[tuple[int, int, float]]:
    table = np.triu(overlaps(boxes), 1)
    for a, b in np.argwhere(table >= NEAR_DUPLICATE):
        yield int(a), int(b), float(table[a, b])


def _of_classes(root: Path, names: Sequence[str], pictures: Iterable[Picture]) -> Iterator[Finding]:
    count = Counter(item.name for picture in pictures for item in picture.objects if not item.ignored)
    for alike in similar_names(names):
        yield Finding("similar-names", root, "", " and ".join(map(repr, alike)))
    for name in names:
        if count[name] == 0:
            yield Finding("unused-class", root, f"class {name}", "no objects")
        elif count[name] < FEW_OBJECTS:
            yield Finding("few-objects", root, f"class {name}", counted(count[name], "object"))
    if count:
        (most, of_most), (least, of_least) = count.most_common()[0], count.most_common()[-1]
        if of_most >= IMBALANCE * of_least:
            found = f"{of_most} objects of {most}, {of_least} of {least}"
            yield Finding("imbalance", root, "", found)


def similar_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that are the same but for case and blanks."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups["".join(name.casefold().split())].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _of_objects(
    root: Path, pictures: Iterable[Picture], prints: Mapping[Path, Fingerprint], policy: InputPolicy
) -> Iterator[Finding]:
    empty: list[str] = []
    tiny: list[tuple[float, Picture, Box, str]] = []
    total = 0
    for picture in pictures:
        size = prints[picture.image].size
        if prints[picture.image].fault:
            continue
        if not picture.objects:
            empty.append(picture.image.name)
        scale = resized_size(*size, policy)[0] / size[0]
        for item in picture.objects:
            box = fit_box(item.box, size).box
            if box is None or item.ignored:
                continue
            total += 1
            side = min(box[2] - box[0], box[3] - box[1]) * scale
            if side < TINY:
                tiny.append((side, picture, box, item.where))
    if empty:
        yield Finding("empty-images", root, "", f"{len(empty)}: {listed(empty, 5)}")
    if tiny:
        tiny.sort(key=lambda row: row[0])
        side, picture, box, where = tiny[0]
        found = (
            f"{len(tiny)} of {total} objects have a side under {TINY:g} pixels as the network sees them "
            f"({policy.min_size} px); the smallest, {side:.1f} pixels: {picture.image.name}, {where}"
        )
        yield Finding("too-small", root, "", found, None, picture.image, (box,))


def _of_images(
    prints: Mapping[Path, Fingerprint], split_of: Mapping[Path, Sequence[str | None]]
) -> Iterator[Finding]:
    for path, splits in split_of.items():
        if pair := _leak(splits, splits):
            yield Finding("leak", path, "", f"in {pair[0]} and in {pair[1]}", pair[0], path)
    paths = list(prints)
    every = [prints[path] for path in paths]
    exact = same_files(every)
    told = {frozenset(pair) for group in exact for pair in _pairs(group)}
    for groups, same in ((exact, True), (near_duplicates(every), False)):
        for a, b in (pair for group in groups for pair in _pairs(group)):
            if not same and frozenset((a, b)) in told:
                continue
            one, other = paths[a], paths[b]
            pair = _leak(split_of[one], split_of[other])
            words = "the same file as" if same else "almost the same picture as"
            places = f", which is in {pair[1]}, this in {pair[0]}" if pair else ""
            kind = ("leak" if same else "near-leak") if pair else ("same-image" if same else "near-image")
            split = pair[0] if pair else split_of[one][0]
            yield Finding(kind, one, "", f"{words} {other}{places}", split, one)


def _pairs(group: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each of a group with its first."""
    return ((group[0], other) for other in group[1:])


def _leak(splits: Sequence[str | None], others: Sequence[str | None]) -> tuple[str, str] | None:
    """The splits of two equal pictures that ought to have nothing in common, if any."""
    for a in splits:
        for b in others:
            if a is None or b is None:
                continue
            plain = (_SAME_SPLIT.get(a, a), _SAME_SPLIT.get(b, b))
            if plain in _APART or plain[::-1] in _APART:
                return a, b
    return None
