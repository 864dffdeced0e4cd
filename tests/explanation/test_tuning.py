"""Tuning: what is tried, what is kept, and what is left as it was."""

from itertools import count
from types import MappingProxyType

import numpy as np
import pytest
import torch

import masu
from masu.errors import InputError
from masu.evaluation.comparison import difference_of
from masu.evaluation.evaluate import score
from masu.evaluation.findings import Findings
from masu.evaluation.resampling import Figure
from masu.explanation.ladders import fewer_boxes, ladders
from masu.explanation.replay import Replayed
from masu.explanation.tuning import tune
from masu.ops.voting import SIGMA
from masu.records import Detections
from masu.way import Way
from tests.networks import small_detector

NOTHING = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), ())


@pytest.fixture
def detector():
    return small_detector(["coin"])


@pytest.fixture
def measured(monkeypatch):
    """``measured(ap, lost, milliseconds)``: AP by configuration beside a noise that all have, 50 images."""

    def measure(ap, lost=None, milliseconds=lambda config: 10.0):
        class Known:
            def __init__(self, network, data, most_bytes=0):
                self.config = network.config

            def under(self, config, progress=None):
                return Replayed({0: config, 1: config}, milliseconds(config) / 1000, 0)

            def settle(self, config):
                self.config = config

        def beside(ours, theirs, level):
            noise = torch.linspace(-0.02, 0.02, 100).numpy()
            a, b = ({Figure("ap"): ap(one.found[0]) + noise} for one in (ours, theirs))
            return difference_of(Figure("ap"), [a], [b], 50, level)

        class Report:
            places = MappingProxyType({})

            @staticmethod
            def counts():
                return lost or {"found": 9}

        monkeypatch.setattr("masu.explanation.tuning.Replay", Known)
        monkeypatch.setattr("masu.explanation.tuning.funnel", lambda *_, **__: Report)
        monkeypatch.setattr(Findings, "ap_beside", beside)
        monkeypatch.setattr(Findings, "thresholds", lambda _: {"coin": 0.7})

    return measure


def names(tries):
    return [f"{one.name} {one.before:g} {one.after:g}" for one in tries]


def test_a_wider_level_is_a_wider_interval():
    draws = [{Figure("ap"): torch.linspace(*ends, 50).numpy()} for ends in ((0.4, 0.6), (0.3, 0.7))]
    usual, wide = (
        difference_of(Figure("ap"), [draws[0]], [draws[1]], 50, level) for level in (0.95, 1 - 0.05 / 6)
    )
    assert usual == difference_of(Figure("ap"), [draws[0]], [draws[1]], 50)
    assert wide.low < usual.low < usual.difference < usual.high < wide.high


def test_ladders_by_hand(detector):
    """What loses most comes first; where nothing is lost, the last suppression and the size are left."""

    def found(**lost):
        return [(one.name, one.up, one.lost) for one in ladders(detector, {"found": 50, **lost})]

    fewer = [("proposals.post_nms_top_n", False, 0)]
    nms = [("detections.nms_thresh", True, 0), ("detections.nms_thresh", False, 0)]
    size = [("input.min_size", True, 0), ("input.min_size", False, 0)]
    assert found() == fewer + nms + size
    assert found(kept=7, unknown_class=9) == [
        *(("proposals.nms_thresh", False, 7), ("proposals.post_nms_top_n", True, 7)),
        *fewer,
        *nms,
        *size,
    ]
    assert found(background=2, other_class=1, class_nms=5) == [
        *(("detections.nms_thresh", True, 5), ("detections.score_thresh", True, 3)),
        *fewer,
        *nms[1:],
        *size,
    ]
    assert found(anchors=4, box_regression=2)[:2] == [(name, up, 6) for name, up, _ in size]
    assert found(score=3) == fewer + nms + size  # the threshold of objectness is 0 already


def test_boxes_that_do_not_vote_are_let_vote_and_the_other_way_round_where_that_loses_objects(detector):
    def found(**lost):
        tried = [one for one in ladders(detector, {"found": 50, **lost}) if one.setting == "vote_sigma"]
        return [(one.up, one.lost, *one.at(detector)) for one in tried]

    assert found() == []
    assert found(box_voting=3) == [(True, 3, SIGMA, 0.0)]
    detector.config = detector.config.with_setting("detections", "vote_sigma", 0.0)
    assert found() == [(False, 0, 0.0, SIGMA)]
    assert ladders(detector, {"class_nms": 9})[0].lets_vote


def test_more_detections_count_for_ap_up_to_a_hundred_of_a_class(detector):
    def tried():
        return "detections.detections_per_img" in [
            one.name for one in ladders(detector, {"max_detections": 3})
        ]

    assert not tried()
    detector.names = ("coin", "pebble")
    assert tried()
    detector.names = ("coin",)
    detector.config = detector.config.with_setting("detections", "detections_per_img", 50)
    assert tried()


def test_fewer_boxes_are_of_all_but_the_last_limit(detector):
    assert [one.name for one in fewer_boxes(detector)] == [
        "proposals.pre_nms_top_n",
        "proposals.post_nms_top_n",
    ]
    one_stage = masu.build("fcos_lite0_fpn", ["coin"], weights="none")
    assert [one.name for one in fewer_boxes(one_stage)] == ["detections.pre_nms_top_n"]


def test_noise_keeps_nothing_and_loses_nothing(detector, coins):
    detector.thresholds = {"coin": 0.3}
    ticks = count(step=25)  # at the beginning, and before each try
    done = tune(detector, masu.read_dataset(coins, "val"), clock=lambda: next(ticks), seconds=60)
    assert len(done.tries) == 2
    assert len(done.left_out) == round(0.05 / (1 - done.level)) - 2
    assert not done.gained
    assert done.detector.config == detector.config
    assert done.detector.thresholds == {"coin": 0.3}
    assert sum(done.lost.values()) == 8
    assert done.lost_after is None


def test_each_try_is_what_evaluation_finds(detector, coins):
    data = masu.read_dataset(coins, "val")
    (one, *_) = tune(detector, data, seconds=60).tries
    assert one.ap.a == pytest.approx(score(detector, data).metrics.ap, abs=1e-9)


def test_a_gain_is_followed_as_long_as_it_gains(detector, coins, measured):
    """AP is 0.1 more for each 0.1 of the last suppression up to 0.8, and for nothing else."""
    measured(lambda config: min(config.rois.nms_thresh, 0.8))
    detector.thresholds, detector.margins = {"coin": 0.3}, {"coin": 0.1}
    done = tune(detector, masu.read_dataset(coins, "val"))
    assert names(done.kept) == [
        f"detections.nms_thresh {a} {b}" for a, b in ((0.5, 0.6), (0.6, 0.7), (0.7, 0.8))
    ]
    assert names(done.tries)[:1] == ["proposals.post_nms_top_n 150 75"]
    assert names(done.tries)[4:] == [
        "detections.nms_thresh 0.8 0.9",
        *("input.min_size 64 80", "input.min_size 64 51"),  # and no step back: 0.7 is known
    ]
    assert done.level == 1 - 0.05 / 5
    assert done.detector.config.rois.nms_thresh == 0.8
    assert detector.config.rois.nms_thresh == 0.5
    assert (done.detector.thresholds, done.detector.calibration, done.detector.margins) == ({}, None, {})
    assert done.dropped == ("thresholds", "margins")
    assert (detector.thresholds, detector.margins) == ({"coin": 0.3}, {"coin": 0.1})
    assert done.lost_after == {"found": 9}


def test_a_ladder_that_time_has_ended_is_told(detector, coins, measured):
    measured(lambda config: config.rois.nms_thresh)
    ticks = count(step=25)
    done = tune(detector, masu.read_dataset(coins, "val"), clock=lambda: next(ticks), seconds=85)
    assert names(done.kept) == ["detections.nms_thresh 0.5 0.6", "detections.nms_thresh 0.6 0.7"]
    assert done.left_out == ("detections.nms_thresh 0.8", "input.min_size 80", "input.min_size 51")


def test_a_ladder_ends_after_four_steps(detector, coins, measured):
    measured(lambda config: config.rpn.input.min_size / 1000)
    done = tune(detector, masu.read_dataset(coins, "val"))
    assert [one.after for one in done.kept] == [80, 100, 125, 156]


def test_thresholds_are_stored_anew_where_they_are_asked_for(detector, coins, measured):
    measured(lambda config: config.rois.nms_thresh)
    detector.thresholds = {"coin": 0.3}
    done = tune(detector, masu.read_dataset(coins, "val"), thresholds=True)
    assert done.detector.thresholds == done.thresholds == {"coin": 0.7}
    assert done.dropped == ()


def test_new_thresholds_are_beside_no_margins_of_other_ones(detector, coins, measured):
    measured(lambda config: 0.5)
    detector.thresholds, detector.margins = {"coin": 0.3}, {"coin": 0.1}
    done = tune(detector, masu.read_dataset(coins, "val"), thresholds=True)
    assert not done.gained
    assert done.detector.thresholds == {"coin": 0.7}
    assert (done.detector.margins, done.dropped) == ({}, ("margins",))


def test_new_thresholds_are_beside_nothing_that_two_looks_measured(detector, coins, measured):
    measured(lambda config: 0.5)
    detector.thresholds, detector.margins = {"coin": 0.3}, {"coin": 0.1}
    detector.measured = Way(64, 2)
    done = tune(detector, masu.read_dataset(coins, "val"), thresholds=True)
    assert not done.gained
    assert done.detector.thresholds == done.thresholds == {"coin": 0.7}
    assert (done.detector.margins, done.detector.measured, done.dropped) == ({}, None, ("margins",))
    same = tune(detector, masu.read_dataset(coins, "val"))
    assert (same.detector.thresholds, same.detector.measured) == ({"coin": 0.3}, Way(64, 2))


def test_fewer_boxes_are_kept_for_speed_alone(detector, coins, measured):
    """Each proposal costs 0.1 ms; under 40 of them AP falls by 0.01. Candidates cost nothing."""

    def ap(config):
        return 0.5 - 0.01 * (config.rpn.proposals.post_nms_top_n < 40)

    measured(ap, milliseconds=lambda config: 10 + config.rpn.proposals.post_nms_top_n / 10)
    data = masu.read_dataset(coins, "val")
    done = tune(detector, data)
    assert names(done.faster) == ["proposals.post_nms_top_n 150 75"]
    assert not done.gained
    assert done.detector.config == detector.config
    (one,) = tune(detector, data, prefer="speed").faster
    assert (one.kept, one.milliseconds) == (True, pytest.approx(17.5))
    assert tune(detector, data, prefer="speed").detector.config.rpn.proposals.post_nms_top_n == 75


def test_an_image_that_one_try_cannot_read_is_left_out_of_both(detector, coins):
    """Four images; one side misses the first and the other the last: as if both had the middle two alone."""
    data = masu.read_dataset(coins, "train")
    found = dict(enumerate(score(detector, data).found))
    ours = Findings(data, {i: found[i] for i in (0, 1, 2)}, 0.0)
    theirs = Findings(data, {i: found[i].above(0.3) for i in (1, 2, 3)}, 0.0)
    both = [Findings(data, {i: one.found[i] for i in (1, 2)}, 0.0) for one in (ours, theirs)]
    assert ours.ap_beside(theirs, 0.99) == both[0].ap_beside(both[1], 0.99)
    with pytest.raises(InputError) as caught:
        Findings(data, {i: found[i] for i in (0, 3)}, 0.0).ap_beside(theirs, 0.99)
    assert (caught.value.found, caught.value.wanted) == ("1 image", "at least 2 that can be read")


def test_thresholds_are_those_of_evaluation(detector, coins):
    from masu.evaluation.error_report import error_report

    data = masu.read_dataset(coins, "train")
    scored = score(detector, data)
    found = Findings(data, dict(enumerate(scored.found)), 0.0)
    assert found.thresholds() == error_report(scored).best_thresholds()


def test_images_without_objects_are_refused(detector, coins):
    data = masu.read_dataset(coins, "val")
    empty = data.keep(np.zeros(len(data.labels), bool))
    with pytest.raises(InputError) as caught:
        Findings(empty, {0: NOTHING, 1: NOTHING}, 0.0).ap_beside(
            Findings(empty, {0: NOTHING, 1: NOTHING}, 0.0), 0.9
        )
    assert caught.value.code == "no-objects"


def test_what_cannot_be_tuned_is_refused(detector, coins):
    data = masu.read_dataset(coins, "val")
    with pytest.raises(InputError) as caught:
        tune(detector.pyramid, data)
    assert caught.value.wanted == "a detector of masu with classes"
    with pytest.raises(InputError) as caught:
        tune(detector, data.take([0]))
    assert caught.value.found == "1 image"
