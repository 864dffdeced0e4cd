"""Splits of a data set: every class in every part, pictures of the same thing together.

Iterative stratification (Sechidis et al. 2011) over groups of pictures: the class with the fewest objects
left is shared out first, each of its groups to the part that lacks most of it.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence

from masu.data.formats.reading import Contents, Picture
from masu.errors import bad_input


def parse_shares(text: str) -> dict[str, float]:
    """``80/20`` (train, val) or ``80/10/10`` (train, val, test) as shares that add up to 1.

    Raises:
        InputError: for anything else.
    """
    try:
        numbers = [float(part) for part in text.split("/")]
    except ValueError:
        numbers = []
    if (
        len(numbers) not in (2, 3)
        or not all(number > 0 for number in numbers)
        or sum(numbers) == float("inf")
    ):
        raise bad_input("--split-by", repr(text), "two or three numbers above 0", "write 80/20 or 80/10/10")
    return {name: n / sum(numbers) for name, n in zip(("train", "val", "test"), numbers, strict=False)}


def split_contents(
    contents: Contents, shares: Mapping[str, float], seed: int, groups: Sequence[Sequence[int]] = ()
) -> dict[str, Contents]:
    """Share out the pictures of a data set.

    The answer depends on the pictures' names, the seed and the shares, not on the order of the pictures.

    Args:
        contents: all pictures.
        shares: of each part; they add up to 1.
        seed: any integer.
        groups: positions of pictures that stay together; every other picture is on its own.

    Returns:
        The parts, pictures in the order of ``contents``.

    Raises:
        InputError: for fewer pictures, or groups of pictures, than parts.
    """
    grouped = {index for group in groups for index in group}
    units = [tuple(group) for group in groups]
    units += [(index,) for index in range(len(contents.pictures)) if index not in grouped]
    if len(units) < len(shares):
        alike = f", {len(units)} where those that are almost the same count as one" if groups else ""
        found = f"{len(contents.pictures)} pictures{alike}"
        raise bad_input("--split-by", found, f"at least {len(shares)}, one for each part", "use fewer parts")
    units.sort(key=lambda unit: min(_shuffled(contents.pictures[index], seed) for index in unit))
    objects = [_classes(contents, unit) for unit in units]

    total = sum(objects, Counter[str]())
    wanted = {part: {name: share * count for name, count in total.items()} for part, share in shares.items()}
    room = {part: share * len(contents.pictures) for part, share in shares.items()}
    chosen: dict[str, list[int]] = {part: [] for part in shares}
    left = set(range(len(units)))
    while left:
        remaining = Counter[str]()
        for unit in left:
            remaining.update(objects[unit])
        rarest = min(remaining, key=lambda name: (remaining[name], name), default=None)
        for unit in sorted(left) if rarest is None else sorted(u for u in left if objects[u][rarest]):
            part = max(shares, key=lambda part: (wanted[part].get(rarest or "", 0.0), room[part]))
            chosen[part].append(unit)
            room[part] -= len(units[unit])
            for name, count in objects[unit].items():
                wanted[part][name] -= count
            left.discard(unit)
    _fill_empty(chosen, units, objects)
    return {
        part: contents._replace(
            pictures=[contents.pictures[i] for i in sorted(i for unit in of for i in units[unit])], faults=()
        )
        for part, of in chosen.items()
    }


def _fill_empty(
    chosen: Mapping[str, list[int]], units: Sequence[tuple[int, ...]], objects: Sequence[Counter[str]]
) -> None:
    """Give each part that has nothing the smallest unit with objects of the part with most units."""
    for part in chosen.values():
        if not part:
            giver = max(chosen.values(), key=len)
            given = min(giver, key=lambda unit: (not objects[unit], len(units[unit]), unit))
            giver.remove(given)
            part.append(given)


def _shuffled(picture: Picture, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} ".encode() + os.fsencode(picture.image), digest_size=8).digest()


def _classes(contents: Contents, unit: Sequence[int]) -> Counter[str]:
    return Counter(item.name for index in unit for item in contents.pictures[index].objects)
