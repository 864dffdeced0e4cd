"""The fast search for like pictures against the plain one: every pair, both correlations."""

from __future__ import annotations

import time

import numpy as np
import pytest

from masu.data.audit.likeness import ALIKE, FINE, SIDE, alike, connected, like_pictures


def correlations(pictures):
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return (unit := np.where(length > SIDE, flat / np.maximum(length, 1e-9), 0)) @ unit.T


def pairs_alike(small):
    """As the definition says, pixel by pixel."""
    small = small.astype(np.float64)
    padded = np.pad(small, ((0, 0), (2, 2), (2, 2)), mode="edge")
    blurred = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2)).mean(axis=(3, 4))
    return (correlations(small) >= ALIKE) & (correlations(small - blurred) >= FINE)


def plain(small):
    leader = list(range(len(small)))
    for first, second in np.argwhere(np.triu(pairs_alike(small), 1)):
        old, new = sorted((leader[first], leader[second]), reverse=True)
        leader = [new if one == old else one for one in leader]
    return leader


def scenes(count, seed=0):
    """Pictures with waves of all lengths; half of them are changed copies, up to the thresholds and beyond."""
    draw = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * SIDE
    waves = draw.standard_normal((2, count, SIDE, SIDE // 2 + 1))
    some = np.fft.irfft2((waves[0] + 1j * waves[1]) / np.maximum(frequency, 1) ** 1.2, (SIDE, SIDE))
    some /= some.std(axis=(1, 2), keepdims=True)
    for copy in range(1, count, 2):
        share = draw.uniform(0, 0.3)
        some[copy] = (
            some[copy - draw.integers(1, min(copy, 40) + 1)] * (1 - share**2) ** 0.5 + share * some[copy]
        )
    light = draw.uniform(0.6, 1.2, (count, 1, 1))
    return (128 + 40 * some * light).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("exact", [0, 1000])
def test_the_groups_are_those_of_every_pair(exact):
    small = scenes(900)
    small[100], small[7], small[8] = small[33], 50, 50  # one twice to the byte, two plain ones
    small[20] = small[21] = np.arange(SIDE)[:, None] * 6  # a slope has no detail
    found = like_pictures(small, exact)
    assert found.tolist() == plain(small)
    assert (found != np.arange(900)).sum() > 100
    assert (found[100], found[8], found[21]) == (found[33], 8, 21)


@pytest.mark.parametrize("exact", [0, 1000])
def test_one_outline_with_other_details(exact):
    draw = np.random.default_rng(0)
    small = (scenes(1) / 2 + 60 + draw.normal(0, 5, (500, SIDE, SIDE))).astype(np.uint8)
    assert like_pictures(small, exact).tolist() == plain(small) == list(range(500))
    small[:250] = np.clip(small[0] * draw.uniform(0.8, 1.2, (250, 1, 1)), 0, 255)
    assert like_pictures(small, exact).tolist() == [0] * 250 + list(range(250, 500))


def test_of_many_pictures_hardly_a_pair_is_missed():
    small = scenes(6000, seed=1)
    exact, found = like_pictures(small), like_pictures(small, 0)
    assert (exact != np.arange(6000)).sum() > 1000
    assert (exact != found).mean() < 0.002
    assert np.array_equal(exact[found], exact), "no group holds more than it should"


@pytest.mark.parametrize("plain_ones", [False, True])
def test_very_many_of_one_picture(plain_ones):
    small = np.broadcast_to(np.uint8(7) if plain_ones else scenes(1), (60_000, SIDE, SIDE))
    started = time.perf_counter()
    found = like_pictures(small)
    assert time.perf_counter() - started < 5
    assert np.array_equal(found, np.arange(60_000) * plain_ones)


def test_pairs():
    small = scenes(200)
    first, second = (index.ravel() for index in np.indices((200, 200)))
    wanted = pairs_alike(small)[first, second]
    assert np.array_equal(alike(small, first, second), wanted)
    assert alike(small, first[:0], second[:0]).tolist() == []


def test_connected():
    pairs = np.array([(5, 3), (1, 5), (8, 9), (9, 7), (2, 2)])
    assert connected(np.arange(10), *pairs.T).tolist() == [0, 1, 2, 1, 4, 1, 6, 7, 7, 7]
    assert like_pictures(np.zeros((0, SIDE, SIDE), np.uint8)).tolist() == []
