"""Replays find what the detector finds that has these settings, and run the network only where they must."""

from dataclasses import replace
from itertools import count

import pytest
import torch

import masu
from masu.evaluation.evaluate import score
from masu.explanation.replay import Replay
from tests.networks import small_detector


@pytest.fixture(scope="module")
def detector():
    return small_detector(["coin"])


@pytest.fixture
def data(coins):
    return masu.read_dataset(coins, "val")


def smaller(config):
    return config.with_pyramid(replace(config.pyramid, input=config.pyramid.input.of_size(48)))


CHANGES = {
    "nothing": (lambda config: config, 0, 0),
    "suppression": (lambda config: config.with_setting("detections", "nms_thresh", 0.2), 0, 0),
    "proposals": (lambda config: config.with_setting("proposals", "post_nms_top_n", 60), 0, 2),
    "size": (smaller, 2, 2),
}
"""A change, and for how many of two images the network runs again: with the maps, and without them."""


def found_by(detector, config, data):
    other = masu.build(config, detector.names, weights="none")
    other.load_state_dict(detector.state_dict())
    return score(other.eval(), data).found


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("maps", [True, False], ids=["with maps", "without maps"])
def test_a_replay_finds_what_the_detector_finds(detector, data, change, maps):
    changed, *ran = CHANGES[change]
    replay = Replay(detector.prediction_network().detector, data, most_bytes=2**30 if maps else 2**17)
    first = replay.under(detector.config)
    assert (first.ran, len(first.found)) == (2, 2)
    again = replay.under(changed(detector.config))
    assert again.ran == ran[0 if maps else 1]
    assert sum(map(len, again.found.values())) > 5
    for one, other in zip(
        again.found.values(), found_by(detector, changed(detector.config), data), strict=True
    ):
        assert torch.equal(one.boxes, other.boxes)
        assert torch.equal(one.scores, other.scores)


def test_without_memory_the_network_runs_each_time(detector, data):
    replay = Replay(detector.prediction_network().detector, data, most_bytes=0)
    assert [replay.under(detector.config).ran for _ in range(2)] == [2, 2]


def test_what_is_kept_goes_on_from_the_settled_configuration(detector, data):
    replay = Replay(detector.prediction_network().detector, data)
    replay.under(detector.config)
    config = detector.config.with_setting("proposals", "post_nms_top_n", 60)
    replay.settle(config)
    config = config.with_setting("detections", "nms_thresh", 0.2)
    again = replay.under(config)
    assert again.ran == 0
    for one, other in zip(again.found.values(), found_by(detector, config, data), strict=True):
        assert torch.equal(one.boxes, other.boxes)
    replay.settle(smaller(config))
    assert replay.under(smaller(config)).ran == 2
    assert replay.under(smaller(config)).ran == 0


def test_time_is_that_of_all_parts(detector, data, monkeypatch):
    """Where every part takes a second: the network, and of each stage what it asks and what it makes of it."""
    replay = Replay(detector.prediction_network().detector, data)
    seconds = count()
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))
    replay.under(detector.config)
    assert replay.under(detector.config).seconds == 5
    assert replay.under(detector.config.with_setting("detections", "nms_thresh", 0.2)).seconds == 5


def test_a_file_that_cannot_be_read_is_left_out(detector, data):
    data[0][0].write_bytes(b"no image")
    assert list(Replay(detector.prediction_network().detector, data).under(detector.config).found) == [1]
