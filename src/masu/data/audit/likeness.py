"""Which of very many small grey pictures show the same: candidates found fast, then looked at exactly.

Two pictures are alike when they correlate as a whole and, separately, in what blurring takes away. Up to
``EXACT`` pictures every pair is ruled out or looked at. Of more, pictures are sorted again and again by
random codes, and only neighbours in one of these orders are compared, so that the work is bounded whatever
the pictures are.

Sources: Charikar 2002, "Similarity estimation techniques from rounding algorithms" (signs of random
projections); Bawa et al. 2005, "LSH Forest" (neighbours by their longest common prefix).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from masu.data.pixels.pictures import Array

SIDE = 32
"""Pixels per side of a small picture."""

ALIKE = 0.97
"""Correlation of two small pictures from which they may show the same."""

FINE = 0.6
"""The same for what blurring takes away: two shots of one scene agree in outline alone."""

EXACT = 20_000
"""Pictures up to which no pair is missed."""

ORDERS = 24
"""Random orders in which more pictures are compared."""

NEIGHBOURS = 20
"""Neighbours in each order that a picture is compared with."""

_AXES = 32  # of the space in which the outlines are compared
_BITS = 32  # of a code
_SIGNS = 256  # random directions whose signs stand for the details
_LOOSE = 0.4  # share of signs that may differ: at FINE 0.295 do, give or take 0.029
_SAMPLE = 10_000
_BLOCK = 512
_PART = 32_768
_ROUNDING = 1e-4
_ONES = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1).sum(
    1, np.uint8
)


def like_pictures(
    small: Array, exact: int = EXACT, progress: Callable[[int, int], None] | None = None
) -> Array:
    """For each picture the first of its group; in one group are pictures that are alike or both like a third.

    Args:
        small: ``(N, SIDE, SIDE)`` uint8.
        exact: most different pictures of which no pair is missed.
        progress: called with (parts of the work done, parts in total).

    Returns:
        ``(N,)`` positions; a picture's own where none before it is in its group.
    """
    if not len(small):
        return np.arange(0)
    leader = _of_equal_bytes(small)
    index = np.flatnonzero(leader == np.arange(len(small)))
    tell = progress or (lambda _done, _total: None)
    few = len(index) <= exact
    found, clear = _every_pair(small[index], tell) if few else _neighbours(small, index, tell)
    leader = np.where(np.isin(leader, index[clear]), leader, np.arange(len(small)))
    return connected(leader, index, index[found])


def connected(leader: Array, first: Array, second: Array) -> Array:
    """The groups once pairs of positions are joined: for each position the lowest of its group."""
    leader = leader.copy()
    while True:
        a, b = leader[first], leader[second]
        apart = a != b
        if not apart.any():
            return leader
        first, second, a, b = first[apart], second[apart], a[apart], b[apart]
        np.minimum.at(leader, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(up := leader[leader], leader):
            leader = up


def alike(small: Array, first: Array, second: Array) -> Array:
    """Whether the pictures of each pair of positions show the same, ``(P,)``."""
    found = np.zeros(len(first), bool)
    for rows in _blocks(len(first)):
        a, b = (small[index[rows]].astype(np.float32) for index in (first, second))
        near = np.flatnonzero(_dots(_unit(a), _unit(b)) >= ALIKE)
        a, b = a[near], b[near]
        found[rows.start + near] = _dots(_unit(_details(a)), _unit(_details(b))) >= FINE
    return found


def _blocks(count: int, block: int = _BLOCK) -> Iterator[slice]:
    return (slice(start, start + block) for start in range(0, count, block))


def _dots(a: Array, b: Array) -> Array:
    found: Array = np.einsum("ij,ij->i", a, b)
    return found


def _unit(pictures: Array) -> Array:
    """Rows of mean 0 and length 1; of a plain picture, zeros."""
    flat = _centred(pictures)
    length = _lengths(flat)
    flat /= np.maximum(length, 1e-9)[:, None]
    flat[length == 0] = 0
    return flat


def _centred(pictures: Array) -> Array:
    flat = pictures.reshape(len(pictures), SIDE * SIDE)
    found: Array = flat - flat.mean(axis=1, keepdims=True)
    return found


def _lengths(flat: Array) -> Array:
    """Of rows of mean 0; 0 where they differ by less than one grey level from a plain picture."""
    length = np.sqrt(_dots(flat, flat))
    return np.where(length > SIDE, length, 0)


def _blur() -> Array:
    """The matrix that makes each pixel of a column the mean of the five around it."""
    matrix = np.zeros((SIDE, SIDE), np.float32)
    for at in range(SIDE):
        for near in range(at - 2, at + 3):
            matrix[at, min(max(near, 0), SIDE - 1)] += 0.2
    return matrix


_BLUR = _blur()


def _details(pictures: Array) -> Array:
    """What is left of float32 pictures without the mean of the 5×5 around each pixel."""
    found: Array = pictures - _BLUR @ (pictures.reshape(-1, SIDE) @ _BLUR.T).reshape(pictures.shape)
    return found


def _of_equal_bytes(small: Array) -> Array:
    """For each picture the first that is equal to it."""
    rows = np.ascontiguousarray(small).reshape(len(small), -1).view(np.uint64)
    factors = np.random.default_rng(0).integers(0, 2**63, rows.shape[1], dtype=np.uint64) * 2 + 1
    key = np.zeros(len(small), np.uint64)
    for block in _blocks(len(small)):
        mixed = rows[block] * factors
        key[block] = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    leader = first[group]
    equal = np.zeros(len(small), bool)
    for block in _blocks(len(small)):
        equal[block] = (rows[block] == rows[leader[block]]).all(axis=1)
    return np.where(equal, leader, np.arange(len(small)))


def _axes(some: Array) -> Array:
    """The axes along which unit pictures differ most, ``(SIDE², _AXES)``."""
    _, axes = np.linalg.eigh(some.T @ some)
    axes = np.ascontiguousarray(axes[:, : -_AXES - 1 : -1])
    return axes


def _with_rest(along: Array) -> Array:
    """Unit pictures along the axes, and as the last column the length of what is left of them.

    The product of two such rows is no less than the correlation of the pictures.
    """
    rest = np.sqrt(np.maximum(1 - _dots(along, along), 0))
    return np.concatenate([along, rest[:, None]], axis=1)


def _every_pair(small: Array, tell: Callable[[int, int], None]) -> tuple[Array, Array]:
    """For each of few pictures the first of its group, no pair missed; and which have contrast and detail.

    Those without are like nothing.
    """
    whole, detail = (np.empty((len(small), SIDE * SIDE), np.float32) for _ in range(2))
    for rows in _blocks(len(small)):
        pictures = small[rows].astype(np.float32)
        whole[rows], detail[rows] = _unit(pictures), _unit(_details(pictures))
    clear = np.logical_and(whole.any(axis=1), detail.any(axis=1))
    outlines = _with_rest(whole @ _axes(whole[:: -(-len(whole) // _SAMPLE)]))
    outlines[~clear] = 0
    leader = np.arange(len(small))
    for rows in _blocks(len(small), 512):
        near = outlines[rows] @ outlines.T >= ALIKE - _ROUNDING
        if near.mean() > 0.04:  # then single pairs cost more
            near &= whole[rows] @ whole.T >= ALIKE
            near &= detail[rows] @ detail.T >= FINE
            first, second = np.nonzero(near)
            first += rows.start
        else:
            first, second = np.nonzero(near)
            first += rows.start
            apart = (first < second) & (leader[first] != leader[second])
            first, second = first[apart], second[apart]
            same = _products(whole, first, second) >= ALIKE
            first, second = first[same], second[same]
            same = _products(detail, first, second) >= FINE
            first, second = first[same], second[same]
        leader = connected(leader, first, second)
        tell(min(rows.stop, len(small)), len(small))
    return leader, clear


def _products(rows: Array, first: Array, second: Array) -> Array:
    parts = [_dots(rows[first[part]], rows[second[part]]) for part in _blocks(len(first))]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _neighbours(small: Array, index: Array, tell: Callable[[int, int], None]) -> tuple[Array, Array]:
    """As ``_every_pair`` for the pictures at many positions; a few pairs at the very edge may be missed."""
    draw = np.random.default_rng(0)
    sample = np.sort(draw.choice(index, min(_SAMPLE, len(index)), replace=False))
    axes = _axes(
        np.concatenate([_unit(small[sample[rows]].astype(np.float32)) for rows in _blocks(len(sample))])
    )
    directions = draw.standard_normal((SIDE * SIDE, _SIGNS), np.float32)
    directions -= directions.mean(axis=0)  # a picture's mean is no detail
    outlines = np.empty((len(index), _AXES + 1), np.float32)
    signs = np.empty((len(index), _SIGNS // 16), np.uint16)
    clear = np.empty(len(index), bool)

    for rows in _blocks(len(index)):
        whole = _centred(small[index[rows]].astype(np.float32))
        detail = _details(whole.reshape(-1, SIDE, SIDE)).reshape(-1, SIDE * SIDE)
        length = _lengths(whole)
        clear[rows] = (length > 0) & (_lengths(_centred(detail)) > 0)
        outlines[rows] = _with_rest(whole @ axes / np.maximum(length, 1)[:, None])
        signs[rows] = np.packbits(detail @ directions > 0, axis=1).view(np.uint16)
    outlines[~clear] = 0
    leader = np.arange(len(index))
    for order_number in range(1, ORDERS + 1):
        turn, _ = np.linalg.qr(draw.standard_normal((_AXES, _AXES)))
        order = _random_order(outlines[:, :_AXES], turn.astype(np.float32))
        pairs = _near_in_order(outlines[order], signs[order], leader[order])
        leader = _joined(small, index, leader, order[pairs[0]], order[pairs[1]])
        tell(order_number, ORDERS)
    return leader, clear


def _random_order(along: Array, turn: Array) -> Array:
    """Positions sorted by which side of random planes they lie on: neighbours lie on the same."""
    turned = along @ turn[:, :_BITS]
    middle = np.median(turned[:: -(-len(turned) // _SAMPLE)], axis=0)
    codes = np.packbits(turned > middle, axis=1).view(">u4").ravel().astype(np.uint32)
    return np.argsort(codes, kind="stable")


def _near_in_order(outlines: Array, signs: Array, leader: Array) -> tuple[Array, Array]:
    """Pairs of places that are close and may be alike, those with most equal signs first."""
    firsts, seconds, different = [], [], []
    for step in range(1, NEIGHBOURS + 1):
        first = np.flatnonzero(_dots(outlines[step:], outlines[:-step]) >= ALIKE - _ROUNDING)
        first = first[leader[first] != leader[first + step]]
        differ = _ONES[signs[first] ^ signs[first + step]].sum(axis=1, dtype=np.uint16)
        fine = differ <= _LOOSE * _SIGNS
        firsts.append(first[fine])
        seconds.append(first[fine] + step)
        different.append(differ[fine])
    best = np.argsort(np.concatenate(different), kind="stable")
    return np.concatenate(firsts)[best], np.concatenate(seconds)[best]


def _joined(small: Array, index: Array, leader: Array, first: Array, second: Array) -> Array:
    """The groups with those candidates joined that are alike; given up when too many are not."""
    failures = len(index) // 32
    for part in _blocks(len(first), _PART):
        a, b = first[part], second[part]
        apart = leader[a] != leader[b]
        a, b = a[apart], b[apart]
        same = alike(small, index[a], index[b])
        leader = connected(leader, a[same], b[same])
        failures -= len(a) - int(same.sum())
        if failures < 0:
            break
    return leader
