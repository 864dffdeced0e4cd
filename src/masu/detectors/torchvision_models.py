"""torchvision's Faster R-CNN and RetinaNet models as detectors of masu: same weights, same answers."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from masu.detectors.faster_rcnn import FasterRCNN, FasterRCNNConfig
from masu.detectors.pyramid import PyramidConfig
from masu.detectors.retinanet import RetinaNet, RetinaNetConfig
from masu.detectors.zoo import ARCHITECTURES, Config, pyramid_of, with_pyramid
from masu.errors import InputError
from masu.nets.backbones import PROBE

NAMES = {
    "fasterrcnn_resnet50_fpn": "faster_rcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2": "faster_rcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn": "faster_rcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn": "faster_rcnn_mobilenet_v3_large_320_fpn",
    "retinanet_resnet50_fpn": "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2": "retinanet_resnet50_fpn_v2",
}
"""torchvision's names of the architectures and masu's."""


def load_torchvision(name: str) -> FasterRCNN | RetinaNet:
    """A torchvision detector with its COCO weights, downloaded through torchvision's weights API.

    Raises:
        InputError: for another name, or where the download fails.
    """
    if name not in NAMES:
        raise InputError(f"torchvision/{name}: found an unknown model, wanted one of {', '.join(NAMES)}")
    weights = torchvision.models.get_model_weights(name)["DEFAULT"]
    try:
        state = weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise InputError(
            f"torchvision/{name}: download from {weights.url} failed ({error}); wanted a network connection"
        ) from None
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=91)
    if not name.endswith("v2"):
        _freeze_like_pretrained(model, eps=0.0 if "resnet50" in name else 1e-5)
    model.load_state_dict(state, strict=False)
    names = coco_names(weights.meta["categories"])
    if name.startswith("retinanet"):
        names = ("unused 0", *names)  # its class ids count from 0, which is no class of the data
    return from_torchvision(model, names, NAMES[name])


def _freeze_like_pretrained(model: nn.Module, eps: float) -> None:
    """Frozen normalisation in the body, as torchvision's builders use it only along with a download."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, torchvision.ops.FrozenBatchNorm2d(child.num_features, eps))


def coco_names(categories: Sequence[str]) -> tuple[str, ...]:
    """Class names from torchvision's COCO categories: without background, unused ids numbered."""
    return tuple(f"unused {i}" if name == "N/A" else name for i, name in enumerate(categories) if i > 0)


def from_torchvision(
    model: nn.Module | Mapping[str, Tensor],
    names: Sequence[str] | None = None,
    architecture: str | None = None,
) -> FasterRCNN | RetinaNet:
    """Take over a torchvision Faster R-CNN or RetinaNet: weights, and from a model also its settings.

    Args:
        model: one of torchvision's ``fasterrcnn_*`` or ``retinanet_*`` models or its state dict. From a state
            dict the settings are the architecture's own, with frozen normalisation (epsilon 1e-5) where
            torchvision's pretrained models have it.
        names: class names without background, in the order of torchvision's ids 1..K; for RetinaNet, whose
            head has a column for every id, in the order of ids 0..K-1. Default: ``class 1``, ``class 2`` …
            (RetinaNet: from ``class 0``).
        architecture: masu's name; default: recognised. A state dict does not tell the two MobileNet
            architectures apart, there it is needed.

    Raises:
        InputError: for another architecture or another number of names.
    """
    state = dict(model.state_dict() if isinstance(model, nn.Module) else model)
    name = architecture or _recognise(model, state)
    if name not in ARCHITECTURES or name not in NAMES.values():
        raise InputError(f"architecture: found {name!r}, wanted one of {', '.join(NAMES.values())}")
    config = ARCHITECTURES[name]()
    if isinstance(model, nn.Module):
        config = _settings(model, config)
    elif any(
        key.endswith("bn1.num_batches_tracked") or key == "backbone.body.0.1.num_batches_tracked"
        for key in state
    ):
        config = with_pyramid(config, replace(pyramid_of(config), frozen_norms=False))
    if isinstance(config, FasterRCNNConfig):
        first, classes = 1, len(state["roi_heads.box_predictor.cls_score.bias"]) - 1
    else:
        anchors = len(state["head.regression_head.bbox_reg.bias"]) // 4
        first, classes = 0, len(state["head.classification_head.cls_logits.bias"]) // anchors
    if names is None:
        names = [f"class {i}" for i in range(first, first + classes)]
    if len(names) != classes:
        raise InputError(
            f"names: found {len(names)} names, wanted {classes}, one per class without background"
        )
    detector: FasterRCNN | RetinaNet
    if isinstance(config, FasterRCNNConfig):
        detector = FasterRCNN(config, names)
        converted = {_rename(key): _reorder(key, tensor, config) for key, tensor in state.items()}
    else:
        assert isinstance(config, RetinaNetConfig)
        detector = RetinaNet(config, names)
        converted = {_rename_retinanet(key): tensor for key, tensor in state.items()}
    detector.to(memory_format=torch.channels_last)
    own = detector.state_dict().keys()
    if converted.keys() != own:
        odd = sorted(converted.keys() ^ own)[0]
        raise InputError(
            f"model: found other tensors than {name} has ({odd}), wanted an unchanged torchvision model"
        )
    detector.load_state_dict(converted)
    return detector.train(model.training) if isinstance(model, nn.Module) else detector.eval()


def _recognise(model: nn.Module | Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    if "head.classification_head.cls_logits.weight" in state:
        second = "head.classification_head.conv.0.1.weight" in state
        return "retinanet_resnet50_fpn_v2" if second else "retinanet_resnet50_fpn"
    if "roi_heads.box_head.0.0.weight" in state:
        return "faster_rcnn_resnet50_fpn_v2"
    if "backbone.body.layer4.0.conv1.weight" in state:
        return "faster_rcnn_resnet50_fpn"
    if "backbone.body.16.0.weight" not in state:
        raise InputError(f"model: found no detector of torchvision, wanted one of {', '.join(NAMES)}")
    if isinstance(model, nn.Module):  # settings come from the model, so that either name is right
        return "faster_rcnn_mobilenet_v3_large_fpn"
    raise InputError(
        "architecture: found a MobileNet state dict, wanted architecture="
        "'faster_rcnn_mobilenet_v3_large_fpn' or 'faster_rcnn_mobilenet_v3_large_320_fpn', "
        "whose tensors are alike"
    )


def _settings(model: Any, config: Config) -> Config:
    """The configuration with every setting that the torchvision model carries."""
    two_stages = isinstance(config, FasterRCNNConfig)
    generator = model.rpn.anchor_generator if two_stages else model.anchor_generator
    config = with_pyramid(config, _pyramid_settings(model, generator, pyramid_of(config)))
    if isinstance(config, FasterRCNNConfig):
        return _two_stage_settings(model, config)
    assert isinstance(config, RetinaNetConfig)
    box_loss = model.head.regression_head._loss_type
    if box_loss not in ("l1", "giou"):
        raise InputError(
            f"model: found box loss {box_loss!r}, wanted 'l1' or 'giou', which are alike in masu"
        )
    return replace(
        config,
        match_high=model.proposal_matcher.high_threshold,
        match_low=model.proposal_matcher.low_threshold,
        box_loss=box_loss,
        min_score=model.score_thresh,
        top_per_level=model.topk_candidates,
        min_size=0.0,  # torchvision's RetinaNet returns boxes without area too
        nms_threshold=model.nms_thresh,
        max_detections=model.detections_per_img,
    )


def _pyramid_settings(model: Any, generator: Any, config: PyramidConfig) -> PyramidConfig:
    transform, body = model.transform, model.backbone.body
    norms = [m for m in body.modules() if isinstance(m, nn.BatchNorm2d | torchvision.ops.FrozenBatchNorm2d)]
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


def _two_stage_settings(model: Any, config: FasterRCNNConfig) -> FasterRCNNConfig:
    rpn, rois = model.rpn, model.roi_heads
    proposals = replace(
        config.rpn.proposals,
        match_high=rpn.proposal_matcher.high_threshold,
        match_low=rpn.proposal_matcher.low_threshold,
        samples=rpn.fg_bg_sampler.batch_size_per_image,
        positive_fraction=rpn.fg_bg_sampler.positive_fraction,
        top_per_level_training=rpn._pre_nms_top_n["training"],
        top_per_level=rpn._pre_nms_top_n["testing"],
        kept_training=rpn._post_nms_top_n["training"],
        kept=rpn._post_nms_top_n["testing"],
        nms_threshold=rpn.nms_thresh,
        min_size=rpn.min_size,
        min_score=rpn.score_thresh,
    )
    second = replace(
        config.rois,
        samples=rois.fg_bg_sampler.batch_size_per_image,
        positive_fraction=rois.fg_bg_sampler.positive_fraction,
        match=rois.proposal_matcher.high_threshold,
        box_weights=tuple(rois.box_coder.weights),
        min_score=rois.score_thresh,
        nms_threshold=rois.nms_thresh,
        max_detections=rois.detections_per_img,
    )
    return FasterRCNNConfig(rpn=replace(config.rpn, proposals=proposals), rois=second)


_RENAMES = (
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
"""torchvision's tensor names, today's and of its older files, and masu's; the first that fits counts."""


def _rename(key: str) -> str:
    return _first_that_fits(key, _RENAMES)


def _first_that_fits(key: str, renames: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in renames:
        renamed, count = re.subn("^" + pattern, replacement, key)
        if count:
            return renamed
    return key


_RETINANET_RENAMES = (
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


def _rename_retinanet(key: str) -> str:
    return _first_that_fits(key, _RETINANET_RENAMES)


def _reorder(key: str, tensor: Tensor, config: FasterRCNNConfig) -> Tensor:
    if key.startswith("roi_heads.box_predictor.cls_score"):
        return tensor.roll(-1, dims=0)  # background from the first row to the last
    if key.startswith("roi_heads.box_predictor.bbox_pred"):
        return tensor[4:]  # background has no box
    if key in ("roi_heads.box_head.fc6.weight", "roi_heads.box_head.5.weight"):
        cells, width = config.rois.cells, len(tensor)
        by_cell = tensor.reshape(width, -1, cells, cells).permute(
            0, 2, 3, 1
        )  # (out, C, h, w) → (out, h, w, C)
        return by_cell.reshape(width, -1)
    return tensor
