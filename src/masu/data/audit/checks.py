"""Faults of a data set: all that reading meets, and what only a look at everything together shows."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from masu.data.audit.fingerprints import Fingerprints, fingerprint_images, near_duplicates, same_files
from masu.data.audit.overlaps import first_twins, iou
from masu.data.audit.prospects import said_of_no_empty
from masu.data.audit.small_objects import advice_on_tiles
from masu.data.dataset import Array, Dataset
from masu.data.fitting import Box, unfit
from masu.data.pixels.pictures import NO_HEIC
from masu.data.pixels.unread import animated, said_of_animated, said_of_heic, said_of_unread
from masu.data.splits import NO_SPLIT, TEST, TRAIN, TRAINVAL, VAL, role
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

APART = (
    frozenset((TRAIN, VAL)),
    frozenset((TRAIN, TEST)),
    frozenset((VAL, TEST)),
    frozenset((TRAINVAL, TEST)),
)
"""Roles of splits that ought to have nothing in common."""


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
        other: the other picture, where two are alike.
    """

    kind: str
    file: Path
    where: str
    found: str
    split: str | None = None
    image: Path | None = None
    boxes: tuple[Box, ...] = ()
    other: Path | None = None

    def __str__(self) -> str:
        text = ": ".join(part for part in (str(self.file), self.where, self.found) if part)
        return text.replace("\n", " ")


@dataclass(frozen=True, eq=False)
class Looked:
    """A data set whose images were decoded once.

    Attributes:
        data: all of it, as of :func:`masu.data.fitting.measured`.
        prints: fingerprints of its image files, each file once.
        print_of: ``(N,)`` the fingerprint of each image.
        paths: the files, by fingerprint.
    """

    data: Dataset
    prints: Fingerprints
    print_of: Array
    paths: Sequence[Path]

    @classmethod
    def of(cls, data: Dataset, progress: Callable[[int, int], None] | None = None) -> Looked:
        """Decode every image file of a data set once.

        Args:
            data: as of :func:`masu.data.fitting.measured`.
            progress: called with (files looked at, files in total).
        """
        texts = data.paths.texts()
        number = {text: at for at, text in enumerate(dict.fromkeys(texts))}
        files = [Path(text) for text in number]
        prints = fingerprint_images(files, progress=progress)
        return cls(data, prints, np.array([number[text] for text in texts], np.int64), files)


def find_faults(
    looked: Looked,
    policy: InputPolicy,
    strays: Iterable[Path] = (),
    unread: Iterable[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Everything that is wrong with a data set; a fault met in several splits is told once.

    Args:
        looked: the data set.
        policy: how the network will see the images.
        strays: images without annotation.
        unread: files among the images that are not read.
        progress: called, while images are compared with one another, with (parts done, parts in total).

    Returns:
        The findings.
    """
    found: dict[tuple[str, Path, str, str], Finding] = {}
    for finding in (*_of_reading(looked), *_of_everything(looked, policy, progress)):
        found.setdefault((finding.kind, finding.file, finding.where, finding.found), finding)
    unopened = [one for one in found.values() if one.kind == "unreadable-image" and one.found == NO_HEIC]
    for one in unopened:
        del found[one.kind, one.file, one.where, one.found]
    for kind, sentences in (
        ("missing-package", said_of_heic([one.image or one.file for one in unopened])),
        ("unread-file", said_of_unread(unread)),
        ("animated-image", said_of_animated(animated(looked.paths))),
    ):
        for said in sentences:
            found[kind, looked.data.root, "", said] = Finding(kind, looked.data.root, "", said)
    lists = listed((path.name for path in looked.data.draft_lists), 3)
    left_out = f"left out, a draft by {lists}" if lists else "left out"
    for image in looked.data.drafts:
        found["draft", image, "", ""] = Finding("draft", image, "", left_out, None, image)
    for image in strays:
        finding = Finding("unlabelled-image", image, "", "no annotation names it", None, image)
        found[finding.kind, image, "", finding.found] = finding
    return list(found.values())


def _of_reading(looked: Looked) -> Iterator[Finding]:
    data = looked.data
    for split, part in data.parts().items():
        if not len(part):
            yield Finding("no-images", data.root, f"split {split}" if split else "", "nothing in it", split)
    for what, count in data.left_out.items():
        yield Finding("not-carried", data.root, "", f"{what}: {counted(count, 'object')}")
    for fault in data.faults:
        split = fault.splits[0] if fault.splits else None
        yield Finding(fault.kind, fault.file, fault.where, fault.found, split, fault.image)


def _of_everything(
    looked: Looked, policy: InputPolicy, progress: Callable[[int, int], None] | None
) -> Iterator[Finding]:
    yield from _of_rows(looked)
    yield from _of_boxes(looked)
    yield from _of_classes(looked.data)
    yield from _of_objects(looked, policy)
    yield from _of_files(looked, progress)


def _splits(data: Dataset, image: int) -> list[str | None]:
    """The splits of an image, ``[None]`` where it is in none."""
    return [*data.splits_of(image)] or [None]


def _of_rows(looked: Looked) -> Iterator[Finding]:
    """What is to be said of single images, boxes apart."""
    data, prints = looked.data, looked.prints
    texts = data.paths.texts()
    first: dict[str, int] = {}
    for index, text in enumerate(texts):
        split = _splits(data, index)[0]
        before = first.setdefault(text, index)
        at = int(looked.print_of[index])
        if before != index:
            there = _splits(data, before)[0] or NO_SPLIT
            found = f"other objects in {split or NO_SPLIT} than in {there}"
            yield Finding("other-labels", Path(text), "", found, split, Path(text))
            continue
        if data.splits and split is None:
            yield Finding("unlisted-image", Path(text), "", "no split names it", None, Path(text))
        if at in prints.faults:
            yield Finding("unreadable-image", Path(text), "", prints.faults[at], split)
        elif (turn := int(prints.orientations[at])) != 1:
            height, width = prints.sizes[at].tolist()
            found = f"EXIF orientation {turn}: upright it is {width}×{height} pixels"
            yield Finding("rotated", Path(text), "", found, split, Path(text))


def _of_boxes(looked: Looked) -> Iterator[Finding]:
    data = looked.data
    inside = np.array(data.boxes, np.float64)
    fits = np.ones(len(inside), np.bool_)
    for row, image, fit in unfit(data):
        at = tuple(data.boxes[row].tolist())
        if fit.kind:
            place = (at,) if np.isfinite(at).all() else ()
            yield _at(data, fit.kind, row, image, fit.found, place)
        fits[row] = fit.box is not None
        inside[row] = fit.box or 0
    sides = inside[:, 2:] - inside[:, :2]
    owner = data.image_of
    for row in np.flatnonzero(fits & (sides < 1).any(1)).tolist():
        found = f"box of {sides[row, 0]:.3g}×{sides[row, 1]:.3g} pixels"
        yield _at(data, "sub-pixel", row, int(owner[row]), found, (tuple(data.boxes[row].tolist()),))
    yield from _of_twins(data, np.flatnonzero(fits & (data.flags == 0)), inside)


def _of_twins(data: Dataset, rows: Array, inside: Array) -> Iterator[Finding]:
    """Boxes around the same thing: each is told beside the first that it repeats, of its class before others.

    What is told as a double is not compared any more, so that a heap of equal boxes is no heap of findings.
    """
    owner = data.image_of
    same_class = owner * len(data.names) + data.labels
    for kind, least in (("duplicate-box", DUPLICATE), ("near-duplicate-box", NEAR_DUPLICATE)):
        twins = first_twins(inside[rows], same_class[rows], least)
        doubles = np.flatnonzero(twins >= 0)
        for one, other in zip(rows[twins[doubles]].tolist(), rows[doubles].tolist(), strict=True):
            place = _beside(data, one, other)
            share = float(iou(inside[one], inside[other]))
            found = f"the same box as {place}" if least == DUPLICATE else f"IoU {share:.2f} with {place}"
            yield _at(data, kind, other, int(owner[other]), found, _both(inside, one, other))
        rows = rows[twins < 0]
    twins = first_twins(inside[rows], owner[rows], NEAR_DUPLICATE)
    doubles = np.flatnonzero(twins >= 0)
    for one, other in zip(rows[twins[doubles]].tolist(), rows[doubles].tolist(), strict=True):
        names = data.names[data.labels[one]], data.names[data.labels[other]]
        share = float(iou(inside[one], inside[other]))
        found = f"{names[1]}, but {names[0]} in {_beside(data, one, other)} (IoU {share:.2f})"
        yield _at(data, "two-classes", other, int(owner[other]), found, _both(inside, one, other))


def _beside(data: Dataset, one: int, other: int) -> str:
    """The place of an object as it is said beside another one's."""
    if data.object_files[one] == data.object_files[other]:
        return data.where(one)
    return f"{data.where(one)} of {data.file_of(one).name}"


def _both(inside: Array, one: int, other: int) -> tuple[tuple[float, ...], ...]:
    return tuple(inside[one].tolist()), tuple(inside[other].tolist())


def _at(
    data: Dataset, kind: str, row: int, image: int, found: str, boxes: tuple[tuple[float, ...], ...]
) -> Finding:
    places: tuple[Box, ...] = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in boxes)
    split = _splits(data, image)[0]
    return Finding(kind, data.file_of(row), data.where(row), found, split, data.paths[image], places)


def _of_classes(data: Dataset) -> Iterator[Finding]:
    for alike in similar_names(data.names):
        yield Finding("similar-names", data.root, "", " and ".join(map(repr, alike)))
    counts = data.counts().tolist()
    for name, count in zip(data.names, counts, strict=True):
        if count == 0:
            yield Finding("unused-class", data.root, f"class {name}", "no objects")
        elif count < FEW_OBJECTS:
            yield Finding("few-objects", data.root, f"class {name}", counted(count, "object"))
    used = [(count, name) for count, name in zip(counts, data.names, strict=True) if count]
    if used:
        (of_most, most), (of_least, least) = max(used, key=lambda p: p[0]), min(used, key=lambda p: p[0])
        if of_most >= IMBALANCE * of_least:
            found = f"{of_most} objects of {most}, {of_least} of {least}"
            yield Finding("imbalance", data.root, "", found)


def similar_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that are the same but for case, blanks and the Unicode form of their letters."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups["".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _of_objects(looked: Looked, policy: InputPolicy) -> Iterator[Finding]:
    data = looked.data
    damaged = np.isin(looked.print_of, list(looked.prints.faults))
    empty = np.flatnonzero((np.diff(data.starts) == 0) & ~damaged)
    if len(empty):
        names = listed((data.paths[int(i)].name for i in empty[:6]), 5)
        names = names if len(empty) <= 5 else names.replace("(6 in all)", f"({len(empty)} in all)")
        yield Finding("empty-images", data.root, "", f"{len(empty)}: {names}")
    elif said := said_of_no_empty(data):
        yield Finding("no-empty-images", data.root, "", said)
    if (advice := advice_on_tiles(data, policy)) is not None:
        yield Finding("tiles", data.root, "", advice)
    scales: dict[tuple[int, int], float] = {}
    scale = np.zeros(len(data))
    for index, (height, width) in enumerate(data.sizes.tolist()):
        if height and not damaged[index]:
            if (height, width) not in scales:
                scales[height, width] = resized_size(height, width, policy)[0] / height
            scale[index] = scales[height, width]
    boxes = np.array(data.boxes, np.float64)
    counts = np.ones(len(boxes), np.bool_)
    for row, _, fit in unfit(data):
        counts[row] = fit.box is not None
        boxes[row] = fit.box or 0
    owner = data.image_of
    counts &= (data.flags == 0) & (scale[owner] > 0)
    sides = (boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf) * scale[owner]
    tiny = np.flatnonzero(counts & (sides < TINY))
    if len(tiny):
        row = int(tiny[np.argmin(sides[tiny])])
        image = data.paths[int(owner[row])]
        found = (
            f"{len(tiny)} of {int(counts.sum())} objects have a side under {TINY:g} pixels as the network "
            f"sees them ({policy.min_size} px); the smallest, {sides[row]:.1f} pixels: {image.name}, "
            f"{data.where(row)}"
        )
        x1, y1, x2, y2 = boxes[row].tolist()
        yield Finding("too-small", data.root, "", found, None, image, ((x1, y1, x2, y2),))


def _of_files(looked: Looked, progress: Callable[[int, int], None] | None) -> Iterator[Finding]:
    """The same picture twice, and in splits that ought to be apart."""
    data = looked.data
    splits: Mapping[int, list[str | None]] = defaultdict(list)
    for index, at in enumerate(looked.print_of.tolist()):
        splits[at] += [one for one in _splits(data, index) if one not in splits[at]]
    exact = same_files(looked.prints)
    whole: set[frozenset[str]] = set()
    for a, b, found, first in _same_splits(data.splits, splits, exact):
        whole.add(frozenset((a, b)))
        yield Finding("same-splits", data.root, f"{a} and {b}", found, a, looked.paths[first])
    for at, own in splits.items():
        if pair := leak(own, own, whole):
            path = looked.paths[at]
            yield Finding("leak", path, "", f"in {pair[0]} and in {pair[1]}", pair[0], path)
    told = {frozenset(pair) for group in exact for pair in _pairs(group)}
    for groups, same in ((exact, True), (near_duplicates(looked.prints, progress), False)):
        for first, second in (pair for group in groups for pair in _pairs(group)):
            if not same and frozenset((first, second)) in told:
                continue
            one, other = looked.paths[first], looked.paths[second]
            pair = leak(splits[first], splits[second], whole if same else ())
            if same and pair is None and leak(splits[first], splits[second]) is not None:
                continue
            words = "the same file as" if same else "almost the same picture as"
            places = f", which is in {pair[1]}, this in {pair[0]}" if pair else ""
            kind = ("leak" if same else "near-leak") if pair else ("same-image" if same else "near-image")
            split = pair[0] if pair else splits[first][0]
            yield Finding(kind, one, "", f"{words} {other}{places}", split, one, (), other)


def _same_splits(
    names: Sequence[str], splits: Mapping[int, Sequence[str | None]], exact: Sequence[Sequence[int]]
) -> Iterator[tuple[str, str, str, int]]:
    """Pairs of splits of which one lies whole in the other: one cause, however many images.

    Args:
        names: of the splits.
        splits: of each image file, by fingerprint.
        exact: groups of files that are the same.

    Yields:
        The pair, what they have in common, and one of its files.
    """
    first_of = {at: group[0] for group in exact for at in group}
    files: dict[str | None, set[int]] = {name: set() for name in names}
    for at, own in splits.items():
        for split in own:
            files.setdefault(split, set()).add(first_of.get(at, at))
    for one, other in combinations(names, 2):
        small, large = sorted((one, other), key=lambda split: len(files[split]))
        shared = files[small] & files[large]
        if len(shared) < 2 or shared != files[small] or leak([one], [other]) is None:
            continue
        found = f"the same {len(shared)} images"
        if len(files[large]) > len(shared):
            found = f"all {len(shared)} images of {small} are among the {len(files[large])} of {large}"
        yield one, other, found, min(shared)


def _pairs(group: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each of a group with its first."""
    return ((group[0], other) for other in group[1:])


def leak(
    splits: Sequence[str | None], others: Sequence[str | None], told: Container[frozenset[str]] = ()
) -> tuple[str, str] | None:
    """The splits of two equal pictures that ought to have nothing in common, if any is not ``told`` yet."""
    for a in splits:
        for b in others:
            if a is None or b is None or frozenset((a, b)) in told:
                continue
            if frozenset((role(a), role(b))) in APART:
                return a, b
    return None
