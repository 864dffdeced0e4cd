import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.models.detection.rpn import RPNHead as TorchvisionHead
from torchvision.models.detection.rpn import concat_box_prediction_layers

from masu.nets.rpn import RPNHead, _SparseGradient, flatten_levels
from masu.ops.anchors import cell_anchors, grid_anchors


def test_outputs_lie_in_the_order_of_the_anchors():
    # Each level's output states where its anchor lies; the flattened table must equal the anchors.
    levels = [((3, 5), (8, 8)), ((2, 3), (16, 16)), ((1, 1), (32, 32))]
    ratios, maps, anchors = (0.5, 1.0, 2.0), [], []
    for i, ((rows, columns), stride) in enumerate(levels):
        cell = cell_anchors((16.0 * 2**i, 20.0 * 2**i), ratios)
        maps.append(torch.empty(2, len(cell) * 4, rows, columns))
        for a, anchor in enumerate(cell):
            for y in range(rows):
                for x in range(columns):
                    shift = torch.tensor([x * stride[1], y * stride[0]] * 2)
                    maps[-1][:, a * 4 : a * 4 + 4, y, x] = anchor + shift
        anchors.append(grid_anchors(cell, (rows, columns), stride))
    flat = flatten_levels(maps, 4)
    wanted = torch.cat(anchors)
    assert wanted.unique(dim=0).shape == wanted.shape
    assert_close(flat, wanted.expand(2, -1, -1), rtol=0, atol=0)


def test_flatten_levels_by_hand():
    fine = torch.tensor([[[[0.0, 10], [20, 30]], [[1, 11], [21, 31]]]])  # cell in tens, anchor in ones
    coarse = torch.tensor([[[[100.0]], [[101.0]]]])
    assert flatten_levels([fine, coarse], 1)[0, :, 0].tolist() == [0, 1, 10, 11, 20, 21, 30, 31, 100, 101]
    assert flatten_levels([fine, coarse], 2)[0].tolist() == [[0, 1], [10, 11], [20, 21], [30, 31], [100, 101]]


def test_flatten_levels_is_torchvisions():
    g = torch.Generator().manual_seed(0)
    scores = [torch.randn(2, 3, s, s + 1, generator=g) for s in (5, 2)]
    deltas = [torch.randn(2, 12, s, s + 1, generator=g) for s in (5, 2)]
    wanted_scores, wanted_deltas = concat_box_prediction_layers(scores, deltas)
    assert torch.equal(flatten_levels(scores, 1).reshape(-1, 1), wanted_scores)
    assert torch.equal(flatten_levels(deltas, 4).reshape(-1, 4), wanted_deltas)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_head_is_torchvisions(depth):
    torch.manual_seed(0)
    ours, theirs = RPNHead(6, 3, depth), TorchvisionHead(6, 3, depth)
    for p in ours.parameters():
        nn.init.normal_(p)
    for a, b in zip(theirs.conv, ours.convs, strict=True):
        a[0].load_state_dict(b.state_dict())
    theirs.cls_logits.load_state_dict(ours.objectness.state_dict())
    theirs.bbox_pred.load_state_dict(ours.deltas.state_dict())
    features = [torch.randn(2, 6, s, s) for s in (6, 3)]
    before = [f.clone() for f in features]
    objectness, deltas = ours(features)
    wanted_objectness, wanted_deltas = concat_box_prediction_layers(*theirs(features))
    assert objectness.shape == (2, 135)
    assert deltas.shape == (2, 135, 4)
    assert_close(objectness.reshape(-1, 1), wanted_objectness)
    assert_close(deltas.reshape(-1, 4), wanted_deltas)
    assert all(torch.equal(a, b) for a, b in zip(features, before, strict=True))


def test_no_images():
    objectness, deltas = RPNHead(6, 3)([torch.zeros(0, 6, 4, 4), torch.zeros(0, 6, 2, 2)])
    assert (objectness.shape, deltas.shape) == ((0, 60), (0, 60, 4))


def test_the_first_weights_are_small_and_the_biases_zero():
    for layer in (m for m in RPNHead(64, 3).modules() if isinstance(m, nn.Conv2d)):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.2)
        assert not layer.bias.any()


@pytest.mark.parametrize("touched", [0, 1, 40, 600])
@pytest.mark.parametrize("most", [100, 4096])
def test_the_gradient_of_few_anchors_is_the_dense_one(touched, most, monkeypatch):
    monkeypatch.setattr("masu.nets.rpn.MOST_CELLS", most)
    torch.manual_seed(0)
    head = RPNHead(6, 3).double()
    for p in head.parameters():
        nn.init.normal_(p)
    leaves = [
        torch.randn(2, 6, *s, dtype=torch.float64, requires_grad=True) for s in ((9, 12), (4, 1), (1, 1))
    ]
    wanted = [*leaves, *head.parameters()]

    def dense(x):
        hidden = head.convs[0](x).relu()
        return head.objectness(hidden), head.deltas(hidden)

    def loss(per_level):
        objectness = flatten_levels([o for o, _ in per_level], 1).squeeze(-1)
        deltas = flatten_levels([d for _, d in per_level], 4)
        g = torch.Generator().manual_seed(1)
        rows = torch.randperm(objectness.numel(), generator=g)[:touched]
        return objectness.flatten()[rows].square().sum() + deltas.reshape(-1, 4)[rows[: touched // 2]].sum()

    objectness, deltas = head(leaves)
    assert objectness.requires_grad
    assert deltas.requires_grad
    ours = torch.autograd.grad(loss([head.level(x) for x in leaves]), wanted)
    theirs = torch.autograd.grad(loss([dense(x) for x in leaves]), wanted)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_gradcheck_of_the_head():
    torch.manual_seed(0)
    head = RPNHead(2, 1).double()
    for p in head.parameters():
        nn.init.normal_(p)
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(head.level, (x,))


def test_the_gradient_is_equal_to_the_bit_every_time():
    torch.manual_seed(0)
    head, x = RPNHead(64, 3), torch.randn(2, 64, 40, 50)
    rows = torch.arange(40 * 50 * 3)  # neighbours, whose patches overlap
    runs = []
    for _ in range(8):
        leaf = x.clone().requires_grad_()
        objectness, deltas = head([leaf])
        loss = objectness.flatten()[rows].square().sum() + deltas.reshape(-1, 4)[rows].square().sum()
        runs.append(torch.autograd.grad(loss, [leaf, *head.parameters()]))
    assert all(torch.equal(a, b) for run in runs[1:] for a, b in zip(run, runs[0], strict=True))


@pytest.mark.parametrize("most", [0, 4096])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_gradient_is_in_single_precision(most, dtype, monkeypatch):
    """That of the same rounded map; only the map's own is rounded once more."""
    monkeypatch.setattr("masu.nets.rpn.MOST_CELLS", most)
    torch.manual_seed(0)
    head = RPNHead(6, 3)
    for p in head.parameters():
        nn.init.normal_(p)
    half = torch.randn(2, 6, 9, 12).to(dtype).requires_grad_()
    single = half.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype):
        found = head.level(half)
    hidden = head.convs[0](single).relu()
    wanted = head.objectness(hidden), head.deltas(hidden)
    upstream = [(torch.randn(f.shape) * (torch.rand(f.shape) < 0.1)).to(dtype) for f in found]
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == dtype
        assert_close(a.float(), b, rtol=0, atol=2**-6 * b.abs().max().item())
    theirs = torch.autograd.grad(wanted, [single, *head.parameters()], [u.float() for u in upstream])
    leaves = [half, *head.parameters()]
    outside = torch.autograd.grad(found, leaves, upstream, retain_graph=True)
    with torch.autocast("cpu", dtype):
        inside = torch.autograd.grad(found, leaves, upstream)
    assert [g.dtype for g in outside] == [leaf.dtype for leaf in leaves]
    assert all(torch.equal(a, b) for a, b in zip(outside, inside, strict=True))
    assert_close(outside[0].float(), theirs[0], rtol=2**-7, atol=1e-4)
    for a, b in zip(outside[1:], theirs[1:], strict=True):
        assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("needed", [(0, 1, 2, 3, 4, 5, 6), (0,), (1, 3), (5, 6)])
@pytest.mark.parametrize("in_place", [False, True])
def test_second_derivatives_of_the_head(needed, in_place):
    torch.manual_seed(0)
    head = RPNHead(2, 1).double()
    for p in head.parameters():
        nn.init.normal_(p)
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64)
    leaves = [x, *head.parameters()]
    for i, leaf in enumerate(leaves):
        leaf.requires_grad_(i in needed)

    def curved(*_):
        objectness, deltas = head.level(x)
        return objectness.square() if in_place else objectness.sin(), deltas.relu_().square()

    assert torch.autograd.gradgradcheck(curved, leaves)


def test_second_derivatives_are_the_dense_ones_where_a_weight_was_made_from_the_map():
    torch.manual_seed(0)
    head = RPNHead(3, 1).double()
    x = torch.randn(1, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    first, *others = (p.detach() for p in head.parameters())

    def dense(x, weight, bias, *rest):
        hidden = nn.functional.conv2d(x, weight, bias, padding=1).relu()
        return [nn.functional.conv2d(hidden, w, b) for w, b in (rest[:2], rest[2:])]

    def penalty(function):
        outputs = function(x, first * x.mean(), *others)
        (grad,) = torch.autograd.grad(sum(y.sin().sum() for y in outputs), x, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), x)[0]

    assert_close(penalty(_SparseGradient.apply), penalty(dense), rtol=1e-9, atol=1e-12)


def test_a_penalty_on_the_gradient_of_a_single_precision_head_under_autocast():
    torch.manual_seed(0)
    head, x = RPNHead(4, 1), torch.randn(1, 4, 6, 6).bfloat16().requires_grad_()
    for p in head.parameters():
        nn.init.normal_(p)
    with torch.autocast("cpu", torch.bfloat16):
        found = head.level(x)
    (grad,) = torch.autograd.grad(sum(y.float().square().sum() for y in found), x, create_graph=True)
    assert grad.dtype == torch.bfloat16
    grad.float().square().sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in head.convs.parameters())
    assert head.convs[0].weight.grad.any()


class Doubled(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return 2 * self.inner(x)


class DoubledWeight(nn.Module):
    def forward(self, weight):
        return 2 * weight


def parametrize(module):
    for name in ("weight", "bias"):
        nn.utils.parametrize.register_parametrization(module, name, DoubledWeight())


def hook(module):
    module.register_forward_hook(lambda module, args, output: 2 * output)


def own_forward(module):
    module.forward = lambda x: 2 * type(module).forward(module, x)


@pytest.mark.parametrize("change", [parametrize, hook, own_forward, Doubled])
@pytest.mark.parametrize("place", ["convs.0", "objectness", "deltas"])
@pytest.mark.parametrize("gradient", [False, True])
def test_what_a_user_has_put_into_the_head_is_called(change, place, gradient):
    torch.manual_seed(0)
    head = RPNHead(6, 3)
    for p in head.parameters():
        nn.init.normal_(p)
    x = [torch.randn(2, 6, 5, 4)]
    conv = head.convs[0]
    with torch.set_grad_enabled(gradient):
        hidden = nn.functional.conv2d(x[0], conv.weight, conv.bias, padding=1).relu()
        hidden = hidden * (2 if place == "convs.0" else 1)
        wanted = [
            flatten_levels([layer(hidden) * (2 if place == name else 1)], values)
            for name, layer, values in (("objectness", head.objectness, 1), ("deltas", head.deltas, 4))
        ]
        changed = change(head.get_submodule(place))
        if changed is not None:
            head.set_submodule(place, changed)
        objectness, deltas = head(x)
    assert_close(objectness, wanted[0].squeeze(-1))
    assert_close(deltas, wanted[1])


@pytest.mark.parametrize("layer", [nn.Conv2d(6, 3, 3, padding=1), nn.Conv2d(6, 3, 1, bias=False)])
def test_another_convolution_may_score(layer):
    torch.manual_seed(0)
    head, x = RPNHead(6, 3), torch.randn(1, 6, 5, 4, requires_grad=True)
    head.objectness = layer
    found, _ = head.level(x)
    wanted = layer(head.convs[0](x).relu())
    assert_close(found, wanted)
    assert_close(*(torch.autograd.grad(y.sin().sum(), x)[0] for y in (found, wanted)))


def test_hooks_for_gradients_are_called():
    head, seen = RPNHead(6, 3), []
    head.deltas.register_full_backward_hook(lambda *_: seen.append(1))
    _, deltas = head([torch.randn(1, 6, 4, 4)])
    deltas.sum().backward()
    assert seen == [1]
