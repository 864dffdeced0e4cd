"""Figures with weighted images: COCO's own where all weigh the same, and intervals that follow from them."""

import numpy as np
import pytest
import torch

from masu.evaluation.curves import Point, with_intervals
from masu.evaluation.matches import match_image
from masu.evaluation.metrics import coco_metrics
from masu.evaluation.resampling import Figure, image_weights, interval, judged, said_of
from masu.evaluation.resampling import with_intervals as metrics_with_intervals
from masu.records import Detections, Target

NAMES = ["ant", "bee", "cow"]


def scene(seed, images=12):
    """Images with crowds, difficult objects, areas of masks, and detections around the objects."""
    draw = np.random.default_rng(seed)
    targets, found = [], []
    for _ in range(images):
        m = int(draw.integers(0, 9))
        xy, wh = draw.uniform(0, 300, (m, 2)), draw.uniform(8, 130, (m, 2))
        boxes = np.concatenate([xy, xy + wh], 1)
        labels = draw.integers(0, 2 + seed % 2, m)
        target = Target(
            boxes=torch.tensor(boxes).float(),
            labels=torch.tensor(labels),
            ignored=torch.tensor(draw.random(m) < 0.1),
            areas=torch.tensor(wh.prod(1) * 0.7),
            difficult=torch.tensor(draw.random(m) < 0.1),
        )
        d = int(draw.integers(0, 30)) if m else 3
        rows = draw.integers(0, max(m, 1), d)
        near = boxes[rows] if m else draw.uniform(0, 100, (d, 4))
        near = near + draw.normal(0, 5, (d, 4))
        near = np.concatenate([near[:, :2], np.maximum(near[:, 2:], near[:, :2] + 1)], 1)
        wrong = draw.random(d) < 0.2
        of = np.where(wrong, draw.integers(0, 3, d), labels[rows] if m else 0)
        scores = torch.tensor(draw.permutation(1000)[:d] / 1000).float()
        targets.append(target)
        found.append(Detections(torch.tensor(near).float(), scores, torch.tensor(of)))
    return targets, found


def of_metrics(metrics, figure):
    return getattr(metrics if figure.of is None else metrics.per_class[figure.of], figure.name)


@pytest.mark.parametrize("seed", range(6))
def test_with_equal_weights_the_figures_are_cocos(seed):
    targets, found = scene(seed)
    metrics = coco_metrics(targets, found, NAMES)
    figures = judged(targets, found, NAMES).figures(np.ones((1, len(targets))))
    compared = [figure for figure in figures if figure.of is None or figure.name != "ap75"]
    assert {figure.name for figure in compared} >= {"ap", "ap50", "ar100", "ap_small", "ap_medium"}
    for figure in compared:
        assert figures[figure][0] == pytest.approx(of_metrics(metrics, figure), abs=1e-9), figure


@pytest.mark.parametrize("seed", range(3))
def test_an_image_that_weighs_two_counts_as_two_images(seed):
    targets, found = scene(seed)
    copies = np.random.default_rng(seed).integers(0, 4, len(targets))
    rows = np.repeat(np.arange(len(targets)), copies)
    metrics = coco_metrics([targets[i] for i in rows], [found[i] for i in rows], NAMES)
    figures = judged(targets, found, NAMES).figures(copies[None].astype(float))
    for name in ("ap", "ap50", "ap75", "ar100"):
        assert figures[Figure(name)][0] == pytest.approx(getattr(metrics, name), abs=1e-9)


def pair():
    """One image with an object that is found, one with a better score where nothing is."""
    box = torch.tensor([[0.0, 0, 10, 10]])
    targets = [Target(boxes=box, labels=[0]), Target(boxes=torch.zeros(0, 4), labels=[])]
    return targets, [Detections(box, [0.6], [0]), Detections(box, [0.9], [0])]


def test_by_hand():
    weights = np.array([[1.0, 1.0], [3.0, 1.0], [1.0, 0.0]])
    figures = judged(*pair(), ["ant"]).figures(weights)
    assert figures[Figure("ap50", "ant")].tolist() == pytest.approx([1 / 2, 3 / 4, 1])
    assert figures[Figure("ar100")].tolist() == pytest.approx([1, 1, 1])


def test_a_class_that_no_image_with_weight_has_is_left_out_of_the_mean():
    targets, found = pair()
    targets[1] = Target(boxes=torch.tensor([[50.0, 50, 60, 60]]), labels=[1])
    figures = judged(targets, found, ["ant", "bee"]).figures(np.array([[1.0, 1.0], [1.0, 0.0]]))
    assert figures[Figure("ap50")].tolist() == pytest.approx([0.25, 1.0])
    assert np.isnan(figures[Figure("ap50", "bee")]).tolist() == [False, True]


def test_weights_are_the_same_whatever_was_drawn_before():
    first = image_weights(5, 3)
    np.random.default_rng().random(7)
    np.random.seed(3)
    assert np.array_equal(first, image_weights(5, 3))
    assert first.mean(axis=1) == pytest.approx(1)
    assert (first > 0).all()


def test_intervals_hold_the_figures_and_shrink_with_the_images():
    targets, found = scene(1, images=40)
    metrics = metrics_with_intervals(coco_metrics(targets, found, NAMES), targets, found, NAMES)
    for name, (low, high) in metrics.intervals.items():
        assert low < getattr(metrics, name) < high
    again = coco_metrics(targets * 8, found * 8, NAMES)
    again = metrics_with_intervals(again, targets * 8, found * 8, NAMES)
    one, eight = (m.intervals["ap"].high - m.intervals["ap"].low for m in (metrics, again))
    assert eight == pytest.approx(one / 8**0.5, rel=0.15)  # errors of a mean
    assert metrics.as_dict()["intervals"]["ap"] == list(metrics.intervals["ap"])
    assert set(metrics.per_class["ant"].intervals) == {"ap", "ap50", "ar100"}


def test_a_class_without_objects_has_no_interval_and_one_image_has_none_at_all():
    targets, found = scene(0)
    metrics = metrics_with_intervals(coco_metrics(targets, found, NAMES), targets, found, NAMES)
    assert metrics.per_class["cow"].ap is None
    assert metrics.per_class["cow"].intervals == {}
    one = coco_metrics(targets[:1], found[:1], NAMES)
    assert metrics_with_intervals(one, targets[:1], found[:1], NAMES) == one


def test_few_images_say_little():
    values = np.linspace(0.4, 0.6, 1001)  # the middle 95 %: 0.405 to 0.595
    assert interval(values, 0.5, 1) is None
    # t of 2 over 1.96, and √(4 / 2): 4.30265 / 1.96 · 1.41421 = 3.1046
    assert interval(values, 0.5, 3) == pytest.approx((0.5 - 0.095 * 3.1046, 0.5 + 0.095 * 3.1046), abs=1e-4)
    assert interval(values, 0.5, 10**6) == pytest.approx((0.405, 0.595), abs=1e-4)
    assert interval(values * 0 + 1, 1.0, 3) == pytest.approx((3 / (3 + 1.96**2), 1))
    assert interval(values, 0.5, 2) == (0, 1)


def test_a_figure_is_about_the_images_that_have_its_objects():
    targets, found = scene(3)
    whole = judged(targets, found, NAMES)
    for k, name in enumerate(NAMES):
        own = sum(bool(((t.labels == k) & ~t.ignored).any()) for t in targets)
        assert whole.images_with(Figure("ap50", name)) == own
    small = sum(bool(((t.areas <= 32**2) & ~t.ignored).any()) for t in targets)
    assert whole.images_with(Figure("ap_small")) == small
    assert whole.images_with(Figure("ap")) == sum(bool((~t.ignored).any()) for t in targets)


def test_a_small_set_is_called_small():
    targets, found = scene(1, images=12)
    metrics = metrics_with_intervals(coco_metrics(targets, found, NAMES), targets, found, NAMES)
    low, high = metrics.intervals["ap"]
    assert said_of(metrics).startswith(f"12 images say AP to ±{(high - low) / 2:.2f} only")
    many = metrics_with_intervals(
        coco_metrics(targets * 60, found * 60, NAMES), targets * 60, found * 60, NAMES
    )
    assert said_of(many) is None
    assert said_of(coco_metrics(targets, found, NAMES)) is None


def test_intervals_of_a_threshold():
    targets, found = pair()
    targets, found = targets * 30, found * 30
    matches = [match_image(t, d) for t, d in zip(targets, found, strict=True)]
    unseen = Point(0.5, None, None, None, 0, 0, 0)
    ant, bee = with_intervals([Point(0.5, 0.5, 1.0, 2 / 3, 30, 30, 0), unseen], matches)
    low, high = ant.precision_interval
    # Wilson: one half of 60
    assert (low, high) == pytest.approx((0.5 - 0.1227, 0.5 + 0.1227), abs=0.006)
    # all of 30: 30 / (30 + 1.96²), not certainty
    assert ant.recall_interval == pytest.approx((30 / (30 + 1.96**2), 1))
    assert (bee.precision_interval, bee.recall_interval) == (None, None)
    assert ant.as_dict()["precision_interval"] == [low, high]
