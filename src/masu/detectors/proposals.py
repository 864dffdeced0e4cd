"""The RPN's two verbs: label anchors for training; decode and filter head outputs into proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from masu.detectors.box_loss import box_loss, check_box_loss
from masu.detectors.candidates import Candidates
from masu.ops.coder import decode
from masu.ops.geometry import clip, covered, degenerate, resize
from masu.ops.losses import bce
from masu.ops.matching import match
from masu.ops.nms import topk_per_level
from masu.ops.sampling import sample
from masu.records import BACKGROUND, IGNORE, ImageBatch, Proposals, Target

IGNORED_SHARE = 0.5
"""Background that lies to this share within one ignored region takes no part in training."""


@dataclass(frozen=True, eq=False)
class Raw:
    """What the network computed for a batch; losses, detections and explanations all start from it.

    Attributes:
        images: the batch as the network saw it.
        features: per level ``(N, C, H_l, W_l)``; under ``torch.autocast`` of its type, and nothing else is.
        logits: of objectness ``(N, R)`` from an RPN, of classes ``(N, R, K)`` from a one-stage detector;
            ``R = ΣH_l·W_l·A`` anchors, level by level.
        deltas: ``(N, R, 4)`` dx, dy, dw, dh of each anchor.
        anchors: ``(R, 4)`` xyxy in pixels of the network's input, the same for every image.
        levels: anchors per level; they add up to ``R``.
    """

    images: ImageBatch
    features: tuple[Tensor, ...]
    logits: Tensor
    deltas: Tensor
    anchors: Tensor
    levels: tuple[int, ...]


@dataclass(frozen=True)
class ProposalSettings:
    """How anchors are labelled in training and head outputs become proposals (Ren et al. 2015).

    Attributes:
        match_high: IoU from which an anchor stands for an object.
        match_low: IoU under which it is background.
        samples: anchors per image in the loss.
        positive_fraction: largest share of objects among them.
        box_loss: name of the loss on box deltas, see ``masu.detectors.box_loss``.
        top_per_level_training: best anchors of each level that are decoded, in training.
        top_per_level: the same in prediction.
        kept_training: proposals per image after suppression, in training.
        kept: the same in prediction.
        nms_threshold: IoU above which the weaker of two proposals of one level is dropped.
        min_size: shortest side of a proposal in pixels.
        min_score: smallest objectness of a proposal, 0..1.
    """

    match_high: float = 0.7
    match_low: float = 0.3
    samples: int = 256
    positive_fraction: float = 0.5
    box_loss: str = "smooth_l1"
    top_per_level_training: int = 2000
    top_per_level: int = 1000
    kept_training: int = 2000
    kept: int = 1000
    nms_threshold: float = 0.7
    min_size: float = 1e-3
    min_score: float = 0.0

    def __post_init__(self) -> None:
        check_box_loss(self.box_loss)


def targets_at_network_size(targets: Sequence[Target], images: ImageBatch) -> list[Target]:
    """Targets in pixels of the network's input, on its device."""
    device = images.pixels.device
    scaled = []
    for target, old, new in zip(targets, images.original_sizes, images.sizes, strict=True):
        moved = target.to(device)
        scaled.append(Target(resize(moved.boxes, old, new), moved.labels, moved.ignored))
    return scaled


def label(
    boxes: Tensor, target: Target, high: float, low: float, restore: bool
) -> tuple[Tensor, Tensor, Target]:
    """Match anchors or proposals to the objects of one image; what lies in ignored regions is ignored.

    Args:
        boxes: ``(R, 4)`` anchors or proposals.
        target: the image's objects, in the same pixels.
        high: see :func:`masu.ops.matching.match`, like ``low`` and ``restore``.
        low: see there.
        restore: see there.

    Returns:
        ``index (R,)`` and ``label (R,)`` as of ``match``, and the target without ignored boxes, into which
        ``index`` points.
    """
    objects = Target(target.boxes[~target.ignored], target.labels[~target.ignored])
    index, labels = match(boxes, objects.boxes, high, low, restore)
    if target.ignored.any():
        hidden = covered(boxes, target.boxes[target.ignored]) >= IGNORED_SHARE
        labels[hidden & (labels == BACKGROUND)] = IGNORE
    return index, labels, objects


def proposal_losses(
    raw: Raw, targets: Sequence[Target], settings: ProposalSettings, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """The RPN's loss terms ``objectness`` and ``proposal_boxes`` (Ren et al. 2015, eq. 1).

    Args:
        raw: the network's outputs.
        targets: objects in pixels of the network's input.
        settings: thresholds and budgets.
        generator: randomness of the sampling.
    """
    rows, labels, matched, positives = [], [], [], []
    for i, target in enumerate(targets):
        index, label_of_anchor, objects = label(
            raw.anchors, target, settings.match_high, settings.match_low, restore=True
        )
        positive, negative = sample(label_of_anchor, settings.samples, settings.positive_fraction, generator)
        offset = i * len(raw.anchors)
        rows.append(torch.cat([positive, negative]) + offset)
        labels.append(torch.cat([torch.ones_like(positive), torch.zeros_like(negative)]))
        positives.append(positive + offset)
        matched.append(objects.boxes[index[positive]].to(raw.anchors))
    row, norm = torch.cat(rows), max(sum(len(r) for r in rows), 1)
    positive = torch.cat(positives)
    return {
        "objectness": bce(raw.logits.flatten()[row], torch.cat(labels), norm),
        "proposal_boxes": box_loss(
            settings.box_loss,
            raw.deltas.reshape(-1, 4)[positive],
            torch.cat(matched),
            raw.anchors[positive % len(raw.anchors)],
            norm,
        ),
    }


def ranked(raw: Raw, settings: ProposalSettings, top_per_level: int) -> list[Candidates]:
    """Per image the best anchors of each level, decoded and cut to the image; their group is the level.

    Args:
        raw: the network's outputs; no gradient flows back through them.
        settings: thresholds.
        top_per_level: best anchors of each level that are decoded.
    """
    objectness, deltas = raw.logits.detach(), raw.deltas.detach()
    index, level = topk_per_level(objectness, raw.levels, top_per_level)  # (N, S), (S,)
    logits = objectness.gather(1, index)  # what is ranked: many scores of a sure network are exactly 1
    boxes = decode(deltas.gather(1, index[..., None].expand(-1, -1, 4)), raw.anchors[index])
    boxes = clip(boxes, raw.images.sizes[:, None])
    usable = ~degenerate(boxes, settings.min_size) & (logits.sigmoid() >= settings.min_score)
    return [Candidates(row, level, *rest) for row, *rest in zip(index, logits, boxes, usable, strict=True)]


def propose(raw: Raw, settings: ProposalSettings, top_per_level: int, kept: int) -> Proposals:
    """Head outputs to proposals: top-k per level, decode, clip, drop small, NMS per level, best ``kept``.

    Args:
        raw: the network's outputs; no gradient flows back through them.
        settings: thresholds.
        top_per_level: best anchors of each level that are decoded.
        kept: proposals per image, ``P`` of the result.
    """
    images = ranked(raw, settings, top_per_level)
    like = images[0].boxes
    result = Proposals(
        like.new_zeros((len(images), kept, 4)),
        like.new_zeros((len(images), kept)),
        torch.zeros(len(images), dtype=torch.int64, device=like.device),
    )
    for i, candidates in enumerate(images):
        keep = candidates.survivors(settings.nms_threshold, kept)
        result.boxes[i, : len(keep)] = candidates.boxes[keep]
        result.scores[i, : len(keep)] = candidates.ranking[keep].sigmoid()
        result.count[i] = len(keep)
    return result
