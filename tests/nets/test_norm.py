import pytest
import timm
import torch
from torch import nn
from torch.testing import assert_close

from masu.nets.norm import FrozenNorm, evaluating, freeze_norms, set_norm_eps


@pytest.fixture
def norm():
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(5, eps=0.01)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(5))
        layer.bias.copy_(torch.randn(5))
        layer.running_mean.copy_(torch.randn(5))
        layer.running_var.copy_(torch.rand(5) + 0.1)
    return layer


def test_by_hand():
    layer = nn.BatchNorm2d(1, eps=0)
    layer.load_state_dict(
        {
            k: torch.tensor([v])
            for k, v in {"weight": 3.0, "bias": 1.0, "running_mean": 2.0, "running_var": 4.0}.items()
        },
        strict=False,
    )
    assert FrozenNorm(layer)(torch.full((1, 1, 1, 1), 6.0)).item() == 7  # (6 − 2) / √4 · 3 + 1


@pytest.mark.parametrize("training", [False, True])
def test_it_is_batch_norm_in_eval_whatever_the_mode(norm, training):
    x = torch.randn(4, 5, 6, 7)
    frozen = FrozenNorm(norm).train(training)
    assert_close(frozen(x), norm.eval()(x))
    assert_close(frozen.running_mean, norm.running_mean, rtol=0, atol=0)


def test_no_images(norm):
    assert FrozenNorm(norm)(torch.zeros(0, 5, 6, 7)).shape == (0, 5, 6, 7)


def test_there_are_no_parameters_and_gradients_pass(norm):
    frozen = FrozenNorm(norm)
    x = torch.randn(1, 5, 2, 2, requires_grad=True)
    frozen(x).sum().backward()
    assert list(frozen.parameters()) == []
    scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    assert_close(x.grad, scale[None, :, None, None].expand_as(x))


def test_it_copies_the_layer(norm):
    frozen = FrozenNorm(norm)
    with torch.no_grad():
        norm.weight.zero_()
    assert frozen.weight.any()


def test_its_state_loads_into_a_batch_norm(norm):
    other = nn.BatchNorm2d(5, eps=norm.eps).eval()
    other.load_state_dict(FrozenNorm(norm).state_dict())
    x = torch.randn(2, 5, 3, 3)
    assert_close(other(x), norm.eval()(x))


def test_a_batch_norms_state_loads_into_it(norm):
    frozen = FrozenNorm(nn.BatchNorm2d(5, eps=norm.eps))
    frozen.load_state_dict(norm.state_dict())
    x = torch.randn(2, 5, 3, 3)
    assert_close(frozen(x), norm.eval()(x))


def test_timms_layer_keeps_its_activation():
    layer = timm.layers.BatchNormAct2d(3, act_layer=nn.ReLU6).eval()
    x = torch.randn(2, 3, 4, 4) * 10
    found = FrozenNorm(layer)(x)
    assert_close(found, layer(x))
    assert (found.min() >= 0) & (found.max() <= 6)


def test_freeze_norms_goes_all_the_way_down():
    net = nn.Sequential(
        nn.BatchNorm2d(2), nn.Sequential(nn.Conv2d(2, 2, 1), nn.Sequential(nn.BatchNorm2d(2)))
    )
    before = net.state_dict()
    freeze_norms(net)
    assert [type(m).__name__ for m in net.modules() if not list(m.children())] == [
        "FrozenNorm",
        "Conv2d",
        "FrozenNorm",
    ]
    assert net.state_dict().keys() == {k for k in before if "num_batches" not in k}
    assert all(n.split(".")[-2] == "0" and "1.0" in n for n, _ in net.named_parameters())


def test_set_norm_eps_reaches_both_kinds(norm):
    net = nn.Sequential(nn.Sequential(nn.BatchNorm2d(2)), FrozenNorm(norm), nn.GroupNorm(1, 2, eps=0.5))
    set_norm_eps(net, 0.25)
    assert (net[0][0].eps, net[1].eps, net[2].eps) == (0.25, 0.25, 0.5)


def test_hooks_of_a_norm_stay_when_it_is_frozen(norm):
    seen, net = [], nn.Sequential(norm)
    handles = [
        norm.register_forward_pre_hook(lambda *_, **__: seen.append("before"), with_kwargs=True),
        norm.register_forward_hook(lambda *_: seen.append("after")),
        norm.register_full_backward_hook(lambda *_: seen.append("backward")),
    ]
    freeze_norms(net)
    x = torch.zeros(1, 5, 2, 2, requires_grad=True)
    net(x).sum().backward()
    assert seen == ["before", "after", "backward"]
    for handle in handles:
        handle.remove()
    net(x)
    assert len(seen) == 3


def test_evaluating_puts_every_mode_back():
    class Stubborn(nn.Dropout):
        def train(self, mode=True):
            raise AssertionError

    net = nn.Sequential(nn.BatchNorm2d(2), nn.Sequential(nn.BatchNorm2d(2)), Stubborn())
    net[1].eval()
    modes = [module.training for module in net.modules()]
    with evaluating(net):
        assert not any(module.training for module in net.modules())
    assert [module.training for module in net.modules()] == modes
    with pytest.raises(AttributeError, match="dim"), evaluating(net):
        net("no tensor")
    assert [module.training for module in net.modules()] == modes
    assert len(set(modes)) == 2
