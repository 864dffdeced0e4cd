from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from masu.nets.conv import Conv3x3, prepare_convs
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


class Doubled(nn.Module):
    """A user's own module around another."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return 2 * self.inner(x)


class DoubledWeight(nn.Module):
    def forward(self, weight):
        return 2 * weight


def doubling_hook(module, args, output):
    return 2 * output


def parametrize(net):
    for layer in net.output:
        nn.utils.parametrize.register_parametrization(layer[0], "weight", DoubledWeight())
        nn.utils.parametrize.register_parametrization(layer[0], "bias", DoubledWeight())


def wrap(net):
    net.output = nn.ModuleList(Doubled(layer) for layer in net.output)


def wrap_inside(net):
    for layer in net.output:
        layer[0] = Doubled(layer[0])


def append(net):
    for layer in net.output:
        layer.append(Doubled(nn.Identity()))


def hook_the_norm(net):
    for layer in net.output:
        layer.append(nn.Identity()).get_submodule("1").register_forward_hook(doubling_hook)


def own_forward(net):
    for layer in net.output:
        layer[0].forward = lambda x, conv=layer[0]: 2 * Conv3x3.forward(conv, x)


CHANGES = {
    "hooked layer": lambda net: [layer.register_forward_hook(doubling_hook) for layer in net.output],
    "hooked convolution": lambda net: [layer[0].register_forward_hook(doubling_hook) for layer in net.output],
    "hooked identity": hook_the_norm,
    "parametrized": parametrize,
    "replaced layer": wrap,
    "replaced convolution": wrap_inside,
    "one more module": append,
    "forward of its own": own_forward,
}


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_user_has_put_into_the_pyramid_is_called(change, gradient):
    torch.manual_seed(0)
    net = FPN(CHANNELS, 8).eval()
    with torch.set_grad_enabled(gradient):
        wanted = net(maps())
        CHANGES[change](net)
        for a, b in zip(net(maps()), wanted, strict=True):
            assert_close(a, 2 * b)


def test_a_hook_for_all_modules_sees_every_convolution():
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(type(module)))
    try:
        with torch.no_grad():
            FPN(CHANNELS, 8)(maps())
    finally:
        handle.remove()
    assert seen.count(Conv3x3) == len(CHANNELS)


def test_a_layer_may_be_empty():
    net = FPN((8, 8, 8), 8)
    net.output = nn.ModuleList(nn.Sequential() for _ in range(3))
    x = [torch.ones(1, 8, s, s) for s in (8, 4, 2)]
    with torch.no_grad():
        found = net(x)
    assert_close(found, net(x))


def test_prepared_convolutions_give_the_same_to_the_bit():
    torch.manual_seed(0)
    net, x = FPN(CHANNELS, 128).eval(), maps(sizes=((40, 48), (20, 24), (10, 12)))
    with torch.no_grad():
        wanted = net(x)
        prepare_convs(net)
        assert all(torch.equal(a, b) for a, b in zip(net(x), wanted, strict=True))
        net.output[0][0].prepared.zero_()  # so they are what is used
        bias = net.output[0][0].bias[:, None, None]
        assert torch.equal(net(x)[0], bias.expand_as(wanted[0]))
