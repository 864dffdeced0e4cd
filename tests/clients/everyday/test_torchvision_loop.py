"""The training loop of torchvision's tutorials teaches a detector of masu."""

import pytest
import torch

import masu
from examples.clients.with_torchvision import train
from tests.clients.learning import mean_loss
from tests.clients.scenes import NAMES


@pytest.mark.parametrize(
    ("architecture", "learning_rate", "left"),
    [
        ("faster_rcnn_lite0_fpn", 0.005, 0.7),
        ("retinanet_lite0_fpn", 0.001, 0.8),
        ("fcos_lite0_fpn", 0.001, 0.9),
    ],
)
def test_it_learns(architecture, learning_rate, left, loader, pairs):
    torch.manual_seed(0)
    beginner = masu.build(architecture, NAMES, image_size=192)
    before = mean_loss(beginner, pairs)
    after = train(beginner, loader, epochs=5, learning_rate=learning_rate)
    assert mean_loss(after, pairs) < left * before
    assert mean_loss(beginner, pairs) == before
    assert after.names == beginner.names
