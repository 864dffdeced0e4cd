"""How long the search for almost equal pictures takes, and what it misses.

python -m benchmarks.near_duplicates --pictures 1000000             # seconds and memory, made fingerprints
python -m benchmarks.near_duplicates --pictures 1000000 --kind same # all the same; also: grey, camera
python -m benchmarks.near_duplicates --pictures 40000 --recall      # against the search that misses nothing
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from masu.data.audit.likeness import ALIKE, FINE, SIDE, _details, _unit, alike, like_pictures

Array = np.ndarray[Any, Any]
BLOCK = 10_000
GRAIN = (
    9.0  # grey levels: of two pictures of one scene the details then agree a little less than they have to
)
NONE = np.zeros((0, 2), np.int64)


def main() -> None:
    """Make small pictures, search them, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--kind", choices=sorted(KINDS), default="scenes")
    parser.add_argument("--recall", action="store_true")
    chosen = parser.parse_args()
    small, copies = KINDS[chosen.kind](chosen.pictures, np.random.default_rng(0))
    started = time.perf_counter()
    leader = like_pictures(small, 0) if chosen.recall else like_pictures(small)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    joined = int((leader != np.arange(len(small))).sum())
    print(f"{len(small)} pictures: {seconds:.1f} s, {peak:.1f} GiB at most, {joined} like one before them")
    copies = copies[alike(small, *copies.T)]
    if len(copies):
        together = (leader[copies[:, 0]] == leader[copies[:, 1]]).mean()
        print(f"copies alike: {len(copies)}; in one group: {together:.4%}")
    if chosen.recall:
        missed(small, leader)


def missed(small: Array, leader: Array) -> None:
    """Print what share of the pairs that are alike is in one group, by how alike they are."""
    whole = np.concatenate([_unit(small[at : at + BLOCK].astype(np.float32)) for at in starts(small)])
    fine = np.concatenate(
        [_unit(_details(small[at : at + BLOCK].astype(np.float32))) for at in starts(small)]
    )
    found: list[Array] = []
    for at in range(0, len(small), 1000):
        close = whole[at : at + 1000] @ whole.T
        first, second = np.nonzero((close >= ALIKE) & (fine[at : at + 1000] @ fine.T >= FINE))
        keep = first + at < second
        first, second = first[keep], second[keep]
        found.append(np.stack([close[first, second], leader[first + at] == leader[second]]))
    close, together = np.concatenate(found, axis=1)
    print(f"pairs alike: {len(close)}; in one group: {together.mean():.4%}")
    edges = (0.97, 0.975, 0.98, 0.99, 1.01)
    for low, high in pairwise(edges):
        among = (close >= low) & (close < high)
        print(f"  correlation {low} to {min(high, 1)}: {among.sum()} pairs, {together[among].mean():.4%}")


def starts(small: Array) -> range:
    return range(0, len(small), BLOCK)


def noise(count: int, draw: np.random.Generator) -> Array:
    """Pictures whose amplitudes fall with the frequency, as those of photographs do; deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * SIDE
    waves = draw.standard_normal((2, count, SIDE, SIDE // 2 + 1), np.float32)
    found = np.fft.irfft2((waves[0] + 1j * waves[1]) / np.maximum(frequency, 1) ** 1.2, (SIDE, SIDE))
    found -= found.mean(axis=(1, 2), keepdims=True)
    return np.asarray(found / found.std(axis=(1, 2), keepdims=True), np.float32)


def scenes(count: int, draw: np.random.Generator) -> tuple[Array, Array]:
    """Every fifth picture is one of the four before it, changed: slightly or up to the thresholds."""
    small = np.empty((count, SIDE, SIDE), np.uint8)
    copies = np.arange(4, count, 5)
    sources = copies - draw.integers(1, 5, len(copies))
    for at in range(0, count, BLOCK):
        some = noise(min(BLOCK, count - at), draw)
        here = (copies >= at) & (copies < at + len(some))
        copy, source = copies[here] - at, sources[here] - at
        share = draw.uniform(0, 0.28, (len(copy), 1, 1)).astype(np.float32)
        some[copy] = some[source] * np.sqrt(1 - share**2) + share * some[copy]
        light = draw.uniform(0.7, 1.2, (len(some), 1, 1)).astype(np.float32)
        small[at : at + len(some)] = (128 + 40 * some * light).clip(0, 255).astype(np.uint8)
    return small, np.stack([sources, copies], axis=1)


def same(count: int, draw: np.random.Generator) -> tuple[Array, Array]:
    """One picture again and again."""
    return np.broadcast_to(scenes(1, draw)[0], (count, SIDE, SIDE)).copy(), NONE


def grey(count: int, draw: np.random.Generator) -> tuple[Array, Array]:
    """Plain pictures of any grey."""
    plain = draw.integers(0, 256, (count, 1, 1), np.uint8)
    return np.broadcast_to(plain, (count, SIDE, SIDE)).copy(), NONE


def camera(count: int, draw: np.random.Generator) -> tuple[Array, Array]:
    """One camera that does not move: one outline, and details that differ for the better part."""
    small = np.empty((count, SIDE, SIDE), np.uint8)
    scene = noise(1, draw)
    for at in range(0, count, BLOCK):
        grain = draw.standard_normal((min(BLOCK, count - at), SIDE, SIDE), np.float32)
        small[at : at + len(grain)] = (128 + 40 * scene + GRAIN * grain).clip(0, 255).astype(np.uint8)
    return small, NONE


KINDS: dict[str, Callable[[int, np.random.Generator], tuple[Array, Array]]] = {
    "scenes": scenes,
    "same": same,
    "grey": grey,
    "camera": camera,
}

if __name__ == "__main__":
    main()
