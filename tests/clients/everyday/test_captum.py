"""captum attributes a detection to its pixels."""

import pytest
import torch
from captum.attr import FeatureAblation, IntegratedGradients
from torchvision.transforms.functional import to_tensor

from examples.clients.with_captum import pixels_of


@pytest.fixture(scope="module")
def image(pictures):
    return to_tensor(pictures[3])


def share_inside(heat, box):
    """Mean within a box over the mean of all."""
    x1, y1, x2, y2 = box.round().int().tolist()
    heat = heat.abs().sum(0)
    return float(heat[max(y1, 0) : y2, max(x1, 0) : x2].mean() / heat.mean())


def best_of_class(model, label):
    """Highest score of a class."""

    def score(batch):
        return torch.stack([own["scores"][own["labels"] == label].max() for own in model(batch)])

    return score


def test_saliency_lies_in_the_box(detector, model, image):
    found = model([image])[0]
    assert len(found["scores"]) > 1
    for row in range(2):
        heat = pixels_of(detector, image, row)
        assert heat.shape == image.shape
        assert share_inside(heat, found["boxes"][row].detach()) > 3


def test_integrated_gradients_lie_in_the_box(model, image):
    found = model([image])[0]
    score = best_of_class(model, found["labels"][0])
    blurred = torch.nn.functional.avg_pool2d(image[None], 9, 1, 4)
    made = IntegratedGradients(score).attribute(
        image[None], baselines=0.9 * image[None] + 0.1 * blurred, n_steps=4, internal_batch_size=1
    )
    assert share_inside(made[0], found["boxes"][0].detach()) > 2


def test_ablation_agrees_with_masking_by_hand(model, image):
    """Grey over one quarter: captum's figure is the difference of two calls."""
    found = model([image])[0]
    best = found["scores"].detach().max()

    def top(batch):
        return torch.stack([own["scores"].max() for own in model(batch)]).detach()

    height, width = image.shape[1:]
    mask = torch.zeros((1, 1, height, width), dtype=torch.int64)
    mask[..., : height // 2, : width // 2] = 1
    made = FeatureAblation(top).attribute(image[None], baselines=0.5, feature_mask=mask)
    grey = image.clone()
    grey[:, : height // 2, : width // 2] = 0.5
    wanted = best - top(grey[None])[0]
    torch.testing.assert_close(made[0, 0, 0, 0], wanted, atol=1e-5, rtol=0)
