import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from masu.ops import products
from masu.ops.products import by_groups, linear, pays


@pytest.fixture
def calls(monkeypatch):
    """oneDNN's operators used on any processor that has them; which of the two ran, in order."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "AMD"}, raising=False)
    if not products.available.__wrapped__():
        pytest.skip("this PyTorch has no such operators")
    monkeypatch.setattr(products, "available", lambda: True)
    ran = []
    for name in ("_times", "_grouped"):
        function = getattr(products, name)

        def counted(*args, name=name, function=function, **options):
            ran.append(name)
            return function(*args, **options)

        monkeypatch.setattr(products, name, counted)
    return ran


def case(rows=70, channels=200, outputs=90, dtype=torch.float32):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(rows, channels, generator=g, dtype=torch.float64)
    weight = torch.randn(outputs, channels, generator=g, dtype=torch.float64) / channels**0.5
    bias = torch.randn(outputs, generator=g, dtype=torch.float64)
    return [tensor.to(dtype).requires_grad_() for tensor in (x, weight, bias)]


@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_is_torchs_own(calls, with_bias):
    x, weight, bias = case()
    with torch.no_grad():
        found = linear(x, weight, bias if with_bias else None)
        wanted = F.linear(x.double(), weight.double(), bias.double() if with_bias else None)
    assert calls == ["_times"]
    assert_close(found.double(), wanted, rtol=0, atol=1e-5)


def test_views_are_read_as_they_lie(calls):
    x, weight, bias = (tensor.detach() for tensor in case())
    wanted = linear(x, weight, bias)
    assert_close(linear(x.T.contiguous().T, weight.T.contiguous().T, bias), wanted, rtol=0, atol=1e-5)
    assert_close(
        linear(torch.cat([x, x])[::2], weight[::3], bias[::3]),
        linear(torch.cat([x, x])[::2].clone(), weight[::3].clone(), bias[::3].clone()),
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.parametrize("frozen", [(), (0,), (1, 2), (2,)])
def test_gradients_are_torchs_own(calls, frozen):
    leaves, exact = case(), case(dtype=torch.float64)
    for i in frozen:
        leaves[i].requires_grad_(False)
        exact[i].requires_grad_(False)
    upstream = torch.randn(70, 90, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(linear(*leaves), [t for t in leaves if t.requires_grad], upstream)
    wanted = torch.autograd.grad(F.linear(*exact), [t for t in exact if t.requires_grad], upstream.double())
    assert len(calls) == 1 + (0 not in frozen) + (1 not in frozen)
    for a, b in zip(found, wanted, strict=True):
        assert_close(a.double(), b, rtol=0, atol=5e-5)


def test_second_derivatives_are_torchs_own(calls):
    def second(of, leaves):
        y = of(*leaves).square().sum()
        first = torch.autograd.grad(y, leaves, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), leaves)

    found, wanted = second(linear, case()), second(F.linear, case(dtype=torch.float64))
    assert calls
    for a, b in zip(found, wanted, strict=True):
        assert_close(a.double(), b, rtol=1e-4, atol=1e-4 * b.abs().max().item())


@pytest.mark.parametrize("count", [1, 40, 64])
def test_groups_are_multiplied_each_by_its_own_matrix(calls, count):
    g = torch.Generator().manual_seed(0)
    x, matrices = torch.randn(count, 36, 24, generator=g), torch.randn(36, 40, 24, generator=g).mT
    found = by_groups(matrices, 64, 1000)(x)
    assert calls == ["_grouped"]
    wanted = torch.einsum("tgc,gco->tgo", x.double(), matrices.double())
    assert_close(found.double(), wanted, rtol=0, atol=1e-4)
    assert_close(by_groups(matrices, 64, 64)(x), found, rtol=0, atol=1e-4)
    assert calls == ["_grouped"]  # so few rows do not pay


@pytest.mark.parametrize(
    ("rows", "dtype"), [(0, torch.float32), (2, torch.float32), (70, torch.float64), (70, torch.bfloat16)]
)
def test_the_rest_is_left_to_torch(calls, rows, dtype):
    leaves = case(rows, dtype=dtype)
    assert torch.equal(linear(*leaves), F.linear(*leaves))
    assert not calls


def test_other_shapes_are_left_to_torch(calls):
    x, weight, bias = case()
    assert torch.equal(linear(x.view(7, 10, 200), weight, bias), F.linear(x.view(7, 10, 200), weight, bias))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        linear(x, weight.T, bias)
    assert not calls


def test_autocast_and_a_switch_leave_it_to_torch(calls, monkeypatch):
    leaves = case()
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(*leaves).dtype == torch.bfloat16
    with monkeypatch.context() as off:
        off.setattr(torch.backends.mkldnn, "enabled", False)
        linear(*leaves)
    assert not calls
    linear(*leaves)
    assert calls


def test_another_makers_processor_multiplies_by_mkl(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "Intel Xeon"}, raising=False)
    assert not products.available.__wrapped__()


def test_an_operator_that_multiplies_wrongly_is_not_used(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "AMD"}, raising=False)
    monkeypatch.setattr(products, "_times", lambda x, weight, bias: F.linear(x, weight, bias) + 1)
    assert not products.available.__wrapped__()


def test_a_graph_that_is_exported_has_torchs_own_operator(calls):
    class Net(torch.nn.Module):
        def forward(self, x, weight, bias):
            return linear(x, weight, bias)

    x, weight, bias = (tensor.detach() for tensor in case())
    rows = torch.export.Dim("rows")  # of any number: no size is looked at
    exported = torch.export.export(Net(), (x, weight, bias), dynamic_shapes=({0: rows}, None, None))
    assert "linear" in str(exported.graph)
    assert "mkldnn" not in str(exported.graph)
    assert pays(10**7, x, weight, bias)
