import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.models.detection.retinanet import RetinaNetHead

from masu.detectors.torchvision_families import OneStage
from masu.nets.retina import RetinaHead, Tower


@pytest.mark.parametrize("norm", [False, True])
def test_the_head_is_torchvisions(norm):
    torch.manual_seed(0)
    theirs = RetinaNetHead(32, 3, 5, norm_layer=partial(nn.GroupNorm, 32) if norm else None)
    ours = RetinaHead(32, 3, 5, norm=norm)
    state = {OneStage().rename(f"head.{k}").removeprefix("head."): v for k, v in theirs.state_dict().items()}
    ours.load_state_dict(state)
    features = [torch.randn(2, 32, s, s + 1) for s in (6, 3)]
    wanted = theirs(features)
    logits, deltas = ours(features)
    assert (logits.shape, deltas.shape) == ((2, 162, 5), (2, 162, 4))
    assert_close(logits, wanted["cls_logits"])
    assert_close(deltas, wanted["bbox_regression"])


def test_every_class_starts_unlikely():
    head = RetinaHead(8, 2, 3, depth=1)
    assert_close(head.classes.output.bias, torch.full((6,), -math.log(99)))
    logits, _ = head([torch.zeros(1, 8, 2, 2)])
    assert_close(logits.sigmoid(), torch.full((1, 8, 3), 0.01))


def test_no_images():
    logits, deltas = RetinaHead(8, 2, 3)([torch.zeros(0, 8, 4, 4)])
    assert (logits.shape, deltas.shape) == ((0, 32, 3), (0, 32, 4))


@pytest.mark.parametrize("norm", [False, True])
def test_what_passes_through_a_tower_keeps_its_size(norm):
    torch.manual_seed(0)
    tower = Tower(96, 4, depth=4, norm=norm)
    features = torch.randn(2, 96, 20, 20)
    with torch.no_grad():
        hidden = tower.hidden(features)
    assert hidden.square().mean().sqrt() == pytest.approx(0.75, abs=0.25)
