import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masu.ops.geometry import iou
from masu.ops.nms import batched_nms, nms, topk_per_level


def scattered(count, seed):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=g) * 40
    boxes = torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=g) * 30], dim=1)
    scores = torch.randperm(count, generator=g).float() / max(count, 1)  # no ties: one right answer
    return boxes, scores, torch.randint(0, 3, (count,), generator=g)


def plain_nms(boxes, scores, threshold):
    """As one would write it on a blackboard."""
    overlap, kept = iou(boxes, boxes), []
    for i in scores.argsort(descending=True).tolist():
        if all(overlap[i, j] <= threshold for j in kept):
            kept.append(i)
    return kept


case = (st.integers(0, 30), st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.5, 0.7]))


def test_nms_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 10, 4]])
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.1, 0.2]), 0.5).tolist() == [1, 3, 2]


def test_a_box_at_the_threshold_stays():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0, 1]


def test_groups_never_meet():
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(3, 1)
    assert batched_nms(boxes, torch.tensor([0.2, 0.9, 0.5]), torch.tensor([0, 7, 0]), 0.5).tolist() == [1, 2]


def test_no_boxes():
    none, empty = torch.zeros(0, 4), torch.zeros(0)
    assert nms(none, empty, 0.5).shape == (0,)
    kept = batched_nms(none, empty, empty.long(), 0.5)
    assert (kept.shape, kept.dtype) == ((0,), torch.int64)


@given(*case)
@settings(max_examples=30, deadline=None)
def test_nms_is_the_blackboards_and_idempotent(count, seed, threshold):
    boxes, scores, _ = scattered(count, seed)
    kept = nms(boxes, scores, threshold)
    assert kept.tolist() == plain_nms(boxes, scores, threshold)
    assert nms(boxes[kept], scores[kept], threshold).tolist() == list(range(len(kept)))


@given(*case)
@settings(max_examples=30, deadline=None)
def test_batched_nms_is_nms_of_each_group(count, seed, threshold):
    boxes, scores, groups = scattered(count, seed)
    wanted = []
    for group in range(3):
        rows = torch.where(groups == group)[0]
        wanted += rows[nms(boxes[rows], scores[rows], threshold)].tolist()
    wanted.sort(key=lambda i: -scores[i].item())
    assert batched_nms(boxes, scores, groups, threshold).tolist() == wanted


def test_topk_per_level_by_hand():
    scores = torch.tensor([[1.0, 3, 2, 9, 8], [5, 4, 6, 0, 7]])
    index, level = topk_per_level(scores, [3, 2], 2)
    assert index.tolist() == [[1, 2, 3, 4], [2, 0, 4, 3]]
    assert level.tolist() == [0, 0, 1, 1]


def test_a_small_level_gives_what_it_has():
    index, level = topk_per_level(torch.tensor([[1.0, 2, 3, 4]]), [1, 3, 0], 2)
    assert index.tolist() == [[0, 3, 2]]
    assert level.tolist() == [0, 1, 1]


@pytest.mark.parametrize(("images", "k"), [(0, 2), (2, 0)])
def test_topk_of_nothing(images, k):
    index, level = topk_per_level(torch.zeros(images, 4), [3, 1], k)
    assert index.shape == (images, min(3, k) + min(1, k))
    assert len(level) == index.shape[1]
