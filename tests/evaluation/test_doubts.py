"""Wrong labels: errors of each kind are put into good labels, and must come first in the list."""

import dataclasses

import numpy as np
import pytest

from masu.evaluation.doubts import RATE, find_doubts
from masu.records import Detections, Target

SIZE = (400, 400)
NAMES = ("cat", "dog", "hen")


def detections(rows):
    boxes, scores, labels = zip(*rows, strict=True) if rows else ((), (), ())
    names = tuple(NAMES[label] for label in labels)
    return Detections(np.reshape(boxes, (-1, 4)), np.array(scores), np.array(labels, int), names)


def scene(draw):
    """Up to six objects in cells of a grid, and what a fair detector finds: most of them, and some weak nonsense."""
    objects, found = [], []
    for cell in draw.permutation(9)[: draw.integers(2, 7)]:
        corner = np.array([cell % 3, cell // 3]) * 130 + draw.uniform(5, 25, 2)
        box = np.concatenate([corner, corner + draw.uniform(60, 95, 2)])
        label = int(draw.integers(3))
        objects.append((box, label))
        score = 1 - draw.beta(1, 12)
        found.append((box + draw.normal(0, 3, 4), score, label))
        found.append((box + draw.normal(0, 5, 4), 0.3 * draw.uniform(), (label + 1) % 3))
    corner = draw.uniform(0, 300, 2)
    found.append((np.concatenate([corner, corner + 70]), 0.3 * draw.uniform(), int(draw.integers(3))))
    return objects, found


@pytest.fixture(scope="module")
def scenes():
    draw = np.random.default_rng(0)
    return [scene(draw) for _ in range(80)]


def target(objects, ignored=None):
    boxes, labels = [box for box, _ in objects], [label for _, label in objects]
    return Target(np.reshape(boxes, (-1, 4)), np.array(labels, int), ignored)


def doubts_of(scenes, targets=None):
    targets = targets or [target(objects) for objects, _ in scenes]
    return find_doubts(targets, [detections(found) for _, found in scenes], [SIZE] * len(scenes))


@pytest.fixture(scope="module")
def spoilt(scenes):
    """One error of each kind, in the images 0 to 3, each about the object that was found best."""
    targets = [target(objects) for objects, _ in scenes]
    best = [max(range(len(o)), key=lambda i, f=f: f[2 * i][1]) for o, f in scenes[:4]]
    removed = [list(objects) for objects, _ in scenes[:4]]
    gone = removed[0].pop(best[0])
    box, label = removed[1][best[1]]
    removed[1][best[1]] = (box, (label + 2) % 3)
    box, label = removed[2][best[2]]
    removed[2][best[2]] = (box + np.array([28, 0, 28, 0]), label)
    removed[3].append((np.array([330.0, 300, 395, 390]), 1))
    targets[:4] = [target(objects) for objects in removed]
    return targets, best, gone


def test_each_kind_of_error_is_found_first(scenes, spoilt):
    targets, best, gone = spoilt
    first = doubts_of(scenes, targets)[:4]
    assert {(one.kind, one.image) for one in first} == {
        ("missing", 0),
        ("wrong-class", 1),
        ("misplaced", 2),
        ("spurious", 3),
    }
    by = {one.kind: one for one in first}
    assert by["missing"].object is None
    assert np.abs(np.array(by["missing"].box) - gone[0]).max() < 15
    assert by["missing"].label == gone[1]
    assert (by["wrong-class"].object, by["misplaced"].object) == (best[1], best[2])
    assert by["wrong-class"].instead == scenes[1][0][best[1]][1]
    assert np.abs(np.array(by["misplaced"].moved) - scenes[2][0][best[2]][0]).max() < 15
    assert by["spurious"].object == len(targets[3]) - 1
    assert [one.likelihood > 0.5 for one in first[:3]] == [True] * 3


def test_good_labels_give_no_likely_error(scenes):
    likely = [one for one in doubts_of(scenes) if one.likelihood >= 0.5]
    objects = sum(len(objects) for objects, _ in scenes)
    assert len(likely) <= RATE * objects


def test_the_likeliest_come_first_and_each_label_once(scenes, spoilt):
    found = doubts_of(scenes, spoilt[0])
    likelihoods = [one.likelihood for one in found]
    assert likelihoods == sorted(likelihoods, reverse=True)
    assert all(0 <= value <= 1 for value in likelihoods)
    labels = [(one.image, one.object) for one in found if one.object is not None]
    assert len(labels) == len(set(labels))


def test_the_same_input_gives_the_same_answer(scenes, spoilt):
    assert doubts_of(scenes, spoilt[0]) == doubts_of(scenes, spoilt[0])


def test_the_order_of_detections_means_nothing(scenes, spoilt):
    turned = [(objects, found[::-1]) for objects, found in scenes]
    ours, theirs = doubts_of(scenes, spoilt[0]), doubts_of(turned, spoilt[0])
    assert [(one.kind, one.image, one.object) for one in ours[:20]] == [
        (one.kind, one.image, one.object) for one in theirs[:20]
    ]


def test_a_crowd_region_is_no_label_and_hides_what_is_in_it(scenes, spoilt):
    targets = list(spoilt[0])
    gone = spoilt[2]
    boxes = np.concatenate([targets[0].boxes.numpy(), gone[0][None] + [-5, -5, 5, 5]])
    labels = np.append(targets[0].labels.numpy(), gone[1])
    targets[0] = Target(boxes, labels, np.arange(len(boxes)) == len(boxes) - 1)
    found = [one for one in doubts_of(scenes, targets) if one.image == 0]
    assert not any(one.object == len(boxes) - 1 for one in found)
    near = [one for one in found if one.object is None and np.abs(np.array(one.box) - gone[0]).max() < 15]
    assert not near


def test_of_one_class_no_label_is_of_the_wrong_class(scenes):
    alone = [
        ([(box, 0) for box, _ in objects], [(box, score, 0) for box, score, _ in found])
        for objects, found in scenes
    ]
    assert {one.kind for one in doubts_of(alone)} <= {"missing", "misplaced", "spurious"}


def test_where_nothing_is_labelled_there_is_nothing_to_learn_from(scenes):
    assert doubts_of([([], found) for _, found in scenes[:3]]) == []


def test_where_nothing_is_seen_every_label_is_alike(scenes):
    found = doubts_of([(objects, []) for objects, _ in scenes[:20]])
    assert len({round(one.likelihood, 6) for one in found}) == 1
    assert {one.score for one in found} == {0.0}


def test_a_doubt_cannot_be_changed(scenes):
    with pytest.raises(dataclasses.FrozenInstanceError):
        doubts_of(scenes)[0].kind = "missing"
