import pytest
import torch
from torch.testing import assert_close

from masu.detectors.build import build, make
from masu.detectors.evidence import evidence
from masu.detectors.rpn import RPNConfig
from masu.ops.images import InputPolicy
from tests.networks import bright_cells, spread

NAMES = ("cat", "dog")


def photograph():
    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (96, 128), mode="bilinear")[0]


def detector_of(kind):
    torch.manual_seed(0)
    if kind == "faster_rcnn":
        return spread(build("faster_rcnn_lite0_fpn", NAMES, image_size=96))
    if kind == "retinanet":
        detector = build("retinanet_lite0_fpn", NAMES, image_size=96).eval()
        torch.nn.init.normal_(detector.head.classes.output.weight, std=0.3)
        return detector
    sizes = ((24.0,), (48.0,), (112.0,), (224.0,))
    return make(
        RPNConfig("efficientnet_lite0", fpn_channels=16, anchor_sizes=sizes, input=InputPolicy(96, 192)), ()
    ).eval()


@pytest.mark.parametrize("kind", ["faster_rcnn", "retinanet", "rpn"])
def test_the_sigmoid_of_the_logit_is_the_score_of_the_detection(kind):
    detector, image = detector_of(kind), photograph()
    found = detector.predict([image])[0]
    assert len(found) > 3
    for k in (0, len(found) // 2, len(found) - 1):
        pixels, logit = evidence(detector.folded(), image, found.boxes[k], int(found.labels[k]))
        assert_close(logit(pixels).sigmoid(), found.scores[k : k + 1], atol=1e-4, rtol=1e-3)
        assert_close(logit(pixels.repeat(2, 1, 1, 1)), logit(pixels).repeat(2), atol=1e-3, rtol=1e-3)


def test_by_hand_only_the_cell_of_the_anchor_counts():
    image = torch.zeros(3, 48, 64)
    image[0, 16:24, 24:32] = 0.75
    box = torch.tensor([16.0, 8, 32, 24])  # 16 px around the corner at (24, 16)
    pixels, logit = evidence(bright_cells((48, 64)), image, box, 0)
    pixels.requires_grad_()
    value = logit(pixels)
    assert value.tolist() == [2.0]  # 8 × 0.75 − 4
    (gradient,) = torch.autograd.grad(value.sum(), pixels)
    wanted = torch.zeros(1, 3, 48, 64)
    wanted[0, 0, 16:24, 24:32] = 8 / 64
    assert_close(gradient, wanted)
