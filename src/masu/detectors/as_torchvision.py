"""Detectors of masu in torchvision's place: instances of its classes, with its calls, targets and results.

What programs reach for is torchvision's own code: transform, anchors, matching, sampling, losses, predictors.
The networks are masu's, and so are proposals, pooling and final detections of two stages.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from masu.detectors.config import PyramidConfig
from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.fcos import FCOS, FCOSConfig
from masu.detectors.retinanet import RetinaNet, RetinaNetConfig
from masu.detectors.torchvision_families import NEVER
from masu.detectors.torchvision_models import FAMILIES
from masu.detectors.torchvision_parts import (
    Backbone,
    Found,
    Losses,
    MasuRoIHeads,
    MasuRPN,
    Pool,
    RPNMaps,
    Targets,
)
from masu.detectors.zoo import ARCHITECTURES, checked_names, make
from masu.errors import InputError, bad_input
from masu.nets.retina import Tower
from masu.ops.images import InputPolicy
from masu.ops.roi_align import SAMPLES


def to_torchvision(detector: Detector) -> AsFasterRCNN | AsRetinaNet | AsFCOS:
    """The detector as one of torchvision's: for every program and training loop that takes those.

    It has weights of its own, those of this moment, and is in the detector's mode (``train()`` or
    ``eval()``). Its ``to_masu()`` is a detector of masu again, to be saved, explained and exported.

    Args:
        detector: a Faster R-CNN, RetinaNet or FCOS, on any backbone.

    Returns:
        An instance of torchvision's ``FasterRCNN`` (a ``GeneralizedRCNN``), ``RetinaNet`` or ``FCOS``.
        Images are a list of ``(C, H, W)`` or ``(N, C, H, W)``, float 0..1.

        In training ``model(images, targets)`` gives torchvision's loss terms, for targets
        ``{"boxes": (M, 4) xyxy in pixels, "labels": (M,) int64 in 1..K}``. The losses are torchvision's own,
        whatever the detector was trained with: smooth L1 on the boxes of two stages.

        In evaluation ``model(images)`` gives for each image ``{"boxes": (k, 4), "labels": (k,), "scores":
        (k,)}``, labels from 1; ``model.losses_and_detections(images, targets)`` gives both from one pass.

    Raises:
        InputError: for a detector, or a box loss of RetinaNet, that torchvision has no counterpart of, and
            for a detector with tiles.
    """
    kinds: dict[type[Detector], Callable[[Any], Any]] = {
        FasterRCNN: AsFasterRCNN,
        RetinaNet: AsRetinaNet,
        FCOS: AsFCOS,
    }
    if detector.input.tiles is not None:
        wanted = "none, which torchvision's models do not know"
        raise bad_input("detector", "tiles", wanted, "write masu.to_torchvision(masu.tiled(detector, None))")
    if type(detector) not in kinds:
        raise bad_input(
            "detector",
            type(detector).__name__,
            "a FasterRCNN, RetinaNet or FCOS, which torchvision has too",
        )
    made: AsFasterRCNN | AsRetinaNet | AsFCOS = kinds[type(detector)](detector)
    made.train(detector.training)
    return made


class AsFasterRCNN(torchvision.models.detection.FasterRCNN):  # type: ignore[misc]
    """See :func:`to_torchvision`."""

    def __init__(self, detector: FasterRCNN) -> None:
        config, head = detector.config, detector.rpn.head
        first, second = config.rpn.proposals, config.rois
        generator = _anchors(config.rpn)
        rpn = MasuRPN(
            generator,
            RPNMaps(copy.deepcopy(head)),
            first.fg_iou_thresh,
            first.bg_iou_thresh,
            first.batch_size_per_image,
            first.positive_fraction,
            {"training": first.pre_nms_top_n_training, "testing": first.pre_nms_top_n},
            {"training": first.post_nms_top_n_training, "testing": first.post_nms_top_n},
            first.nms_thresh,
            first.score_thresh,
        )
        rpn.min_size = first.min_size
        maps = [str(i) for i in range(len(second.strides))]
        rois = MasuRoIHeads(
            Pool(
                maps,
                second.cells,
                SAMPLES,
                canonical_scale=second.canonical_size,
                canonical_level=second.canonical_level,
            ),
            copy.deepcopy(detector.box_head),
            _predictor(detector),
            second.fg_iou_thresh,
            second.fg_iou_thresh,
            second.batch_size_per_image,
            second.positive_fraction,
            second.box_weights,
            second.score_thresh,
            second.nms_thresh,
            second.detections_per_img,
        )
        rois.min_size, rois.vote_sigma = second.min_size, second.vote_sigma
        GeneralizedRCNN.__init__(self, Backbone(detector.pyramid), rpn, rois, _transform(detector.input))
        self.config, self.names = config, detector.names

    def losses_and_detections(self, images: Sequence[Tensor], targets: Targets) -> tuple[Losses, Found]:
        """Both from one pass in evaluation mode, such as for a validation loss.

        The second stage's losses are of as many proposals as prediction has.

        Args:
            images: as for the call.
            targets: as in training.
        """
        batch, scaled, given = _prepared(self, images, targets)
        features = self.backbone(batch.tensors)
        proposals, losses = self.rpn.with_losses(batch, features, scaled)
        sizes = batch.image_sizes
        found, _ = self.roi_heads(features, proposals, sizes)
        losses |= self.roi_heads.losses(features, proposals, sizes, scaled)
        return losses, self.transform.postprocess(found, sizes, given)

    def to_masu(self, names: Sequence[str] | None = None) -> Detector:
        """What this is now as a detector of masu: weights, image size, thresholds.

        Args:
            names: of the classes 1..K; default: those it came with.

        Raises:
            InputError: for another number of names than classes, or parts that masu has no counterpart of.
        """
        rpn, rois = self.rpn, self.roi_heads
        predictor = rois.box_predictor
        scores = getattr(predictor, "cls_score", None)
        if not isinstance(predictor, FastRCNNPredictor) or not isinstance(scores, nn.Linear):
            raise _refused(f"{type(predictor).__name__} as box_predictor", "torchvision's FastRCNNPredictor")
        own = self.config
        pyramid = replace(own.rpn.pyramid, input=_policy(self.transform, own.rpn.input))
        proposals = replace(own.rpn.proposals, nms_thresh=rpn.nms_thresh, score_thresh=rpn.score_thresh)
        config = replace(
            own,
            rpn=replace(own.rpn.with_pyramid(pyramid), proposals=proposals),
            rois=replace(
                own.rois,
                score_thresh=rois.score_thresh,
                nms_thresh=rois.nms_thresh,
                detections_per_img=rois.detections_per_img,
                vote_sigma=rois.vote_sigma,
            ),
        )
        state = _of_backbone(self, "rpn.") | _named("rpn.head.", rpn.head, "maps.")
        state |= _named("box_head.", rois.box_head)
        for leaf in ("weight", "bias"):
            state[f"predictor.scores.{leaf}"] = getattr(scores, leaf).roll(-1, dims=0)
            state[f"predictor.deltas.{leaf}"] = getattr(predictor.bbox_pred, leaf)[4:]
        return _filled(config, names or self.names, scores.out_features - 1, state, self.training)


class _OneStage(ABC):
    """What torchvision's one-stage detectors share here."""

    config: Any
    names: tuple[str, ...]

    @abstractmethod
    def _losses(
        self, targets: Targets, answers: dict[str, Tensor], anchors: list[Tensor], counts: list[int]
    ) -> Losses:
        """Loss terms of the head's answers; ``counts`` anchors of each level."""

    def _more(self) -> dict[str, Tensor]:
        """Tensors of the head beside its two towers, by masu's names."""
        return {}

    def losses_and_detections(self, images: Sequence[Tensor], targets: Targets) -> tuple[Losses, Found]:
        """See :meth:`AsFasterRCNN.losses_and_detections`."""
        model: Any = self
        batch, scaled, given = _prepared(model, images, targets)
        maps = list(model.backbone(batch.tensors).values())
        answers, anchors = model.head(maps), model.anchor_generator(batch, maps)
        per_cell = model.anchor_generator.num_anchors_per_location()
        counts = [x.shape[2] * x.shape[3] * each for x, each in zip(maps, per_cell, strict=True)]
        losses = self._losses(scaled, answers, anchors, counts)
        levels = {name: list(values.split(counts, dim=1)) for name, values in answers.items()}
        of_levels = [list(own.split(counts)) for own in anchors]
        found = model.postprocess_detections(levels, of_levels, batch.image_sizes)
        return losses, model.transform.postprocess(found, batch.image_sizes, given)

    def to_masu(self, names: Sequence[str] | None = None) -> Detector:
        """See :meth:`AsFasterRCNN.to_masu`."""
        model: Any = self
        own = self.config
        config = replace(
            own.with_pyramid(replace(own.pyramid, input=_policy(model.transform, own.input))),
            score_thresh=model.score_thresh,
            nms_thresh=model.nms_thresh,
            detections_per_img=model.detections_per_img,
        )
        of_classes, of_boxes = model.head.classification_head, model.head.regression_head
        state = _of_backbone(model, "") | self._more()
        state |= _of_tower("classes", of_classes) | _of_tower("boxes", of_boxes)
        state |= _named("head.boxes.output.", of_boxes.bbox_reg)
        logits, anchors = of_classes.cls_logits, model.anchor_generator.num_anchors_per_location()[0]
        for leaf in ("weight", "bias"):
            rows = getattr(logits, leaf).unflatten(0, (anchors, -1))
            state[f"head.classes.output.{leaf}"] = rows[:, 1:].flatten(0, 1)
        classes = logits.out_channels // anchors - 1
        return _filled(config, names or self.names, classes, state, model.training)


def _of_tower(part: str, head: Any) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, kind in (("convs", nn.Conv2d), ("norms", nn.GroupNorm)):
        for i, layer in enumerate(layer for layer in head.conv.modules() if isinstance(layer, kind)):
            state |= _named(f"head.{part}.{name}.{i}.", layer)
    return state


def _last_settings(config: RetinaNetConfig | FCOSConfig) -> dict[str, Any]:
    return {
        "score_thresh": config.score_thresh,
        "nms_thresh": config.nms_thresh,
        "detections_per_img": config.detections_per_img,
        "topk_candidates": config.pre_nms_top_n,
    }


class AsRetinaNet(_OneStage, torchvision.models.detection.RetinaNet):  # type: ignore[misc]
    """See :func:`to_torchvision`."""

    def __init__(self, detector: RetinaNet) -> None:
        config, own = detector.config, detector.head
        if config.box_loss == "l2":
            raise _refused("box_loss 'l2'", "'l1', 'smooth_l1' or 'giou', which torchvision has too")
        generator = _anchors(config)
        anchors, classes = generator.num_anchors_per_location()[0], len(detector.names) + 1
        head = RetinaNetHead(config.fpn_channels, anchors, classes)
        of_classes, of_boxes = head.classification_head, head.regression_head
        of_classes.conv, of_boxes.conv = _tower(own.classes), _tower(own.boxes)
        _with_first_class(of_classes.cls_logits, own.classes.output, anchors)
        of_boxes.bbox_reg.load_state_dict(own.boxes.output.state_dict())
        of_boxes._loss_type = config.box_loss
        super().__init__(
            Backbone(detector),
            classes,
            anchor_generator=generator,
            head=head,
            proposal_matcher=Matcher(
                config.fg_iou_thresh, config.bg_iou_thresh, allow_low_quality_matches=True
            ),
            **_last_settings(config),
        )
        self.transform = _transform(detector.input)
        self.config, self.names = config, detector.names

    def _losses(
        self, targets: Targets, answers: dict[str, Tensor], anchors: list[Tensor], counts: list[int]
    ) -> Losses:
        losses: Losses = self.compute_loss(targets, answers, anchors)
        return losses


class AsFCOS(_OneStage, torchvision.models.detection.FCOS):  # type: ignore[misc]
    """See :func:`to_torchvision`."""

    def __init__(self, detector: FCOS) -> None:
        config, own = detector.config, detector.head
        generator, classes = _anchors(config), len(detector.names) + 1
        head = FCOSHead(config.fpn_channels, 1, classes)
        of_classes, of_boxes = head.classification_head, head.regression_head
        of_classes.conv, of_boxes.conv = _tower(own.classes), _tower(own.boxes)
        _with_first_class(of_classes.cls_logits, own.classes.output, 1)
        of_boxes.bbox_reg.load_state_dict(own.boxes.output.state_dict())
        of_boxes.bbox_ctrness.load_state_dict(own.centreness.state_dict())
        super().__init__(
            Backbone(detector),
            classes,
            anchor_generator=generator,
            head=head,
            center_sampling_radius=config.centre_radius,
            **_last_settings(config),
        )
        self.transform = _transform(detector.input)
        self.config, self.names = config, detector.names

    def _losses(
        self, targets: Targets, answers: dict[str, Tensor], anchors: list[Tensor], counts: list[int]
    ) -> Losses:
        losses: Losses = self.compute_loss(targets, answers, anchors, counts)
        return losses

    def postprocess_detections(
        self, answers: dict[str, list[Tensor]], anchors: list[list[Tensor]], sizes: list[tuple[int, int]]
    ) -> Found:
        """torchvision's, without the column of id 0: the root of its score, 0, has no gradient."""
        if self.head.classification_head.cls_logits.bias[0] > NEVER / 2:  # another head, of all columns
            every: Found = super().postprocess_detections(answers, anchors, sizes)
            return every
        classes = {"cls_logits": [logits[..., 1:] for logits in answers["cls_logits"]]}
        found: Found = super().postprocess_detections(answers | classes, anchors, sizes)
        return [own | {"labels": own["labels"] + 1} for own in found]

    def _more(self) -> dict[str, Tensor]:
        return _named("head.centreness.", self.head.regression_head.bbox_ctrness)


def _anchors(config: PyramidConfig) -> AnchorGenerator:
    return AnchorGenerator(config.anchor_sizes, (config.anchor_ratios,) * len(config.anchor_sizes))


def _transform(policy: InputPolicy) -> GeneralizedRCNNTransform:
    return GeneralizedRCNNTransform(
        policy.min_size,
        policy.max_size,
        list(policy.mean),
        list(policy.std),
        size_divisible=policy.divisor,
    )


def _policy(transform: Any, own: InputPolicy) -> InputPolicy:
    """The transform's settings; another transform than torchvision's has no counterpart."""
    if not isinstance(transform, GeneralizedRCNNTransform) or transform.fixed_size is not None:
        raise _refused(f"{type(transform).__name__} as transform", "torchvision's, without a fixed size")
    return replace(
        own,
        min_size=int(transform.min_size[-1]),
        max_size=int(transform.max_size),
        mean=tuple(float(value) for value in transform.image_mean),
        std=tuple(float(value) for value in transform.image_std),
        divisor=int(transform.size_divisible),
    )


def _predictor(detector: FasterRCNN) -> FastRCNNPredictor:
    """The box predictor with torchvision's columns: background first, and deltas of background too."""
    own = detector.predictor
    made = FastRCNNPredictor(own.scores.in_features, len(detector.names) + 1)
    with torch.no_grad():
        for leaf in ("weight", "bias"):
            deltas = getattr(own.deltas, leaf)
            getattr(made.cls_score, leaf).copy_(getattr(own.scores, leaf).roll(1, dims=0))
            getattr(made.bbox_pred, leaf).copy_(torch.cat([torch.zeros_like(deltas[:4]), deltas]))
    return made.to(own.scores.weight)


def _tower(own: Tower) -> nn.Sequential:
    layers: list[nn.Module] = []
    for conv, norm in zip(own.convs, own.norms, strict=True):
        layers += [copy.deepcopy(conv), copy.deepcopy(norm), nn.ReLU()]
    return nn.Sequential(*layers)


@torch.no_grad()
def _with_first_class(theirs: nn.Conv2d, own: nn.Conv2d, anchors: int) -> None:
    """Fill the class logits of one stage, with a column of id 0 that never wins."""
    assert theirs.bias is not None
    assert own.bias is not None
    for into, given, first in ((theirs.weight, own.weight, 0.0), (theirs.bias, own.bias, NEVER)):
        rows = given.reshape(anchors, -1, *given.shape[1:])
        into.copy_(torch.cat([torch.full_like(rows[:, :1], first), rows], 1).flatten(0, 1))


def _prepared(
    model: nn.Module, images: Sequence[Tensor], targets: Targets
) -> tuple[ImageList, Targets, list[tuple[int, int]]]:
    if model.training:
        raise ValueError("losses_and_detections: found a model in train(), wanted one in eval()")
    given = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
    transform: Any = model.transform
    batch, scaled = transform(images, [dict(target) for target in targets])
    return batch, scaled, given


def _named(start: str, module: nn.Module, without: str = "") -> dict[str, Tensor]:
    return {start + name.removeprefix(without): x for name, x in module.state_dict().items()}


def _of_backbone(model: Any, start: str) -> dict[str, Tensor]:
    backbone = model.backbone
    if not isinstance(backbone, Backbone):
        raise _refused(f"{type(backbone).__name__} as backbone", "the one that to_torchvision made")
    return _named(f"{start}backbone.", backbone.body) | _named(f"{start}fpn.", backbone.fpn)


def _filled(
    config: Any, names: Sequence[str], classes: int, state: dict[str, Tensor], training: bool
) -> Detector:
    if len(names) != classes:
        raise bad_input("names", f"{len(names)} names", f"{classes}, one per class of the model")
    detector = make(config, checked_names(names))
    own = detector.state_dict()
    for name in sorted(own.keys() | state.keys()):
        found, wanted = (tuple(x[name].shape) if name in x else "nothing" for x in (state, own))
        if found != wanted:
            raise _refused(f"{found} for {name}", f"{wanted}, as to_torchvision made it")
    first = next(iter(state.values()))
    detector.to(first.device)
    detector.load_state_dict({name: x.detach() for name, x in state.items()})
    return detector.train(training)


def _refused(found: str, wanted: str) -> InputError:
    return bad_input("model", found, wanted, "masu has no counterpart of it")


def to_torchvision_state_dict(detector: Detector) -> dict[str, Tensor]:
    """The weights under torchvision's names, its rows and columns in its order.

    ``torchvision.models.get_model(NAME, weights=None, weights_backbone=None, num_classes=K + 1)`` loads them.

    Args:
        detector: of an architecture that torchvision has, with its own layers.

    Returns:
        Tensors by name.

    Raises:
        InputError: for another one.
    """
    own = detector.state_dict()
    for family in FAMILIES:
        for theirs, ours in family.names.items():
            if _same_layers(detector, ours):
                with torch.device("meta"):
                    like: Callable[..., nn.Module] = torchvision.models.get_model
                    count = len(detector.names) + 1
                    model = like(theirs, weights=None, weights_backbone=None, num_classes=count)
                return family.back(own, model.state_dict(), detector.config, count)
    every = ", ".join(name for family in FAMILIES for name in family.names.values())
    raise bad_input(
        "detector",
        f"{type(detector).__name__} on {detector.config.pyramid.backbone} with layers of its own",
        f"one of {every}",
        "masu.to_torchvision takes this one",
    )


def _same_layers(detector: Detector, architecture: str) -> bool:
    """Whether an architecture has the detector's tensors."""
    config = ARCHITECTURES[architecture]()
    if type(config) is not type(detector.config):
        return False
    with torch.device("meta"):
        like = make(config.with_pyramid(replace(config.pyramid, frozen_norms=False)), detector.names)
    own, wanted = detector.state_dict(), like.state_dict()
    return all(name in own and own[name].shape == x.shape for name, x in wanted.items() if x.ndim) and (
        own.keys() <= wanted.keys()
    )
