import pytest
import timm
import torch
from torch import nn
from torch.testing import assert_close

from masu.nets.conv import Conv3x3, SameConv, use_fast_convs


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (9, 8), (8, 11), (13, 7), (5, 5)])
@pytest.mark.parametrize("groups", [1, 4])
def test_same_padding_is_timms(kernel, size, groups):
    ours = SameConv(4, 8, kernel, stride=2, groups=groups).double()
    theirs = timm.layers.Conv2dSame(4, 8, kernel, stride=2, groups=groups).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)


def test_only_plain_3x3_convolutions_are_replaced():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), timm.layers.Conv2dSame(4, 4, 3, stride=2)),
    ).double()
    x = torch.randn(1, 3, 40, 40, dtype=torch.float64)
    wanted, names = net(x), list(net.state_dict())
    use_fast_convs(net)
    kinds = [type(m) for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert kinds == [Conv3x3, *[nn.Conv2d] * 5, Conv3x3, SameConv]
    assert list(net.state_dict()) == names
    assert_close(net.double()(x), wanted, rtol=0, atol=1e-12)
