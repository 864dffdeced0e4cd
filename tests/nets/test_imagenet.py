from pathlib import Path
from types import SimpleNamespace

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

from masu.errors import InputError
from masu.nets import imagenet
from masu.nets.backbones import adapt_channels, backbone, timm_stages
from masu.nets.imagenet import fill_imagenet, imagenet_weights, installed, lite_to_timm, pretraining_pixels

LITE0 = (1, 2, 2, 3, 3, 4, 1)


@pytest.fixture(scope="module")
def file_contents():
    return imagenet._lite_file_contents("efficientnet_lite0")


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
    renamed = lite_to_timm(file_contents, LITE0)
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
    renamed = lite_to_timm(file_contents, LITE0)
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
    assert list(lite_to_timm({theirs: torch.zeros(1)}, LITE0)) == [ours]


def test_imagenet_weights_fill_every_tensor_of_lite0():
    net, state = backbone("efficientnet_lite0"), imagenet_weights("efficientnet_lite0")
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
def test_torchvisions_weights_fill_every_tensor(monkeypatch, name):
    model = torchvision.models.get_model(name, weights=None)

    class Downloaded:
        def get_state_dict(self, progress, check_hash):
            return model.state_dict()

    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: {"IMAGENET1K_V1": Downloaded()})
    state, own = imagenet_weights(name), backbone(name).state_dict()
    assert state.keys() == own.keys()
    assert all(state[k].shape == own[k].shape for k in own)


def test_other_channels_get_the_weights_of_the_colours():
    colour, four = backbone("efficientnet_lite0"), backbone("efficientnet_lite0", 4)
    fill_imagenet(colour, "efficientnet_lite0")
    fill_imagenet(four, "efficientnet_lite0")
    for (name, a), b in zip(four.state_dict().items(), colour.state_dict().values(), strict=True):
        assert torch.equal(a, adapt_channels(b, 4) if name == "conv_stem.weight" else b), name


def test_lite0_is_the_same_under_timms_name():
    assert installed("timm/tf_efficientnet_lite0")
    ours, theirs = imagenet_weights("efficientnet_lite0"), imagenet_weights("timm/tf_efficientnet_lite0")
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)
    net = timm_stages("tf_efficientnet_lite0")
    fill_imagenet(net, "timm/tf_efficientnet_lite0")


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "hrnet_w18_small"])
def test_timms_weights_fill_every_tensor(monkeypatch, name):
    trained = timm.create_model(name, pretrained=False, features_only=True)
    monkeypatch.setattr(timm, "create_model", lambda *args, **settings: trained)
    state, net = imagenet_weights(f"timm/{name}"), backbone(f"timm/{name}")
    assert state.keys() == net.state_dict().keys()
    fill_imagenet(net, f"timm/{name}")


def test_a_failed_download_through_timm(monkeypatch):
    def fail(*args, **settings):
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(InputError, match="of timm/resnet10t: download through timm failed"):
        imagenet_weights("timm/resnet10t")


def test_not_installed_means_a_download_through_timm(monkeypatch):
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    assert not installed("efficientnet_lite0")
    asked = []

    def create(name, **settings):
        asked.append((name, settings["pretrained"]))
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", create)
    with pytest.raises(InputError, match="efficientnet_lite2"):
        imagenet_weights("efficientnet_lite2")
    assert asked == [("tf_efficientnet_lite2", True)]


def test_pixels_of_the_pretraining(monkeypatch):
    assert pretraining_pixels("resnet50")[0] == (0.485, 0.456, 0.406)
    assert pretraining_pixels("efficientnet_lite2") == ((0.5,) * 3, (0.5,) * 3)
    monkeypatch.setattr(
        timm,
        "get_pretrained_cfg",
        lambda name, **_: SimpleNamespace(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)),
    )
    assert pretraining_pixels("timm/resnet10t") == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
