"""Under autocast the networks compute in half precision, and everything around them in float32."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from masu.detectors import cascade_rcnn, faster_rcnn
from masu.detectors.build import build, make
from masu.detectors.cascade_rcnn import CascadeRCNNConfig
from masu.detectors.faster_rcnn import FasterRCNNConfig
from masu.detectors.rois import RoISettings, sample_rois
from masu.detectors.zoo import with_backbone
from tests.detectors.test_detectors import (
    OBJECTS,
    SMALL_FCOS,
    SMALL_RETINANET,
    SMALL_RPN,
    generator,
    photographs,
)

NAMES = ("disc", "square")
RESNET = replace(SMALL_RPN, anchor_sizes=((16.0,), (32.0,), (64.0,), (128.0,), (200.0,)))
ROIS = RoISettings(hidden=(32,), batch_size_per_image=64)
CONFIGS = {
    "small": None,
    "faster_rcnn": with_backbone(FasterRCNNConfig(RESNET, ROIS), "resnet50"),
    "cascade_rcnn": with_backbone(CascadeRCNNConfig(RESNET, ROIS), "resnet50"),
    "rpn": replace(SMALL_RPN, frozen_norms=False),
    "fcos": SMALL_FCOS,
    "retinanet": replace(SMALL_RETINANET, head_norm=True, fpn_channels=64),
}
"""Networks of every kind of layer that masu has: norms trained and joined, of groups, pyramids of both kinds."""

TOLERANCE = 0.03
"""Of a loss term: bfloat16 keeps eight bits, 0.4 %, and tens of layers follow each other."""


class Rounded(TorchDispatchMode):
    """The operators that made a number of half precision."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        made = function(*arguments, **(named or {}))
        if any(getattr(t, "dtype", None) in (torch.bfloat16, torch.float16) for t in tree_leaves(made)):
            self.found.append(str(function))
        return made


def same(answer):
    """A box head that says the same of every RoI, in float32."""
    logits, deltas = (x.float() for x in answer)
    return lambda pooled: (logits.expand(len(pooled), -1), deltas.expand(len(pooled), -1, -1))


@pytest.fixture(scope="module", params=CONFIGS)
def detector(request):
    torch.manual_seed(0)
    if request.param == "small":
        return build("faster_rcnn_lite0_fpn", NAMES, image_size=128).train()
    made = make(CONFIGS[request.param], NAMES).train()
    for head in getattr(made, "heads", ()):  # boxes stay on the objects, for later heads too
        nn.init.normal_(head.predictor.deltas.weight, std=1e-4)
    return made


IMAGES, TARGETS = photographs(2), [OBJECTS, OBJECTS]


def half(dtype=torch.bfloat16):
    return torch.autocast("cpu", dtype)


def test_one_step(detector, monkeypatch):
    """On the same RoIs: which of them are drawn depends on proposals, and a single other one changes the loss."""
    drawn = []

    def sampled(*given):
        drawn.append(drawn[0] if drawn else sample_rois(*given))
        return drawn[-1]

    for module in (faster_rcnn, cascade_rcnn):
        monkeypatch.setattr(module, "sample_rois", sampled)
    losses = {}
    for name in ("fp32", "bf16"):
        with torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16"):
            raw = detector(IMAGES)
            losses[name] = detector.losses(raw, TARGETS, generator())
    for term, value in losses["bf16"].items():
        assert value.dtype == torch.float32, term
        if term.endswith(("_2", "_3")):  # of other boxes: the head before has moved them by rounded deltas
            continue
        assert value.item() == pytest.approx(losses["fp32"][term].item(), rel=TOLERANCE), term
    assert {f.dtype for f in raw.features} == {torch.bfloat16}
    assert {t.dtype for t in (raw.images.pixels, raw.logits, raw.deltas, raw.anchors)} == {torch.float32}
    detector.zero_grad()
    sum(losses["bf16"].values()).backward()
    for name, parameter in detector.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.dtype == torch.float32, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.any(), name


def test_nothing_but_the_networks_is_rounded(detector, monkeypatch):
    """Matching, targets, losses, decoding and suppression: no operator makes a rounded number."""
    with half(), torch.no_grad():
        raw = detector(IMAGES)
        if hasattr(detector.config, "rois"):
            channels, cells = detector.config.rpn.fpn_channels, detector.config.rois.cells
            pooled = torch.rand(1, channels, cells, cells)
            if hasattr(detector, "heads"):
                for head in detector.heads:
                    monkeypatch.setitem(head.__dict__, "forward", same(head(pooled)))
            else:
                monkeypatch.setattr(detector, "head", same(detector.head(pooled)))
        with Rounded() as rounded:
            raw = replace(raw, features=tuple(f.float() for f in raw.features))
            detector.losses(raw, TARGETS, generator())
            found = detector.detections(raw)
    assert rounded.found == []
    assert {f.boxes.dtype for f in found} == {f.scores.dtype for f in found} == {torch.float32}


def test_prediction_under_autocast(detector):
    """With normalisation folded in and levels in one table no less exact than without."""
    detector.eval()
    with torch.inference_mode():
        wanted = detector(IMAGES).logits
        with half():
            plain, folded = detector(IMAGES), detector.prediction_network().detector(IMAGES)
            found = detector.predict(IMAGES)
    detector.train()
    assert {f.dtype for raw in (plain, folded) for f in raw.features} == {torch.bfloat16}
    assert {f.boxes.dtype for f in found} == {f.scores.dtype for f in found} == {torch.float32}
    errors = [((raw.logits - wanted).norm() / wanted.norm()).item() for raw in (plain, folded)]
    assert 0 < errors[1] < 1.5 * errors[0], errors
