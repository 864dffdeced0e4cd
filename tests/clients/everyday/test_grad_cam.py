"""pytorch-grad-cam takes the pyramid's maps, and gradients of scores and boxes."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam import AblationCAM, GradCAM, ScoreCAM
from pytorch_grad_cam.ablation_layer import AblationLayerFasterRCNN
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget
from pytorch_grad_cam.utils.reshape_transforms import fasterrcnn_reshape_transform
from torchvision.transforms.functional import to_tensor

import masu
from examples.clients.with_grad_cam import heat


@pytest.fixture(scope="module")
def image(pictures):
    return to_tensor(pictures[3])


def target_of(model, image, count=1):
    found = model([image])[0]
    return FasterRCNNBoxScoreTarget(found["labels"][:count], found["boxes"][:count].detach())


def test_the_example(detector, image):
    made = heat(detector, image)
    assert made.shape == image.shape[1:]
    assert np.isfinite(made).all()
    assert made.min() == 0.0
    assert made.max() == pytest.approx(1.0, abs=1e-6)


def test_maps_of_the_backbone_are_the_networks_own(model, image):
    """What pytorch-grad-cam's reshaping reads has one channel block per level."""
    maps = model.backbone(image[None])
    assert list(maps)[-1] == "pool"
    stacked = fasterrcnn_reshape_transform(maps)
    assert stacked.shape[1] == model.backbone.out_channels * len(maps)


def test_gradients_of_the_target_move_the_score(model, image):
    """A step along the gradient that the target gives raises it."""
    target = target_of(model, image)
    pixels = image[None].clone().requires_grad_()
    before = target(model(pixels)[0])
    (slope,) = torch.autograd.grad(before.sum(), pixels)
    assert slope.abs().sum() > 0
    after = target(model(pixels.detach() - 1e-3 * slope.sign())[0])
    assert float(after.detach()) < float(before.detach())


def test_grad_cam_is_warmest_in_the_box(model, image):
    target = target_of(model, image)
    x1, y1, x2, y2 = target.bounding_boxes[0].round().int().tolist()
    made = GradCAM(model, [model.backbone.fpn.output[0]])(image[None], [target])[0]
    assert made.max() > 0
    inside = made[max(y1, 0) : y2, max(x1, 0) : x2].mean()
    assert inside > 2 * made.mean()


def test_score_cam_without_gradients(model, image):
    layer = model.backbone.fpn.output[-1]
    cam = ScoreCAM(model, [layer])
    made = cam(image[None], [target_of(model, image)])[0]
    assert np.isfinite(made).all()


def test_ablation_of_256_channels(image):
    """pytorch-grad-cam's layer counts on 256 channels a level, those of a ResNet-50."""
    torch.manual_seed(0)
    made = masu.build("faster_rcnn_resnet50_fpn", ["a", "b"], weights="none", image_size=96).eval()
    model = masu.to_torchvision(made)
    model.roi_heads.score_thresh = 0.0
    small = torch.nn.functional.interpolate(image[None], size=(96, 96))
    cam = AblationCAM(
        model,
        [model.backbone],
        reshape_transform=fasterrcnn_reshape_transform,
        ablation_layer=AblationLayerFasterRCNN(),
        ratio_channels_to_ablate=0.01,
    )
    assert cam(small, [target_of(model, small[0])]).shape == (1, 96, 96)
