"""FCOS: class, box and centre-ness of every point of the feature levels in one stage, without anchor shapes.

Tian et al. 2019 (FCOS: Fully Convolutional One-Stage Object Detection), in its second version
(arXiv:2006.09214: centre sampling, GIoU, centre-ness beside the boxes), as in torchvision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from masu.detectors.config import AnchorRatios, AnchorSizes, Depth, PyramidConfig
from masu.detectors.detector import ClassRows
from masu.detectors.pyramid import PyramidDetector
from masu.detectors.raw import Level, Raw
from masu.detectors.stages import ONE_STAGE_REASONS, Kept, Rows, Stage
from masu.detectors.targets import Assignment, hide_ignored, targets_at_network_size
from masu.errors import bad_input
from masu.nets.fcos import FCOSHead
from masu.nets.retina import check_groups
from masu.ops.losses import bce, focal, giou
from masu.ops.points import centreness, decode, encode, match_points
from masu.records import IGNORE, OBJECT, Target
from masu.settings import Count, Positive, Share, SmallestSide, Within


@dataclass(frozen=True)
class FCOSConfig(PyramidConfig):
    """Everything that makes an FCOS but its class names; stored in the model file.

    Each level has one square anchor in every cell, whose middle is the point and whose side, usually the
    level's stride, is the unit of its distances.

    Attributes:
        head_depth: convolutions of each tower of the head before its last.
        head_norm: group normalisation in the head.
        centre_radius: points up to so many anchor sides from the middle of an object, on each axis, stand for
            it (centre sampling).
        alpha: weight of objects in the focal loss, that of background is ``1 - alpha``.
        gamma: how strongly the focal loss plays down what is already right.
        score_thresh: a detection's score, the geometric mean of class and centre-ness, is above this.
        pre_nms_top_n: best scores of each level that are decoded.
        min_size: shortest side of a detection in pixels of the network's input.
        nms_thresh: IoU above which the weaker of two detections of one class is dropped.
        detections_per_img: detections per image, at most.
    """

    fits_anchors: ClassVar[bool] = False
    anchor_sizes: AnchorSizes = ((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))
    anchor_ratios: AnchorRatios = (1.0,)
    head_depth: Depth = 4
    head_norm: bool = True
    centre_radius: Positive = 1.5
    alpha: Share = 0.25
    gamma: Annotated[float, Within(0.0, 100.0)] = 2.0
    score_thresh: Share = 0.2
    pre_nms_top_n: Count = 1000
    min_size: SmallestSide = 1e-2
    nms_thresh: Share = 0.6
    detections_per_img: Count = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_groups(self.fpn_channels, self.head_norm)
        rising = all(a < b for a, b in zip(self.anchor_sizes, self.anchor_sizes[1:], strict=False))
        if len(self.anchor_sizes[0]) != 1 or self.anchor_ratios != (1.0,) or not rising:
            raise ValueError(
                f"anchor_sizes, anchor_ratios: found {self.anchor_sizes} and {self.anchor_ratios}, wanted "
                "one square a level, larger from level to level: FCOS looks from points"
            )

    @property
    def fg_iou_thresh(self) -> float:
        """Infinite: whatever it overlaps, an anchor stands for an object by where its middle lies."""
        return math.inf

    @property
    def pretrained(self) -> str:
        """RetinaNet's: the pyramid and the towers are the same, only their last convolutions are not."""
        return "RetinaNet"

    def with_box_loss(self, name: str) -> FCOSConfig:
        """The same for ``"giou"``, which FCOS is trained with.

        Raises:
            InputError: for another name.
        """
        if name != "giou":
            raise bad_input("box_loss", f"{name!r}", "'giou': FCOS has no deltas to compare")
        return self

    def with_setting(self, stage: str, name: str, value: float) -> FCOSConfig:
        """See :meth:`masu.detectors.config.DetectorConfig.with_setting`."""
        changed: dict[str, Any] = {name: value}
        return replace(self, **changed)


@dataclass(frozen=True, eq=False)
class PointLevel(Level):
    """The points of one feature level and the head's outputs for them.

    Attributes:
        centreness: ``(N, R, 1)`` logits of how near each point is to the middle of its box.
    """

    centreness: Tensor


class FCOS(PyramidDetector):
    """One-stage detector that looks from points.

    Args:
        config: architecture and settings.
        names: class names, without background.
    """

    config: FCOSConfig

    def __init__(self, config: FCOSConfig, names: Sequence[str]) -> None:
        super().__init__(config, names)
        self.head = FCOSHead(config.fpn_channels, len(self.names), config.head_depth, config.head_norm)

    @property
    def class_rows(self) -> Mapping[str, ClassRows]:
        """See :attr:`Detector.class_rows`."""
        return {f"head.classes.output.{leaf}": ClassRows() for leaf in ("weight", "bias")}

    def level(self, features: Tensor, anchors: Tensor) -> PointLevel:
        """See :meth:`PyramidDetector.level`."""
        logits, distances, centre = self.head([features])
        return PointLevel(anchors, logits.to(anchors), distances.to(anchors), centre.to(anchors))

    def loss_terms(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Steps 4 to 7: ``classes``, ``boxes`` and ``centreness``; every point takes part, nothing is drawn.

        Each term is divided by the number of points in the batch that stand for an object.
        """
        config, anchors = self.config, raw.anchors
        wanted = torch.zeros_like(raw.logits)
        labels, boxes = [], []
        for i, target in enumerate(targets_at_network_size(targets, raw.images)):
            index, label, objects = self._assigned(anchors, target)
            positive = torch.where(label == OBJECT)[0]
            wanted[i, positive, objects.labels[index[positive]]] = 1
            labels.append(label)
            boxes.append(objects.boxes[index[positive]].to(anchors))
        label = torch.stack(labels)  # (N, R)
        image, point = torch.where(label == OBJECT)
        norm, matched, used = max(len(point), 1), torch.cat(boxes), label != IGNORE
        centre = torch.cat([_of_points(level).centreness for level in raw.levels], dim=1)[image, point, 0]
        return {
            "classes": focal(raw.logits[used], wanted[used], norm, config.alpha, config.gamma),
            "boxes": giou(decode(raw.deltas[image, point], anchors[point]), matched, norm),
            "centreness": bce(centre, centreness(encode(matched, anchors[point])), norm),
        }

    @property
    def network_stages(self) -> tuple[Stage, ...]:
        """Steps 8 to 10: best scores of each level, decoded, clipped, small ones dropped, NMS per class."""
        config = self.config
        return (
            Stage(
                name="detections",
                look=_scores,
                decode=decode,
                reasons=ONE_STAGE_REASONS,
                by_class=True,
                ranks_logits=False,
                score_thresh=config.score_thresh,
                pre_nms_top_n=config.pre_nms_top_n,
                min_size=config.min_size,
                nms_thresh=config.nms_thresh,
                limit=config.detections_per_img,
            ),
        )

    def assignment(self, anchors: Tensor, target: Target) -> Assignment:
        """See :meth:`Detector.assignment`."""
        index, label, objects = self._assigned(anchors, target)
        never = torch.zeros_like(label, dtype=torch.bool)
        return Assignment(index, label, never, never, objects)

    def _assigned(self, anchors: Tensor, target: Target) -> tuple[Tensor, Tensor, Target]:
        """As :func:`masu.detectors.targets.assign_targets`, by where the points lie."""
        objects, sizes = target.without_ignored(), self.config.anchor_sizes
        index, label = match_points(
            anchors, objects.boxes, self.config.centre_radius, sizes[0][0], sizes[-1][0]
        )
        return index, hide_ignored(anchors, label, target), objects


@dataclass(frozen=True, eq=False, kw_only=True)
class PointRows(Rows):
    """Points with their scores; the ranking is the geometric mean of class and centre-ness.

    Attributes:
        logits: ``(N, R, C)`` of each class.
        centreness: ``(N, R, 1)``, a logit.
    """

    logits: Tensor
    centreness: Tensor

    def log_odds(self, label: int) -> Tensor:
        """See :meth:`Rows.log_odds`; in logarithms, so that a score of almost 1 still has a gradient.

        With ``p`` of the class and ``c`` of centre-ness, ``s = √(p·c)`` and ``1 − s = (1 − p·c) / (1 + s)``,
        where ``1 − p·c = (1 − p) + p·(1 − c)``.
        """
        p, c = self.logits[..., label], self.centreness[..., 0]
        log_score = (F.logsigmoid(p) + F.logsigmoid(c)) / 2
        log_rest = torch.logaddexp(F.logsigmoid(-p), F.logsigmoid(p) + F.logsigmoid(-c))  # of 1 − p·c
        return log_score - (log_rest - log_score.exp().log1p())


def _scores(raw: Raw, given: Kept | None) -> list[Rows]:
    rows: list[Rows] = []
    for x in map(_of_points, raw.levels):
        score = (x.logits.sigmoid() * x.centreness.sigmoid()).sqrt()
        deltas = x.deltas[:, :, None]
        rows.append(PointRows(x.anchors, score, deltas, logits=x.logits, centreness=x.centreness))
    return rows


def _of_points(level: Level) -> PointLevel:
    assert isinstance(level, PointLevel)
    return level
