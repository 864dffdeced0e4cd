"""Numbers of objects through the frames."""

import numpy as np
import pytest

import masu
from masu.films.tracker import Tracker, evened, least
from masu.records import Detections
from tests.films.scenes import Finder, box, film, scene


def test_each_square_keeps_its_number_from_its_second_frame_on(tmp_path):
    path = film(tmp_path / "a.mkv", [scene(number) for number in range(12)])
    seen = list(masu.watch(Finder(), path, track=True))
    assert seen[0].tracks == (None, None, None)
    assert {one.tracks for one in seen[1:]} == {(1, 2, 3)}
    for one in seen:
        assert one.found.boxes.tolist() == [box(colour, one.frame.number) for colour in range(3)]
        assert one.found.names == ("red", "green", "blue")


def test_an_object_that_comes_later_gets_a_number_of_its_own(tmp_path):
    images = [scene(number, (0,) if number < 4 else (0, 2)) for number in range(8)]
    seen = list(masu.watch(Finder(), film(tmp_path / "a.mkv", images), track=True))
    assert [one.tracks for one in seen] == [(None,), (1,), (1,), (1,), (1, None), (1, 2), (1, 2), (1, 2)]


def test_an_object_that_is_hidden_for_a_moment_keeps_its_number(tmp_path):
    images = [scene(number, (0, 1) if number in (5, 6) else (0, 1, 2)) for number in range(12)]
    seen = list(masu.watch(Finder(), film(tmp_path / "a.mkv", images), track=True))
    assert seen[4].tracks == (1, 2, 3)
    assert seen[5].tracks == (1, 2)
    assert seen[8].tracks == (1, 2, 3)


def test_a_weak_box_continues_an_object_and_begins_none(tmp_path):
    """ByteTrack's second stage: the red square is found, then hardly; a square hardly found from the start is none."""
    path = film(tmp_path / "a.mkv", [scene(number, (0, 1)) for number in range(8)])

    def scores(colour, call):
        return 0.15 if colour == 1 else (0.9 if call < 4 else 0.15)

    seen = list(masu.watch(Finder(scores), path, track=True))
    assert [one.tracks for one in seen] == [(None,)] + [(1,)] * 7
    assert [round(float(one.found.scores[0]), 2) for one in seen] == [0.9] * 4 + [0.15] * 4
    plain = list(masu.watch(Finder(scores), path))
    assert [len(one.found) for one in plain] == [1] * 4 + [0] * 4


def test_a_frame_without_boxes_is_no_trouble(tmp_path):
    images = [scene(number, ()) for number in range(3)] + [scene(3, (0,))]
    seen = list(masu.watch(Finder(), film(tmp_path / "a.mkv", images), track=True))
    assert [one.tracks for one in seen] == [(), (), (), (None,)]


def test_two_films_have_numbers_of_their_own(tmp_path):
    path = film(tmp_path / "a.mkv", [scene(number) for number in range(3)])
    for _ in range(2):
        assert list(masu.watch(Finder(), path, track=True))[-1].tracks == (1, 2, 3)


@pytest.mark.parametrize(
    ("score", "line", "moved"),
    [
        (0, 0.5, 0),
        (0.5, 0.5, 0.5),
        (1, 0.5, 1),
        (0.1, 0.2, 0.25),
        (0.2, 0.2, 0.5),
        (0.6, 0.2, 0.75),
        (0, 0, 0.5),
        (1, 1, 0.5),
    ],
)
def test_thresholds_are_one_line_to_the_tracker(score, line, moved):
    assert evened(np.array([score]), np.array([line])).tolist() == pytest.approx([moved])


def test_classes_have_their_own_thresholds():
    assert least({"a": 0.9}, ("a", "b")) == pytest.approx({"a": 0.18, "b": 0.1})
    assert least(0.3, ("a",)) == pytest.approx({"a": 0.06})
    tracker = Tracker({"a": 0.9, "b": 0.2}, 10)
    boxes = [[0, 0, 10, 10], [50, 50, 60, 60]]
    for number in range(3):
        found = Detections(boxes, [0.6, 0.3], [0, 1], ["a", "b"])
        shown, tracks = tracker.follow(found, number / 10)
    assert (shown.names, tracks) == (("b",), (1,))
