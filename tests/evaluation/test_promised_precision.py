"""Thresholds with a promised precision: the p-value by hand, the order of tests, the law, and refusals."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from masu.detectors.calibration import Calibration
from masu.errors import InputError
from masu.evaluation.matches import match_image
from masu.evaluation.promised_precision import p_value, precision_thresholds, refuse_precision, wrong_shares
from masu.records import Detections, Target

BOX = torch.tensor([[0.0, 0, 10, 10]])


def shown(right=(), wrong=()):
    """An image that shows a right box for each score of the first list, a wrong one for each of the second."""
    boxes = torch.cat([BOX[:0], *(BOX + 20 * i for i in range(len(right) + len(wrong)))])
    scores = [*right, *wrong]
    target = Target(boxes[: len(right)], [0] * len(right))
    return match_image(target, Detections(boxes, torch.tensor(scores), [0] * len(scores)))


def test_the_p_value_by_hand():
    # nothing wrong in n images: 0.9 to the power of n
    assert p_value(np.zeros(20), 0.1) == pytest.approx(0.9**20)
    # Hoeffding: exp(-n kl(0.05, 0.2)), here below e·P(Bin(40, 0.2) ≤ 2)
    shares = np.array([0.5] * 4 + [0.0] * 36)
    kl = 0.05 * math.log(0.05 / 0.2) + 0.95 * math.log(0.95 / 0.8)
    assert p_value(shares, 0.2) == pytest.approx(min(math.exp(-40 * kl), math.e * binom.cdf(2, 40, 0.2)))
    assert p_value(np.array([0.1, 0.3]), 0.2) == 1
    assert p_value(np.zeros(0), 0.2) == 1


def test_shares_are_of_images_that_show_a_box():
    images = [shown([0.9], [0.8, 0.3]), shown([0.9]), shown([], [0.2]), shown()]
    assert wrong_shares(images, 0, 0.5).tolist() == [0.5, 0]
    assert wrong_shares(images, 0, 0.1).tolist() == [pytest.approx(2 / 3), 0, 1]
    assert wrong_shares(images, 1, 0.1).tolist() == []


def test_the_smallest_threshold_before_the_first_that_is_not_refuted():
    # forty images with a right box; in eight of them a wrong one at 0.3, too, which halves their precision
    images = [shown([0.96]) for _ in range(32)] + [shown([0.96], [0.3]) for _ in range(8)]
    assert precision_thresholds(images, ["ant"], 0.9) == {"ant": pytest.approx(0.31)}
    # 0.8: a mean of 0.1 wrong in 40 images is refuted nowhere below 0.3; p = 0.24
    assert precision_thresholds(images, ["ant"], 0.8) == {"ant": pytest.approx(0.31)}
    # 0.6: p = 0.000003, so that all thresholds down to the first of the grid pass
    assert precision_thresholds(images, ["ant"], 0.6) == {"ant": pytest.approx(0.01)}


def test_a_chain_of_tests_does_not_jump():
    """Below 0.4 the precision would do again, but 0.6 to 0.4 was not refuted, and no start lies below."""
    images = [shown([0.97], [0.46]) if i < 10 else shown([0.97]) for i in range(40)]
    images += [shown([0.2]) for _ in range(200)]
    assert precision_thresholds(images, ["ant"], 0.9) == {"ant": pytest.approx(0.47)}


def test_classes_of_which_nothing_is_found_have_no_threshold():
    assert set(precision_thresholds([shown([0.96])] * 40, ["ant", "bee"], 0.9)) == {"ant"}


def test_calibrated_scores_choose_the_same_boxes():
    """The thresholds that are tried are of the network's scores, whatever these have become."""
    draw = np.random.default_rng(0)
    line = Calibration("right", {"ant": ((0.0, 0.0), (0.5, 0.1), (1.0, 0.9))})
    raw = [(draw.random(3).tolist(), (draw.random(1) * 0.6).tolist()) for _ in range(80)]

    def through(scores):
        return line.scores(
            torch.tensor(scores), torch.zeros(len(scores), dtype=torch.int64), ["ant"]
        ).tolist()

    plain = precision_thresholds([shown(*one) for one in raw], ["ant"], 0.8)["ant"]
    worth = precision_thresholds([shown(*map(through, one)) for one in raw], ["ant"], 0.8, line)["ant"]
    assert worth == pytest.approx(through([plain])[0])


def test_what_cannot_be_promised_says_what_could():
    images = [shown([0.96])] * 60 + [shown([0.96], [0.96])] * 20
    with pytest.raises(InputError) as caught:
        precision_thresholds(images, ["ant"], 0.9)
    # 0.125 wrong in 80 images: p(0.24) = 0.031 is the first below a third of 0.1, p(0.23) = 0.049 is not
    assert p_value(wrong_shares(images, 0, 0.5), 0.24) < 0.1 / 3 < p_value(wrong_shares(images, 0, 0.5), 0.23)
    assert (caught.value.thing, caught.value.code) == ("--precision 0.9", "out-of-range")
    assert caught.value.found == (
        "80 images that show class 'ant' from a score of 0.5 on, which can promise 0.76 at most"
    )


def test_what_is_refused_for_the_number_of_images_alone():
    refuse_precision(0.9, 33)
    refuse_precision(0.0, 1)
    with pytest.raises(InputError) as caught:
        refuse_precision(0.9, 32)
    assert (caught.value.found, caught.value.wanted) == ("32 images", "at least 33")
    # which is what the test itself needs
    assert 0.9**33 < 0.1 / 3 < 0.9**32
    with pytest.raises(InputError, match="no data can promise all"):
        refuse_precision(1.0, 10_000)


def test_the_promise_is_kept_in_nine_of_ten_draws():
    """By the precision in three thousand images more."""
    draw = np.random.default_rng(0)

    def image():
        scores = draw.random(3)
        right = draw.random(3) < scores**0.3
        return shown(scores[right].tolist(), scores[~right].tolist())

    many = [image() for _ in range(3000)]
    kept = []
    for _ in range(60):
        try:
            threshold = precision_thresholds([image() for _ in range(60)], ["ant"], 0.8)["ant"]
        except InputError:
            continue
        kept.append(1 - wrong_shares(many, 0, threshold).mean() >= 0.8)
    assert len(kept) > 30
    assert np.mean(kept) >= 0.9
