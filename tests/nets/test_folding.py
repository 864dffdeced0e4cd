import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from masu.nets.backbones import BACKBONES
from masu.nets.conv import Conv3x3
from masu.nets.folding import _folded, fold_norms, join_norms, share_weights
from masu.nets.norm import FrozenNorm, freeze_norms


def randomise(net, seed=0):
    """Statistics as after training: none of them 0 or 1."""
    g = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                tensor.data = torch.rand(tensor.shape, generator=g) + 0.5
            for tensor in (module.bias, module.running_mean):
                tensor.data = torch.randn(tensor.shape, generator=g) * 0.2
    return net.double().eval()


class Crooked(nn.Module):
    """A network whose order of definition is not its order of execution."""

    def __init__(self):
        super().__init__()
        self.last = nn.BatchNorm2d(4)
        self.alone = nn.BatchNorm2d(4)  # follows an addition
        self.conv = nn.Conv2d(4, 4, 1)
        self.twice = nn.Conv2d(4, 4, 1)
        self.of_twice = nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.last(self.conv(x))
        return self.alone(y + x) + self.of_twice(self.twice(x)) + self.twice(y)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("frozen", [True, False])
def test_a_folded_backbone_gives_the_same_maps(backbone, frozen):
    net = randomise(BACKBONES[backbone]())
    if frozen:
        freeze_norms(net)
    folded = share_weights(net)
    fold_norms(folded, torch.zeros(1, 3, 64, 64, dtype=torch.float64))
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d | FrozenNorm)]
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        for a, b in zip(folded(x), net(x), strict=True):
            assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_joined_norms_change_neither_maps_nor_gradients_nor_names(backbone):
    plain = randomise(BACKBONES[backbone]())
    freeze_norms(plain)
    joined = copy.deepcopy(plain)
    join_norms(joined, torch.zeros(1, 3, 64, 64, dtype=torch.float64))
    assert all(m.joined for m in joined.modules() if isinstance(m, FrozenNorm))
    assert list(joined.state_dict()) == list(plain.state_dict())
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    maps, wanted = joined(x), plain(x)
    for a, b in zip(maps, wanted, strict=True):
        assert_close(a, b, rtol=1e-9, atol=1e-9)
    sum(m.square().sum() for m in maps).backward()
    sum(m.square().sum() for m in wanted).backward()
    for (name, p), q in zip(joined.named_parameters(), plain.parameters(), strict=True):
        assert_close(p.grad, q.grad, rtol=1e-8, atol=1e-8 * q.grad.abs().max().item(), msg=name)


def test_a_joined_network_can_be_folded_and_copied():
    net = nn.Sequential(Conv3x3(3, 4), FrozenNorm(randomise(nn.BatchNorm2d(4))), nn.ReLU()).double()
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    wanted = net(x)
    join_norms(net, x)
    folded = share_weights(net)
    fold_norms(folded, x)
    assert type(folded[0]) is Conv3x3
    for same in (net, folded, copy.deepcopy(net)):
        assert_close(same(x), wanted, rtol=0, atol=1e-12)


def test_a_joined_convolution_follows_its_weights():
    net = nn.Sequential(nn.Conv2d(2, 2, 1), FrozenNorm(randomise(nn.BatchNorm2d(2)))).double()
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    join_norms(net, x)
    other = copy.deepcopy(net)
    with torch.no_grad():
        other[0].weight.mul_(2)
        other[1].bias.add_(1)
    plain = nn.Sequential(nn.Conv2d(2, 2, 1), FrozenNorm(nn.BatchNorm2d(2))).double()
    plain.load_state_dict(other.state_dict())
    assert_close(other(x), plain(x))
    assert not torch.allclose(other(x), net(x))


def test_scaled_weights_are_not_kept_for_the_gradient():
    net = nn.Sequential(nn.Conv2d(2, 2, 1), FrozenNorm(randomise(nn.BatchNorm2d(2)))).double()
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    join_norms(net, x)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        net(x)
    own = {t.data_ptr() for t in (*net.parameters(), *net.buffers(), x)}
    assert not [t for t in kept if t.shape == net[0].weight.shape and t.data_ptr() not in own]


def test_only_a_norm_right_after_a_convolution_that_runs_once_is_folded():
    net = randomise(Crooked())
    folded = share_weights(net)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    fold_norms(folded, x)
    assert isinstance(folded.last, nn.Identity)
    assert isinstance(folded.alone, nn.BatchNorm2d)
    assert isinstance(folded.of_twice, nn.BatchNorm2d)
    assert_close(folded(x), net(x), rtol=0, atol=1e-12)


def test_folding_leaves_the_original_alone():
    net = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), randomise(nn.BatchNorm2d(2)).float())
    before = copy.deepcopy(net.state_dict())
    folded = share_weights(net)
    fold_norms(folded, torch.zeros(1, 2, 4, 4))
    assert net[0].bias is None
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_joined_norms_under_autocast():
    """Weights are scaled in single precision, then rounded: the map is off by rounding, gradients are float32."""
    joined = nn.Sequential(Conv3x3(16, 32), FrozenNorm(randomise(nn.BatchNorm2d(32)))).float()
    plain = copy.deepcopy(joined)
    x = torch.randn(2, 16, 24, 24)
    join_norms(joined, x)
    with torch.autocast("cpu", torch.bfloat16):
        found = joined(x)
        folded = nn.functional.conv2d(x, *_folded(plain[0].weight, plain[0].bias, plain[1]), padding=1)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, folded)
    wanted = plain(x)
    assert_close(found.float(), wanted, rtol=0, atol=2**-6 * wanted.abs().max().item())
    found.float().square().sum().backward()
    wanted.square().sum().backward()
    for p, q in zip(joined.parameters(), plain.parameters(), strict=True):
        assert p.grad.dtype == torch.float32
        assert_close(p.grad, q.grad, rtol=0, atol=2**-6 * q.grad.abs().max().item())
