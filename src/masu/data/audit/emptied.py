"""Splits that lose their last image because another split has them all: what both have is shared out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from masu.data.audit.fingerprints import Fingerprints, near_duplicates
from masu.data.dataset import Array, Dataset
from masu.data.splits import TRAIN, TRAINVAL, role
from masu.data.splitting import share_out

Key: TypeAlias = tuple[int, bytes]
"""An image file and what it is labelled with."""

_SEED = 0
_TRAINING = 4
"""Images of a split to train on for each one of another."""


class SharedOut(NamedTuple):
    """Images that several splits had.

    Attributes:
        splits: that had them.
        images: how many.
        among: how many of them each split has now that has some.
    """

    splits: tuple[str, ...]
    images: int
    among: dict[str, int]


def share_emptied(
    data: Dataset, prints: Fingerprints, print_of: Array, keys: Sequence[Key], members: Array
) -> list[SharedOut]:
    """Give splits that were left without an image some of theirs back, so that no image is in two.

    Of two splits with the same images each gets a part: every class in both, images that are almost the same
    together, four times as many to train on as for anything else. A split that has as many others besides
    gives all of them away.

    Args:
        data: as it was, with its splits.
        prints: fingerprints of its files.
        print_of: ``(N,)`` the fingerprint of each image.
        keys: of each image.
        members: ``(S, N)`` the images that are left to each split; changed here.

    Returns:
        What was shared out.
    """
    row = {split: number for number, split in enumerate(data.splits)}
    own = {split: _by_key(keys, data.members[number]) for split, number in row.items()}
    left = {split: _by_key(keys, members[number]) for split, number in row.items()}
    groups: dict[tuple[str, ...], list[str]] = {}
    for split in data.splits:
        if own[split] and not left[split]:
            groups.setdefault(tuple(s for s in left if left[s].keys() & own[split].keys()), []).append(split)
    done = []
    for holders, emptied in groups.items():
        poor = [s for s in holders if 2 * len(left[s].keys() & own[emptied[0]].keys()) > len(left[s])]
        takers = [*emptied, *poor]
        common = [key for key in own[emptied[0]] if all(key in own[split] for split in takers)]
        if not holders or len(common) < len(takers):
            continue
        places = [own[emptied[0]][key] for key in common]
        alike = near_duplicates([prints[int(print_of[at])] for at in places])
        units = len(places) - sum(len(group) - 1 for group in alike)
        weights = {split: _TRAINING if role(split) in (TRAIN, TRAINVAL) else 1 for split in takers}
        shares = {split: weight / sum(weights.values()) for split, weight in weights.items()}
        parts = share_out(data.take(places), shares, _SEED, alike if units >= len(takers) else ())
        for at, key in enumerate(common):
            for split in (*emptied, *holders):
                if key in own[split]:
                    members[row[split], own[split][key]] = split in parts.splits_of(at)
        done.append(
            SharedOut((*emptied, *holders), len(common), {split: len(parts.part(split)) for split in takers})
        )
    return done


def _by_key(keys: Sequence[Key], present: Array) -> Mapping[Key, int]:
    """The images of a split by key, the first of each."""
    return {keys[at]: at for at in reversed(np.flatnonzero(present).tolist())}
