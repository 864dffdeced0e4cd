"""RoIAlign, matching, suppression and proposals beside torchvision's."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import MultiScaleRoIAlign, batched_nms, box_iou

from benchmarks.measure import Case, Pair
from benchmarks.torchvision_oracle import from_torchvision, photographs, reference
from masu import ops
from masu.detectors.raw import Level, Raw
from masu.detectors.rpn import proposal_stage
from masu.detectors.stages import run
from masu.nets.rpn import flatten_levels
from masu.ops.anchors import cell_anchors, grid_anchors, level_strides
from masu.ops.matching import match
from masu.ops.nms import compiled
from masu.ops.products import linear
from masu.ops.roi_align import assign_levels, empty_levels, roi_align
from masu.records import BACKGROUND, IGNORE, OBJECT, ImageBatch

IMAGE = (800, 1088)
STRIDES = (4, 8, 16, 32)
GRIDS = ((200, 334), (100, 167), (50, 84), (25, 42), (13, 21))
"""Feature maps of an image of 800 × 1333 pixels: 267,069 anchors."""


def scattered_boxes(count: int, smallest: float, largest: float, seed: int = 0) -> Tensor:
    """Boxes inside an image of 800 × 1088, side lengths spread evenly over the powers of two."""
    g = torch.Generator().manual_seed(seed)
    sides = smallest * (largest / smallest) ** torch.rand(count, 2, generator=g)
    corner = torch.rand(count, 2, generator=g) * (torch.tensor(IMAGE[::-1]) - sides).clamp(min=1)
    return torch.cat([corner, corner + sides], dim=1)


def _roi_align(gradient: bool) -> tuple[list[Tensor], list[Tensor], Pair]:
    g = torch.Generator().manual_seed(0)
    maps = [torch.randn(1, 256, IMAGE[0] // s, IMAGE[1] // s, generator=g) for s in STRIDES]
    # each library gets the layout in which its own pyramid leaves the maps
    own = empty_levels(maps[0], [(m.shape[2], m.shape[3]) for m in maps])
    for level, values in zip(own, maps, strict=True):
        level.copy_(values)
    theirs = maps
    if gradient:
        own = [m.detach().requires_grad_() for m in own]
        theirs = [m.requires_grad_() for m in maps]
    named = OrderedDict((str(i), m) for i, m in enumerate(theirs))
    boxes = scattered_boxes(1000, 16, 700)
    image = torch.zeros(len(boxes), dtype=torch.int64)
    oracle = MultiScaleRoIAlign(list(named), 7, sampling_ratio=2)
    pair = Pair(
        lambda: roi_align(own, boxes, image, assign_levels(boxes, STRIDES), STRIDES),
        lambda: oracle(named, [boxes], [IMAGE]),
        lambda a, b: assert_close(a, b, rtol=0, atol=1e-3),
    )
    return own, theirs, pair


def roi_align_forward() -> Pair:
    pair = _roi_align(False)[2]
    return Pair(torch.no_grad()(pair.masu), torch.no_grad()(pair.reference), pair.check)


def roi_align_backward() -> Pair:
    own, theirs, pair = _roi_align(True)
    pooled, wanted = pair.masu(), pair.reference()
    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    upstream_own = upstream.contiguous(memory_format=torch.channels_last)

    def check(a: list[Tensor], b: list[Tensor]) -> None:
        for x, y in zip(a, b, strict=True):
            assert_close(x, y, rtol=1e-3, atol=1e-3)
        again = torch.autograd.grad(pooled, own, upstream_own, retain_graph=True)
        assert all(torch.equal(x, y) for x, y in zip(a, again, strict=True)), "not deterministic"

    return Pair(
        lambda: torch.autograd.grad(pooled, own, upstream_own, retain_graph=True),
        lambda: torch.autograd.grad(wanted, theirs, upstream, retain_graph=True),
        check,
    )


def matching(objects: int, with_reference: bool = True) -> Pair:
    cells = [cell_anchors((size,), (0.5, 1.0, 2.0)) for size in (32.0, 64.0, 128.0, 256.0, 512.0)]
    strides = level_strides((800, 1336), GRIDS)
    anchors = torch.cat([grid_anchors(c, g, s) for c, g, s in zip(cells, GRIDS, strides, strict=True)])
    assert len(anchors) == 267_069
    boxes = scattered_boxes(objects, 12, 400)
    matcher = Matcher(0.7, 0.3, allow_low_quality_matches=True)

    def check(ours: tuple[Tensor, Tensor], theirs: Tensor) -> None:
        index, label = ours
        wanted = torch.where(theirs >= 0, OBJECT, torch.where(theirs == -1, BACKGROUND, IGNORE))
        assert torch.equal(label, wanted), "labels differ"
        assert torch.equal(index[theirs >= 0], theirs[theirs >= 0]), "indices differ"

    return Pair(
        lambda: match(anchors, boxes, 0.7, 0.3, allow_low_quality_matches=True),
        (lambda: matcher(box_iou(boxes, anchors))) if with_reference else None,
        check,
    )


def suppression(*kinds: str) -> Pair:
    compiled()
    g = torch.Generator().manual_seed(0)
    inputs = []
    for kind in kinds:
        boxes = scattered_boxes(20_000, 8, 100)
        if kind == "crowded":  # around a hundred objects, as an RPN's proposals are
            objects = scattered_boxes(100, 40, 300)[torch.randint(0, 100, (20_000,), generator=g)]
            sides = (objects[:, 2:] - objects[:, :2]).repeat(1, 2)
            boxes = objects + torch.randn(20_000, 4, generator=g) * 0.1 * sides
        scores = torch.randperm(20_000, generator=g).float()
        inputs.append((boxes, scores, torch.randint(0, 5, (20_000,), generator=g), 0.7))

    def check(ours: list[Tensor], theirs: list[Tensor]) -> None:
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b), "kept boxes differ"

    return Pair(
        lambda: [ops.batched_nms(*i) for i in inputs], lambda: [batched_nms(*i) for i in inputs], check
    )


def proposals(training: bool) -> Pair:
    """From the outputs of the RPN's convolutions on, as a trained-looking ResNet-50 leaves them."""
    compiled()
    model = reference("fasterrcnn_resnet50_fpn", frozen=True)
    detector = from_torchvision(model)
    settings = detector.config.rpn.proposals
    size = torch.tensor([IMAGE])
    with torch.no_grad():
        photograph = torch.nn.functional.interpolate(photographs()[0][None], IMAGE, mode="bilinear")
        features = model.backbone(model.transform.normalize(photograph))
        objectness, deltas = model.rpn.head(list(features.values()))
    own = [[m.contiguous(memory_format=torch.channels_last) for m in maps] for maps in (objectness, deltas)]
    theirs = tuple([m.contiguous() for m in maps] for maps in (objectness, deltas))
    model.rpn.head.forward = lambda _: theirs
    images = ImageList(photograph, [IMAGE])
    batch = ImageBatch(photograph, size, size)
    grids = tuple((m.shape[2], m.shape[3]) for m in objectness)
    if training:
        settings = settings.in_training
        model.rpn._pre_nms_top_n["testing"] = settings.pre_nms_top_n
        model.rpn._post_nms_top_n["testing"] = settings.post_nms_top_n

    def ours() -> tuple[Tensor, Tensor]:
        strides = level_strides(IMAGE, grids)
        levels = [
            Level(grid_anchors(cell, grid, stride), flatten_levels([x], 1), flatten_levels([d], 4))
            for cell, grid, stride, x, d in zip(detector.rpn.cells, grids, strides, *own, strict=True)
        ]
        found = run([proposal_stage(settings)], Raw(batch, (), tuple(levels)))[-1].kept
        return found.boxes[0, : found.count[0]], found.scores[0, : found.count[0]]

    def check(a: tuple[Tensor, Tensor], b: tuple[list[Tensor], dict[str, Tensor]]) -> None:
        assert_close(a[0], b[0][0], rtol=0, atol=1e-2)

    return Pair(torch.no_grad()(ours), torch.no_grad()(lambda: model.rpn(images, features)), check)


def product(gradients: bool) -> Pair:
    """The box head's first layer over 1000 RoIs, or its two gradients, beside PyTorch's."""
    g = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(rows, 12544, generator=g, requires_grad=gradients) for rows in (1000, 1024))
    upstream = torch.randn(1000, 1024, generator=g)

    def check(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> None:
        for ours, theirs in zip(a, b, strict=True):
            assert_close(ours, theirs, rtol=0, atol=1e-5 * float(theirs.abs().max()))

    if not gradients:
        return Pair(lambda: (linear(x, weight),), lambda: (F.linear(x, weight),), check)
    outputs = linear(x, weight), F.linear(x, weight)
    ours, theirs = (
        lambda y=y: torch.autograd.grad(y, (x, weight), upstream, retain_graph=True) for y in outputs
    )
    return Pair(ours, theirs, check)


CASES = [
    Case("linear_forward", "1000 rows × 12,544 to 1024", lambda: product(False)),
    Case("linear_backward", "its two gradients", lambda: product(True)),
    Case("roi_align_forward", "1000 boxes, 4 levels, 256 channels", roi_align_forward, 10),
    Case("roi_align_backward", "its backward", roi_align_backward, 20),
    Case("matching_100", "100 objects × 267,069 anchors", lambda: matching(100), 8),
    Case("matching_1000", "1000 objects × 267,069 anchors", lambda: matching(1000), 30),
    Case("matching_1000_memory", "extra peak memory", lambda: matching(1000), 50, "MB"),
    Case("matching_10000", "10,000 objects × 267,069 anchors", lambda: matching(10_000, False)),
    Case("matching_10000_memory", "extra peak memory", lambda: matching(10_000, False), None, "MB"),
    Case("proposals", "test settings: 1000 a level, best 1000", lambda: proposals(False), 4),
    Case("proposals_training", "training settings: 2000, best 2000", lambda: proposals(True), 4),
    Case("nms_20000", "the two below, one after the other", lambda: suppression("sparse", "crowded"), 8),
    Case("nms_20000_sparse", "20,000 boxes in 5 groups", lambda: suppression("sparse"), 8),
    Case("nms_20000_crowded", "the same around 100 objects", lambda: suppression("crowded"), 8),
]
