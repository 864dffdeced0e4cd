import numpy as np
import pytest
import torch

from masu.evaluation.matches import LIMIT, match_image
from masu.records import Detections, Target
from tests.evaluation.test_metrics import NAMES, oracle, random_case


def found(boxes, scores=None, labels=None):
    labels = [0] * len(boxes) if labels is None else labels
    scores = [1 - 0.01 * i for i in range(len(boxes))] if scores is None else scores
    return Detections(boxes, scores, labels, [NAMES[k] for k in labels])


@pytest.mark.parametrize("seed", range(25))
def test_who_finds_whom_is_as_in_pycocotools(seed):
    targets, detections = random_case(seed)
    images = oracle(targets, detections, NAMES).evalImgs
    first = np.concatenate([[0], np.cumsum([len(t) for t in targets])])
    for i, match in enumerate(match_image(t, d) for t, d in zip(targets, detections, strict=True)):
        for k in range(len(NAMES)):
            # of a class: four sizes, of each all images; size 0 is all
            theirs = images[(k * 4) * len(targets) + i]
            own = match.labels == k
            if theirs is None:
                assert not own.any()
                continue
            ids = theirs["dtMatches"][0]
            assert match.detections.scores.double().numpy()[own].tolist() == theirs["dtScores"]
            assert match.left_out[own].tolist() == theirs["dtIgnore"][0].tolist()
            partner = np.where((ids > 0) & ~theirs["dtIgnore"][0].astype(bool), ids - 1 - first[i], -1)
            assert match.partner[own].tolist() == partner.tolist()


def test_the_better_score_takes_the_object_and_the_nearest_object_is_taken():
    target = Target([[0, 0, 10, 10], [0, 0, 8, 10]], [0, 0])
    match = match_image(target, found([[0, 0, 8, 10], [0, 0, 9, 10], [0, 0, 10, 10]], [0.5, 0.9, 0.7]))
    assert match.detections.scores.tolist() == pytest.approx([0.9, 0.7, 0.5])
    # the first has IoU 0.9 with the one object and 8/9 with the other, the second then what is left
    assert match.partner.tolist() == [0, 1, -1]
    assert (match.right.tolist(), match.wrong.tolist()) == ([True, True, False], [False, False, True])
    assert match.found.tolist() == [True, True]


def test_an_ignored_region_takes_any_number_of_its_class():
    target = Target([[0, 0, 100, 100], [0, 0, 10, 10]], [0, 0], [True, False])
    inside = [[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60], [95, 0, 105, 10], [96, 0, 106, 10]]
    match = match_image(target, found(inside))
    assert match.partner.tolist() == [1, -1, -1, -1, -1]
    assert match.left_out.tolist() == [False, True, True, True, False]  # half inside, less than half
    assert match.iou[3].tolist() == [0.5, 0]
    assert match_image(target, found(inside[2:3], labels=[1])).wrong.tolist() == [True]


def test_only_the_best_of_a_class_count():
    boxes = [[0, 0, 10, 10]] * (LIMIT + 5)
    match = match_image(
        Target([], []), found(boxes + boxes[:3], np.linspace(0, 1, LIMIT + 8), [0] * (LIMIT + 5) + [1] * 3)
    )
    assert len(match.labels) == LIMIT + 3
    assert match.labels[:3].tolist() == [1, 1, 1]
    assert match.detections.scores.tolist() == sorted(match.detections.scores.tolist(), reverse=True)


@pytest.mark.parametrize(("objects", "boxes"), [([], []), ([], [[0, 0, 1, 1]]), ([[0, 0, 1, 1]], [])])
def test_nothing_there_or_nothing_found(objects, boxes):
    match = match_image(Target(objects, [0] * len(objects)), found(boxes))
    assert match.iou.shape == (len(boxes), len(objects))
    assert match.wrong.tolist() == [True] * len(boxes)
    assert match.found.tolist() == [False] * len(objects)


def test_boxes_without_area_overlap_nothing():
    nothing = Target._trusted(torch.tensor([[5.0, 5, 5, 5]]), torch.tensor([0]), torch.tensor([False]))
    match = match_image(nothing, found([[5, 5, 5, 5]]))
    assert match.iou.tolist() == [[0]]
