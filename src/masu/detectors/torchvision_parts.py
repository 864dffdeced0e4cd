"""The parts of torchvision's detectors, of its classes, that run masu's networks and masu's way to boxes."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import MultiScaleRoIAlign

from masu.detectors.pyramid import PyramidDetector
from masu.detectors.rois import RoISettings, detection_stage
from masu.detectors.rpn import ProposalSettings, proposal_stage
from masu.detectors.stages import Kept, Rows, step
from masu.nets.fpn import FPN
from masu.nets.rpn import RPNHead, flatten_levels
from masu.ops.nms import ABSENT
from masu.ops.roi_align import assign_levels, roi_align

Targets = Sequence[dict[str, Tensor]]
Found = list[dict[str, Tensor]]
Losses = dict[str, Tensor]


class Backbone(nn.Module):
    """Backbone and pyramid as torchvision's models have them.

    Attributes:
        body: to the maps of several strides.
        fpn: to the pyramid's levels.
        out_channels: of every level.
        levels: what they are called.
    """

    def __init__(self, pyramid: PyramidDetector) -> None:
        super().__init__()
        self.body, self.fpn = copy.deepcopy(pyramid.backbone), copy.deepcopy(pyramid.fpn)
        self.out_channels = pyramid.config.fpn_channels
        self.levels = _level_names(pyramid.fpn)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """``(N, C, H, W)`` → per level ``(N, out_channels, H_l, W_l)``, finest first."""
        maps = self.fpn(self.body(x.contiguous(memory_format=torch.channels_last)))
        return OrderedDict(zip(self.levels, maps, strict=True))


def _level_names(fpn: FPN) -> tuple[str, ...]:
    numbered = [str(i) for i in range(len(fpn.lateral))]
    return (*numbered, *(("p6", "p7") if len(fpn.extra) else ("pool",)))


class RPNMaps(nn.Module):
    """masu's head of an RPN, answering level by level.

    Args:
        maps: the head.
    """

    def __init__(self, maps: RPNHead) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Levels ``(N, C, H, W)`` → objectness ``(N, A, H, W)`` and deltas ``(N, 4A, H, W)`` of each."""
        answers = [self.maps.level(x) for x in features]
        return [objectness for objectness, _ in answers], [deltas for _, deltas in answers]


class MasuRPN(RegionProposalNetwork):  # type: ignore[misc]
    """torchvision's, which decodes only the best anchors of each level."""

    def forward(
        self, images: ImageList, features: Mapping[str, Tensor], targets: Targets | None = None
    ) -> tuple[list[Tensor], Losses]:
        """Proposals ``(P, 4)`` of each image, and in training the loss terms."""
        if self.training and targets is None:
            raise ValueError("targets should not be None")
        return self.with_losses(images, features, targets if self.training else None)

    def with_losses(
        self, images: ImageList, features: Mapping[str, Tensor], targets: Targets | None
    ) -> tuple[list[Tensor], Losses]:
        """Proposals, and in either mode the loss terms where there are targets."""
        maps = list(features.values())
        objectness, deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        logits = [flatten_levels([x], 1).to(anchors[0]) for x in objectness]
        moved = [flatten_levels([x], 4).to(anchors[0]) for x in deltas]
        counts = [int(x.shape[1]) for x in logits]
        rows = [
            Rows(boxes, ranking.detach(), own.detach()[:, :, None])
            for boxes, ranking, own in zip(anchors[0].split(counts), logits, moved, strict=True)
        ]
        proposals = self._proposals(rows, images.image_sizes)
        losses: Losses = {}
        if targets is not None:
            labels, matched = self.assign_targets_to_anchors(anchors, targets)
            wanted = self.box_coder.encode(matched, anchors)
            both = torch.cat(logits, 1).flatten(0, 1), torch.cat(moved, 1).flatten(0, 1)
            terms = self.compute_loss(*both, labels, wanted)
            losses = dict(zip(("loss_objectness", "loss_rpn_box_reg"), terms, strict=True))
        return proposals, losses

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _proposals(self, rows: list[Rows], sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """``(P, 4)`` of each image."""
        settings = ProposalSettings(
            pre_nms_top_n=self.pre_nms_top_n(),
            post_nms_top_n=self.post_nms_top_n(),
            nms_thresh=self.nms_thresh,
            min_size=self.min_size,
            score_thresh=self.score_thresh,
        )
        return _lists(step(proposal_stage(settings), rows, _sizes(sizes, rows[0].boxes)).kept)[0]


class Pool(MultiScaleRoIAlign):  # type: ignore[misc]
    """torchvision's, by masu's kernel, and without keeping the scales of the first images that it saw."""

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(
        self, x: Mapping[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """RoIs of each image from their levels: ``(R, C, cells, cells)``."""
        levels = [x[name] for name in self.featmap_names if name in x]
        height = max(height for height, _ in image_shapes)
        strides = [2 ** round(torch.tensor(height / level.shape[2]).log2().item()) for level in levels]
        rois = torch.cat(boxes)
        image = torch.cat([torch.full_like(own[:, 0], i, dtype=torch.int64) for i, own in enumerate(boxes)])
        level = assign_levels(rois, strides, self.canonical_scale, self.canonical_level)
        return roi_align(levels, rois, image, level, strides, self.output_size, self.sampling_ratio)


class MasuRoIHeads(RoIHeads):  # type: ignore[misc]
    """torchvision's, with masu's way to the final detections."""

    min_size = 1e-2
    vote_sigma = 0.0

    def losses(
        self,
        features: Mapping[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: Targets,
    ) -> Losses:
        """The loss terms, in either mode."""
        drawn, _, labels, wanted = self.select_training_samples(list(proposals), targets)
        answers = self.box_predictor(self.box_head(self.box_roi_pool(features, drawn, image_shapes)))
        terms = fastrcnn_loss(*answers, labels, wanted)
        return dict(zip(("loss_classifier", "loss_box_reg"), terms, strict=True))

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def postprocess_detections(
        self,
        class_logits: Tensor,
        box_regression: Tensor,
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Logits ``(R, K + 1)`` and deltas ``(R, 4K + 4)`` → boxes, scores and labels of each image."""
        counts, classes = [len(own) for own in proposals], class_logits.shape[1]
        boxes = pad_sequence(proposals, batch_first=True)
        there = torch.arange(boxes.shape[1], device=boxes.device) < torch.tensor(
            counts, device=boxes.device
        ).unsqueeze(1)
        scores = class_logits.to(boxes).softmax(-1)[:, 1:]
        deltas = box_regression.to(boxes).reshape(-1, classes, 4)[:, 1:]
        ranking = pad_sequence(list(scores.split(counts)), batch_first=True)  # type: ignore[no-untyped-call]
        rows = Rows(
            boxes.detach(),
            torch.where(there[:, :, None], ranking, ABSENT),
            pad_sequence(list(deltas.split(counts)), batch_first=True),  # type: ignore[no-untyped-call]
        )
        settings = RoISettings(
            score_thresh=self.score_thresh,
            min_size=self.min_size,
            nms_thresh=self.nms_thresh,
            detections_per_img=self.detections_per_img,
            vote_sigma=self.vote_sigma,
        )
        stage = detection_stage(lambda raw, given: [rows], settings, tuple(self.box_coder.weights))
        kept = step(stage, [rows], _sizes(image_shapes, boxes)).kept
        found, certain, labels = _lists(kept)
        return found, certain, [own + 1 for own in labels]


def _lists(kept: Kept) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Boxes, scores and labels of each image."""
    counts = kept.count.tolist()
    boxes, scores, labels = (
        [rows[i, :count] for i, count in enumerate(counts)] for rows in (kept.boxes, kept.scores, kept.labels)
    )
    return boxes, scores, labels


def _sizes(sizes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    return torch.tensor([tuple(size) for size in sizes], device=like.device)
