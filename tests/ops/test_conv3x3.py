import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from masu.ops import conv3x3 as module
from masu.ops.conv3x3 import (
    INPUT_2D,
    OUTPUT_2D,
    WEIGHT_2D,
    conv3x3,
    pays,
    prepare,
    winograd,
    winograd_weight_gradient,
)


def case(images, channels, out, height, width, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(images, channels, height, width, generator=g, dtype=dtype)
    weight = torch.randn(out, channels, 3, 3, generator=g, dtype=dtype) / (3 * channels**0.5)
    return x.contiguous(memory_format=torch.channels_last), weight, torch.randn(out, generator=g, dtype=dtype)


SHAPES = [
    (1, 1, 1, 1, 1),
    (1, 2, 3, 4, 4),
    (2, 3, 2, 5, 9),
    (1, 4, 4, 3, 70),
    (3, 2, 5, 64, 3),
    (300, 2, 2, 7, 7),  # more images than one chunk of tiles
    (1, 2, 2, 9, 1200),  # a row of tiles longer than a chunk
    (2, 128, 130, 33, 47),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("with_bias", [True, False])
def test_winograd_is_the_direct_convolution(shape, with_bias):
    x, weight, bias = case(*shape)
    bias = bias if with_bias else None
    found = winograd(x, weight, bias).permute(0, 3, 1, 2)
    assert_close(found, F.conv2d(x, weight, bias, padding=1), rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_weight_gradient_is_the_direct_one(shape):
    x, weight, _ = case(*shape)
    weight.requires_grad_()
    upstream = torch.randn(shape[0], shape[2], *shape[3:], dtype=torch.float64)
    (wanted,) = torch.autograd.grad(F.conv2d(x, weight, padding=1), weight, upstream)
    assert_close(winograd_weight_gradient(x, upstream), wanted, rtol=0, atol=1e-9)


def test_one_tile_by_hand():
    # A 3×3 kernel that picks its centre leaves the tile's inner 4×4 as it is.
    tile = torch.arange(36.0, dtype=torch.float64)
    centre = torch.zeros(9, dtype=torch.float64)
    centre[4] = 1
    found = OUTPUT_2D @ ((INPUT_2D @ tile) * (WEIGHT_2D @ centre))
    assert_close(found.reshape(4, 4), tile.reshape(6, 6)[1:5, 1:5])


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_chunks_do_not_matter(chunk, monkeypatch):
    x, weight, bias = case(3, 4, 5, 21, 26)
    wanted = winograd(x, weight, bias)
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert_close(winograd(x, weight, bias), wanted, rtol=0, atol=1e-12)


def test_single_precision_stays_near():
    x, weight, bias = case(1, 256, 256, 40, 56, torch.float32)
    exact = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    error = (winograd(x, weight, bias).permute(0, 3, 1, 2) - exact).abs().max() / exact.abs().max()
    assert error < 2e-5


@pytest.mark.parametrize("frozen", [(), ("x",), ("weight", "bias")])
def test_gradients_on_the_fast_path(frozen):
    x, weight, bias = case(2, 128, 128, 24, 30)
    leaves = {"x": x, "weight": weight, "bias": bias}
    for name, leaf in leaves.items():
        leaf.requires_grad_(name not in frozen)
    assert pays(x, weight)
    wanted = [leaf for leaf in leaves.values() if leaf.requires_grad]
    g = torch.Generator().manual_seed(3)
    upstream = torch.randn(2, 128, 24, 30, generator=g, dtype=torch.float64)
    ours = torch.autograd.grad(conv3x3(x, weight, bias).relu_(), wanted, upstream)
    theirs = torch.autograd.grad(F.conv2d(x, weight, bias, padding=1).relu(), wanted, upstream)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=0, atol=1e-9)


def test_gradcheck(monkeypatch):
    monkeypatch.setattr(module, "pays", lambda *_: True)
    x, weight, bias = case(2, 2, 3, 5, 6)
    for leaf in (x, weight, bias):
        leaf.requires_grad_()
    assert torch.autograd.gradcheck(conv3x3, (x, weight, bias))


@pytest.mark.parametrize("needed", [(0, 1, 2), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("after", [torch.sin, lambda y: y.relu_().square()])
def test_second_derivatives(needed, after, monkeypatch):
    monkeypatch.setattr(module, "pays", lambda *_: True)
    leaves = case(2, 2, 3, 5, 6)
    for i in needed:
        leaves[i].requires_grad_()
    assert torch.autograd.gradgradcheck(lambda *leaves: after(conv3x3(*leaves)), leaves)


def test_first_derivatives_are_the_same_where_second_ones_are_wanted():
    leaves = [leaf.requires_grad_() for leaf in case(2, 128, 128, 24, 30)]
    assert pays(*leaves[:2])
    upstream = torch.randn(2, 128, 24, 30, dtype=torch.float64)
    fast = torch.autograd.grad(conv3x3(*leaves).relu_(), leaves, upstream)
    plain = torch.autograd.grad(conv3x3(*leaves).relu_(), leaves, upstream, create_graph=True)
    for a, b in zip(fast, plain, strict=True):
        assert b.requires_grad
        assert_close(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_prepared_weights_give_the_same_to_the_bit(shape, dtype):
    x, weight, bias = case(*shape, dtype=dtype)
    prepared = prepare(weight)
    assert prepared.shape == (36, shape[1], shape[2])
    assert torch.equal(winograd(x, weight, bias, prepared=prepared), winograd(x, weight, bias))
    assert torch.equal(conv3x3(x, weight, bias, prepared=prepared), conv3x3(x, weight, bias))
    out, wanted = (x.new_empty(shape[0], shape[3], shape[4], shape[2]).permute(0, 3, 1, 2) for _ in "ab")
    conv3x3(x, weight, bias, out, prepared)
    conv3x3(x, weight, bias, wanted)
    assert torch.equal(out, wanted)


def test_prepared_weights_by_hand():
    # A kernel that picks its centre: the outer product of G's middle column with itself.
    weight = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    weight[0, 0, 1, 1] = 1
    column = torch.tensor([0, -1 / 6, 1 / 6, 1 / 12, -1 / 12, 0], dtype=torch.float64)
    assert_close(prepare(weight)[:, 0, 0], torch.outer(column, column).flatten())


@pytest.mark.parametrize("size", [(8, 8), (32, 40)])
def test_the_result_goes_where_it_is_wanted(size):
    x, weight, bias = case(1, 128, 128, *size)
    out = torch.full_like(x, torch.nan)
    with torch.no_grad():
        found = conv3x3(x, weight, bias, out)
    assert found.data_ptr() == out.data_ptr()
    assert_close(out, F.conv2d(x, weight, bias, padding=1), rtol=0, atol=1e-11)


def test_a_map_that_is_not_channels_last():
    x, weight, bias = case(1, 128, 128, 32, 40)
    assert_close(conv3x3(x.contiguous(), weight, bias), conv3x3(x, weight, bias), rtol=0, atol=0)


def test_a_value_that_is_no_number_spreads_no_further_than_its_tiles():
    x, weight, bias = case(1, 128, 128, 64, 64)
    broken = x.clone()
    broken[0, 0, 30, 30] = torch.nan
    found, clean = conv3x3(broken, weight, bias), conv3x3(x, weight, bias)
    assert found[0, :, 29:32, 29:32].isnan().all()
    far = torch.ones(64, 64, dtype=torch.bool)
    far[24:36, 24:36] = False
    assert torch.equal(found[0, :, far], clean[0, :, far])


def test_small_and_narrow_maps_are_computed_directly():
    x, weight, _ = case(1, 128, 128, 32, 40, torch.float32)
    assert pays(x, weight)
    assert not pays(x[..., :20, :20], weight)
    assert not pays(x[:, :64], weight[:64, :64])
    assert pays(x[:, :64], weight[:64, :64].requires_grad_())
    assert not pays(x.to(torch.bfloat16), weight.to(torch.bfloat16))


def test_under_autocast_it_is_the_direct_convolution():
    """Also of a map in single precision, where Winograd's sums of large terms would be rounded to half."""
    x, weight, bias = (t.requires_grad_() for t in case(1, 128, 128, 32, 32, torch.float32))
    assert pays(x, weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(x, weight)
        found, wanted = conv3x3(x, weight, bias), F.conv2d(x, weight, bias, padding=1)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, wanted)
    ours, theirs = (torch.autograd.grad(y.float().sum(), (x, weight, bias)) for y in (found, wanted))
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)
