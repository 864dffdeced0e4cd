"""torchvision's detectors with trained-looking weights, and both libraries' answers side by side."""

from __future__ import annotations

import functools
import importlib
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import skimage.data
import sklearn.datasets
import timm
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.torchvision_families import TwoStages
from masu.detectors.torchvision_models import NAMES, family_of, from_torchvision
from masu.ops import conv3x3, matching
from masu.records import Target

CLASSES = 6

FAST_PATHS = ("Winograd convolution", "matching in blocks", "compiled suppression")
"""Forms of ``masu.ops`` that run where they pay; each has a plain twin, and tests hold both equal."""


def photographs() -> list[Tensor]:
    """Real photographs of scikit-learn and scikit-image, ``(3, H, W)`` float 0..1, of several sizes."""
    images = [
        *sklearn.datasets.load_sample_images().images,  # 427 × 640
        skimage.data.astronaut(),  # 512 × 512
        skimage.data.chelsea(),  # 300 × 451
    ]
    return [torch.from_numpy(np.array(i)).permute(2, 0, 1).contiguous() / 255 for i in images]


def reference(name: str, seed: int = 0, frozen: bool = False, **settings: object) -> nn.Module:
    """A torchvision detector whose outputs are as spread as a trained one's.

    Normalisation statistics are set from a real photograph, so that activations neither vanish nor
    explode; the heads' last layers are scaled until thousands of proposals and scores above the threshold
    survive.
    """
    torch.manual_seed(seed)
    model = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=CLASSES + 1, **settings
    )
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    images = photographs()
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
    with torch.no_grad():
        batch, _ = model.transform([images[0], images[3]])
        model.train().backbone(batch.tensors)
        features = model.eval().backbone(batch.tensors)
        if name.startswith(("retinanet", "fcos")):
            _spread_one_stage(model.head, list(features.values()))
        else:
            _spread_two_stages(model, features, batch.image_sizes)
    for norm in norms:
        norm.momentum = 0.1
    if frozen:
        freeze_norms(model.backbone.body)
    return model.to(memory_format=torch.channels_last).eval()


def _spread_one_stage(head: nn.Module, features: list[Tensor]) -> None:
    for tower in (head.classification_head.conv, head.regression_head.conv):
        for layer in tower.modules():  # from an init of 0.01, four layers deep, nothing would be left
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    logits = [head.classification_head.cls_logits(head.classification_head.conv(x)) for x in features]
    deltas = [head.regression_head.bbox_reg(head.regression_head.conv(x)) for x in features]
    _spread(head.classification_head.cls_logits, logits, 7)
    _spread(head.regression_head.bbox_reg, deltas, 1)
    if hasattr(head.regression_head, "bbox_ctrness"):
        head.regression_head.bbox_reg.bias.add_(2)  # distances in cells, all of which are above 0
        centre = [head.regression_head.bbox_ctrness(head.regression_head.conv(x)) for x in features]
        _spread(head.regression_head.bbox_ctrness, centre, 3)


def _spread_two_stages(model: nn.Module, features: dict[str, Tensor], sizes: list[tuple[int, int]]) -> None:
    boxes = [torch.rand(64, 4) * 100 for _ in range(2)]
    for b in boxes:
        b[:, 2:] += b[:, :2] + 32
    heads = model.roi_heads
    pooled = heads.box_head(heads.box_roi_pool(features, boxes, sizes))
    heads.box_roi_pool.scales = None
    objectness, proposal_deltas = model.rpn.head(list(features.values()))
    scores, deltas = heads.box_predictor(pooled)
    _spread(model.rpn.head.cls_logits, objectness, 5)
    _spread(model.rpn.head.bbox_pred, proposal_deltas, 1)
    _spread(heads.box_predictor.cls_score, [scores], 4)
    _spread(heads.box_predictor.bbox_pred, [deltas], 3)


def _spread(layer: nn.Conv2d | nn.Linear, outputs: list[Tensor], largest: float) -> None:
    """Scale and shift a last layer so that each output is centred and the largest of all is ``largest``."""
    flat = torch.cat([x.movedim(1, -1).flatten(0, -2) for x in outputs])
    scale = largest / (flat - flat.mean(dim=0)).abs().max()
    layer.weight.mul_(scale)
    layer.bias.sub_(flat.mean(dim=0)).mul_(scale)


def freeze_norms(module: nn.Module) -> None:
    """As torchvision's builders do with pretrained weights."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = torchvision.ops.FrozenBatchNorm2d(child.num_features, child.eps)
            frozen.load_state_dict({k: v for k, v in child.state_dict().items() if "tracked" not in k})
            setattr(module, name, frozen)
        else:
            freeze_norms(child)


def train_like_pretrained(model: nn.Module, first: str) -> None:
    """Take the body's stages before ``first`` out of training, as builders do with pretrained weights."""
    for name, stage in model.backbone.body.named_children():
        if name == first:
            return
        stage.requires_grad_(False)


def twin(detector: FasterRCNN) -> nn.Module:
    """torchvision's Faster R-CNN on timm's Lite0 with the weights and settings of masu's small default."""
    rpn, rois = detector.config.rpn, detector.config.rois
    proposals = rpn.proposals
    channels = rpn.fpn_channels
    width, hidden = channels * rois.cells**2, rois.hidden
    model = torchvision.models.detection.FasterRCNN(
        _Pyramid(channels),
        min_size=rpn.input.min_size,
        max_size=rpn.input.max_size,
        image_mean=rpn.input.mean,
        image_std=rpn.input.std,
        rpn_anchor_generator=AnchorGenerator(rpn.anchor_sizes, (rpn.anchor_ratios,) * len(rpn.anchor_sizes)),
        rpn_pre_nms_top_n_train=proposals.pre_nms_top_n_training,
        rpn_pre_nms_top_n_test=proposals.pre_nms_top_n,
        rpn_post_nms_top_n_train=proposals.post_nms_top_n_training,
        rpn_post_nms_top_n_test=proposals.post_nms_top_n,
        rpn_score_thresh=proposals.score_thresh,
        box_roi_pool=MultiScaleRoIAlign([str(i) for i in range(len(rois.strides))], rois.cells, 2),
        box_head=TwoMLPHead(width, hidden[0]),
        box_predictor=FastRCNNPredictor(hidden[1], len(detector.names) + 1),
        box_score_thresh=rois.score_thresh,
        box_nms_thresh=rois.nms_thresh,
        box_detections_per_img=rois.detections_per_img,
        box_batch_size_per_image=rois.batch_size_per_image,
    )
    own = detector.state_dict()
    names = {key: TwoStages().rename(key).replace("blocks.", "blocks_") for key in model.state_dict()}
    state = {key: own[name] for key, name in names.items() if name in own}
    fc6 = state["roi_heads.box_head.fc6.weight"].reshape(hidden[0], rois.cells, rois.cells, channels)
    state["roi_heads.box_head.fc6.weight"] = fc6.permute(0, 3, 1, 2).reshape(hidden[0], width)
    for kind in ("weight", "bias"):
        scores, deltas = (f"roi_heads.box_predictor.{name}.{kind}" for name in ("cls_score", "bbox_pred"))
        state[scores] = state[scores].roll(1, dims=0)
        state[deltas] = torch.cat([torch.zeros_like(state[deltas][:4]), state[deltas]])
    missing, _ = model.load_state_dict(state, strict=False)
    assert all(key.endswith("num_batches_tracked") for key in missing), missing
    dtype = next(detector.parameters()).dtype
    return model.to(dtype, memory_format=torch.contiguous_format).train(detector.training)


class _Pyramid(nn.Module):
    """timm's EfficientNet-Lite0 under torchvision's feature pyramid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(2, 3, 4))
        self.fpn = FeaturePyramidNetwork(self.body.feature_info.channels(), channels, LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.fpn(OrderedDict((str(i), level) for i, level in enumerate(self.body(x))))


@dataclass(frozen=True)
class Difference:
    """Largest absolute differences between two answers; ``None`` where their counts differ."""

    pixels: float | None
    score: float | None
    rows: int
    same_labels: bool


def finite(tensor: Tensor, what: str) -> Tensor:
    """The same tensor; one that is not finite equals nothing, which a maximum of differences would hide.

    Raises:
        FloatingPointError: for a NaN or an infinity.
    """
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise FloatingPointError(f"{what}: found {bad} values of {tensor.numel()} that are no finite number")
    return tensor


def compare(pairs: list[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]) -> Difference:
    """Compare ``(boxes, scores, labels)`` row by row, in order, over images.

    Raises:
        FloatingPointError: for a box or score of either side that is not finite.
    """
    for answers in pairs:
        for boxes, scores, _ in answers:
            finite(boxes, "boxes")
            finite(scores, "scores")
    if any(len(a[0]) != len(b[0]) for a, b in pairs):
        return Difference(None, None, sum(len(a[0]) for a, _ in pairs), False)
    return Difference(
        pixels=max(float((a[0] - b[0]).abs().max()) for a, b in pairs),
        score=max(float((a[1] - b[1]).abs().max()) for a, b in pairs),
        rows=sum(len(a[0]) for a, _ in pairs),
        same_labels=all(torch.equal(a[2], b[2]) for a, b in pairs),
    )


@torch.inference_mode()
def compare_detections(model: nn.Module, detector: Detector, images: list[Tensor]) -> Difference:
    """Detections of both libraries for one batch.

    torchvision pads a batch to its largest image, and so does ``forward``; ``predict`` runs together only
    what is padded alike, and is therefore compared on a single image.
    """
    first = family_of(model.state_dict()).first
    found = detector.predict(images) if len(images) == 1 else detector.detections(detector(images))
    ours = [(d.boxes, d.scores, d.labels + first) for d in found]
    theirs = [(d["boxes"], d["scores"], d["labels"]) for d in model(list(images))]
    return compare(list(zip(ours, theirs, strict=True)))


@torch.inference_mode()
def compare_answers(model: nn.Module, detector: FasterRCNN, images: list[Tensor]) -> list[Difference]:
    """Proposals and detections of both libraries for one batch."""
    batch, _ = model.transform(list(images))
    theirs, _ = model.rpn(batch, model.backbone(batch.tensors))
    raw = detector(images)
    ours = detector.process(raw)[0].kept
    none = torch.zeros(0)
    proposals = [
        ((boxes, boxes[:, 0], none), (ours.boxes[i, :n], ours.boxes[i, :n, 0], none))
        for i, (boxes, n) in enumerate(zip(theirs, ours.count.tolist(), strict=True))
    ]
    return [compare(proposals), compare_detections(model, detector, images)]


def targets(images: list[Tensor], seed: int = 0) -> list[Target]:
    """Ten made-up objects an image, from 12 px to most of the picture."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for image in images:
        size = torch.tensor([image.shape[2], image.shape[1]])
        share = torch.rand(10, 2, generator=generator) * 0.7 + 0.04
        corner = torch.rand(10, 2, generator=generator) * (1 - share)
        boxes = torch.cat([corner * size, (corner + share) * size], dim=1)
        made.append(Target(boxes, torch.randint(CLASSES, (10,), generator=generator)))
    return made


def compare_training(
    model: nn.Module, detector: Detector, images: list[Tensor], labelled: list[Target]
) -> tuple[dict[str, float], float]:
    """Losses and gradients of one training step, with the same anchors and RoIs sampled.

    Returns:
        Relative difference of each loss term, and the largest difference of a gradient entry relative to
        its tensor's largest.

    Raises:
        FloatingPointError: for a loss or gradient of either library that is not finite.
    """
    model.train()
    detector.train()
    model.transform.torch_choice = lambda sizes: sizes[0]  # it would draw from the sampler's random numbers
    torch.manual_seed(1)
    family = family_of(model.state_dict())
    theirs = model(
        list(images),
        [{"boxes": t.boxes.to(images[0].dtype), "labels": t.labels + family.first} for t in labelled],
    )
    raw = detector(images)
    torch.manual_seed(1)
    ours = detector.losses(raw, labelled)
    assert ours.keys() == family.losses.keys()
    relative = {
        a: _apart(
            finite(theirs[b].detach(), f"torchvision's loss {b}"), finite(ours[a].detach(), f"loss {a}")
        )
        for a, b in family.losses.items()
    }
    sum(theirs.values()).backward()
    sum(ours.values()).backward()
    grads = {n: p.grad for n, p in detector.named_parameters() if p.grad is not None}
    worst = 0.0
    for key, parameter in model.named_parameters():
        if parameter.grad is None:
            continue
        wanted = family.reorder(key, parameter.grad, detector.config)
        found = grads.pop(family.rename(key))
        wanted = finite(wanted, f"torchvision's gradient of {key}")
        worst = max(worst, _apart(wanted, finite(found, f"gradient of {key}")))
    assert not grads, f"only masu trains {sorted(grads)}"
    return relative, worst


def _apart(wanted: Tensor, found: Tensor) -> float:
    """Largest difference relative to the largest value wanted."""
    return float((wanted - found).abs().max() / wanted.abs().max().clamp(min=1e-12))


@contextmanager
def fast_paths() -> Iterator[Counter[str]]:
    """Count the calls of each fast path of ``masu.ops`` while the context is open."""
    ran: Counter[str] = Counter(dict.fromkeys(FAST_PATHS, 0))

    def counted(path: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            ran[path] += 1
            return function(*args, **options)

        return call

    winograd, blocks, compiled = FAST_PATHS
    nms = importlib.import_module("masu.ops.nms")  # masu.ops.nms itself is the function
    load = nms.compiled

    @functools.cache
    def loaded() -> Callable[..., Any] | None:
        suppress = load()
        return suppress and counted(compiled, suppress)

    with (
        mock.patch.object(conv3x3, "winograd", counted(winograd, conv3x3.winograd)),
        mock.patch.object(matching, "block_overlaps", counted(blocks, matching.block_overlaps)),
        mock.patch.object(nms, "compiled", loaded),
    ):
        yield ran


def main() -> None:
    """Print the table of ``docs/parity.md``, or rows of it: full size, double precision.

    A line on stderr for each row says which fast paths ran in it, and how often.
    """
    heads = ["architecture", "proposals, px", "detections, px", "scores", "same labels and order"]
    print("| " + " | ".join([*heads, "losses, relative", "gradients, relative"]) + " |")
    print("|" + " --- |" * 7)
    for name in sys.argv[1:] or NAMES:
        model = reference(name, frozen="v2" not in name).double()
        detector = from_torchvision(model).double()
        images = [image.double() for image in photographs()]
        batches = [images[3:], images[:2]]
        with fast_paths() as ran:
            if detector.pyramid is detector:
                answers = [[None, compare_detections(model, detector, batch)] for batch in batches]
            else:
                answers = [compare_answers(model, detector, batch) for batch in batches]
            losses, gradients = compare_training(model, detector, images[1:3], targets(images[1:3]))
        proposals, detections = ([a[i] for a in answers] for i in (0, 1))
        cells = [
            f"`{name}`",
            _worst([p and p.pixels for p in proposals]),
            _worst([d.pixels for d in detections]),
            _worst([d.score for d in detections]),
            "yes" if all(d.same_labels for d in detections) else "no",
            _worst(list(losses.values())),
            _worst([gradients]),
        ]
        print("| " + " | ".join(cells) + " |", flush=True)
        said = ", ".join(f"{path} {count}" for path, count in ran.items())
        print(f"{name}: calls of the fast paths: {said}", file=sys.stderr, flush=True)


def _worst(values: list[float | None]) -> str:
    return "–" if None in values else f"{max(v for v in values if v is not None):.1e}"


if __name__ == "__main__":
    main()
