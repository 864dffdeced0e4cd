"""The second stage's verbs: look at proposals through RoIAlign, draw them for the loss, compare.

RoIAlign: He et al. 2017; levels: Lin et al. 2017 (FPN), section 4.2; sampling and losses: Ren et al. 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeAlias

import torch
from torch import Tensor

from masu.detectors.box_loss import box_loss, check_box_loss
from masu.detectors.config import Depth
from masu.detectors.raw import Raw
from masu.detectors.stages import ROI_REASONS, Kept, Look, Rows, Stage
from masu.detectors.targets import assign_targets
from masu.ops.coder import Weights, decode
from masu.ops.losses import cross_entropy
from masu.ops.nms import ABSENT
from masu.ops.roi_align import assign_levels, roi_align
from masu.ops.sampling import sample
from masu.records import BACKGROUND, OBJECT, Target
from masu.settings import Count, Length, Pixels, Positive, Share, SmallestSide, Within, check_fields

BoxWeights: TypeAlias = tuple[Positive, Positive, Positive, Positive]
"""Factors of dx, dy, dw, dh."""


@dataclass(frozen=True)
class RoISettings:
    """The second stage: pooling, head, training and final detections; stored in the model file.

    Attributes:
        strides: pixels per cell of the pyramid levels that RoIs are pooled from, finest first.
        canonical_size: side in pixels of a box that belongs to ``canonical_level``.
        canonical_level: log2 of that level's stride.
        cells: cells per side of a pooled RoI.
        convs: 3×3 convolutions of the box head.
        hidden: widths of its fully connected layers.
        batch_size_per_image: RoIs per image in the loss.
        positive_fraction: largest share of objects among them.
        fg_iou_thresh: IoU from which a RoI stands for an object.
        box_weights: factors of dx, dy, dw, dh.
        box_loss: name of the box loss, see ``masu.detectors.box_loss``.
        score_thresh: a detection's score is above this.
        min_size: shortest side of a detection in pixels of the network's input.
        nms_thresh: IoU above which the weaker of two detections of one class is dropped.
        detections_per_img: detections per image, at most.
        vote_sigma: a detection's box is the mean of the boxes around it, see :func:`masu.ops.vote_boxes`;
            0: it is the box with the best score.
    """

    strides: Annotated[tuple[Pixels, ...], Length(1, 16)] = (4, 8, 16, 32)
    canonical_size: Pixels = 224
    canonical_level: Annotated[int, Within(0, 16)] = 4
    cells: Annotated[int, Within(1, 64)] = 7
    convs: Depth = 0
    hidden: Annotated[tuple[Pixels, ...], Length(1, 16)] = (1024, 1024)
    batch_size_per_image: Count = 512
    positive_fraction: Share = 0.25
    fg_iou_thresh: Share = 0.5
    box_weights: BoxWeights = (10.0, 10.0, 5.0, 5.0)
    box_loss: str = "smooth_l1"
    score_thresh: Share = 0.05
    min_size: SmallestSide = 1e-2
    nms_thresh: Share = 0.5
    detections_per_img: Count = 100
    vote_sigma: Share = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_box_loss(self.box_loss)

    def check_strides(self, pyramid: Sequence[int]) -> None:
        """Raise ``ValueError`` where RoIs would be pooled from levels that the pyramid does not have."""
        if self.strides != tuple(pyramid[: len(self.strides)]):
            raise ValueError(
                f"rois.strides: found {self.strides}, wanted the first strides of the pyramid, "
                f"{tuple(pyramid)}; set them in the configuration"
            )


def detection_stage(look: Look, settings: RoISettings, box_weights: Weights) -> Stage:
    """Step 10: classes of RoIs, their boxes decoded, suppressed within a class.

    Args:
        look: what the network says of proposals.
        settings: thresholds and limit.
        box_weights: factors of dx, dy, dw, dh.
    """
    return Stage(
        name="detections",
        look=look,
        decode=partial(decode, weights=box_weights),
        reasons=ROI_REASONS,
        by_class=True,
        ranks_logits=False,
        score_thresh=settings.score_thresh,
        min_size=settings.min_size,
        nms_thresh=settings.nms_thresh,
        limit=settings.detections_per_img,
        vote_sigma=settings.vote_sigma,
    )


Head = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Pooled RoIs ``(R, C, cells, cells)`` → logits ``(R, K + 1)``, background last, and deltas ``(R, K, 4)``, or
``(R, 1, 4)`` where classes share a box."""


def pool(raw: Raw, boxes: Tensor, image: Tensor, settings: RoISettings) -> Tensor:
    """RoIs ``(R, 4)`` of images ``(R,)`` from their feature levels: ``(R, C, cells, cells)``."""
    levels = raw.features[: len(settings.strides)]
    level = assign_levels(boxes, settings.strides, settings.canonical_size, settings.canonical_level)
    return roi_align(levels, boxes, image, level, settings.strides, settings.cells)


def pooled_probe(channels: int, settings: RoISettings, dtype: torch.dtype) -> Tensor:
    """Two made-up pooled RoIs, to try out a box head with."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand((2, channels, settings.cells, settings.cells), generator=generator).to(dtype)


@dataclass(frozen=True, eq=False, kw_only=True)
class RoIRows(Rows):
    """Proposals with their scores; ``logits (heads, N, P, K + 1)`` are what these were made of."""

    logits: Tensor

    def log_odds(self, label: int) -> Tensor:
        """See :meth:`Rows.log_odds`; in logarithms, so that a score of almost 1 still has a gradient."""
        logs = self.logits.log_softmax(-1)
        others = [k for k in range(logs.shape[-1]) if k != label]
        return logs[..., label].logsumexp(0) - logs[..., others].logsumexp(-1).logsumexp(0)


def look(raw: Raw, given: Kept | None, heads: Sequence[Head], settings: RoISettings) -> RoIRows:
    """What heads say of proposals, whose boxes are constants: no gradient flows back into them.

    Args:
        raw: outputs of the network.
        given: the proposals.
        heads: all look at the same pooled features; the ranking is the mean of their probabilities, the
            deltas are those of the last.
        settings: of the pooling.
    """
    assert given is not None
    boxes, there = given.boxes.detach(), given.there
    if torch.compiler.is_exporting() or there.is_meta:  # no size may depend on what is found
        image = torch.arange(there.shape[0], device=there.device)[:, None].expand(there.shape).flatten()
        logits, deltas = _answers(raw, boxes.flatten(0, 1), image, heads, settings)
        logits = logits.reshape(len(heads), *there.shape, logits.shape[-1])
        deltas = deltas.reshape(*there.shape, *deltas.shape[1:])
    else:
        image, row = torch.where(there)
        found, moved = _answers(raw, boxes[image, row], image, heads, settings)
        logits = found.new_zeros((len(heads), *there.shape, found.shape[-1]))
        deltas = moved.new_zeros((*there.shape, *moved.shape[1:]))
        logits[:, image, row], deltas[image, row] = found, moved
    scores = logits.softmax(-1).mean(0)
    ranking = torch.where(there[..., None], scores[..., :-1], ABSENT)
    return RoIRows(boxes, ranking, deltas, scores[..., -1], logits=logits)


def _answers(
    raw: Raw, boxes: Tensor, image: Tensor, heads: Sequence[Head], settings: RoISettings
) -> tuple[Tensor, Tensor]:
    """Logits ``(heads, R, K + 1)`` and the last head's deltas ``(R, K or 1, 4)``."""
    pooled = pool(raw, boxes, image, settings)
    found = [head(pooled) for head in heads]
    return torch.stack([logits for logits, _ in found]).to(boxes), found[-1][1].to(boxes)


@dataclass(frozen=True, eq=False)
class SampledRoIs:
    """RoIs drawn for the loss.

    Attributes:
        boxes: ``(R, 4)`` xyxy in pixels of the network's input.
        image: ``(R,)`` int64, which image of the batch each lies in.
        classes: ``(R,)`` int64, K for background.
        matched: ``(R, 4)`` the object that each stands for; zeros for background.
    """

    boxes: Tensor
    image: Tensor
    classes: Tensor
    matched: Tensor


def sample_rois(
    proposals: Kept,
    targets: Sequence[Target],
    classes: int,
    settings: RoISettings,
    generator: torch.Generator | None,
) -> SampledRoIs:
    """Draw RoIs of every image, a share of them objects.

    Args:
        proposals: of the first stage.
        targets: objects in pixels of the network's input.
        classes: ``K``.
        settings: budget and IoU.
        generator: randomness of the drawing.
    """
    parts = []
    for i, target in enumerate(targets):
        # Objects join the proposals so that the second stage has positives from the first step on
        # (reference implementation; the proposals of an untrained RPN overlap few objects).
        boxes = torch.cat([proposals.boxes[i, : proposals.count[i]], target.boxes[~target.ignored]])
        threshold = settings.fg_iou_thresh
        index, labels, objects = assign_targets(
            boxes, target, threshold, threshold, allow_low_quality_matches=False
        )
        positive, negative = sample(
            labels, settings.batch_size_per_image, settings.positive_fraction, generator
        )
        parts.append(_drawn(boxes, i, positive, negative, index, objects, classes))
    return _joined(parts)


def assign_rois(
    rois: SampledRoIs, boxes: Tensor, targets: Sequence[Target], classes: int, threshold: float
) -> SampledRoIs:
    """The same RoIs at other boxes ``(R, 4)``, matched to the objects anew; none is drawn.

    Args:
        rois: drawn ones.
        boxes: where they are now; those without area are left out.
        targets: objects in pixels of the network's input.
        classes: ``K``.
        threshold: IoU from which a RoI stands for an object.
    """
    parts = []
    real = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    for i, target in enumerate(targets):
        own = boxes[real & (rois.image == i)]
        index, labels, objects = assign_targets(
            own, target, threshold, threshold, allow_low_quality_matches=False
        )
        positive, negative = torch.where(labels == OBJECT)[0], torch.where(labels == BACKGROUND)[0]
        parts.append(_drawn(own, i, positive, negative, index, objects, classes))
    return _joined(parts)


def _drawn(
    boxes: Tensor,
    image: int,
    positive: Tensor,
    negative: Tensor,
    index: Tensor,
    objects: Target,
    classes: int,
) -> SampledRoIs:
    rows = torch.cat([positive, negative])
    class_of_row = torch.full_like(rows, classes)
    class_of_row[: len(positive)] = objects.labels[index[positive]]
    object_of_row = boxes.new_zeros((len(rows), 4))
    object_of_row[: len(positive)] = objects.boxes[index[positive]].to(boxes)
    return SampledRoIs(boxes[rows], torch.full_like(rows, image), class_of_row, object_of_row)


def _joined(parts: Sequence[SampledRoIs]) -> SampledRoIs:
    names = ("boxes", "image", "classes", "matched")
    return SampledRoIs(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def roi_losses(
    logits: Tensor, deltas: Tensor, rois: SampledRoIs, settings: RoISettings
) -> tuple[Tensor, Tensor]:
    """Loss of classes and of boxes (Ren et al. 2015; Girshick 2015, Fast R-CNN, eq. 1).

    Args:
        logits: ``(R, K + 1)``, background last.
        deltas: ``(R, K, 4)``, or ``(R, 1, 4)`` where classes share a box.
        rois: what each should have been.
        settings: box loss and its weights.
    """
    norm = max(len(rois.boxes), 1)
    positive = torch.where(rois.classes < logits.shape[1] - 1)[0]
    column = rois.classes[positive] if deltas.shape[1] > 1 else torch.zeros_like(positive)
    boxes = box_loss(
        settings.box_loss,
        deltas[positive, column],
        rois.matched[positive],
        rois.boxes[positive],
        norm,
        settings.box_weights,
    )
    return cross_entropy(logits, rois.classes, norm), boxes
