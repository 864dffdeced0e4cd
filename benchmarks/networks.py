"""Whole detectors beside torchvision's: photographs to boxes, and training steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import masu
from benchmarks.measure import Case, Pair
from benchmarks.torchvision_oracle import (
    compare_training,
    from_torchvision,
    photographs,
    reference,
    train_like_pretrained,
    twin,
)
from masu.detectors.detector import Detector
from masu.ops.nms import compiled
from masu.records import Detections, Target

FIRST_TRAINED = {"fasterrcnn_resnet50_fpn": "layer2", "fasterrcnn_mobilenet_v3_large_fpn": "7"}
"""Where training begins in torchvision's pretrained models, three stages of five and of six."""


def pretrained_like(name: str, **settings: Any) -> tuple[nn.Module, Detector]:
    """A torchvision model in the layout its users get, and masu's with the same weights."""
    model = reference(name, frozen=True, **settings)
    train_like_pretrained(model, FIRST_TRAINED.get(name, ""))
    detector = from_torchvision(model)
    return model.to(memory_format=torch.contiguous_format), detector


def small_default() -> tuple[nn.Module, Detector]:
    """masu's default with ImageNet weights and spread heads, and torchvision's Faster R-CNN around them."""
    torch.manual_seed(0)
    detector = masu.build("faster_rcnn_lite0_fpn", [f"class {i}" for i in range(6)], "imagenet").eval()
    with torch.no_grad():
        detector.rpn.head.objectness.weight.mul_(50)
        detector.rpn.head.deltas.weight.mul_(5)
        detector.predictor.scores.weight.mul_(20)
    return twin(detector), detector


def inference(
    make: Callable[[], tuple[nn.Module, Detector]], images: int = 1, looked_at_once: bool = False
) -> Pair:
    """``predict`` of the detector, or of its prediction network, which is not compared with it every time."""
    compiled()
    model, detector = make()
    predict = detector.prediction_network().predict if looked_at_once else detector.predict
    photos = (photographs() * 3)[:images]

    def theirs() -> list[dict[str, Tensor]]:
        with torch.inference_mode():
            return model(photos)

    def check(ours: list[Detections], wanted: list[dict[str, Tensor]]) -> None:
        for a, b in zip(ours, wanted, strict=True):
            same_set(a, b["boxes"], b["scores"], b["labels"] - 1)

    return Pair(lambda: predict(photos, batch_size=images), theirs, check)


def same_set(found: Detections, boxes: Tensor, scores: Tensor, labels: Tensor) -> None:
    """At most two in a hundred detections without a partner, since in single precision near ties swap."""
    distance = (found.boxes[:, None] - boxes).abs().amax(dim=-1)
    distance[found.labels[:, None] != labels] = torch.inf
    distance[(found.scores[:, None] - scores).abs() > 1e-3] = torch.inf
    near = distance < 0.1
    alone = int((~near.any(dim=0)).sum()) + int((~near.any(dim=1)).sum())
    assert alone <= 0.02 * (len(boxes) + len(found)), f"{alone} detections differ"


def both(*pairs: Pair) -> Pair:
    """Several pairs, one after the other."""

    def check(ours: list[Any], theirs: list[Any]) -> None:
        for pair, a, b in zip(pairs, ours, theirs, strict=True):
            if pair.check:
                pair.check(a, b)

    return Pair(lambda: [p.masu() for p in pairs], lambda: [p.reference() for p in pairs], check)  # type: ignore[misc]


def labelled_photographs() -> tuple[list[Tensor], list[Target]]:
    """Two images of 480 × 640 with ten objects each, of six classes."""
    images = [torch.nn.functional.interpolate(p[None], (480, 640))[0] for p in photographs()[:2]]
    g = torch.Generator().manual_seed(0)
    corner = torch.rand(2, 10, 2, generator=g) * 380
    boxes = torch.cat([corner, corner + 20 + torch.rand(2, 10, 2, generator=g) * 80], dim=2)
    return images, [Target(b, torch.arange(10) % 6) for b in boxes]


def training(name: str, check: bool = True) -> Pair:
    """One step of SGD on two images of 480 × 640 with ten objects each, as many pixels to the network."""
    compiled()
    model, detector = pretrained_like(name, min_size=480, max_size=640)
    images, labelled = labelled_photographs()
    as_theirs = [{"boxes": t.boxes, "labels": t.labels + 1} for t in labelled]
    if check:
        losses, _ = compare_training(model, detector, images, labelled)
        # the second stage's RoIs are drawn from proposals, of which near ties swap in single precision
        for term, tolerance in (("objectness", 1e-3), ("proposal_boxes", 1e-3), ("classes", 0.05)):
            assert losses[term] < tolerance, f"{term} differs by {losses[term]:.1e}"
    model.train()
    detector.train()
    # a learning rate of 0: every step does the same work
    optimizers = [
        torch.optim.SGD([p for p in m.parameters() if p.requires_grad], lr=0.0, momentum=0.9)
        for m in (detector, model)
    ]

    def step(optimizer: torch.optim.Optimizer, losses: Callable[[], dict[str, Tensor]]) -> None:
        optimizer.zero_grad()
        torch.stack(list(losses().values())).sum().backward()
        optimizer.step()

    return Pair(
        lambda: step(optimizers[0], lambda: detector.losses(detector(images), labelled)),
        lambda: step(optimizers[1], lambda: model(images, as_theirs)),
        None,
    )


def _resnet50() -> tuple[nn.Module, Detector]:
    return pretrained_like("fasterrcnn_resnet50_fpn")


def _mobilenet() -> tuple[nn.Module, Detector]:
    return pretrained_like("fasterrcnn_mobilenet_v3_large_320_fpn")


R50, MOBILE = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn"
CASES = [
    Case("infer_resnet50", "R50-FPN, one photograph to boxes", lambda: inference(_resnet50), 1.8),
    Case("infer_mobilenet_320", "MobileNet-320, one photograph", lambda: inference(_mobilenet), 2),
    Case("infer_small", "the small default, one photograph", lambda: inference(small_default)),
    Case(
        "infer_small_network",
        "the same by its prediction network",
        lambda: inference(small_default, looked_at_once=True),
    ),
    Case(
        "infer_batch8",
        "eight at once, the two below",
        lambda: both(inference(small_default, 8), inference(_mobilenet, 8)),
        2,
    ),
    Case("infer_batch8_small", "the small default", lambda: inference(small_default, 8), 2),
    Case("infer_batch8_mobilenet", "MobileNet-320", lambda: inference(_mobilenet, 8), 2),
    Case("train_mobilenet", "a step, 2 × 480×640, 10 objects each", lambda: training(MOBILE), 3),
    Case("train_resnet50", "the same, ResNet-50", lambda: training(R50), 1.6),
    Case(
        "train_memory_mobilenet", "extra peak memory of the step", lambda: training(MOBILE, False), 1.3, "MB"
    ),
    Case("train_memory", "the same, ResNet-50", lambda: training(R50, False), 1.3, "MB"),
]


def gflop(name: str = R50) -> float:
    """Multiplications and additions of one photograph's forward pass through torchvision's network."""
    from torch.utils.flop_counter import FlopCounterMode

    model = reference(name, frozen=True)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(photographs()[:1])
    return counter.get_total_flops() / 1e9
