"""How far scores are from what they are worth, and the lines that are fitted: by hand, and by their laws."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from masu.detectors.calibration import SAME
from masu.evaluation.calibration import (
    CalibrationErrors,
    bins,
    calibrated,
    calibration_error,
    fit,
    judgements,
    line,
)
from masu.evaluation.evaluate import Scored
from masu.evaluation.metrics import coco_metrics
from masu.records import Detections, Target
from tests.evaluation.test_resampling import NAMES, scene


def of(targets, found, names=("ant",)):
    paths = tuple(Path(f"{i}.png") for i in range(len(targets)))
    return Scored(coco_metrics(targets, found, names), tuple(names), paths, tuple(targets), tuple(found))


def overconfident(images, chance, seed=0):
    """Each image a detection of score s; it is right with the probability ``chance(s)``, then with IoU 0.8."""
    draw = np.random.default_rng(seed)
    targets, found = [], []
    box = torch.tensor([[0.0, 0, 100, 100]])
    for _ in range(images):
        score = float(draw.random())
        right = draw.random() < chance(score)
        targets.append(
            Target(boxes=torch.tensor([[0.0, 0, 100, 80]] if right else [[200.0, 0, 300, 80]]), labels=[0])
        )
        found.append(Detections(box, [score], [0], ("ant",)))
    return of(targets, found)


def test_judgements_by_hand():
    target = Target(
        boxes=torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [60, 0, 70, 10]]),
        labels=[0, 0, 0],
        ignored=[False, False, True],
    )
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [20, 0, 30, 4], [60, 0, 70, 10], [40, 0, 50, 9]])
    found = Detections(boxes, [0.9, 0.8, 0.7, 0.6, 0.5], [0] * 5)
    judged = judgements(of([target], [found]))
    assert judged.score.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.5])  # without that in the ignored region
    assert judged.right.tolist() == [1, 0, 0, 0]
    assert judged.overlap.tolist() == pytest.approx([1, 0, 0.4, 0])  # one finds an object once


def test_errors_by_hand():
    label, score = np.array([0, 0, 0, 1]), np.array([0.91, 0.89, 0.1, 0.5])
    worth = np.array([1.0, 0.0, 0.0, 1.0])
    # class 0: two of three at 0.90, worth 0.5; one at 0.1, worth 0. Class 1: 0.5, worth 1
    assert calibration_error(label, score, worth) == pytest.approx(((2 * 0.40 + 0.1) / 3 + 0.5) / 2)
    assert [(one.count, round(one.score, 2)) for one in bins(score, worth)] == [(1, 0.1), (1, 0.5), (2, 0.9)]
    assert bins(np.array([1.0]), np.array([1.0]))[0].count == 1


def test_a_line_through_two_groups():
    score = np.array([0.2] * 9 + [0.8] * 9)
    worth = np.array([0.0] * 6 + [1.0] * 3 + [1.0] * 9)
    points = np.array(line(score, worth))
    # one more detection of mean worth 12/18 in each group: (3 + 2/3) / 10 and (9 + 2/3) / 10
    assert points[:, 0].tolist() == pytest.approx([0, 0.2, 0.8, 1])
    assert points[1:3, 1].tolist() == pytest.approx([0.36667, 0.96667], abs=2e-3)


@pytest.mark.parametrize("seed", range(20))
def test_a_line_rises_whatever_it_is_made_of(seed):
    draw = np.random.default_rng(seed)
    count = int(draw.integers(0, 400))
    score = draw.random(count) ** (1 if seed % 2 else 0.05)
    worth = (draw.random(count) < score * (seed % 3) / 2) * 1.0
    points = line(np.round(score, int(draw.integers(1, 7))), worth)
    assert 2 <= len(points) <= 32
    assert (points[0][0], points[-1][0]) == (0, 1)
    for (x1, y1), (x2, y2) in pairwise(points):
        assert x1 < x2
        assert 0 <= y1 < y2 <= 1
    if not count:
        assert points == SAME


def test_scores_next_to_1_are_mended_too():
    draw = np.random.default_rng(0)
    score = draw.uniform(0.9996, 0.9999, 500)
    worth = (draw.random(500) < 0.7) * 1.0
    assert dict(line(score, worth))[1.0] == pytest.approx(worth.mean(), abs=0.03)


def test_overconfident_scores_are_mended_on_images_that_were_not_seen():
    scored, test = (overconfident(600, lambda s: s**3, seed) for seed in (0, 1))
    for meaning, name in (("right", "d_ece"), ("overlap", "laece0")):
        fitted = fit(scored, meaning)
        before, after = (getattr(one, name) for one in (fitted.before, fitted.after))
        assert before > 0.2
        assert after < before / 3
        mended = calibrated(test, fitted.calibration)
        assert getattr(CalibrationErrors.of(judgements(mended)), name) < before / 3


def test_scores_that_say_what_they_are_worth_get_no_worse():
    fitted = fit(overconfident(600, lambda s: s), "right")
    assert fitted.after.d_ece <= fitted.before.d_ece + 0.02


def test_a_class_with_a_single_detection_has_what_is_best_for_it():
    scored = overconfident(200, lambda s: s**3)
    rare = Detections(torch.tensor([[0.0, 0, 100, 100]]), [0.4], [1], ("bee",))
    scored = replace(scored, names=("ant", "bee", "cow"), found=(rare, *scored.found[1:]))
    fitted = fit(scored, "right")
    assert {*fitted.calibration.points, *fitted.kept} == {"ant", "bee", "cow"}
    assert "cow" in fitted.kept  # nothing was ever found: nothing is known
    assert len(fitted.held_out) == 200


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_stays(seed):
    targets, found = scene(seed, images=40)
    scored = of(targets, found, NAMES)
    for meaning in ("right", "overlap"):
        mended = calibrated(scored, fit(scored, meaning).calibration)
        assert all((one.scores.diff() <= 0).all() for one in mended.found)
        after = coco_metrics(mended.targets, mended.found, NAMES)
        assert after.ap == pytest.approx(scored.metrics.ap, abs=1e-3)


def test_the_same_answer_again():
    scored = overconfident(100, lambda s: s**2)
    assert fit(scored, "right").calibration == fit(scored, "right").calibration
