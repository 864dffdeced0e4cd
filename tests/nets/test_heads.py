import pytest
import torch
from torch import nn
from torch.testing import assert_close

from masu.nets.heads import BoxHead, BoxPredictor


@pytest.mark.parametrize("rois", [0, 1, 5])
@pytest.mark.parametrize("convs", [0, 2])
def test_shapes(rois, convs):
    head = BoxHead(6, 3, convs, (16, 8)).eval()
    x = head(torch.randn(rois, 6, 3, 3))
    scores, deltas = BoxPredictor(8, 4)(x)
    assert (x.shape, scores.shape, deltas.shape) == ((rois, 8), (rois, 5), (rois, 4, 4))


def test_no_rois_have_a_zero_gradient():
    head, predictor = BoxHead(6, 3, 0, (8,)), BoxPredictor(8, 2)
    scores, deltas = predictor(head(torch.zeros(0, 6, 3, 3)))
    (scores.sum() + deltas.sum()).backward()
    assert all(not p.grad.any() for p in [*head.parameters(), *predictor.parameters()])


def test_rows_are_read_cell_by_cell_with_channels_innermost():
    head = BoxHead(2, 2, 0, (8,))
    nn.init.eye_(head.linears[0].weight)
    nn.init.zeros_(head.linears[0].bias)
    pooled = torch.tensor([[[[1.0, 3], [5, 7]], [[2, 4], [6, 8]]]])  # odd numbers: channel 0
    assert head(pooled).tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]]


def test_memory_layout_changes_nothing():
    torch.manual_seed(0)
    head, pooled = BoxHead(6, 3, 1, (8,)).eval(), torch.randn(4, 6, 3, 3)
    assert_close(head(pooled), head(pooled.contiguous(memory_format=torch.channels_last)))


def test_the_pooled_rois_are_not_written_to():
    pooled = torch.randn(4, 6, 3, 3)
    before = pooled.clone()
    BoxHead(6, 3, 0, (8,))(pooled)
    BoxHead(6, 3, 1, (8,))(pooled)
    assert torch.equal(pooled, before)


def test_a_class_is_a_row_of_deltas():
    predictor = BoxPredictor(1, 3)
    with torch.no_grad():
        predictor.deltas.weight.zero_()
        predictor.deltas.bias.copy_(torch.arange(12.0))
    _, deltas = predictor(torch.zeros(2, 1))
    assert deltas[1].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
