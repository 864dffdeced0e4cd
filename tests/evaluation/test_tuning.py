"""Tuning: what is tried, what is kept, and what is left as it was."""

from dataclasses import replace
from itertools import count

import pytest
import torch

import masu
from masu.errors import InputError
from masu.evaluation.comparison import difference_of
from masu.evaluation.evaluate import score
from masu.evaluation.resampling import Figure
from masu.evaluation.tuning import _ap_of, changed, changes, tune
from tests.networks import spread


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return spread(masu.build("faster_rcnn_lite0_fpn", ["coin"], image_size=64))


def test_a_wider_level_is_a_wider_interval(detector):
    draws = {Figure("ap"): torch.linspace(0.4, 0.6, 50).numpy()}, {Figure("ap"): torch.rand(50).numpy()}
    usual, wide = (
        difference_of(Figure("ap"), [draws[0]], [draws[1]], 50, level) for level in (0.95, 1 - 0.05 / 6)
    )
    assert usual == difference_of(Figure("ap"), [draws[0]], [draws[1]], 50)
    assert wide.low < usual.low < usual.difference < usual.high < wide.high


def test_each_change_is_of_one_setting(detector):
    last = detector.stages[-1]
    values = list(changes(detector.config, last.nms_thresh, last.limit, full=True))
    assert values == [
        ("nms_thresh", 0.4),
        ("nms_thresh", 0.6),
        ("detections_per_img", 200),
        ("min_size", 80),
        ("min_size", 96),
        ("min_size", 48),
    ]
    fewer = list(changes(detector.config, last.nms_thresh, last.limit, full=False))
    assert fewer == [one for one in values if one[0] != "detections_per_img"]
    for setting, value in values:
        other = changed(detector, setting, value)
        stage = other.stages[-1]
        now = {"nms_thresh": stage.nms_thresh, "detections_per_img": stage.limit}
        now["min_size"] = other.input.min_size
        assert now == {"nms_thresh": 0.5, "detections_per_img": 100, "min_size": 64} | {setting: value}
    assert detector.input.min_size == 64


def test_noise_keeps_nothing_and_loses_nothing(detector, coins):
    detector.thresholds = {"coin": 0.3}
    data = masu.read_dataset(coins, "val")
    ticks = count(step=25)
    done = tune(detector, data, clock=lambda: next(ticks))
    assert len(done.tries) == 2
    assert done.left_out == ("min_size 80", "min_size 96", "min_size 48")  # no image has 100 detections
    assert not done.gained
    assert done.detector.config == detector.config
    assert done.detector.thresholds == {"coin": 0.3}


def test_more_detections_are_tried_where_an_image_has_as_many_as_are_allowed(detector, coins):
    detector.config = detector.config.with_suppression(0.5, 3)
    done = tune(detector, masu.read_dataset(coins, "val"), seconds=-1)
    assert done.left_out == (
        *("nms_thresh 0.4", "nms_thresh 0.6", "detections_per_img 6"),
        *("min_size 80", "min_size 96", "min_size 48"),
    )


def test_a_clear_gain_is_kept_and_what_was_of_other_scores_goes(detector, coins, monkeypatch):
    """AP is 0.5 at 64 px, 0.6 at 80, 0.55 at all else, each draw beside it by as much for all of them."""
    detector.thresholds, detector.margins = {"coin": 0.3}, {"coin": 0.1}
    levels = []

    def measured(one, *_):
        return {64: 0.5, 80: 0.6}.get(one.input.min_size, 0.55), 10.0, 99

    def ap_of(ours, theirs, level):
        levels.append(level)
        noise = torch.linspace(-0.02, 0.02, 100).numpy()
        a, b = ({Figure("ap"): ap + noise} for ap in (ours, theirs))
        return difference_of(Figure("ap"), [a], [b], 50, level)

    monkeypatch.setattr("masu.evaluation.tuning._measured", measured)
    monkeypatch.setattr("masu.evaluation.tuning._ap_of", ap_of)
    done = tune(detector, masu.read_dataset(coins, "val"))
    assert [(one.setting, one.before, one.after) for one in done.tries if one.kept] == [("min_size", 64, 80)]
    assert [one.before for one in done.tries if one.setting == "min_size"] == [64, 80, 80]
    assert done.level == 0.99
    assert levels == [0.99] * 5
    assert done.detector.input.min_size == 80
    assert (done.detector.thresholds, done.detector.calibration, done.detector.margins) == ({}, None, {})
    assert done.dropped == ("thresholds", "margins")
    assert (detector.thresholds, detector.margins) == ({"coin": 0.3}, {"coin": 0.1})


def test_an_image_that_one_try_cannot_read_is_left_out_of_both(detector, coins):
    """Four images; one side misses the first and the other the last: as if both had the middle two alone."""
    scored = score(detector, masu.read_dataset(coins, "train"))
    first, *middle, last = scored.paths
    ours, theirs = scored.of({first, *middle}), scored.of({*middle, last})
    theirs = replace(theirs, found=tuple(one.above(0.3) for one in theirs.found))
    both = set(middle)
    assert _ap_of(ours, theirs, 0.99) == _ap_of(ours.of(both), theirs.of(both), 0.99)
    with pytest.raises(InputError) as caught:
        _ap_of(scored.of({first, last}), theirs, 0.99)
    assert (caught.value.found, caught.value.wanted) == ("1 image", "at least 2 that can be read")


def test_what_cannot_be_tuned_is_refused(detector, coins):
    with pytest.raises(InputError) as caught:
        tune(detector.pyramid, masu.read_dataset(coins, "val"))
    assert caught.value.wanted == "a detector of masu with classes"
