"""Splits of a data set: every class in every part, pictures of the same thing together.

Iterative stratification (Sechidis et al. 2011) over groups of pictures: the class with the fewest objects
left is shared out first, each of its groups to the part that lacks most of it.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from masu.data.dataset import Dataset
from masu.data.kinds import Fault
from masu.data.splits import TEST, TRAIN, TRAINVAL, VAL, in_order, role
from masu.errors import bad_input
from masu.ranges import PARTS, SEED


def parse_shares(text: str) -> dict[str, float]:
    """``80/20`` (train, val) or ``80/10/10`` (train, val, test) as shares that add up to 1.

    Raises:
        InputError: for anything else.
    """
    numbers = [number for part in text.split("/") if (number := PARTS.read(part)) is not None]
    if len(numbers) not in (2, 3) or len(numbers) != text.count("/") + 1:
        raise bad_input("--split-by", repr(text), "two or three numbers above 0", "write 80/20 or 80/10/10")
    return {name: n / sum(numbers) for name, n in zip(("train", "val", "test"), numbers, strict=False)}


def share_out(
    data: Dataset, shares: Mapping[str, float], seed: int, groups: Sequence[Sequence[int]] = ()
) -> Dataset:
    """Share out the pictures of a data set anew; what splits there were counts for nothing.

    The answer depends on the pictures' names, the seed and the shares, not on the order of the pictures.
    Every part has objects where there are enough pictures with some.

    Args:
        data: all pictures.
        shares: of each part; they add up to 1.
        seed: any whole number from 0.
        groups: positions of pictures that stay together; every other picture is on its own.

    Raises:
        InputError: for a seed out of range, for fewer pictures, or groups of pictures, than parts.
    """
    SEED.check("--seed", seed)
    units = _units(data, groups)
    if len(units) < len(shares):
        alike = f", {len(units)} where those that are almost the same count as one" if groups else ""
        found = f"{len(data)} pictures{alike}"
        raise bad_input("--split-by", found, f"at least {len(shares)}, one for each part", "use fewer parts")
    texts = data.paths.texts()
    units.sort(key=lambda unit: min(_shuffled(texts[index], seed) for index in unit))
    objects = [_classes(data, unit) for unit in units]

    total = Counter[int]()
    for own in objects:
        total.update(own)
    wanted = {part: {name: share * count for name, count in total.items()} for part, share in shares.items()}
    room = {part: share * len(data) for part, share in shares.items()}
    chosen: dict[str, list[int]] = {part: [] for part in shares}
    holders: dict[int | None, list[int]] = {}
    for unit, own in enumerate(objects):
        for name in own or {None: 0}:
            holders.setdefault(name, []).append(unit)
    left = np.ones(len(units), np.bool_)
    remaining = Counter(total)
    queue = [(count, data.names[name], name) for name, count in total.items()]
    heapq.heapify(queue)
    while left.any():
        while queue and queue[0][0] != remaining[queue[0][2]]:
            heapq.heappop(queue)  # fewer are left since
        rarest = queue[0][2] if queue else None
        for unit in holders.get(rarest, range(len(units)) if rarest is None else ()):
            if not left[unit]:
                continue
            part = max(shares, key=lambda part: (wanted[part].get(rarest, 0.0), room[part]))  # type: ignore[arg-type]
            chosen[part].append(unit)
            room[part] -= len(units[unit])
            left[unit] = False
            for name, count in objects[unit].items():
                wanted[part][name] -= count
                remaining[name] -= count
                if remaining[name]:
                    heapq.heappush(queue, (remaining[name], data.names[name], name))
    _fill_empty(chosen, units, objects)
    splits = tuple(in_order(chosen))
    members = np.zeros((len(splits), len(data)), np.bool_)
    for part, of in chosen.items():
        members[splits.index(part), [index for unit in of for index in units[unit]]] = True
    return replace(data, splits=splits, split=None, members=members)


def hold_back(
    data: Dataset, share: float, seed: int, groups: Sequence[Sequence[int]]
) -> tuple[Dataset, Dataset]:
    """A part of training images kept apart for validation, every class in both, doubles together.

    Each part has the faults of its own images; those of none stay with the first. They count as accepted:
    what is too much is for the whole to say, before.

    Args:
        data: the training images.
        share: of the second part.
        seed: any integer.
        groups: positions of images that show the same.

    Returns:
        What is left to train on, and what is held back.

    Raises:
        InputError: for fewer than two images, or groups of images.
    """
    shared = share_out(data, {TRAIN: 1 - share, VAL: share}, seed, groups)
    kept, held = (
        data.take(np.flatnonzero(shared.members[shared.splits.index(name)])) for name in (TRAIN, VAL)
    )
    held = replace(held, faults=tuple(fault for fault in held.faults if fault.image is not None))
    return replace(kept, accepted=True), replace(held, accepted=True)


def apart(data: Dataset, training: str | None, validation: str | None) -> Dataset:
    """The images of a split without those that its data set also tests or validates on; each is a fault.

    Args:
        data: all annotations.
        training: the split to train on; None for data without splits.
        validation: the split that is validated on, if it is one of this data.

    Raises:
        InputError: where no image is left.
    """
    part = data.part(training)
    others = [s for s in data.splits if s != training and (s == validation or role(s) in (VAL, TEST))]
    tested: dict[str, str] = {}
    for split in others:
        tested |= dict.fromkeys(data.part(split).paths.texts(), split)
    shared = [(i, text) for i, text in enumerate(part.paths.texts()) if text in tested]
    whole = training is not None and role(training) == TRAINVAL
    faults = [
        Fault("leak", Path(text), "image", f"in {training} and in {tested[text]}", "skipped")
        for _, text in shared
        if not (whole and role(tested[text]) == VAL)  # trainval holds val by its name
    ]
    if not shared:
        return part
    kept = np.setdiff1d(np.arange(len(part)), [i for i, _ in shared])
    if not len(kept):
        raise bad_input(
            data.root,
            f"all {len(part)} images of {training} in {' and '.join(sorted(set(tested.values())))}, too",
            "images to learn from that no such split has",
            "share them out anew (masu convert --split-by 80/20) or mend the splits",
        )
    return part.take(kept).with_faults(faults)


def _units(data: Dataset, groups: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """What stays together: groups of pictures, and the labellings of one file."""
    together: dict[str, list[int]] = {}
    for index, text in enumerate(data.paths.texts()):
        together.setdefault(text, []).append(index)
    joined = [list(group) for group in groups] + [own for own in together.values() if len(own) > 1]
    leader = list(range(len(data)))

    def first(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for group in joined:
        for other in group[1:]:
            low, high = sorted((first(group[0]), first(other)))
            leader[high] = low
    units: dict[int, list[int]] = {}
    for index in range(len(data)):
        units.setdefault(first(index), []).append(index)
    return [tuple(unit) for unit in units.values()]


def _fill_empty(
    chosen: Mapping[str, list[int]], units: Sequence[tuple[int, ...]], objects: Sequence[Counter[int]]
) -> None:
    """Give each part without objects the smallest unit with some of the part that has most such units."""
    for part in chosen.values():
        if any(objects[unit] for unit in part):
            continue
        giver = max(chosen.values(), key=lambda own: sum(bool(objects[unit]) for unit in own))
        spare = [unit for unit in giver if objects[unit]]
        if len(spare) < 2:
            giver = max(chosen.values(), key=len)
            spare = giver if not part else []
        if spare:
            given = min(spare, key=lambda unit: (not objects[unit], len(units[unit]), unit))
            giver.remove(given)
            part.append(given)


def _shuffled(path: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} ".encode() + os.fsencode(path), digest_size=8).digest()


def _classes(data: Dataset, unit: Sequence[int]) -> Counter[int]:
    """The objects of a unit by class; those that scoring leaves out are nothing to learn or to measure."""
    rows = np.concatenate([np.arange(data.starts[index], data.starts[index + 1]) for index in unit])
    return Counter(data.labels[rows[data.flags[rows] == 0]].tolist())
