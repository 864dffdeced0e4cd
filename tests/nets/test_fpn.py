from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from masu.nets.fpn import FPN

CHANNELS = (6, 10, 14)


def maps(images=2, sizes=((20, 24), (10, 12), (5, 6))):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(images, c, *s, generator=g) for c, s in zip(CHANNELS, sizes, strict=True)]


def reference(ours, norm):
    """torchvision's pyramid with our weights, matched by their place in the forward pass."""
    theirs = FeaturePyramidNetwork(
        list(CHANNELS), 8, extra_blocks=LastLevelMaxPool(), norm_layer=nn.BatchNorm2d if norm else None
    )
    for a, b in ((theirs.inner_blocks, ours.lateral), (theirs.layer_blocks, ours.output)):
        for x, y in zip(a, b, strict=True):
            x.load_state_dict(y.state_dict())
    return theirs.eval()


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(
    "sizes", [((20, 24), (10, 12), (5, 6)), ((9, 11), (5, 6), (3, 3)), ((4, 4), (4, 4), (1, 1))]
)
def test_it_is_torchvisions(norm, sizes, gradient):
    torch.manual_seed(0)
    ours = FPN(CHANNELS, 8, norm).eval()
    x = maps(sizes=sizes)
    with torch.set_grad_enabled(gradient):
        wanted = reference(ours, norm)(OrderedDict((str(i), m) for i, m in enumerate(x)))
        found = ours(x)
    assert len(found) == len(CHANNELS) + 1
    for a, b in zip(found, wanted.values(), strict=True):
        assert_close(a, b)


def test_the_last_level_is_every_other_cell_of_the_coarsest():
    found = FPN(CHANNELS, 8)(maps())
    assert torch.equal(found[3], found[2][:, :, ::2, ::2])
    assert found[3].shape == (2, 8, 3, 3)


def test_norm_replaces_the_bias():
    assert all(c.bias is not None for c in FPN(CHANNELS, 8).modules() if isinstance(c, nn.Conv2d))
    net = FPN(CHANNELS, 8, norm=True)
    assert all(c.bias is None for c in net.modules() if isinstance(c, nn.Conv2d))
    assert sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) == 6


def test_no_images():
    assert [tuple(m.shape) for m in FPN(CHANNELS, 8)(maps(0))] == [
        (0, 8, 20, 24),
        (0, 8, 10, 12),
        (0, 8, 5, 6),
        (0, 8, 3, 3),
    ]


def test_a_missing_level_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        FPN(CHANNELS, 8)(maps()[:2])


@pytest.mark.parametrize("extra", ["convolved", "convolved_backbone"])
@pytest.mark.parametrize("gradient", [False, True])
def test_convolved_levels_are_torchvisions(extra, gradient):
    torch.manual_seed(0)
    ours = FPN(CHANNELS, 8, extra=extra)
    source = CHANNELS[-1] if extra == "convolved_backbone" else 8
    theirs = FeaturePyramidNetwork(list(CHANNELS), 8, extra_blocks=LastLevelP6P7(source, 8))
    for a, b in ((theirs.inner_blocks, ours.lateral), (theirs.layer_blocks, ours.output)):
        for x, y in zip(a, b, strict=True):
            x.load_state_dict(y.state_dict())
    theirs.extra_blocks.p6.load_state_dict(ours.extra[0].state_dict())
    theirs.extra_blocks.p7.load_state_dict(ours.extra[1].state_dict())
    x = maps()
    with torch.set_grad_enabled(gradient):
        found, wanted = ours(x), theirs(OrderedDict((str(i), m) for i, m in enumerate(x)))
    assert len(found) == ours.levels == 5
    for a, b in zip(found, wanted.values(), strict=True):
        assert_close(a, b)
