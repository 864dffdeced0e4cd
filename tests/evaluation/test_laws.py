"""Figures do not depend on the order of images, objects, detections or classes, nor on the boxes' precision."""

import numpy as np
import pytest
import torch

from masu.evaluation.metrics import coco_metrics
from masu.records import Detections, Target
from tests.evaluation.test_metrics import NAMES, random_case

SEEDS = range(8)


def case(seed):
    """Difficult objects, crowds, areas, and scores of which no two are equal."""
    rng = np.random.default_rng(100 + seed)
    targets, detections = random_case(seed, difficult=0.2)
    count = sum(len(d) for d in detections)
    scores = np.split(rng.permutation(count) / max(count, 1), np.cumsum([len(d) for d in detections])[:-1])
    detections = [Detections(d.boxes, s, d.labels, d.names) for d, s in zip(detections, scores, strict=True)]
    return rng, targets, detections


def figures(targets, detections, names=NAMES):
    metrics = coco_metrics(targets, detections, names, voc=True).as_dict()
    del metrics["max_detections"], metrics["faults"], metrics["intervals"]
    for row in metrics["per_class"].values():
        del row["intervals"]
    return metrics.pop("per_class"), metrics


def assert_equal(one, other):
    assert one[0] == {name: pytest.approx(row, abs=1e-9) for name, row in other[0].items()}
    assert one[1] == pytest.approx(other[1], abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_images_in_any_order(seed):
    rng, targets, detections = case(seed)
    order = rng.permutation(len(targets))
    assert_equal(
        figures([targets[i] for i in order], [detections[i] for i in order]), figures(targets, detections)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_objects_and_detections_in_any_order(seed):
    rng, targets, detections = case(seed)
    mixed, shuffled = [], []
    for t, d in zip(targets, detections, strict=True):
        rows, order = rng.permutation(len(t)), rng.permutation(len(d))
        mixed.append(Target(t.boxes[rows], t.labels[rows], t.ignored[rows], t.areas[rows], t.difficult[rows]))
        names = [d.names[i] for i in order]
        shuffled.append(Detections(d.boxes[order], d.scores[order], d.labels[order], names))
    assert_equal(figures(mixed, shuffled), figures(targets, detections))


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_in_any_order(seed):
    rng, targets, detections = case(seed)
    place = torch.from_numpy(rng.permutation(len(NAMES)))  # class k is now place[k]
    names = [NAMES[k] for k in place.argsort().tolist()]
    renumbered = [Target(t.boxes, place[t.labels], t.ignored, t.areas, t.difficult) for t in targets]
    again = [Detections(d.boxes, d.scores, place[d.labels], d.names) for d in detections]
    assert_equal(figures(renumbered, again, names), figures(targets, detections))


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_of_either_precision(seed):
    _, targets, detections = case(seed)
    doubled = [Target(t.boxes.double(), t.labels, t.ignored, t.areas, t.difficult) for t in targets]
    again = [Detections(d.boxes.double(), d.scores.double(), d.labels, d.names) for d in detections]
    assert figures(doubled, again) == figures(targets, detections)
