import pytest
import torch
from torch.testing import assert_close

from masu.detectors.box_loss import NAMES, box_loss
from masu.detectors.faster_rcnn import RoISettings
from masu.detectors.retinanet import RetinaNetConfig
from masu.detectors.rpn import ProposalSettings
from masu.ops.coder import encode
from masu.ops.losses import giou, l1

ANCHORS = torch.tensor([[0.0, 0, 10, 10], [5, 5, 25, 15]])
OBJECTS = torch.tensor([[1.0, 2, 9, 12], [4, 6, 26, 17]])
WEIGHTS = (10.0, 10.0, 5.0, 5.0)


@pytest.mark.parametrize("name", NAMES)
def test_the_right_deltas_cost_nothing(name):
    right = encode(OBJECTS, ANCHORS, WEIGHTS)
    assert box_loss(name, right, OBJECTS, ANCHORS, 1, WEIGHTS).item() == pytest.approx(0, abs=1e-5)
    wrong = (right + 0.3).requires_grad_()
    loss = box_loss(name, wrong, OBJECTS, ANCHORS, 1, WEIGHTS)
    assert loss.item() > 0.01
    assert torch.autograd.grad(loss, wrong)[0].abs().sum(dim=1).min() > 0


def test_what_each_one_compares():
    deltas = torch.zeros(2, 4)
    assert_close(box_loss("l1", deltas, OBJECTS, ANCHORS, 2), l1(deltas, encode(OBJECTS, ANCHORS), 2))
    assert_close(box_loss("giou", deltas, OBJECTS, ANCHORS, 2), giou(ANCHORS, OBJECTS, 2))


@pytest.mark.parametrize("name", NAMES)
def test_no_boxes(name):
    none = torch.zeros(0, 4, requires_grad=True)
    loss = box_loss(name, none, torch.zeros(0, 4), torch.zeros(0, 4), 1)
    loss.backward()
    assert (loss.item(), none.grad.shape) == (0, (0, 4))


@pytest.mark.parametrize(
    "make", [ProposalSettings, RoISettings, lambda **s: RetinaNetConfig("resnet50", **s)]
)
def test_an_unknown_name_is_refused_at_once(make):
    with pytest.raises(ValueError, match="box_loss: found 'ciou', wanted one of smooth_l1, l1, l2, giou"):
        make(box_loss="ciou")
