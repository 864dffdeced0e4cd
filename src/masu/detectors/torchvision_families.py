"""The kinds of torchvision detectors: what tells each, its settings and tensor names in masu's words."""

from __future__ import annotations

import copy
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.retinanet import (
    RetinaNetClassificationHead,
    RetinaNetHead,
    RetinaNetRegressionHead,
)
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from masu.detectors.config import DetectorConfig, PyramidConfig
from masu.detectors.faster_rcnn import FasterRCNNConfig
from masu.detectors.retinanet import RetinaNetConfig
from masu.errors import InputError, bad_input
from masu.nets.backbones import PROBE
from masu.ops.coder import MAX_LOG_SCALE

Renames = Sequence[tuple[str, str]]

NEVER = -1e4
"""Logit of the column that torchvision's one-stage heads have for id 0, which no object has."""


def refused(found: str, wanted: str) -> InputError:
    """The error for a model that would answer differently here."""
    return bad_input("model", found, wanted, "masu has no counterpart of it")


class Family(ABC):
    """One kind of torchvision detector.

    Attributes:
        mark: a tensor that tells this kind, where kinds are asked in the order of ``FAMILIES``.
        names: torchvision's names of its architectures, and masu's.
        first: id of the first class.
        losses: masu's names of the loss terms, and torchvision's.
        parts: submodules whose layers must be those of torchvision's own models.
        frozen_eps_is_zero: torchvision sets the epsilon of the pretrained ResNet-50's norms to 0.
        renames: patterns of torchvision's tensor names, today's and of its older files, and masu's; the first
            that fits counts.
    """

    mark: ClassVar[str]
    names: ClassVar[Mapping[str, str]]
    first: ClassVar[int]
    losses: ClassVar[Mapping[str, str]]
    parts: ClassVar[Sequence[str]] = ("backbone", "head")
    frozen_eps_is_zero: ClassVar[bool] = True
    renames: ClassVar[Renames]

    @abstractmethod
    def recognise(self, state: Mapping[str, Tensor], with_settings: bool) -> str:
        """Masu's name of the architecture; ``with_settings``: those will be taken from a model."""

    @abstractmethod
    def settings(self, model: Any, config: Any) -> DetectorConfig:
        """The configuration with every setting that the model carries, or a refusal."""

    @abstractmethod
    def classes(self, state: Mapping[str, Tensor]) -> int:
        """Columns of classes, without background."""

    def without_first_class(self, state: dict[str, Tensor], classes: int) -> dict[str, Tensor]:
        """The state without the column of id 0, for a kind whose head has one."""
        raise NotImplementedError

    def named(
        self, state: dict[str, Tensor], names: Sequence[str] | None
    ) -> tuple[dict[str, Tensor], Sequence[str]]:
        """The state and its class names; where there is a name less than columns, without column 0."""
        classes = self.classes(state)
        if names is None:
            return state, [f"class {i}" for i in range(self.first, self.first + classes)]
        if self.first == 0 and len(names) == classes - 1:
            return self.without_first_class(state, classes), names
        if len(names) != classes:
            fewer = f", or {classes - 1} where id 0 was never used" if self.first == 0 else ""
            raise bad_input(
                "names", f"{len(names)} names", f"{classes}, one per class without background{fewer}"
            )
        return state, names

    def rename(self, key: str) -> str:
        """Masu's name of a tensor."""
        for pattern, replacement in self.renames:
            renamed, count = re.subn("^" + pattern, replacement, key)
            if count:
                return renamed
        return key

    def reorder(self, key: str, tensor: Tensor, config: Any) -> Tensor:
        """A tensor with its rows and columns in masu's order."""
        return tensor

    def back(
        self, own: Mapping[str, Tensor], like: Mapping[str, Tensor], config: Any, columns: int
    ) -> dict[str, Tensor]:
        """Masu's tensors under torchvision's names and in its order.

        Args:
            own: state dict of a detector.
            like: that of a torchvision model; only its shapes count.
            config: of the detector.
            columns: classes of the model, id 0 among them.
        """
        places = {key: torch.arange(x.numel()).reshape(x.shape) for key, x in like.items()}
        taken = self.without_first_class(places, columns) if self.first == 0 else places
        found = {}
        for key, x in like.items():
            if (given := own.get(self.rename(key))) is None:
                continue  # frozen normalisation counts no batches
            empty = NEVER if key.endswith("cls_logits.bias") else 0
            flat = torch.full((x.numel(),), empty, dtype=given.dtype, device=given.device)
            flat[self.reorder(key, taken[key], config).flatten()] = given.flatten()
            found[key] = flat.reshape(x.shape)
        return found


class TwoStages(Family):
    """torchvision's Faster R-CNN."""

    mark = "roi_heads.box_predictor.cls_score.weight"
    names: ClassVar[Mapping[str, str]] = {
        "fasterrcnn_resnet50_fpn": "faster_rcnn_resnet50_fpn",
        "fasterrcnn_resnet50_fpn_v2": "faster_rcnn_resnet50_fpn_v2",
        "fasterrcnn_mobilenet_v3_large_fpn": "faster_rcnn_mobilenet_v3_large_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn": "faster_rcnn_mobilenet_v3_large_320_fpn",
    }
    first = 1
    losses: ClassVar[Mapping[str, str]] = {
        "objectness": "loss_objectness",
        "proposal_boxes": "loss_rpn_box_reg",
        "classes": "loss_classifier",
        "boxes": "loss_box_reg",
    }
    parts = ("backbone", "rpn.head", "roi_heads.box_head")
    renames = (
        (r"backbone\.body\.", "rpn.backbone."),
        (r"backbone\.fpn\.inner_blocks\.(\d+)\.(weight|bias)$", r"rpn.fpn.lateral.\1.0.\2"),
        (r"backbone\.fpn\.layer_blocks\.(\d+)\.(weight|bias)$", r"rpn.fpn.output.\1.0.\2"),
        (r"backbone\.fpn\.inner_blocks\.", "rpn.fpn.lateral."),
        (r"backbone\.fpn\.layer_blocks\.", "rpn.fpn.output."),
        (r"rpn\.head\.conv\.(weight|bias)$", r"rpn.head.convs.0.\1"),
        (r"rpn\.head\.conv\.(\d+)\.0\.", r"rpn.head.convs.\1."),
        (r"rpn\.head\.cls_logits\.", "rpn.head.objectness."),
        (r"rpn\.head\.bbox_pred\.", "rpn.head.deltas."),
        (r"roi_heads\.box_head\.fc6\.", "box_head.linears.0."),
        (r"roi_heads\.box_head\.fc7\.", "box_head.linears.1."),
        (r"roi_heads\.box_head\.5\.", "box_head.linears.0."),
        (r"roi_heads\.box_head\.(\d)\.", r"box_head.convs.\1."),
        (r"roi_heads\.box_predictor\.cls_score\.", "predictor.scores."),
        (r"roi_heads\.box_predictor\.bbox_pred\.", "predictor.deltas."),
    )

    def recognise(self, state: Mapping[str, Tensor], with_settings: bool) -> str:
        """See :meth:`Family.recognise`."""
        for part in ("mask", "keypoint"):
            if any(key.startswith(f"roi_heads.{part}_") for key in state):
                raise refused(f"a {part.title()} R-CNN", "a Faster R-CNN, which finds boxes only")
        if "roi_heads.box_head.0.0.weight" in state:
            return "faster_rcnn_resnet50_fpn_v2"
        if "backbone.body.layer4.0.conv1.weight" in state:
            check_resnet50(state)
            return "faster_rcnn_resnet50_fpn"
        if "backbone.body.16.0.weight" not in state:
            raise refused("a Faster R-CNN on another backbone", f"one of {', '.join(self.names)}")
        if with_settings:  # they come from the model, so that either name is right
            return "faster_rcnn_mobilenet_v3_large_fpn"
        raise bad_input(
            "architecture",
            "a MobileNet state dict",
            "architecture='faster_rcnn_mobilenet_v3_large_fpn' or "
            "'faster_rcnn_mobilenet_v3_large_320_fpn', whose tensors are alike",
        )

    def classes(self, state: Mapping[str, Tensor]) -> int:
        """See :meth:`Family.classes`."""
        return len(state["roi_heads.box_predictor.cls_score.bias"]) - 1

    def settings(self, model: Any, config: FasterRCNNConfig) -> FasterRCNNConfig:
        """See :meth:`Family.settings`."""
        rpn, rois = model.rpn, model.roi_heads
        check_kinds(
            (
                ("model", model, FasterRCNN),
                ("rpn", rpn, RegionProposalNetwork),
                ("rpn.head", rpn.head, RPNHead),
                ("rpn.anchor_generator", rpn.anchor_generator, AnchorGenerator),
                ("rpn.box_coder", rpn.box_coder, BoxCoder),
                ("rpn.proposal_matcher", rpn.proposal_matcher, Matcher),
                ("roi_heads", rois, RoIHeads),
                ("roi_heads.box_roi_pool", rois.box_roi_pool, MultiScaleRoIAlign),
                ("roi_heads.box_head", rois.box_head, (TwoMLPHead, FastRCNNConvFCHead)),
                ("roi_heads.box_predictor", rois.box_predictor, FastRCNNPredictor),
                ("roi_heads.box_coder", rois.box_coder, BoxCoder),
                ("roi_heads.proposal_matcher", rois.proposal_matcher, Matcher),
            )
        )
        check_unpatched(model)
        for name, coder in (("rpn", rpn.box_coder), ("roi_heads", rois.box_coder)):
            check(f"{name}.box_coder.bbox_xform_clip", coder.bbox_xform_clip, MAX_LOG_SCALE)
        check("rpn.box_coder.weights", tuple(rpn.box_coder.weights), (1.0,) * 4)
        check(
            "rpn.proposal_matcher.allow_low_quality_matches",
            rpn.proposal_matcher.allow_low_quality_matches,
            True,
        )
        of_rois = rois.proposal_matcher
        check(
            "roi_heads.proposal_matcher.allow_low_quality_matches", of_rois.allow_low_quality_matches, False
        )
        check("roi_heads' background IoU", of_rois.low_threshold, of_rois.high_threshold)
        proposals = replace(
            config.rpn.proposals,
            fg_iou_thresh=rpn.proposal_matcher.high_threshold,
            bg_iou_thresh=rpn.proposal_matcher.low_threshold,
            batch_size_per_image=rpn.fg_bg_sampler.batch_size_per_image,
            positive_fraction=rpn.fg_bg_sampler.positive_fraction,
            pre_nms_top_n_training=rpn._pre_nms_top_n["training"],
            pre_nms_top_n=rpn._pre_nms_top_n["testing"],
            post_nms_top_n_training=rpn._post_nms_top_n["training"],
            post_nms_top_n=rpn._post_nms_top_n["testing"],
            nms_thresh=rpn.nms_thresh,
            min_size=rpn.min_size,
            score_thresh=rpn.score_thresh,
        )
        pyramid = pyramid_settings(model, rpn.anchor_generator, config.rpn)
        return replace(
            config,
            rpn=replace(config.rpn.with_pyramid(pyramid), proposals=proposals),
            rois=replace(
                self._pooling(rois.box_roi_pool, config),
                batch_size_per_image=rois.fg_bg_sampler.batch_size_per_image,
                positive_fraction=rois.fg_bg_sampler.positive_fraction,
                fg_iou_thresh=of_rois.high_threshold,
                box_weights=tuple(rois.box_coder.weights),
                score_thresh=rois.score_thresh,
                nms_thresh=rois.nms_thresh,
                detections_per_img=rois.detections_per_img,
            ),
        )

    def _pooling(self, pool: Any, config: FasterRCNNConfig) -> Any:
        """The RoI settings with those of torchvision's pooling."""
        check("roi_heads.box_roi_pool.sampling_ratio", pool.sampling_ratio, 2)
        rows, columns = pool.output_size
        check("roi_heads.box_roi_pool.output_size", (rows, columns), (rows, rows))
        maps = [str(i) for i in range(len(config.rois.strides))]  # names of others are passed over
        used = [name for name in pool.featmap_names if name in (*maps, "pool")]
        check("roi_heads.box_roi_pool.featmap_names", used, maps[: max(len(used), 1)])
        return replace(
            config.rois,
            strides=config.rois.strides[: len(used)],
            cells=rows,
            canonical_size=pool.canonical_scale,
            canonical_level=pool.canonical_level,
        )

    def reorder(self, key: str, tensor: Tensor, config: FasterRCNNConfig) -> Tensor:
        """See :meth:`Family.reorder`."""
        if key.startswith("roi_heads.box_predictor.cls_score"):
            return tensor.roll(-1, dims=0)  # background from the first row to the last
        if key.startswith("roi_heads.box_predictor.bbox_pred"):
            return tensor[4:]  # background has no box
        if key in ("roi_heads.box_head.fc6.weight", "roi_heads.box_head.5.weight"):
            cells, width = config.rois.cells, len(tensor)
            if tensor.shape[1] % cells**2:
                return tensor
            by_cell = tensor.reshape(width, -1, cells, cells).permute(
                0, 2, 3, 1
            )  # (out, C, h, w) → (out, h, w, C)
            return by_cell.reshape(width, -1)
        return tensor


class OneStage(Family):
    """torchvision's RetinaNet."""

    mark = "head.classification_head.cls_logits.weight"
    names: ClassVar[Mapping[str, str]] = {
        "retinanet_resnet50_fpn": "retinanet_resnet50_fpn",
        "retinanet_resnet50_fpn_v2": "retinanet_resnet50_fpn_v2",
    }
    first = 0
    losses: ClassVar[Mapping[str, str]] = {"classes": "classification", "boxes": "bbox_regression"}
    renames = (
        (r"backbone\.body\.", "backbone."),
        (r"backbone\.fpn\.inner_blocks\.(\d+)\.(?:0\.)?(weight|bias)$", r"fpn.lateral.\1.0.\2"),
        (r"backbone\.fpn\.layer_blocks\.(\d+)\.(?:0\.)?(weight|bias)$", r"fpn.output.\1.0.\2"),
        (r"backbone\.fpn\.extra_blocks\.p6\.", "fpn.extra.0."),
        (r"backbone\.fpn\.extra_blocks\.p7\.", "fpn.extra.1."),
        (r"head\.classification_head\.cls_logits\.", "head.classes.output."),
        (r"head\.regression_head\.bbox_reg\.", "head.boxes.output."),
        (r"head\.classification_head\.conv\.(\d+)\.(?:0\.)?(weight|bias)$", r"head.classes.convs.\1.\2"),
        (r"head\.classification_head\.conv\.(\d+)\.1\.", r"head.classes.norms.\1."),
        (r"head\.regression_head\.conv\.(\d+)\.(?:0\.)?(weight|bias)$", r"head.boxes.convs.\1.\2"),
        (r"head\.regression_head\.conv\.(\d+)\.1\.", r"head.boxes.norms.\1."),
    )

    def recognise(self, state: Mapping[str, Tensor], with_settings: bool) -> str:
        """See :meth:`Family.recognise`."""
        check_resnet50(state)
        second = "head.classification_head.conv.0.1.weight" in state
        return "retinanet_resnet50_fpn_v2" if second else "retinanet_resnet50_fpn"

    def classes(self, state: Mapping[str, Tensor]) -> int:
        """See :meth:`Family.classes`."""
        return len(state["head.classification_head.cls_logits.bias"]) // self._anchors(state)

    def _anchors(self, state: Mapping[str, Tensor]) -> int:
        return len(state["head.regression_head.bbox_reg.bias"]) // 4

    def without_first_class(self, state: dict[str, Tensor], classes: int) -> dict[str, Tensor]:
        """See :meth:`Family.without_first_class`."""
        changed = dict(state)
        for leaf in ("weight", "bias"):
            key = f"head.classification_head.cls_logits.{leaf}"
            by_class = state[key].reshape(self._anchors(state), classes, *state[key].shape[1:])
            changed[key] = by_class[:, 1:].flatten(0, 1)
        return changed

    def settings(self, model: Any, config: RetinaNetConfig) -> RetinaNetConfig:
        """See :meth:`Family.settings`."""
        head = model.head
        check_kinds(
            (
                ("model", model, RetinaNet),
                ("head", head, RetinaNetHead),
                ("head.classification_head", head.classification_head, RetinaNetClassificationHead),
                ("head.regression_head", head.regression_head, RetinaNetRegressionHead),
                ("anchor_generator", model.anchor_generator, AnchorGenerator),
                ("proposal_matcher", model.proposal_matcher, Matcher),
                ("box_coder", model.box_coder, BoxCoder),
            )
        )
        check_unpatched(model)
        check(
            "proposal_matcher.allow_low_quality_matches",
            model.proposal_matcher.allow_low_quality_matches,
            True,
        )
        check("box_coder.weights", tuple(model.box_coder.weights), (1.0,) * 4)
        check("box_coder.bbox_xform_clip", model.box_coder.bbox_xform_clip, MAX_LOG_SCALE)
        box_loss = head.regression_head._loss_type
        if box_loss not in ("l1", "giou"):
            raise bad_input("model", f"box loss {box_loss!r}", "'l1' or 'giou', which are alike in masu")
        return replace(
            config.with_pyramid(pyramid_settings(model, model.anchor_generator, config)),
            fg_iou_thresh=model.proposal_matcher.high_threshold,
            bg_iou_thresh=model.proposal_matcher.low_threshold,
            box_loss=box_loss,
            score_thresh=model.score_thresh,
            pre_nms_top_n=model.topk_candidates,
            min_size=0.0,  # torchvision's RetinaNet returns boxes without area too
            nms_thresh=model.nms_thresh,
            detections_per_img=model.detections_per_img,
        )


def check(name: str, found: Any, wanted: Any) -> None:
    """Refuse a setting that has only one value here."""
    alike = math.isclose(found, wanted) if isinstance(wanted, float) else found == wanted
    if not alike:
        raise refused(f"{name} = {found}", wanted)


def check_kinds(parts: Sequence[tuple[str, object, Any]]) -> None:
    """Refuse parts that are not of torchvision's own class: what a subclass does is not known here."""
    for name, part, kinds in parts:
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if type(part) not in kinds:
            wanted = " or ".join(f"torchvision's {kind.__name__}" for kind in kinds)
            raise refused(f"{type(part).__name__} as {name}", wanted)


def check_unpatched(model: nn.Module) -> None:
    """Refuse methods that were replaced on an object, and hooks that can change what a module returns."""
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if (
                callable(value)
                and not isinstance(value, nn.Module)
                and callable(getattr(type(module), key, None))
            ):
                raise refused(f"a replaced method {f'{name}.{key}'.lstrip('.')}", "torchvision's own")
        if module._forward_hooks or module._forward_pre_hooks:
            raise refused(f"a forward hook on {name or 'the model'}", "a model without; remove it first")


_OF_SIZE = {"in_channels", "out_channels", "in_features", "out_features", "num_classes", "num_anchors"}
"""Attributes that follow from the numbers of classes and anchors; tensors are compared by shape anyway."""


def check_tree(model: Any, theirs: str, parts: Sequence[str]) -> None:
    """Refuse layers that differ from those of torchvision's own model: kinds, order and settings.

    Args:
        model: to be taken over.
        theirs: torchvision's name of its architecture.
        parts: submodules whose layers compute what is taken over.
    """
    with torch.device("meta"):
        own = torchvision.models.get_model(theirs, weights=None, weights_backbone=None, num_classes=2)
    for part in parts:
        found, wanted = (dict(x.get_submodule(part).named_modules()) for x in (model, own))
        if found.keys() != wanted.keys():
            odd = sorted(found.keys() ^ wanted.keys())[0]
            raise refused(f"other layers in {part}, such as {odd!r}", f"those of {theirs}")
        for name, layer in found.items():
            if (a := _described(layer)) != (b := _described(wanted[name])):
                place = f"{part}.{name}".rstrip(".")
                raise refused(f"{place} = {_told(layer, a, b)}", _told(wanted[name], b, a))


def _described(layer: nn.Module) -> dict[str, Any]:
    """What a layer does, but for its sizes; the norms' epsilons of a backbone are read elsewhere."""
    norm = isinstance(layer, nn.BatchNorm2d | torchvision.ops.FrozenBatchNorm2d)
    if norm:
        return {"kind": "batch norm"}
    simple = {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, bool | int | float | str | tuple) and not name.startswith("_")
    }
    return {"kind": type(layer)} | {k: v for k, v in simple.items() if k not in {*_OF_SIZE, "training"}}


def _told(layer: nn.Module, own: dict[str, Any], other: dict[str, Any]) -> str:
    differing = [f"{k}={v}" for k, v in own.items() if k != "kind" and other.get(k) != v]
    return f"{type(layer).__name__}({', '.join(differing)})"


def check_anchors(generator: Any) -> None:
    """Refuse anchors that do not follow from their sizes and ratios."""
    fresh = AnchorGenerator(generator.sizes, generator.aspect_ratios).cell_anchors
    alike = len(fresh) == len(generator.cell_anchors) and all(
        torch.equal(a, b.cpu().to(a.dtype)) for a, b in zip(fresh, generator.cell_anchors, strict=True)
    )
    if not alike:
        raise refused("anchor_generator.cell_anchors that were changed", "those of its sizes and ratios")


def check_resnet50(state: Mapping[str, Tensor]) -> None:
    """Refuse other ResNets: their blocks are counted."""
    for layer, blocks in (("layer1", 3), ("layer2", 4), ("layer3", 6), ("layer4", 3)):
        found = {key.split(".")[3] for key in state if key.startswith(f"backbone.body.{layer}.")}
        if len(found) != blocks or f"backbone.body.{layer}.0.conv3.weight" not in state:
            raise refused(f"a ResNet with {len(found)} blocks in {layer}", f"ResNet-50, which has {blocks}")


def pyramid_settings(model: Any, generator: Any, config: PyramidConfig) -> PyramidConfig:
    """Backbone, anchors and input of a torchvision model."""
    transform, body = model.transform, model.backbone.body
    check_kinds((("transform", transform, GeneralizedRCNNTransform),))
    if transform.fixed_size is not None:
        raise refused(
            f"transform.fixed_size = {transform.fixed_size}", "None, images keep their aspect ratio"
        )
    norms = [m for m in body.modules() if isinstance(m, nn.BatchNorm2d | torchvision.ops.FrozenBatchNorm2d)]
    eps = {(type(norm), norm.eps) for norm in norms}
    if len(eps) != 1:
        raise refused("normalisation layers of several kinds or epsilons in the backbone", "one of each")
    others = [
        m.eps
        for part in (model.backbone.fpn, getattr(model, "roi_heads", None))
        if part is not None
        for m in part.modules()
        if isinstance(m, nn.BatchNorm2d)
    ]
    for found in others:
        check("epsilon of a normalisation outside of the backbone's body", found, 1e-5)
    if len(set(generator.aspect_ratios)) != 1:
        raise refused(f"aspect ratios {generator.aspect_ratios}", "the same on every level")
    check_anchors(generator)
    policy = replace(
        config.input,
        min_size=int(transform.min_size[-1]),
        max_size=int(transform.max_size),
        mean=tuple(transform.image_mean),
        std=tuple(transform.image_std),
        divisor=int(transform.size_divisible),
    )
    return replace(
        config,
        frozen_norms=isinstance(norms[0], torchvision.ops.FrozenBatchNorm2d),
        norm_eps=norms[0].eps,
        frozen_stride=_frozen_stride(body),
        anchor_sizes=tuple(tuple(float(s) for s in sizes) for sizes in generator.sizes),
        anchor_ratios=tuple(generator.aspect_ratios[0]),
        input=policy,
    )


def _frozen_stride(body: nn.Module) -> int:
    """The stride up to which a torchvision backbone takes no part in training.

    One setting has no counterpart: of MobileNet's stages of stride 32 torchvision can freeze the first only.
    """
    x, strides = next(body.parameters()).new_zeros((1, 3, PROBE, PROBE)), [0]
    with torch.no_grad():
        for stage in copy.deepcopy(body).eval().children():
            x = stage(x)
            if any(p.requires_grad for p in stage.parameters()):
                return max(s for s in strides if s < PROBE // x.shape[-1])
            strides.append(PROBE // x.shape[-1])
    return strides[-1]
