import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from masu.nets.conv import Conv1x1, Conv3x3, SameConv, prepare_convs, use_fast_convs
from masu.ops.conv3x3 import prepare

SIZES = [(8, 8), (9, 8), (8, 11), (13, 7), (5, 5), (1, 2), (2, 1), (3, 4)]


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 6, (2, 5), (1, 4)])
@pytest.mark.parametrize("groups", [1, 4])
def test_same_padding_is_timms(kernel, groups):
    ours = SameConv(4, 8, kernel, stride=2, groups=groups).double()
    theirs = timm.layers.Conv2dSame(4, 8, kernel, stride=2, groups=groups).double()
    theirs.load_state_dict(ours.state_dict())
    for size in SIZES:
        x = torch.randn(2, 4, *size, dtype=torch.float64)
        wanted = theirs(x)
        assert wanted.shape[2:] == ((size[0] + 1) // 2, (size[1] + 1) // 2)
        assert_close(ours(x), wanted, rtol=0, atol=1e-12)
        if size in SIZES[:3]:
            exported = torch.export.export(ours, (x,), strict=False).module()
            assert_close(exported(x), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 6])
def test_an_exported_graph_pads_sides_of_every_size(kernel):
    ours = SameConv(2, 2, kernel, stride=2).double()
    shape = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    example = torch.zeros(1, 2, 8, 9, dtype=torch.float64)
    exported = torch.export.export(ours, (example,), dynamic_shapes=(shape,), strict=False).module()
    for size in [(8, 8), (9, 8), (8, 11), (13, 7), (6, 10)]:
        x = torch.randn(1, 2, *size, dtype=torch.float64)
        assert_close(exported(x), ours(x), rtol=0, atol=1e-12)


class Even(nn.Module):
    """Sides of which an exporter knows that they are multiples of 8, through three convolutions."""

    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(*(SameConv(2, 2, kernel, stride=2) for kernel in (3, 5, 4)))

    def forward(self, x):
        return self.convs(x.repeat_interleave(8, 2).repeat_interleave(8, 3))


def test_an_exported_graph_pads_even_sides_by_constants():
    shape = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(Even(), (torch.zeros(1, 2, 3, 5),), dynamic_shapes=(shape,), strict=False)
    found = [node.args[1] for node in exported.graph.nodes if "pad" in str(node.target)]
    assert found == [[0, 1, 0, 1], [1, 2, 1, 2], [1, 1, 1, 1]]


def test_only_plain_convolutions_are_replaced():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 1, stride=2),
        nn.Conv2d(4, 4, 1, groups=2),
        nn.Conv2d(4, 4, 1, padding=1),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), timm.layers.Conv2dSame(4, 4, 3, stride=2)),
    ).double()
    x = torch.randn(1, 3, 40, 40, dtype=torch.float64)
    wanted, names = net(x), list(net.state_dict())
    use_fast_convs(net)
    kinds = [type(m) for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert kinds == [Conv3x3, *[nn.Conv2d] * 5, Conv1x1, *[nn.Conv2d] * 3, Conv3x3, SameConv]
    assert list(net.state_dict()) == names
    assert_close(net.double()(x), wanted, rtol=0, atol=1e-12)


def test_convolutions_with_hooks_are_not_replaced():
    seen = []
    net = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), timm.layers.Conv2dSame(2, 2, 3, stride=2))
    for conv in net:
        conv.register_forward_hook(lambda *_: seen.append(1))
    kinds = [type(conv) for conv in net]
    use_fast_convs(net)
    net(torch.zeros(1, 2, 8, 8))
    assert [type(conv) for conv in net] == kinds
    assert len(seen) == 2


def test_prepared_matrices_give_the_same_to_the_bit_and_are_no_weights():
    torch.manual_seed(0)
    net = nn.Sequential(Conv3x3(128, 128), nn.ReLU(), Conv3x3(128, 130, bias=False))
    x = torch.randn(1, 128, 32, 40)
    names = list(net.state_dict())
    with torch.no_grad():
        wanted = net(x)
        prepare_convs(net)
        assert torch.equal(net(x), wanted)
        net[2].prepared.zero_()  # so they are what is used
        assert not net(x).any()
    assert list(net.state_dict()) == names
    assert not list(net.buffers())
    assert torch.equal(net[0].prepared, prepare(net[0].weight))
    assert not net[0].prepared.requires_grad


def test_with_a_gradient_the_weights_themselves_are_used():
    torch.manual_seed(0)
    net, x = nn.Sequential(Conv3x3(128, 128)), torch.randn(1, 128, 32, 40)
    wanted = net(x)
    prepare_convs(net)
    net[0].prepared.zero_()
    assert torch.equal(net(x), wanted)
    net.requires_grad_(False)
    assert torch.equal(net(x.clone().requires_grad_()), wanted)
    assert not torch.equal(net(x), wanted)


def test_which_convolutions_are_prepared():
    class Other(Conv3x3):
        pass

    net = nn.ModuleDict(
        {
            "wide": Conv3x3(128, 128),
            "narrow": Conv3x3(127, 128),
            "narrow output": Conv3x3(128, 127),
            "another": Other(128, 128),
            "bf16": Conv3x3(128, 128).bfloat16(),
            "float64": Conv3x3(128, 128).double(),
            "hooked": Conv3x3(128, 128),
            "elsewhere": Conv3x3(128, 128).to("meta"),
            "PyTorch's": nn.Conv2d(128, 128, 3, padding=1),
        }
    )
    net["hooked"].register_forward_hook(lambda *_: None)
    prepare_convs(net)
    assert [name for name, conv in net.items() if "prepared" in vars(conv)] == ["wide", "float64"]


def test_prepared_matrices_of_another_type_are_not_used():
    torch.manual_seed(0)
    net, x = nn.Sequential(Conv3x3(128, 128)), torch.randn(1, 128, 32, 40, dtype=torch.float64)
    prepare_convs(net)
    with torch.no_grad():
        found = net.double()(x)
        assert_close(found, F.conv2d(x, net[0].weight, net[0].bias, padding=1), rtol=0, atol=1e-11)
