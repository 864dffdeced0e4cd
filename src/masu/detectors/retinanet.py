"""RetinaNet: class and box of every anchor in one stage.

Lin et al. 2017 (Focal Loss for Dense Object Detection); second version with group normalisation and GIoU:
Zhang et al. 2020 (ATSS) as in torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor

from masu.detectors.box_loss import box_loss, check_box_loss
from masu.detectors.config import Depth, PyramidConfig
from masu.detectors.detector import ClassRows
from masu.detectors.pyramid import PyramidDetector
from masu.detectors.raw import Level, Raw
from masu.detectors.stages import ONE_STAGE_REASONS, Kept, Rows, Stage
from masu.detectors.targets import Assignment, assign_targets, assignment_by_iou, targets_at_network_size
from masu.nets.retina import RetinaHead, check_groups
from masu.ops.coder import decode
from masu.ops.losses import focal
from masu.records import IGNORE, OBJECT, Target
from masu.settings import Count, Share, SmallestSide, Within


@dataclass(frozen=True)
class RetinaNetConfig(PyramidConfig):
    """Everything that makes a RetinaNet but its class names; stored in the model file.

    Attributes:
        head_depth: convolutions of each tower of the head before its last.
        head_norm: group normalisation in the head.
        fg_iou_thresh: IoU from which an anchor stands for an object.
        bg_iou_thresh: IoU under which it is background; between the two it takes no part.
        alpha: weight of objects in the focal loss, that of background is ``1 - alpha``.
        gamma: how strongly the focal loss plays down what is already right.
        box_loss: name of the box loss, see ``masu.detectors.box_loss``.
        score_thresh: a detection's score is above this.
        pre_nms_top_n: best scores of each level that are decoded.
        min_size: shortest side of a detection in pixels of the network's input.
        nms_thresh: IoU above which the weaker of two detections of one class is dropped.
        detections_per_img: detections per image, at most.
    """

    head_depth: Depth = 4
    head_norm: bool = False
    fg_iou_thresh: Share = 0.5
    bg_iou_thresh: Share = 0.4
    alpha: Share = 0.25
    gamma: Annotated[float, Within(0.0, 100.0)] = 2.0
    box_loss: str = "l1"
    score_thresh: Share = 0.05
    pre_nms_top_n: Count = 1000
    min_size: SmallestSide = 1e-2
    nms_thresh: Share = 0.5
    detections_per_img: Count = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        check_box_loss(self.box_loss)
        check_groups(self.fpn_channels, self.head_norm)

    def with_box_loss(self, name: str) -> RetinaNetConfig:
        """See :meth:`masu.detectors.config.DetectorConfig.with_box_loss`."""
        return replace(self, box_loss=name)

    def with_setting(self, stage: str, name: str, value: float) -> RetinaNetConfig:
        """See :meth:`masu.detectors.config.DetectorConfig.with_setting`."""
        changed: dict[str, Any] = {name: value}
        return replace(self, **changed)


class RetinaNet(PyramidDetector):
    """One-stage detector.

    Args:
        config: architecture and settings.
        names: class names, without background.
    """

    config: RetinaNetConfig

    def __init__(self, config: RetinaNetConfig, names: Sequence[str]) -> None:
        super().__init__(config, names)
        self.head = RetinaHead(
            config.fpn_channels, len(self.cells[0]), len(self.names), config.head_depth, config.head_norm
        )

    @property
    def class_rows(self) -> Mapping[str, ClassRows]:
        """See :attr:`Detector.class_rows`."""
        rows = ClassRows(blocks=len(self.cells[0]))
        return {f"head.classes.output.{leaf}": rows for leaf in ("weight", "bias")}

    def level(self, features: Tensor, anchors: Tensor) -> Level:
        """See :meth:`PyramidDetector.level`."""
        logits, deltas = self.head([features])
        return Level(anchors, logits.to(anchors), deltas.to(anchors))

    def loss_terms(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Steps 4 to 7: ``classes`` and ``boxes``; every anchor takes part, so nothing is drawn at random.

        Each image's terms are divided by its number of matched anchors, then averaged over the images.
        """
        config = self.config
        classes, boxes = [], []
        for i, target in enumerate(targets_at_network_size(targets, raw.images)):
            index, labels, objects = assign_targets(
                raw.anchors,
                target,
                config.fg_iou_thresh,
                config.bg_iou_thresh,
                allow_low_quality_matches=True,
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

    @property
    def network_stages(self) -> tuple[Stage, ...]:
        """Steps 8 to 10: best scores of each level, decoded, clipped, small ones dropped, NMS per class."""
        config = self.config
        return (
            Stage(
                name="detections",
                look=_classes,
                decode=decode,
                reasons=ONE_STAGE_REASONS,
                by_class=True,
                score_thresh=config.score_thresh,
                pre_nms_top_n=config.pre_nms_top_n,
                min_size=config.min_size,
                nms_thresh=config.nms_thresh,
                limit=config.detections_per_img,
            ),
        )

    def assignment(self, anchors: Tensor, target: Target) -> Assignment:
        """See :meth:`Detector.assignment`."""
        return assignment_by_iou(anchors, target, self.config.fg_iou_thresh, self.config.bg_iou_thresh)


def _classes(raw: Raw, given: Kept | None) -> list[Rows]:
    return [Rows(x.anchors, x.logits, x.deltas[:, :, None]) for x in raw.levels]
