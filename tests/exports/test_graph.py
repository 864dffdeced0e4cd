"""The graph in eager mode equals the detector, for every architecture, in batches of its own size."""

from dataclasses import replace

import pytest
import torch

from benchmarks.exports import trained_looking
from benchmarks.torchvision_oracle import photographs
from masu.detectors.build import configuration, make
from masu.detectors.zoo import ARCHITECTURES
from masu.exports.agreement import agreement_of
from masu.exports.graph import Graph
from masu.ops.images import InputPolicy
from masu.records import Detections
from tests.networks import spread


def agreement(detector, images, answer):
    """Of the detector's predictions with what the graph answered for the same images."""
    boxes, scores, labels, count = answer
    for part in (boxes, scores, labels):
        assert not any(part[i, n:].any() for i, n in enumerate(count.tolist()))
    found = [
        Detections(
            boxes[i, :n], scores[i, :n], labels[i, :n], tuple(detector.names[k] for k in labels[i, :n])
        )
        for i, n in enumerate(count.tolist())
    ]
    return agreement_of(detector, detector.predict(images, batch_size=len(images)), found)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture(name):
    detector = trained_looking(name, 128)
    images = [(p[:, :200, :300] * 255).round().to(torch.uint8) for p in photographs()[:2]]
    with torch.no_grad():
        answer = Graph(detector.prediction_network().detector)(torch.stack(images).permute(0, 2, 3, 1))
    agreed = agreement(detector, images, answer)
    assert agreed.detections >= 60
    assert agreed.equal, agreed
    assert agreed.near_ties <= max(2, agreed.detections // 10), agreed
    assert agreed.pixels < 0.01
    assert agreed.score < 1e-4


def test_images_of_other_channels():
    torch.manual_seed(0)
    config = configuration("faster_rcnn_lite0_fpn")
    policy = InputPolicy(64, 128, (0.1,) * 5, (1.5,) * 5, channels=5)
    detector = spread(make(replace(config, rpn=replace(config.rpn, input=policy)), ("a", "b")))
    images = torch.rand((2, 5, 70, 90))
    with torch.no_grad():
        agreed = agreement(detector, list(images), Graph(detector.prediction_network().detector)(images))
    assert agreed.detections > 0
    assert agreed.equal, agreed
    assert agreed.near_ties <= max(2, agreed.detections // 10), agreed
