"""Which photographs no model learns from."""

import numpy as np

from masu.labelling.held_back import HELD, NEITHER, TEACHES, HeldBack, draw


def names(count):
    return [f"{number}.jpg" for number in range(count)]


def held_of(parts):
    return [position for position, one in enumerate(parts) if one == HELD]


def test_one_of_five_is_drawn_and_stays_drawn():
    assert [len(draw(names(count))) for count in (0, 1, 5, 6, 200)] == [0, 1, 1, 2, 40]
    first = draw(names(200))
    assert draw(reversed(names(200))) == first
    assert len(first - draw(names(400))) <= 10  # of names that came, about as many are drawn


def test_every_photograph_is_drawn_as_often_as_any_other():
    """Of a thousand folders of fifty; by chance alone a share of 0.2 is off by 0.0126 (one deviation)."""
    counts = np.zeros(50)
    for folder in range(1000):
        chosen = draw(f"{folder}/{number}.jpg" for number in range(50))
        counts[[int(name.partition("/")[2].partition(".")[0]) for name in chosen]] += 1
    assert abs(counts / 1000 - 0.2).max() < 4 * 0.0126
    assert counts.sum() == 10_000


def test_those_that_are_drawn_are_held_back_after_the_first_five(tmp_path):
    held = HeldBack(tmp_path / "held.json").decide(names(12), [], {"2.jpg", "6.jpg", "11.jpg"})
    assert held_of(held) == [6, 11]


def test_the_sixth_is_due_to_be_one_of_them_and_then_one_of_five(tmp_path):
    held_back, drawn = HeldBack(tmp_path / "held.json"), {"a", "b", "c"}
    assert [held_back.is_due(names(count), drawn) for count in range(7)] == [False] * 5 + [True] * 2
    assert [held_back.is_due(["a", *names(count)], drawn) for count in range(5, 10)] == [False] * 4 + [True]
    assert not held_back.is_due(["a", "b", *names(12)], drawn)
    assert held_back.is_due(["a", "b", *names(13)], drawn)
    held_back.decide(["a", *names(5)], [], drawn)  # the first five, "a" among them, teach
    assert held_back.is_due(["a", *names(5)], drawn)


def test_what_was_decided_stays_whatever_comes(tmp_path):
    file = tmp_path / "held.json"
    HeldBack(file).decide(names(12), [], {"5.jpg", "10.jpg"})
    later = HeldBack(file).decide([*reversed(names(20))], [], {"4.jpg", "15.jpg"})
    assert held_of(reversed(later)) == [5, 10, 15]
    assert HeldBack(file).known


def test_photographs_that_are_almost_the_same_are_on_one_side(tmp_path):
    held = HeldBack(tmp_path / "held.json").decide(names(9), [(5, 7), (0, 8)], {"5.jpg", "8.jpg"})
    assert held_of(held) == [5, 7]


def test_a_twin_of_both_sides_is_of_neither(tmp_path):
    file = tmp_path / "held.json"
    HeldBack(file).decide(names(6), [], {"5.jpg"})
    twin = HeldBack(file).decide([*names(6), "twin.jpg"], [(0, 5, 6)], {"5.jpg", "twin.jpg"})[6]
    assert twin == NEITHER


def test_a_broken_file_begins_anew(tmp_path):
    file = tmp_path / "held.json"
    file.write_text("{")
    assert not HeldBack(file).known
    assert HeldBack(file).decide(names(2), [], {"0.jpg"}) == [TEACHES, TEACHES]
