import pytest
import torch
from torch.testing import assert_close

from masu.detectors.build import build, make
from masu.detectors.evidence import evidence
from masu.detectors.rpn import RPNConfig
from masu.ops.images import InputPolicy
from tests.networks import bright_cells, moving_cells, spread, spread_points

NAMES = ("cat", "dog")


def photograph():
    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (96, 128), mode="bilinear")[0]


def detector_of(kind):
    torch.manual_seed(0)
    if kind in ("faster_rcnn", "cascade_rcnn"):
        return spread(build(f"{kind}_lite0_fpn", NAMES, image_size=96))
    if kind == "retinanet":
        detector = build("retinanet_lite0_fpn", NAMES, image_size=96).eval()
        torch.nn.init.normal_(detector.head.classes.output.weight, std=0.3)
        return detector
    if kind == "fcos":
        return spread_points(build("fcos_lite0_fpn", NAMES, image_size=96))
    sizes = ((24.0,), (48.0,), (112.0,), (224.0,))
    return make(
        RPNConfig("efficientnet_lite0", fpn_channels=16, anchor_sizes=sizes, input=InputPolicy(96, 192)), ()
    ).eval()


@pytest.mark.parametrize("kind", ["faster_rcnn", "cascade_rcnn", "retinanet", "fcos", "rpn"])
def test_the_sigmoid_of_the_logit_is_the_score_of_the_detection(kind):
    detector, image = detector_of(kind), photograph()
    found = detector.predict([image])[0]
    assert len(found) > 3
    for k in (0, len(found) // 2, len(found) - 1):
        pixels, answer = evidence(
            detector.prediction_network().detector, image, found.boxes[k], int(found.labels[k])
        )
        score, overlap = answer(pixels).unbind(1)
        assert_close(score.sigmoid(), found.scores[k : k + 1], atol=1e-4, rtol=1e-3)
        assert_close(overlap, torch.ones(1), atol=1e-3, rtol=0)
        assert_close(answer(pixels.repeat(2, 1, 1, 1)), answer(pixels).repeat(2, 1), atol=1e-3, rtol=1e-3)


def test_by_hand_only_the_cell_of_the_anchor_counts():
    image = torch.zeros(3, 48, 64)
    image[0, 16:24, 24:32] = 0.75
    box = torch.tensor([16.0, 8, 32, 24])  # 16 px around the corner at (24, 16)
    pixels, answer = evidence(bright_cells((48, 64)), image, box, 0)
    pixels.requires_grad_()
    value = answer(pixels)
    assert value.tolist() == [[2.0, 1.0]]  # 8 × 0.75 − 4
    (gradient,) = torch.autograd.grad(value[0, 0], pixels)
    wanted = torch.zeros(1, 3, 48, 64)
    wanted[0, 0, 16:24, 24:32] = 8 / 64
    assert_close(gradient, wanted)


def test_by_hand_the_box_moves_with_its_cell():
    image = torch.zeros(3, 48, 64)
    image[0, 16:24, 24:32] = 0.75
    box = torch.tensor([28.0, 8, 44, 24])  # the anchor, 16 px wide, moved by 0.75 of its width
    pixels, answer = evidence(moving_cells((48, 64)), image, box, 0)
    assert answer(pixels).tolist() == [[2.0, 1.0]]
    darker = (pixels / 3).requires_grad_()
    value = answer(darker)
    assert_close(value, torch.tensor([[-2.0, 8 / 24]]))  # 8 px beside it
    (gradient,) = torch.autograd.grad(value[0, 1], darker)
    wanted = torch.zeros(1, 3, 48, 64)
    # with s px between both the IoU is (16 − s) / (16 + s), and s = 12 − 16·m of 64 pixels' mean
    wanted[0, 0, 16:24, 24:32] = 16 * 32 / 24**2 / 64
    assert_close(gradient, wanted)
