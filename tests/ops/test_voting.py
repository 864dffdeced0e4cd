"""Where the boxes around a box vote it to be."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masu.ops.voting import vote_boxes

SIGMA = 0.025


def scattered(count, seed):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=g) * 20
    boxes = torch.cat([corner, corner + 20 + torch.rand(count, 2, generator=g) * 10], dim=1)
    return boxes, 0.01 + 0.99 * torch.rand(count, generator=g)


def on_a_blackboard(box, around, scores, sigma):
    """The definition, in double precision, one box after the other."""
    total, sums = 0.0, [0.0] * 4
    x1, y1, x2, y2 = box
    for (a1, b1, a2, b2), score in zip(around, scores, strict=True):
        shared = max(min(x2, a2) - max(x1, a1), 0) * max(min(y2, b2) - max(y1, b1), 0)
        overlap = shared / ((x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - shared)
        weight = score * math.exp(-((1 - overlap) ** 2) / sigma)
        total += weight
        sums = [s + weight * side for s, side in zip(sums, (a1, b1, a2, b2), strict=True)]
    return [s / total for s in sums]


def test_two_boxes_by_hand():
    """10×10 beside 10×8: IoU 0.8, weight exp(−0.04 / 0.04) = 1/e; as sure, the lower side comes up by
    2 / (e + 1)."""
    box, other = [0.0, 0, 10, 10], [0.0, 0, 10, 8]
    found = vote_boxes(torch.tensor([box]), torch.tensor([[box, other]]), torch.tensor([[0.5, 0.5]]), 0.04)
    assert found[0].tolist() == pytest.approx([0, 0, 10, 10 - 2 / (math.e + 1)], rel=1e-6)
    surer = vote_boxes(torch.tensor([box]), torch.tensor([[box, other]]), torch.tensor([[0.25, 0.75]]), 0.04)
    assert surer[0, 3].item() == pytest.approx(10 - 2 * 3 / (math.e + 3), rel=1e-6)


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), count=st.integers(1, 30))
def test_it_is_the_definition(seed, count):
    boxes, scores = scattered(count, seed)
    found = vote_boxes(boxes, boxes.expand(count, -1, -1), scores.expand(count, -1), SIGMA)
    for own, box in zip(found.tolist(), boxes.tolist(), strict=True):
        assert own == pytest.approx(on_a_blackboard(box, boxes.tolist(), scores.tolist(), SIGMA), rel=1e-4)


def test_the_order_decides_nothing_and_neither_does_a_factor_of_all_scores():
    boxes, scores = scattered(20, 3)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    found = vote_boxes(boxes, boxes[None], scores.expand(20, -1), SIGMA)
    torch.testing.assert_close(
        vote_boxes(boxes, boxes[order][None], scores[order].expand(20, -1), SIGMA), found
    )
    torch.testing.assert_close(vote_boxes(boxes, boxes[None], 0.3 * scores.expand(20, -1), SIGMA), found)


def test_a_box_moves_with_all_of_them():
    boxes, scores = scattered(20, 4)
    shift = torch.tensor([30.0, 7, 30, 7])
    found = vote_boxes(boxes, boxes[None], scores.expand(20, -1), SIGMA)
    there = vote_boxes(boxes + shift, boxes[None] + shift, scores.expand(20, -1), SIGMA)
    torch.testing.assert_close(there, found + shift, atol=1e-4, rtol=0)


def test_a_box_alone_stays_and_what_has_no_vote_is_not_asked():
    box = torch.tensor([[3.0, 4, 9, 11]])
    others = torch.tensor([[[3.0, 4, 9, 11], [3, 4, 9, 10], [float("nan"), 0, 1, 1], [50, 50, 60, 60]]])
    found = vote_boxes(box, others, torch.tensor([[0.2, 0.0, 0.0, 0.9]]), SIGMA)
    torch.testing.assert_close(found, box)


def test_a_box_without_area_stays():
    boxes = torch.tensor([[0.0, 0, 0, 0], [5, 5, 5, 9], [0, 0, 8, 8]])
    found = vote_boxes(boxes, boxes[None], torch.full((3, 3), 0.5), SIGMA)
    assert found[:2].tolist() == boxes[:2].tolist()
    torch.testing.assert_close(found[2], boxes[2])


def test_a_batch_is_its_images():
    parts = [scattered(12, seed) for seed in (5, 6)]
    boxes, scores = (torch.stack(part) for part in zip(*parts, strict=True))
    together = vote_boxes(boxes, boxes[:, None], scores[:, None].expand(-1, 12, -1), SIGMA)
    for i, (own, certain) in enumerate(parts):
        assert torch.equal(together[i], vote_boxes(own, own[None], certain.expand(12, -1), SIGMA))


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match="boxes"):
        vote_boxes(torch.zeros(2, 3), torch.zeros(1, 5, 4), torch.zeros(2, 5), SIGMA)
