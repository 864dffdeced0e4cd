"""The one post-processing, by hand: every filter, its order, and what is not there."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.export import Dim

from masu.detectors.stages import ONE_STAGE_REASONS, PROPOSAL_REASONS, Rows, Stage, step

SIZES = torch.tensor([[100, 100]])


def moved(deltas, boxes):
    return boxes + deltas


def rows_of(boxes, ranking, count=1):
    """Rows of ``count`` equal images whose boxes stay where they are."""
    boxes, ranking = torch.tensor(boxes).float(), torch.tensor(ranking).float()
    ranking = ranking.reshape(len(boxes), -1).expand(count, -1, -1)
    return Rows(boxes, ranking, torch.zeros(count, len(boxes), 1, 4))


ANCHORS = Stage(
    "proposals",
    lambda raw, given: [],
    moved,
    PROPOSAL_REASONS,
    False,
    pre_nms_top_n=3,
    nms_thresh=0.5,
    limit=4,
)
CLASSES = Stage(
    "detections", lambda raw, given: [], moved, ONE_STAGE_REASONS, True, False, 0.3, nms_thresh=0.5, limit=3
)
A, B, FAR, OUT = [0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60], [95, 95, 120, 130]


def kept_of(found, image=0):
    count = int(found.kept.count[image])
    kept = found.kept
    assert not kept.boxes[image, count:].any()
    assert not kept.scores[image, count:].any()
    return [
        (box, label)
        for box, label in zip(kept.boxes[image, :count].tolist(), kept.labels[image].tolist(), strict=False)
    ]


def test_levels_do_not_suppress_each_other_and_boxes_are_cut_to_the_image():
    found = step(ANCHORS, [rows_of([A, B, OUT], [3, 2, 1]), rows_of([B], [2.5])], SIZES)
    assert kept_of(found) == [(A, 0), (B, 0), ([95, 95, 100, 100], 0)]
    assert found.kept.scores[0, :3].tolist() == pytest.approx(
        torch.tensor([3.0, 2.5, 1.0]).sigmoid().tolist()
    )
    assert found.candidates.row[0].tolist() == [0, 1, 2, 3, 3, 3]  # the second level has one row, then none


def test_only_the_best_of_a_level_are_decoded():
    found = step(replace(ANCHORS, pre_nms_top_n=1), [rows_of([A, FAR], [1, 2]), rows_of([B], [0])], SIZES)
    assert kept_of(found) == [(FAR, 0), (B, 0)]


def test_classes_do_not_suppress_each_other_and_scores_are_above_the_threshold():
    rows = rows_of([A, B, FAR], [[0.9, 0.0], [0.8, 0.7], [0.3, 0.31]])
    for stage in (CLASSES, replace(CLASSES, pre_nms_top_n=6)):
        found = step(stage, [rows], SIZES)
        assert kept_of(found) == [(A, 0), (B, 1), (FAR, 1)]  # 0.3 itself is not above 0.3
    found = step(replace(CLASSES, reaching=True, limit=9), [rows], SIZES)
    assert kept_of(found) == [(A, 0), (B, 1), (FAR, 1), (FAR, 0)]


def test_small_boxes_and_no_numbers_are_dropped():
    nan = float("nan")
    rows = rows_of([A, [0, 0, 1, 90], [nan, 0, 10, 10], FAR], [4, 3, 2, 1])
    found = step(replace(ANCHORS, pre_nms_top_n=4, min_size=2), [rows], SIZES)
    assert kept_of(found) == [(A, 0), (FAR, 0)]


def test_of_equal_scores_the_earlier_row_comes_first():
    found = step(replace(CLASSES, limit=2), [rows_of([FAR, A, [20, 20, 30, 30]], [0.5, 0.5, 0.5])], SIZES)
    assert kept_of(found) == [(FAR, 0), (A, 0)]


def test_without_suppression_and_limit_all_that_are_there_remain_without_a_gap():
    rows = rows_of([A, B, FAR], [0.9, -torch.inf, 0.7])
    stage = replace(CLASSES, by_class=False, nms_thresh=None, limit=None, score_thresh=0.0)
    found = step(stage, [rows], SIZES)
    assert kept_of(found) == [(A, 0), (FAR, 0)]
    assert found.kept.there.tolist() == [[True, True, False]]


@pytest.mark.parametrize("best", [None, 6])
def test_boxes_of_a_class_vote_those_that_gave_way_too(best):
    """A and B overlap by 0.8: with σ = 0.04 the weaker one weighs 0.6/e against 0.9. Of the other class only
    B is there."""
    rows = rows_of([A, B, FAR], [[0.9, 0.0], [0.6, 0.7], [0.1, 0.2]])
    stage = replace(CLASSES, pre_nms_top_n=best, vote_sigma=0.04)
    found, plain = step(stage, [rows], SIZES), step(replace(stage, vote_sigma=0.0), [rows], SIZES)
    (one, first), (two, second) = kept_of(found)
    weight = 0.6 / 2.718281828
    assert one == pytest.approx([0, 0, 10, (9 + 8 * weight) / (0.9 + weight)], rel=1e-6)
    assert (two, first, second) == (B, 0, 1)
    assert kept_of(plain) == [(A, 0), (B, 1)]
    for name in ("scores", "labels", "count", "index"):
        assert torch.equal(getattr(found.kept, name), getattr(plain.kept, name))


def test_small_boxes_and_those_under_the_threshold_do_not_vote():
    rows = rows_of([A, B, [0, 0, 9, 9]], [0.9, 0.6, 0.25])
    found = step(replace(CLASSES, vote_sigma=1.0, min_size=9), [rows], SIZES)
    assert kept_of(found) == [(A, 0)]


VOTING = replace(CLASSES, vote_sigma=0.05)


class _Step(nn.Module):
    """A stage as a network, for ``torch.export``."""

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def forward(self, boxes, ranking, sizes):
        kept = step(self.stage, [Rows(boxes, ranking, torch.zeros_like(boxes)[:, :, None])], sizes).kept
        return kept.boxes, kept.labels


@pytest.mark.parametrize("best", [None, 5])
def test_a_vote_can_be_exported_for_any_number_of_images(best):
    stage, count = _Step(replace(VOTING, pre_nms_top_n=best)), Dim("N", min=1)
    boxes, ranking = torch.tensor([A, B, FAR]).float(), torch.tensor([[0.9, 0.0], [0.6, 0.7], [0.1, 0.4]])
    of = lambda n: (boxes.expand(n, -1, -1), ranking.expand(n, -1, -1), SIZES.expand(n, -1))  # noqa: E731
    program = torch.export.export(stage, of(2), dynamic_shapes=({0: count},) * 3, strict=False)
    for n in (1, 3):
        for exported, wanted in zip(program.module()(*of(n)), stage(*of(n)), strict=True):
            assert torch.equal(exported, wanted)


@pytest.mark.parametrize(
    "stage",
    [ANCHORS, CLASSES, replace(CLASSES, pre_nms_top_n=5), VOTING, replace(VOTING, pre_nms_top_n=5)],
)
def test_an_image_is_what_it_is_alone(stage):
    g = torch.Generator().manual_seed(0)
    corner = torch.rand(3, 40, 2, generator=g) * 60
    boxes = torch.cat([corner, corner + torch.rand(3, 40, 2, generator=g) * 40], 2)
    classes = 3 if stage.by_class else 1
    ranking, sizes = torch.rand(3, 40, classes, generator=g), SIZES.expand(3, 2)
    together = step(stage, [Rows(boxes, ranking, torch.zeros(3, 40, 1, 4))], sizes)
    for i in range(3):
        rows = Rows(boxes[i : i + 1], ranking[i : i + 1], torch.zeros(1, 40, 1, 4))
        alone = step(stage, [rows], SIZES)
        assert torch.equal(together.kept.boxes[i], alone.kept.boxes[0])
        assert torch.equal(together.kept.scores[i], alone.kept.scores[0])
        assert torch.equal(together.kept.labels[i], alone.kept.labels[0])


def test_nothing_above_the_threshold_nothing_kept():
    found = step(replace(CLASSES, score_thresh=2.0), [rows_of([A, B], [0.9, 0.8])], SIZES)
    assert (kept_of(found), found.kept.boxes.shape) == ([], (1, 3, 4))


def test_several_levels_without_a_limit_before_suppression():
    levels = [rows_of([A], [[0.9, 0.35]]), rows_of([B, FAR], [[0.7, 0.8], [0.4, 0.2]])]
    for number in (None, 10):
        found = step(replace(CLASSES, pre_nms_top_n=number), levels, SIZES)
        assert kept_of(found) == [(A, 0), (B, 1), (FAR, 0)]
    uneven = [rows_of([A], [0.9]), rows_of([B, A], [0.8, 0.7])]
    stage = replace(CLASSES, by_class=False)
    assert kept_of(step(stage, uneven, SIZES)) == [(A, 0), (B, 0)]
