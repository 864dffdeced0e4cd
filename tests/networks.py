"""Networks for tests that need no training."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_images
from torch import nn

from masu.detectors.build import build, configuration
from masu.detectors.rpn import RPN, ProposalSettings, RPNConfig
from masu.detectors.zoo import with_backbone
from masu.exports import write
from masu.exports.agreement import agreement_of
from masu.ops.images import InputPolicy
from masu.verbs import export


def tiny(architecture):
    """The configuration of an architecture on timm's backbone for tests: all of masu's own parts, few layers before them."""
    return with_backbone(configuration(architecture), "timm/test_efficientnet")


def normalised(detector):
    """A two-stage detector whose normalisations have the statistics of a photograph: features differ from place to place."""
    photograph = torch.from_numpy(load_sample_images().images[0].copy()).permute(2, 0, 1)
    for module in detector.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        detector.rpn.backbone((photograph[None] / 255 - 0.5) / 0.25)
    return detector.eval()


def spread(detector, scores=10):
    """A two-stage detector with random heads whose scores and boxes differ as those of a trained one do.

    ``scores`` multiplies the weights of the class layer: the wider the head, the sooner its scores are all 1.
    """
    with torch.no_grad():
        detector.rpn.head.objectness.weight.mul_(50)
        detector.rpn.head.deltas.weight.mul_(5)
        for head in getattr(detector, "heads", [detector]):
            head.predictor.scores.weight.mul_(scores)
            head.predictor.deltas.weight.mul_(5)
    return detector.eval()


def small_detector(names, image_size=64, scores=10, seed=0):
    """A two-stage detector of few layers that finds boxes everywhere, loaded and run in a third of the time of the default one."""
    torch.manual_seed(seed)
    made = build(tiny("faster_rcnn_lite0_fpn"), names, "none", image_size=image_size)
    return spread(normalised(made), scores)


def spread_points(detector, std=0.2):
    """An FCOS with a random head whose scores and boxes differ as those of a trained one do.

    ``std`` is that of the weights of the class layer: where nothing normalises what it is given, less is enough.
    """
    head = detector.head
    with torch.no_grad():
        for layer, share in ((head.classes.output, 1), (head.boxes.output, 0.5), (head.centreness, 0.5)):
            nn.init.normal_(layer.weight, std=std * share)
        head.boxes.output.bias.fill_(2.0)
    return detector.eval()


def exported_from_one_trace(detector, folder, monkeypatch):
    """The reports of ``model.pt2`` and ``model.onnx`` in a folder, written one after the other.

    Tracing takes seconds, and is the same for both; writing ONNX, the last one, uses the program up.
    """
    program = write.trace(detector.prediction_network().detector)
    monkeypatch.setattr(export, "trace", lambda _: program)
    for to in ("torch", "onnx"):
        yield export.export(detector, folder / f"model{write.SUFFIXES[to]}", to=to)


def assert_finds_the_same(detector, exported):
    """Photographs of three sizes, whose detections match one to one, near-ties aside."""
    images = [torch.from_numpy(image.copy()).permute(2, 0, 1) for image in load_sample_images().images]
    images = [images[0][:, :200, :300].contiguous(), images[1][:, 40:, 100:], images[1][:, ::3, ::2]]
    agreed = agreement_of(detector, detector.predict(images), exported.predict(images))
    assert agreed.detections > 50
    assert agreed.equal, agreed


class _Cells(nn.Module):
    """One level of stride 8: the mean of each 8×8 cell of the first channel."""

    in_channels = 3

    def forward(self, pixels):
        return [F.avg_pool2d(pixels[:, :1], 8)]


class _Pass(nn.Module):
    levels = 1

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, maps):
        return maps


class _Bright(nn.Module):
    """Objectness logit 8·mean − 4 of the cell in the anchor's middle; the box is the anchor."""

    def forward(self, maps):
        logits = (8 * maps[0] - 4).flatten(1)
        return logits, logits.new_zeros((*logits.shape, 4))


class _Moving(nn.Module):
    """The same logit; the box is the anchor moved to the right by the mean times its width."""

    def forward(self, maps):
        mean = maps[0].flatten(1)
        return 8 * mean - 4, F.pad(mean[..., None], (0, 3))


class _Shifted(nn.Module):
    """The logit of the lower right cell for every anchor."""

    def forward(self, maps):
        logits = (8 * maps[0][:, :, -1:, -1:] - 4).expand_as(maps[0]).flatten(1)
        return logits, logits.new_zeros((*logits.shape, 4))


def bright_cells(size):
    """An RPN worked by hand, for images of ``size``: anchors of 16 px around the corners of 8×8 cells, and the
    score of one is the sigmoid of 8·m − 4, with m the mean red of the cell right below the corner. Scores under 0.05 are left out: those in the dark."""
    config = RPNConfig(
        "efficientnet_lite0",
        anchor_sizes=((16.0,),) * 4,
        anchor_ratios=(1.0,),
        input=InputPolicy(min(size), max(size), (0.0,) * 3, (1.0,) * 3, divisor=8),
        proposals=ProposalSettings(score_thresh=0.05),
    )
    detector = RPN(config)
    detector.cells = detector.cells[:1]
    detector.backbone, detector.fpn, detector.head = _Cells(), _Pass(), _Bright()
    return detector.eval()


def moving_cells(size):
    """``bright_cells`` whose boxes lie m·16 px to the right of their anchors."""
    detector = bright_cells(size)
    detector.head = _Moving()
    return detector


def shifted_cells(size):
    """``bright_cells`` whose every score is that of the lower right cell."""
    detector = bright_cells(size)
    detector.head = _Shifted()
    return detector
