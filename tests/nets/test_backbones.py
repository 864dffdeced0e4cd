from pathlib import Path

import numpy as np
import pytest
import skimage
import skimage.data
import sklearn.datasets
import timm
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import nn
from torch.testing import assert_close

from masu.errors import InputError
from masu.nets import backbones
from masu.nets.backbones import BACKBONES, Stages, imagenet_weights, lite0_to_timm

STATED = {
    "resnet50": ((256, 512, 1024, 2048), (4, 8, 16, 32)),
    "mobilenet_v3_large": ((160, 960), (32, 32)),
    "efficientnet_lite0": ((40, 112, 320), (8, 16, 32)),
}


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    return {name: function().eval() for name, function in BACKBONES.items()}


@pytest.fixture(scope="module")
def file_contents():
    return backbones._lite0_file_contents()


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
    oracle = torchvision.models.resnet50(weights=None).eval()
    missing = oracle.load_state_dict(nets["resnet50"].state_dict(), strict=False)
    assert missing.missing_keys == ["fc.weight", "fc.bias"]
    assert missing.unexpected_keys == []
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        x = oracle.maxpool(oracle.relu(oracle.bn1(oracle.conv1(image))))
        layers = (oracle.layer1, oracle.layer2, oracle.layer3, oracle.layer4)
        wanted = [x := layer(x) for layer in layers]
        found = nets["resnet50"](image)
    for a, b in zip(found, wanted, strict=True):
        assert_close(a, b)


def test_lite0_is_timms(file_contents):
    oracle = timm.create_model(
        "tf_efficientnet_lite0", pretrained=False, features_only=True, out_indices=(2, 3, 4)
    ).eval()
    ours = BACKBONES["efficientnet_lite0"]().eval()
    ours.load_state_dict(imagenet_weights("efficientnet_lite0"))
    ours, oracle = ours.double(), oracle.double()
    oracle.load_state_dict({k.replace("blocks_", "blocks."): v for k, v in ours.state_dict().items()})
    for size in ((64, 96), (65, 97), (66, 127)):  # SAME padding differs between even and odd sides
        image = torch.rand(1, 3, *size, dtype=torch.float64)
        with torch.inference_mode():
            for a, b in zip(ours(image), oracle(image), strict=True):
                assert_close(a, b, rtol=0, atol=1e-9)


class Add(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = nn.Parameter(torch.tensor(float(step)))

    def forward(self, x):
        return x + self.step


def test_stages_return_the_named_outputs_in_order():
    net = Stages({"a": Add(1), "b": Add(10), "c": Add(100)}, ("a", "c"), (1, 1), (1, 1))
    assert [m.item() for m in net(torch.tensor(0.0))] == [1, 111]


@pytest.mark.parametrize(("first", "frozen"), [("a", ""), ("b", "a"), ("c", "ab"), ("none", "abc")])
def test_freeze_before_takes_the_earlier_stages_out_of_training(first, frozen):
    net = Stages({"a": Add(1), "b": Add(10), "c": Add(100)}, ("c",), (1,), (1,))
    net.freeze_before(first)
    assert "".join(n for n, stage in net.named_children() if not stage.step.requires_grad) == frozen


def photograph(name):
    match name:
        case "cat":
            return skimage.data.chelsea()
        case "coffee":
            return skimage.data.coffee()
        case "flower":
            return sklearn.datasets.load_sample_image("flower.jpg")
        case "moped":
            return np.asarray(Image.open(Path(skimage.__file__).parent / "data" / "motorcycle_left.png"))


@pytest.fixture(scope="module")
def classifier(file_contents):
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    renamed = lite0_to_timm(file_contents)
    net.load_state_dict({k.replace("blocks_", "blocks."): v for k, v in renamed.items()})
    return net


@pytest.mark.parametrize(
    ("name", "classes"), [("cat", {281, 282, 285}), ("coffee", {967}), ("flower", {985}), ("moped", {665})]
)
def test_the_renamed_weights_recognise_photographs(classifier, name, classes):
    image = Image.fromarray(np.array(photograph(name))).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255  # (H, W, C) → (1, C, H, W)
    with torch.inference_mode():
        scores = F.softmax(classifier((pixels - 0.5) / 0.5), dim=1)[0]
    assert scores.argmax().item() in classes


def test_renaming_keeps_every_tensor(file_contents):
    renamed = lite0_to_timm(file_contents)
    assert len(renamed) == len(file_contents) == 296
    assert {id(t) for t in renamed.values()} == {id(t) for t in file_contents.values()}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("_conv_stem.weight", "conv_stem.weight"),
        ("_bn0.running_mean", "bn1.running_mean"),
        ("_blocks.0._depthwise_conv.weight", "blocks_0.0.conv_dw.weight"),
        ("_blocks.0._bn1.bias", "blocks_0.0.bn1.bias"),
        ("_blocks.0._project_conv.weight", "blocks_0.0.conv_pw.weight"),
        ("_blocks.0._bn2.weight", "blocks_0.0.bn2.weight"),
        ("_blocks.1._expand_conv.weight", "blocks_1.0.conv_pw.weight"),
        ("_blocks.2._bn1.weight", "blocks_1.1.bn2.weight"),
        ("_blocks.15._project_conv.weight", "blocks_6.0.conv_pwl.weight"),
        ("_conv_head.weight", "conv_head.weight"),
        ("_bn1.weight", "bn2.weight"),
        ("_fc.bias", "classifier.bias"),
    ],
)
def test_renaming_by_hand(theirs, ours):
    assert list(lite0_to_timm({theirs: torch.zeros(1)})) == [ours]


def test_imagenet_weights_fill_every_tensor_of_lite0():
    net, state = BACKBONES["efficientnet_lite0"](), imagenet_weights("efficientnet_lite0")
    assert state.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert tensor.shape == state[name].shape, name
        assert torch.isfinite(state[name]).all(), name


class Unreachable:
    url = "https://example.org/weights.pth"

    def get_state_dict(self, progress, check_hash):
        raise OSError("no network")


def test_a_failed_download_says_what_else_there_is(monkeypatch):
    monkeypatch.setattr(
        torchvision.models, "get_model_weights", lambda name: {"IMAGENET1K_V1": Unreachable()}
    )
    with pytest.raises(InputError) as caught:
        imagenet_weights("resnet50")
    assert str(caught.value) == (
        "ImageNet weights of resnet50: download from https://example.org/weights.pth failed (no network); "
        "wanted a network connection. Start from a file (--weights FILE), from nothing (--weights none), or "
        "choose faster_rcnn_lite0_fpn, whose weights are installed"
    )


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_large"])
def test_torchvisions_weights_fill_every_tensor(monkeypatch, nets, name):
    model = torchvision.models.get_model(name, weights=None)

    class Downloaded:
        def get_state_dict(self, progress, check_hash):
            return model.state_dict()

    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: {"IMAGENET1K_V1": Downloaded()})
    state, own = imagenet_weights(name), nets[name].state_dict()
    assert state.keys() == own.keys()
    assert all(state[k].shape == own[k].shape for k in own)
