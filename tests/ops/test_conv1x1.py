"""1×1 convolutions are PyTorch's, in one thread by whichever engine is faster."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from masu.ops import products
from masu.ops.conv1x1 import conv1x1

SHAPES = [((2, 96, 40, 56), 96), ((1, 144, 33, 31), 24), ((1, 8, 3, 5), 4), ((0, 96, 40, 56), 96)]


@pytest.fixture(params=[True, False], ids=["AMD", "another maker"])
def amd(request, monkeypatch):
    monkeypatch.setattr(products, "available", lambda: request.param)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def inputs(shape, outputs, dtype):
    draw = torch.Generator().manual_seed(0)
    tensors = [(shape), (outputs, shape[1], 1, 1), (outputs,)]
    return [torch.randn(s, dtype=dtype, generator=draw).requires_grad_() for s in tensors]


@pytest.mark.usefixtures("amd", "threads")
@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_conv2d(shape, outputs, memory, dtype):
    given = inputs(shape, outputs, dtype)
    x, weight, bias = given
    found = conv1x1(x.to(memory_format=memory), weight, bias)
    wanted = F.conv2d(x, weight, bias)
    assert_close(found, wanted)
    upstream = torch.randn(wanted.shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    for mine, theirs in zip(*(torch.autograd.grad(y, given, upstream) for y in (found, wanted)), strict=True):
        assert_close(mine, theirs, rtol=1e-4, atol=1e-3)
    assert_close(conv1x1(x, weight), F.conv2d(x, weight))


@pytest.mark.parametrize(
    ("threads", "shape", "dtype", "enabled", "dilation"),
    [
        (1, (2, 96, 40, 56), torch.float32, True, 2),
        (2, (2, 96, 40, 56), torch.float32, True, 1),
        (1, (1, 96, 4, 4), torch.float32, True, 1),  # too small to pay
        (1, (2, 96, 40, 56), torch.float64, True, 1),
        (1, (2, 96, 40, 56), torch.float32, False, 1),
    ],
    indirect=["threads"],
)
def test_when_it_is_asked_of_onednn(threads, shape, dtype, enabled, dilation, monkeypatch):
    monkeypatch.setattr(products, "available", lambda: True)
    asked = []
    whole = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *args, **more: asked.append(more) or whole(*args, **more))
    x, weight, bias = inputs(shape, 96, dtype)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", enabled)
    conv1x1(x, weight, bias)
    assert asked == [{"dilation": dilation}]


def test_a_graph_has_no_dilation(monkeypatch):
    monkeypatch.setattr(products, "available", lambda: True)

    class Conv(torch.nn.Module):
        def forward(self, x, weight):
            return conv1x1(x, weight)

    x, weight, _ = (given.detach() for given in inputs((2, 96, 40, 56), 96, torch.float32))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        graph = torch.export.export(Conv(), (x, weight), strict=False).graph
    finally:
        torch.set_num_threads(before)
    (call,) = (node for node in graph.nodes if "conv2d" in str(node.target))
    assert len(call.args) == 2
    assert not call.kwargs
