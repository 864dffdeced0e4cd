"""RetinaNet: class and box of every anchor in one stage.

Lin et al. 2017 (Focal Loss for Dense Object Detection); second version with group normalisation and GIoU:
Zhang et al. 2020 (ATSS) as in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from masu.detectors.box_loss import box_loss, check_box_loss
from masu.detectors.candidates import Candidates
from masu.detectors.proposals import Raw, label, targets_at_network_size
from masu.detectors.pyramid import PyramidConfig, PyramidDetector
from masu.nets.retina import RetinaHead
from masu.ops.coder import decode
from masu.ops.geometry import clip, degenerate, resize
from masu.ops.images import InputPolicy
from masu.ops.losses import focal
from masu.records import IGNORE, OBJECT, Detections, Target


@dataclass(frozen=True)
class RetinaNetConfig(PyramidConfig):
    """Everything that makes a RetinaNet but its class names; stored in the model file.

    Attributes:
        head_depth: convolutions of each tower of the head before its last.
        head_norm: group normalisation in the head.
        match_high: IoU from which an anchor stands for an object.
        match_low: IoU under which it is background; between the two it takes no part.
        alpha: weight of objects in the focal loss, that of background is ``1 - alpha``.
        gamma: how strongly the focal loss plays down what is already right.
        box_loss: name of the box loss, see ``masu.detectors.box_loss``.
        min_score: smallest score of a detection.
        top_per_level: best scores of each level that are decoded.
        min_size: shortest side of a detection in pixels of the network's input.
        nms_threshold: IoU above which the weaker of two detections of one class is dropped.
        max_detections: detections per image.
    """

    head_depth: int = 4
    head_norm: bool = False
    match_high: float = 0.5
    match_low: float = 0.4
    alpha: float = 0.25
    gamma: float = 2.0
    box_loss: str = "l1"
    min_score: float = 0.05
    top_per_level: int = 1000
    min_size: float = 1e-2
    nms_threshold: float = 0.5
    max_detections: int = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        check_box_loss(self.box_loss)


class RetinaNet(PyramidDetector):
    """One-stage detector.

    Args:
        config: architecture and settings.
        names: class names, without background.
    """

    config: RetinaNetConfig
    kind: ClassVar[Literal["detector", "proposals"]] = "detector"

    def __init__(self, config: RetinaNetConfig, names: Sequence[str]) -> None:
        super().__init__(config)
        self.names = tuple(names)
        self.head = RetinaHead(
            config.fpn_channels, len(self.cells[0]), len(self.names), config.head_depth, config.head_norm
        )

    def forward(self, images: Sequence[Tensor], policy: InputPolicy | None = None) -> Raw:
        """Steps 1 to 3: features, head, anchors."""
        batch, features = self.features(images, policy)
        logits, deltas = self.head(features)
        anchors, levels = self.anchors_of(batch, features)
        return Raw(batch, tuple(features), logits.to(anchors), deltas.to(anchors), anchors, levels)

    def losses(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Steps 4 to 7: ``classes`` and ``boxes``; every anchor takes part, so nothing is drawn at random.

        Each image's terms are divided by its number of matched anchors, then averaged over the images.
        """
        config = self.config
        classes, boxes = [], []
        for i, target in enumerate(targets_at_network_size(targets, raw.images)):
            index, labels, objects = label(
                raw.anchors, target, config.match_high, config.match_low, restore=True
            )
            positive = torch.where(labels == OBJECT)[0]
            norm = max(len(positive), 1)
            wanted = torch.zeros_like(raw.logits[i])
            wanted[positive, objects.labels[index[positive]]] = 1
            used = labels != IGNORE
            classes.append(focal(raw.logits[i][used], wanted[used], norm, config.alpha, config.gamma))
            matched = objects.boxes[index[positive]].to(raw.anchors)
            boxes.append(
                box_loss(config.box_loss, raw.deltas[i][positive], matched, raw.anchors[positive], norm)
            )
        return {"classes": torch.stack(classes).mean(), "boxes": torch.stack(boxes).mean()}

    def detections(self, raw: Raw) -> list[Detections]:
        """Steps 8 to 10: best scores of each level, decoded, clipped, small ones dropped, NMS per class."""
        threshold, most = self.config.nms_threshold, self.config.max_detections
        images = [self.candidates(raw, i) for i in range(len(raw.logits))]
        return [self.final(raw, i, c, c.survivors(threshold, most)) for i, c in enumerate(images)]

    def candidates(self, raw: Raw, i: int) -> Candidates:
        """Anchors and classes of image ``i`` that score enough, best of each level; groups are classes."""
        config, classes = self.config, len(self.names)
        logits, anchors, labels = [], [], []
        offset = 0
        for of_level in torch.split(raw.logits[i].detach(), list(raw.levels)):
            row, label_of_row = torch.where(of_level > logit(config.min_score))
            best = of_level[row, label_of_row].topk(min(config.top_per_level, len(row)))
            logits.append(best.values)
            anchors.append(row[best.indices] + offset)
            labels.append(label_of_row[best.indices])
            offset += len(of_level)
        assert offset * classes == raw.logits[i].numel()
        anchor = torch.cat(anchors)
        boxes = clip(decode(raw.deltas[i].detach()[anchor], raw.anchors[anchor]), raw.images.sizes[i])
        usable = ~degenerate(boxes, config.min_size)
        return Candidates(anchor, torch.cat(labels), torch.cat(logits), boxes, usable)

    def final(self, raw: Raw, i: int, candidates: Candidates, keep: Tensor) -> Detections:
        """Candidates ``keep (k,)`` of image ``i`` as detections, in pixels of the image as it was given."""
        boxes = resize(candidates.boxes[keep], raw.images.sizes[i], raw.images.original_sizes[i])
        labels = candidates.group[keep]
        names = tuple(self.names[label] for label in labels.tolist())
        return Detections(boxes, candidates.ranking[keep].sigmoid(), labels, names)


def logit(score: float) -> float:
    """The logit of a score in 0..1."""
    return float(torch.tensor(score, dtype=torch.float64).logit())
