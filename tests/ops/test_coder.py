import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.models.detection._utils import BoxCoder

from masu.ops.coder import MAX_LOG_SCALE, decode, encode

ROI_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
pair = st.tuples(*[st.floats(-1000, 1000)] * 2, *[st.floats(1, 50)] * 2)  # sides differ less than the clamp


def corners(rows):
    b = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)
    return torch.cat([b[:, :2], b[:, :2] + b[:, 2:]], dim=1)


def test_encode_by_hand():
    anchor = torch.tensor([[0.0, 0, 10, 20]])  # centre 5, 10
    box = torch.tensor([[5.0, 10, 25, 20]])  # centre 15, 15, twice as wide, half as high
    wanted = torch.tensor([[1.0, 0.25, math.log(2), -math.log(2)]])
    assert_close(encode(box, anchor), wanted)
    assert_close(encode(box, anchor, ROI_WEIGHTS), wanted * torch.tensor(ROI_WEIGHTS))


def test_decode_by_hand():
    anchor = torch.tensor([[0.0, 0, 10, 20]])
    assert_close(
        decode(torch.tensor([[1.0, 0.25, math.log(2), -math.log(2)]]), anchor),
        torch.tensor([[5.0, 10, 25, 20]]),
    )
    assert_close(decode(torch.zeros(1, 4), anchor), anchor)


def test_decode_does_not_outgrow_the_clamp():
    found = decode(torch.tensor([[0.0, 0, 99, 99]]), torch.tensor([[-8.0, -8, 8, 8]]))
    assert_close(found, torch.tensor([[-500.0, -500, 500, 500]]))
    assert math.exp(MAX_LOG_SCALE) == pytest.approx(62.5)


def test_the_clamp_comes_after_the_weights():
    found = decode(torch.tensor([[0.0, 0, 99, 99]]), torch.tensor([[-8.0, -8, 8, 8]]), ROI_WEIGHTS)
    assert_close(found, torch.tensor([[-500.0, -500, 500, 500]]))


def test_no_boxes():
    none = torch.zeros(0, 4)
    assert encode(none, none).shape == decode(none, none).shape == (0, 4)
    assert decode(torch.zeros(3, 0, 4), none).shape == (3, 0, 4)


@given(st.lists(st.tuples(pair, pair), max_size=6), st.sampled_from([(1.0,) * 4, ROI_WEIGHTS]))
@settings(max_examples=30)
def test_decode_is_the_inverse_of_encode(rows, weights):
    boxes, anchors = corners([r[0] for r in rows]), corners([r[1] for r in rows])
    assert_close(decode(encode(boxes, anchors, weights), anchors, weights), boxes, rtol=1e-9, atol=1e-9)


@given(st.lists(pair, max_size=6), st.integers(0, 1000))
@settings(max_examples=30)
def test_encode_is_the_inverse_of_decode_below_the_clamp(rows, seed):
    anchors = corners(rows)
    deltas = torch.randn(len(anchors), 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    deltas = deltas.clamp(max=MAX_LOG_SCALE)
    assert_close(encode(decode(deltas, anchors), anchors), deltas, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weights", [(1.0,) * 4, ROI_WEIGHTS])
def test_both_ways_are_torchvisions(weights):
    torch.manual_seed(0)
    boxes, anchors = (corners((torch.rand(50, 4) * 90 + 1).tolist()).float() for _ in range(2))
    deltas = torch.randn(50, 4) * 6
    oracle = BoxCoder(weights)
    assert_close(encode(boxes, anchors, weights), oracle.encode_single(boxes, anchors))
    assert_close(decode(deltas, anchors, weights), oracle.decode_single(deltas, anchors))


def test_anchors_broadcast_against_deltas():
    anchors = corners([(0, 0, 10, 10), (5, 5, 20, 20)])
    deltas = torch.randn(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert_close(decode(deltas, anchors)[1], decode(deltas[1], anchors))
