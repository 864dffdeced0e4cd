import copy
import io
import multiprocessing
from functools import partial

import pytest
import timm
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.testing import assert_close

from masu.nets.backbones import BACKBONES, timm_stages
from masu.nets.conv import Conv1x1, Conv3x3, SameConv, prepare_convs
from masu.nets.folding import SCALED, _folded, copied, fold_norms, join_norms
from masu.nets.norm import FrozenNorm, freeze_norms, set_norm_eps


def share_weights(net):
    """A copy with the tensors of the network itself."""
    return copied(net, lambda tensor: tensor)


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


def each_kind():
    """Every convolution that can be joined, with a norm after it, frozen."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 1),
        nn.BatchNorm2d(4),
        Conv1x1(4, 4, bias=False),
        nn.BatchNorm2d(4),
        Conv3x3(4, 4, bias=False),
        nn.BatchNorm2d(4),
        SameConv(4, 6, 3, 2),
    )
    net.append(nn.BatchNorm2d(6))
    freeze_norms(randomise(net))
    return net


def output_and_gradients(net):
    x = torch.linspace(-1, 1, 3 * 8 * 8, dtype=torch.float64).reshape(1, 3, 8, 8)
    y = net(x)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), list(net.parameters()))]


def saved(net):
    torch.save(net, file := io.BytesIO())
    file.seek(0)
    return torch.load(file, weights_only=False)


def compute(source, target):
    net = torch.load(source, weights_only=False)
    torch.save((net, output_and_gradients(net)), target)


def spawned(net, folder):
    torch.save(net, folder / "net.pt")
    process = multiprocessing.get_context("spawn").Process(
        target=compute, args=(folder / "net.pt", folder / "found.pt")
    )
    process.start()
    process.join()
    returned, found = torch.load(folder / "found.pt", weights_only=False)
    for a, b in zip(found, output_and_gradients(net), strict=True):
        assert torch.equal(a, b)
    return returned


COPIES = {"saved": lambda net, _: saved(net), "deepcopy": lambda net, _: copy.deepcopy(net), "spawn": spawned}


@pytest.mark.parametrize("way", COPIES)
def test_a_joined_network_is_sent_and_copied_whole(way, tmp_path):
    net = each_kind()
    wanted = output_and_gradients(net)
    join_norms(net, torch.zeros(1, 3, 8, 8, dtype=torch.float64))
    assert [type(m) for m in net[::2]] == list(SCALED.values())
    other = COPIES[way](net, tmp_path)
    for a, b, c in zip(output_and_gradients(other), output_and_gradients(net), wanted, strict=True):
        assert torch.equal(a, b)
        assert_close(a, c, rtol=1e-9, atol=1e-9)
    for i in (0, 2, 4, 6):
        assert other[i].norm is other[i + 1]
        assert other[i].norm is not net[i].norm


def test_second_derivatives_of_a_joined_network():
    net = each_kind()
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    join_norms(net, x)
    assert torch.autograd.gradgradcheck(lambda x, *_: net(x).sin(), (x, *net.parameters()))


class Skip(nn.Module):
    """The map before ``norm`` is read by something else too; ``first`` and its norm are ordinary."""

    def __init__(self):
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.conv, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(self.first_norm(self.first(x)))
        return self.skip(y, self.norm(y))


class Added(Skip):
    def skip(self, y, z):
        return y + z


class BeforeAndAfter(Skip):
    def skip(self, y, z):
        return [y, z]


class TimesTheInput(Skip):
    """On an input of zeros there is nothing to see."""

    def forward(self, x):
        y = self.conv(self.first_norm(self.first(x)))
        return self.norm(y).where(x == 0, y * x)


class ByAModule(Skip):
    def __init__(self):
        super().__init__()
        self.gate = nn.Conv2d(4, 1, 1)

    def skip(self, y, z):
        return self.gate(y).sigmoid() * z


class Faint(Skip):
    """The second reader is a millionth of the result."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)

    def skip(self, y, z):
        return z + 1e-6 * self.pool(y)


class ChangedInBetween(Skip):
    def forward(self, x):
        y = self.conv(self.first_norm(self.first(x)))
        y.relu_()
        return self.norm(y)


class OtherReaderOfTheWeight(Skip):
    """Joining keeps the weights; folding does not."""

    def forward(self, x):
        x = self.first_norm(self.first(x))
        return self.norm(self.conv(x)) + nn.functional.conv2d(x, self.conv.weight)


@pytest.mark.parametrize("kind", [Added, BeforeAndAfter, TimesTheInput, ByAModule, Faint, ChangedInBetween])
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_convolution_with_a_second_reader_keeps_its_norm(kind, fresh, dtype):
    torch.manual_seed(0)
    net = kind()
    net = (net if fresh else randomise(net)).to(dtype)
    folded, joined = share_weights(net), copy.deepcopy(net)
    fold_norms(folded, torch.zeros(1, 4, 8, 8, dtype=dtype))
    freeze_norms(joined)
    join_norms(joined, torch.zeros(1, 4, 8, 8, dtype=dtype))
    assert type(folded.norm) is nn.BatchNorm2d
    assert folded.conv.weight is net.conv.weight
    assert type(folded.first_norm) is nn.Identity
    assert (joined.norm.joined, joined.first_norm.joined) == (False, True)
    net = randomise(net)  # weights of another model come later
    joined.double().load_state_dict(net.state_dict())
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    assert_close(joined(x), net(x), rtol=0, atol=1e-12)


def test_a_weight_with_a_second_reader_is_joined_but_not_folded():
    net = randomise(OtherReaderOfTheWeight())
    folded, joined = share_weights(net), copy.deepcopy(net)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    fold_norms(folded, x)
    freeze_norms(joined)
    join_norms(joined, x)
    assert type(folded.norm) is nn.BatchNorm2d
    assert joined.norm.joined
    for found in (folded, joined):
        assert_close(found(x), net(x), rtol=0, atol=1e-12)


class Magnified(Skip):
    """Single precision cannot tell what its waves are."""

    def skip(self, y, z):
        return (1e6 * z).sin()


def test_rounding_that_a_network_magnifies_is_not_taken_for_a_second_reader():
    torch.manual_seed(0)
    net = Magnified().eval()
    fold_norms(net, torch.zeros(1, 4, 8, 8))
    assert type(net.norm) is type(net.first_norm) is nn.Identity


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_in_half_precision_is_folded_whole(dtype):
    torch.manual_seed(0)
    net = BACKBONES["efficientnet_lite0"]().to(dtype)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    folded = share_weights(net)
    fold_norms(folded, torch.zeros(1, 3, 64, 64, dtype=dtype))
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {p.dtype for p in folded.parameters()} == {dtype}
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_weights_that_are_no_numbers_are_folded_as_they_are():
    net = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)).eval()
    with torch.no_grad():
        net[0].weight[0] = torch.nan
    fold_norms(net, torch.zeros(1, 2, 4, 4))
    assert type(net[1]) is nn.Identity


def test_joining_and_folding_change_nothing_else():
    net = nn.Sequential(Crooked(), nn.Conv2d(4, 4, 1), FrozenNorm(randomise(nn.BatchNorm2d(4))), nn.Dropout())
    net = net.double()
    net[0].eval()
    modes = {name: module.training for name, module in net.named_modules()}
    assert len(set(modes.values())) == 2
    tensors = dict((*net.named_parameters(), *net.named_buffers()))
    values = copy.deepcopy(net.state_dict())
    random = torch.get_rng_state()
    x = torch.ones(1, 4, 8, 8, dtype=torch.float64)
    join_norms(net, x)
    folded = share_weights(net)
    fold_norms(folded, x)
    assert torch.equal(torch.get_rng_state(), random)
    assert {name: module.training for name, module in net.named_modules()} == modes
    assert not any(module.training for module in folded.modules())
    assert all(torch.equal(values[name], tensor) for name, tensor in net.state_dict().items())
    assert all(t is tensors[name] for name, t in (*net.named_parameters(), *net.named_buffers()))


def test_a_network_on_the_meta_device_is_not_joined():
    net = each_kind().to("meta")
    join_norms(net, torch.zeros(1, 3, 8, 8, device="meta"))
    assert not net[1].joined


class LowRank(nn.Module):
    def __init__(self):
        super().__init__()
        self.low, self.high = nn.Parameter(torch.randn(4, 1)), nn.Parameter(torch.randn(1, 4))

    def forward(self, weight):
        return weight + (self.low @ self.high)[:, :, None, None]


class OtherConv(nn.Conv2d):
    """Standardises its weights."""

    def forward(self, x):
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


class OtherNorm(nn.BatchNorm2d):
    def forward(self, x):
        return 2 * super().forward(x)


def doubled(module, *_):
    return 2 * _[-1] if isinstance(_[-1], torch.Tensor) else (2 * _[-1][0],)


def own_forward(conv):
    conv.forward = lambda x: 2 * type(conv).forward(conv, x)


def no_statistics(norm):
    norm.running_mean = norm.running_var = None


ADDITIONS = {
    "forward hook of the convolution": lambda net: net[0].register_forward_hook(doubled),
    "forward hook before the convolution": lambda net: net[0].register_forward_pre_hook(doubled),
    "backward hook of the convolution": lambda net: net[0].register_full_backward_hook(lambda *_: None),
    "backward hook before the convolution": lambda net: net[0].register_full_backward_pre_hook(
        lambda *_: None
    ),
    "forward hook of the norm": lambda net: net[1].register_forward_hook(doubled),
    "forward hook before the norm": lambda net: net[1].register_forward_pre_hook(doubled),
    "low rank": lambda net: nn.utils.parametrize.register_parametrization(
        net[0], "weight", LowRank().double()
    ),
    "weight norm": lambda net: parametrizations.weight_norm(net[0]),
    "pruning": lambda net: prune.random_unstructured(net[0], "weight", 0.5),
    "parametrized norm": lambda net: nn.utils.parametrize.register_parametrization(
        net[1], "weight", nn.Softplus()
    ),
    "forward of its own": lambda net: own_forward(net[0]),
    "another convolution": lambda net: net.__setitem__(0, OtherConv(4, 4, 1).double()),
    "another norm": lambda net: net.__setitem__(1, randomise(OtherNorm(4))),
    "norm of the batch": lambda net: no_statistics(net[1]),
}


@pytest.mark.parametrize("addition", ADDITIONS)
def test_what_a_user_has_changed_is_not_folded(addition):
    torch.manual_seed(0)
    net = randomise(
        nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    )
    ADDITIONS[addition](net)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    wanted = net(x)
    folded = share_weights(net)
    fold_norms(folded, x)
    assert type(folded[0]) is type(net[0])
    assert type(folded[1]) is type(net[1])
    assert type(folded[3]) is nn.Identity
    assert_close(folded(x), wanted, rtol=0, atol=1e-12)


FOR_FROZEN = [
    (addition, late)
    for addition in ADDITIONS
    for late in (False, True)
    if addition not in ("another norm", "norm of the batch", "parametrized norm")
    and (addition, late) != ("another convolution", True)
]


@pytest.mark.parametrize(("addition", "late"), FOR_FROZEN)
def test_what_a_user_has_changed_is_neither_joined_nor_then_folded(addition, late):
    torch.manual_seed(0)
    net = randomise(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)))
    freeze_norms(net)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    if late:
        join_norms(net, x)
        assert net[1].joined
    ADDITIONS[addition](net)
    wanted = net(x)
    if not late:
        join_norms(net, x)
        assert not net[1].joined
    folded = share_weights(net)
    fold_norms(folded, x)
    assert type(folded[1]) is FrozenNorm
    for found in (net, folded):
        assert_close(found(x), wanted, rtol=0, atol=1e-12)


def test_a_norm_put_in_place_of_a_joined_one_is_left_alone():
    net = nn.Sequential(nn.Conv2d(4, 4, 1).double(), FrozenNorm(randomise(nn.BatchNorm2d(4))))
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    join_norms(net, x)
    net[1] = FrozenNorm(randomise(nn.BatchNorm2d(4), seed=1))
    folded = share_weights(net)
    fold_norms(folded, x)
    assert type(folded[1]) is FrozenNorm
    assert torch.equal(folded(x), net(x))


class Recorder:
    def __init__(self):
        self.seen = []

    def record(self, module, args, output):
        self.seen.append(output)

    def record_with_keywords(self, module, args, kwargs, output):
        self.seen.append(output)


def test_a_copy_carries_the_hooks_of_the_original():
    net, x, recorder = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU()), torch.zeros(1, 2, 3, 3), Recorder()
    early = net[0].register_forward_hook(recorder.record)
    shared = share_weights(net)
    shared(x)
    assert len(recorder.seen) == 1
    late = net[1].register_forward_hook(recorder.record_with_keywords, with_kwargs=True)
    shared(x)
    assert len(recorder.seen) == 3
    early.remove()
    late.remove()
    shared(x)
    assert len(recorder.seen) == 3


class Keeps(nn.Module):
    """A network that reads what its own hooks have kept."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.recorder = Recorder()
        self.conv.register_forward_hook(self.keep)
        self.conv.register_forward_hook(partial(self.recorder.record))

    def keep(self, module, args, output):
        self.kept = output

    def forward(self, x):
        self.conv(x)
        return self.kept + self.recorder.seen.pop()


def test_a_copy_has_its_own_of_the_hooks_that_belong_to_the_network():
    net, x, recorder = Keeps(), torch.ones(1, 2, 3, 3), Recorder()
    net.conv.register_forward_hook(recorder.record)
    shared = share_weights(net)
    assert torch.equal(shared(x), net(x))
    assert len(recorder.seen) == 2
    assert net.kept is not shared.kept


def test_a_network_of_timm_that_reads_its_maps_by_hooks_is_folded():
    net = randomise(timm_stages("xception41"))
    assert type(net.net).__name__ == "FeatureHookNet"
    folded = share_weights(net)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    fold_norms(folded, x)
    with torch.no_grad():
        for a, b in zip(folded(x), net(x), strict=True):
            assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_timms_norm_with_something_to_drop_is_left_alone():
    norms = [randomise(timm.layers.BatchNormAct2d(4, drop_layer=drop)) for drop in (None, nn.Dropout2d)]
    nets = [nn.Sequential(nn.Conv2d(4, 4, 1).double(), norm) for norm in norms]
    for net in nets:
        fold_norms(net, torch.zeros(1, 4, 5, 5, dtype=torch.float64))
    assert type(nets[0][1]) is nn.ReLU
    assert type(nets[1][1]) is timm.layers.BatchNormAct2d


@pytest.mark.parametrize("frozen", [True, False])
def test_the_epsilon_of_the_moment_counts(frozen):
    net = randomise(nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)))
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    if frozen:
        freeze_norms(net)
        join_norms(net, x)
    set_norm_eps(net, 0.25)
    scale = net[1].weight / (net[1].running_var + 0.25).sqrt()
    plain = nn.functional.conv2d(x, net[0].weight, net[0].bias)
    wanted = (plain - net[1].running_mean[:, None, None]) * scale[:, None, None] + net[1].bias[:, None, None]
    folded = share_weights(net)
    fold_norms(folded, x)
    for found in (net, folded):
        assert_close(found(x), wanted, rtol=0, atol=1e-12)


def test_matrices_prepared_before_are_thrown_away():
    torch.manual_seed(0)
    net = nn.Sequential(Conv3x3(128, 128), randomise(nn.BatchNorm2d(128))).double()
    prepare_convs(net)
    x = torch.randn(1, 128, 32, 32, dtype=torch.float64)
    folded, joined = copy.deepcopy(net), copy.deepcopy(net)
    fold_norms(folded, x)
    freeze_norms(joined)
    join_norms(joined, x)
    assert type(folded[1]) is nn.Identity
    assert joined[1].joined
    with torch.no_grad():
        wanted = net[1](nn.functional.conv2d(x, net[0].weight, net[0].bias, padding=1))
        for found in (folded, joined):
            assert_close(found(x), wanted, rtol=0, atol=1e-10)
