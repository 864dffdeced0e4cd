"""Which photographs no model learns from."""

from masu.labelling.held_back import HELD, NEITHER, TEACHES, HeldBack


def names(count):
    return [f"{number}.jpg" for number in range(count)]


def test_one_of_five_is_held_back_after_the_first_five(tmp_path):
    held = HeldBack(tmp_path / "held.json").decide(names(12), [])
    assert [position for position, one in enumerate(held) if one == HELD] == [5, 10]


def test_what_was_decided_stays_whatever_comes(tmp_path):
    file = tmp_path / "held.json"
    HeldBack(file).decide(names(12), [])
    later = HeldBack(file).decide([*reversed(names(20))], [])
    assert [position for position, one in enumerate(reversed(later)) if one == HELD][:2] == [5, 10]
    assert HeldBack(file).known


def test_photographs_that_are_almost_the_same_are_on_one_side(tmp_path):
    held = HeldBack(tmp_path / "held.json").decide(names(9), [(5, 7), (0, 8)])
    assert [position for position, one in enumerate(held) if one == HELD] == [5, 7]


def test_a_twin_of_both_sides_is_of_neither(tmp_path):
    file = tmp_path / "held.json"
    HeldBack(file).decide(names(6), [])  # 5 is held back, 0 is not
    assert HeldBack(file).decide([*names(6), "twin.jpg"], [(0, 5, 6)])[6] == NEITHER


def test_a_broken_file_begins_anew(tmp_path):
    file = tmp_path / "held.json"
    file.write_text("{")
    assert not HeldBack(file).known
    assert HeldBack(file).decide(names(2), []) == [TEACHES, TEACHES]
