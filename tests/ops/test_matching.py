import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection._utils import Matcher

from masu.ops.geometry import iou
from masu.ops.matching import match
from masu.records import BACKGROUND, IGNORE, OBJECT

OBJECT_BOX = torch.tensor([[0.0, 0, 10, 10]])


def shares(*parts):
    """Anchors inside ``OBJECT_BOX`` whose IoU with it is each of ``parts``."""
    return torch.tensor([[0.0, 0, 10, 10 * p] for p in parts])


def test_thresholds_by_hand():
    index, label = match(shares(1.0, 0.7, 0.6, 0.3, 0.2), OBJECT_BOX, high=0.69, low=0.29)
    assert label.tolist() == [OBJECT, OBJECT, IGNORE, IGNORE, BACKGROUND]
    assert index.tolist() == [0] * 5


def test_thresholds_themselves_belong_above():
    _, label = match(shares(0.5, 0.25), OBJECT_BOX, high=0.5, low=0.25)
    assert label.tolist() == [OBJECT, IGNORE]


def test_each_anchor_takes_its_best_object_and_the_first_of_equals():
    objects = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 20]])
    index, label = match(torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 19]]), objects, 0.7, 0.3)
    assert index.tolist() == [0, 1]
    assert label.tolist() == [OBJECT, OBJECT]


def test_restore_labels_an_objects_best_anchors_ties_included():
    anchors = torch.cat([shares(0.2, 0.2, 0.1), torch.tensor([[50.0, 50, 60, 60]])])
    assert match(anchors, OBJECT_BOX, 0.7, 0.3)[1].tolist() == [BACKGROUND] * 4
    assert match(anchors, OBJECT_BOX, 0.7, 0.3, restore=True)[1].tolist() == [OBJECT, OBJECT, 0, 0]


def test_a_restored_anchor_keeps_its_own_best_object():
    # The second object's best anchor overlaps the first object more: it is labelled, but for the first.
    objects = torch.tensor([[0.0, 0, 10, 10], [0, 8, 10, 28]])
    index, label = match(torch.tensor([[0.0, 0, 10, 10]]), objects, 0.7, 0.3, restore=True)
    assert (index.tolist(), label.tolist()) == ([0], [OBJECT])


def test_an_object_that_no_anchor_touches_restores_nothing():
    _, label = match(torch.tensor([[50.0, 50, 60, 60]]), OBJECT_BOX, 0.7, 0.3, restore=True)
    assert label.tolist() == [BACKGROUND]


def test_an_object_without_area_matches_nothing():
    objects = torch.tensor([[5.0, 5, 5, 5]])
    anchors = torch.tensor([[0.0, 0, 10, 10], [5, 5, 5, 5]])
    assert match(anchors, objects, 0.7, 0.3, restore=True)[1].tolist() == [BACKGROUND] * 2


@pytest.mark.parametrize("restore", [False, True])
def test_no_objects_make_everything_background(restore):
    index, label = match(shares(1, 0.5), torch.zeros(0, 4), 0.7, 0.3, restore)
    assert (index.tolist(), label.tolist()) == ([0, 0], [BACKGROUND] * 2)
    assert index.dtype == label.dtype == torch.int64


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("objects", [0, 2])
def test_no_anchors(restore, objects):
    index, label = match(torch.zeros(0, 4), OBJECT_BOX.repeat(objects, 1), 0.7, 0.3, restore)
    assert index.shape == label.shape == (0,)


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_match_is_torchvisions(restore, seed):
    torch.manual_seed(seed)
    corner = torch.rand(210, 2) * 60
    boxes = torch.cat([corner, corner + 5 + torch.rand(210, 2) * 40], dim=1)
    anchors, objects = boxes[:200], boxes[200:]
    index, label = match(anchors, objects, 0.5, 0.3, restore)
    wanted = Matcher(0.5, 0.3, allow_low_quality_matches=restore)(iou(objects, anchors))
    assert_close(label, torch.where(wanted >= 0, OBJECT, torch.where(wanted == -1, BACKGROUND, IGNORE)))
    assert_close(index[wanted >= 0], wanted[wanted >= 0])
    assert {OBJECT, BACKGROUND, IGNORE} == set(label.tolist())
