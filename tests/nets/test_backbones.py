import copy

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.testing import assert_close

from masu.errors import InputError
from masu.nets.backbones import BACKBONES, Stages, WholeNet, adapt_channels, backbone, timm_stages
from masu.nets.norm import freeze_norms

STATED = {
    "resnet50": ((256, 512, 1024, 2048), (4, 8, 16, 32)),
    "mobilenet_v3_large": ((160, 960), (32, 32)),
    "efficientnet_lite0": ((40, 112, 320), (8, 16, 32)),
    "efficientnet_lite1": ((40, 112, 320), (8, 16, 32)),
    "efficientnet_lite2": ((48, 120, 352), (8, 16, 32)),
}


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    return {name: function().eval() for name, function in BACKBONES.items()}


@pytest.mark.parametrize("name", STATED)
def test_maps_have_the_stated_channels_and_strides(nets, name):
    net = nets[name]
    assert (net.channels, net.strides) == STATED[name]
    with torch.inference_mode():
        maps = net(torch.zeros(2, 3, 96, 64))
    assert [tuple(m.shape) for m in maps] == [
        (2, c, 96 // s, 64 // s) for c, s in zip(net.channels, net.strides, strict=True)
    ]


def test_every_backbone_is_tested():
    assert STATED.keys() == BACKBONES.keys()


@pytest.mark.parametrize("name", STATED)
def test_no_images_make_no_maps(nets, name):
    with torch.inference_mode():
        maps = nets[name](torch.zeros(0, 3, 64, 64))
    assert [len(m) for m in maps] == [0] * len(STATED[name][0])


def test_resnet50_is_torchvisions(nets):
    net = copy.deepcopy(nets["resnet50"]).double()
    oracle = torchvision.models.resnet50(weights=None).eval().double()
    missing = oracle.load_state_dict(net.state_dict(), strict=False)
    assert missing.missing_keys == ["fc.weight", "fc.bias"]
    assert missing.unexpected_keys == []
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        x = oracle.maxpool(oracle.relu(oracle.bn1(oracle.conv1(image))))
        layers = (oracle.layer1, oracle.layer2, oracle.layer3, oracle.layer4)
        wanted = [x := layer(x) for layer in layers]
        found, single = net(image), nets["resnet50"](image.float())
    for a, b, c in zip(found, wanted, single, strict=True):
        assert_close(a, b)
        assert_close(c, b.float(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_lite_is_timms(nets, name):
    oracle = timm.create_model(
        f"tf_{name}", pretrained=False, features_only=True, out_indices=(2, 3, 4)
    ).eval()
    ours, oracle = copy.deepcopy(nets[name]).double(), oracle.double()
    oracle.load_state_dict({k.replace("blocks_", "blocks."): v for k, v in ours.state_dict().items()})
    for size in ((64, 96), (65, 97), (66, 127)):  # SAME padding differs between even and odd sides
        image = torch.rand(1, 3, *size, dtype=torch.float64)
        with torch.inference_mode():
            for a, b in zip(ours(image), oracle(image), strict=True):
                assert_close(a, b, rtol=0, atol=1e-9)


KINDS = {
    "resnet10t": Stages,  # its modules one after the other
    "mobilenetv3_small_050": Stages,  # blocks within a module
    "hrnet_w18_small": WholeNet,  # branches
}


@pytest.mark.parametrize("name", KINDS)
def test_a_feature_extractor_of_timm_gives_its_maps(name):
    torch.manual_seed(0)
    oracle = timm.create_model(name, pretrained=False, features_only=True).eval()
    torch.manual_seed(0)
    ours = timm_stages(name).eval()
    assert type(ours) is KINDS[name]
    assert ours.strides == (2, 4, 8, 16, 32)
    image = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        for a, b in zip(ours(image), oracle(image), strict=True):
            assert_close(a, b)
        wanted = oracle(image)[2:]
        ours.use_from_stride(8)
        for a, b in zip(ours(image), wanted, strict=True):
            assert_close(a, b)


@pytest.mark.parametrize("name", KINDS)
def test_a_network_of_timm_can_be_trained(name):
    net = timm_stages(name).train()
    net.freeze_to_stride(0)
    sum(m.square().mean() for m in net(torch.rand(2, 3, 64, 64))).backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)


def test_a_network_that_is_no_sequence_is_frozen_whole_or_not_at_all():
    net = WholeNet(timm.create_model("resnet10t", features_only=True), (8, 8, 8, 8, 8), (2, 4, 8, 16, 32))
    with pytest.raises(InputError, match="frozen stride: found 4, wanted 0 or at least 32, since"):
        net.freeze_to_stride(4)
    assert all(p.requires_grad for p in net.parameters())
    net.freeze_to_stride(32)
    assert not any(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("resnet", ""),
        ("timm/nonsense", " (Unknown model (nonsense))"),
        ("timm/vit_tiny_patch16_224", " (Input height (64) doesn't match model (224).)"),
    ],
)
def test_what_is_no_backbone_is_refused(name, why):
    with pytest.raises(InputError) as caught:
        backbone(name)
    assert str(caught.value) == (
        f"backbone: found {name!r}{why}, wanted one of {', '.join(BACKBONES)}, or timm/NAME with a feature "
        "extractor of timm for images of any size, such as timm/mobilenetv4_conv_small"
    )


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
@pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0", "timm/resnet10t"])
def test_other_channels(name, channels):
    net = backbone(name, channels).eval()
    assert net.in_channels == channels
    with torch.inference_mode():
        assert len(net(torch.zeros(1, channels, 64, 64))) == len(net.strides)


def test_a_grey_picture_seen_with_one_channel_is_the_same_as_in_colour():
    weight, grey = torch.randn(4, 3, 3, 3), torch.rand(1, 1, 9, 9)
    assert_close(F.conv2d(grey, adapt_channels(weight, 1)), F.conv2d(grey.expand(-1, 3, -1, -1), weight))
    assert_close(
        F.conv2d(grey.expand(-1, 6, -1, -1), adapt_channels(weight, 6)),
        F.conv2d(grey.expand(-1, 3, -1, -1), weight),
    )
    assert adapt_channels(torch.tensor([[1.0, 2.0, 3.0]])[..., None, None], 4).flatten().tolist() == [
        0.75,
        1.5,
        2.25,
        0.75,
    ]


class Add(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = nn.Parameter(torch.tensor(float(step)))

    def forward(self, x):
        return x + self.step


def test_stages_return_the_named_outputs_in_order():
    net = Stages({"a": Add(1), "b": Add(10), "c": Add(100)}, ("a", "c"), (1, 1), (1, 1))
    assert [m.item() for m in net(torch.tensor(0.0))] == [1, 111]


class Halve(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, stride=2)

    def forward(self, x):
        return self.conv(x)


@pytest.mark.parametrize(
    ("stride", "frozen"), [(0, ""), (1, ""), (2, "a"), (4, "abn"), (7, "abn"), (8, "abnc"), (32, "abnc")]
)
def test_stages_up_to_a_stride_are_taken_out_of_training(stride, frozen):
    net = Stages(
        {"a": Halve(), "b": Halve(), "n": nn.BatchNorm2d(3), "c": Halve()}, ("b", "c"), (3, 3), (4, 8)
    )
    net.freeze_to_stride(stride)
    assert "".join(
        n for n, s in net.named_children() if not any(p.requires_grad for p in s.parameters())
    ) == (frozen)


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0", "timm/resnet10t"])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_freezing_changes_nothing_but_what_is_trained(name, device):
    net = backbone(name).train().to(device)
    net[1].eval()
    modes = [module.training for module in net.modules()]
    tensors = net.state_dict()
    values = {n: t.clone() for n, t in tensors.items()}
    random = torch.get_rng_state()
    net.freeze_to_stride(4)
    assert 0 < sum(p.requires_grad for p in net.parameters()) < len(list(net.parameters()))
    assert [module.training for module in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    for n, t in net.state_dict().items():
        assert t.data_ptr() == tensors[n].data_ptr()
        assert t.is_meta or torch.equal(t, values[n]), n


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0", "mobilenet_v3_large"])
def test_the_same_is_frozen_on_the_meta_device(name):
    frozen = []
    for device in ("cpu", "meta"):
        with torch.device(device):
            net = backbone(name)
        freeze_norms(net)
        net.freeze_to_stride(8)
        frozen.append([n for n, p in net.named_parameters() if not p.requires_grad])
    assert frozen[0] == frozen[1] != []
