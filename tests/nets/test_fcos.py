import math

import torch
from torch.testing import assert_close
from torchvision.models.detection.fcos import FCOSHead as Reference

from masu.detectors.torchvision_fcos import FCOSFamily
from masu.nets.fcos import FCOSHead


def test_the_head_is_torchvisions():
    torch.manual_seed(0)
    theirs, ours = Reference(32, 1, 5), FCOSHead(32, 5)
    torch.nn.init.normal_(theirs.regression_head.bbox_reg.weight, std=0.5)  # of both signs
    rename = FCOSFamily().rename
    ours.load_state_dict(
        {rename(f"head.{k}").removeprefix("head."): v for k, v in theirs.state_dict().items()}
    )
    features = [torch.randn(2, 32, s, s + 1) for s in (6, 3)]
    wanted = theirs(features)
    logits, distances, centreness = ours(features)
    assert (logits.shape, distances.shape, centreness.shape) == ((2, 54, 5), (2, 54, 4), (2, 54, 1))
    assert_close(logits, wanted["cls_logits"])
    assert_close(distances, wanted["bbox_regression"])
    assert_close(centreness, wanted["bbox_ctrness"])
    assert 0 < (distances == 0).float().mean() < 1


def test_it_starts_as_torchvisions():
    """Every tensor has the same mean and deviation; each class starts unlikely."""
    torch.manual_seed(0)
    theirs, ours = Reference(64, 1, 5), FCOSHead(64, 5)
    named = {
        FCOSFamily().rename(f"head.{k}").removeprefix("head."): v for k, v in theirs.state_dict().items()
    }
    assert named.keys() == ours.state_dict().keys()
    for name, tensor in ours.state_dict().items():
        assert_close(tensor.mean(), named[name].mean(), atol=2e-3, rtol=0, msg=name)
        assert_close(tensor.std(correction=0), named[name].std(correction=0), atol=2e-3, rtol=0, msg=name)
    assert_close(ours.classes.output.bias, torch.full((5,), -math.log(99)))


def test_without_normalisation_every_convolution_has_a_bias():
    head = FCOSHead(8, 3, depth=2, norm=False)
    assert all(conv.bias is not None for tower in (head.classes, head.boxes) for conv in tower.convs)
    assert not any(isinstance(m, torch.nn.GroupNorm) for m in head.modules())


def test_no_images():
    logits, distances, centreness = FCOSHead(32, 3)([torch.zeros(0, 32, 4, 4)])
    assert (logits.shape, distances.shape, centreness.shape) == ((0, 16, 3), (0, 16, 4), (0, 16, 1))
